use trunkline_tokio::media::Failure;

use super::*;

/// A call that was really placed, by which others are made up.
async fn a_call() -> CallResult {
    let server = start_server(0, LOOPBACK).await.unwrap();
    let plan = Plan { media: false, hold: Duration::ZERO, ..Plan::new(server.address()) };
    Caller::bind(LOOPBACK).await.unwrap().place(plan).unwrap().finish().await.remove(0)
}

#[tokio::test]
async fn only_calls_that_were_on_the_killed_server_may_fail() {
    let good = a_call().await;
    let (there, elsewhere) = (good.server.unwrap(), "127.0.0.1:9".parse().ok());
    assert_eq!(good.outcome, Outcome::Completed);
    let failed = |mut call: CallResult| {
        call.outcome = Outcome::Failed(Failure::ByeUnanswered);
        call
    };
    let later = |mut call: CallResult| {
        call.placed_after = Duration::from_secs(20);
        call
    };
    let mut other = failed(good);
    other.server = elsewhere;
    let mut unanswered = failed(good);
    (unanswered.setup, unanswered.server) = (None, None);
    let mut silent = good;
    silent.server = elsewhere;
    silent.media.sent = PACKETS_MIN;

    let killed = Some((there, Duration::from_secs(10)));
    for (call, was_on_the_killed) in
        [(failed(good), true), (later(failed(good)), false), (other, false), (unanswered, false), (silent, false)]
    {
        let verdict = Verdict::new(&[good, call], killed);
        assert_eq!((verdict.completed, verdict.on_the_killed), (1, usize::from(was_on_the_killed)), "{call:?}");
        assert_eq!(verdict.lost.len(), usize::from(!was_on_the_killed), "{call:?}");
        assert_eq!(Verdict::new(&[call], None).lost.len(), 1);
    }
}

#[test]
fn its_configuration_is_valid_and_holds_the_servers() {
    let servers = ["127.0.0.1:40000".parse().unwrap(), "127.0.0.1:40002".parse().unwrap()];
    let config = configuration(&servers).unwrap();
    assert_eq!(config.set[0].target.len(), 2);
    assert_eq!(config.listen.len(), 1);
    assert!(config.listen[0].address.is_loopback() && config.listen[0].port != 0);
}

#[test]
fn the_acts_come_in_order_and_the_killed_one_returns() {
    assert!(ACTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let at = |act| ACTS.iter().position(|(_, a)| *a == act).unwrap();
    assert!(at(Act::Kill) < at(Act::BringBack) && at(Act::Drain) < at(Act::EndDrain));
}
