//! A caller: places calls from one UDP port, each with media on a port of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::calls::{CallResult, Calls, Counters, Plan, Progress};
use super::clock::Clock;
use super::ports::ip_towards;
use super::rtp_tone::{Report, Tones};
use super::server::{BATCH, DATAGRAM_MAX, flush, sleep_until};
use super::settings::Settings;
use super::transactions::Outbox;

/// A user agent that is ready to call.
#[derive(Debug)]
pub struct Caller {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Caller {
    /// Binds the SIP socket to `address`, where port 0 stands for any. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to place the calls of `plan`.
    ///
    /// # Errors
    /// There is no way to the target.
    pub fn place(self, plan: Plan) -> io::Result<Placed> {
        let mut local = self.address;
        if local.ip().is_unspecified() {
            local.set_ip(ip_towards(plan.target.ip())?);
        }
        let clock = Clock::new();
        let counters = Arc::new(Counters::default());
        let (report, reports) = mpsc::unbounded_channel();
        let tones = Tones::new(Settings::default().rtp_ports, report);
        let calls = Calls::new(plan, local, tones, Arc::clone(&counters), clock.now());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(self.socket, calls, clock, reports, stopped));
        Ok(Placed { counters, stop: Some(stop), task })
    }
}

/// Calls that are being placed. Dropping it abandons them.
#[derive(Debug)]
pub struct Placed {
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Vec<CallResult>>,
}

impl Placed {
    /// How far they have come.
    pub fn progress(&self) -> Progress {
        self.counters.progress()
    }

    /// Whether every call has its result.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Places no more calls, and ends those that are there.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that all is over already.
            let _ = stop.send(());
        }
    }

    /// Waits until every call has its result, and gives them in the order in which they ended.
    pub async fn finish(mut self) -> Vec<CallResult> {
        // The task does not panic, and is aborted by `drop` only.
        (&mut self.task).await.unwrap_or_default()
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    socket: UdpSocket,
    mut calls: Calls<Tones>,
    clock: Clock,
    mut reports: mpsc::UnboundedReceiver<Report>,
    mut stop: oneshot::Receiver<()>,
) -> Vec<CallResult> {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut out = Outbox::new();
    let mut stopping = false;
    while !calls.is_finished() {
        let wake_at = calls.next_deadline().map(|d| clock.wake_at(d));
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                if let Ok((len, source)) = received {
                    calls.receive(clock.now(), source, &buffer[..len], &mut out);
                }
                for _ in 1..BATCH {
                    let Ok((len, source)) = socket.try_recv_from(&mut buffer) else { break };
                    calls.receive(clock.now(), source, &buffer[..len], &mut out);
                }
            }
            Some((call, stats)) = reports.recv() => calls.media_done(clock.now(), call, stats, &mut out),
            () = sleep_until(wake_at) => {}
            told = &mut stop, if !stopping => {
                stopping = true;
                if told.is_ok() {
                    calls.stop(clock.now(), &mut out);
                }
            }
        }
        calls.expire(clock.now(), &mut out);
        flush(&socket, &mut out).await;
    }
    calls.into_results()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::calls::{Failure, Outcome};
    use super::super::server::Server;
    use super::super::settings::Behaviour;
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    async fn place(plan: Plan) -> Vec<CallResult> {
        Caller::bind(ANY).await.unwrap().place(plan).unwrap().finish().await
    }

    #[tokio::test]
    async fn the_caller_hears_itself() {
        let server = Server::start(ANY, Settings::default()).await.unwrap();
        let plan = Plan { calls: 5, hold: Duration::from_millis(300), ..Plan::new(server.address()) };
        let results = place(plan).await;
        assert_eq!(results.iter().map(|r| r.outcome).collect::<Vec<_>>(), [Outcome::Completed; 5]);
        for result in &results {
            assert!(result.media.echoed > 0, "{result:?}");
            assert_eq!((result.media.altered, result.server), (0, Some(server.address())));
        }
        let stats = server.stop().await;
        assert_eq!((stats.calls_answered, stats.calls_active, stats.rtp_strangers), (5, 0, 0));
        assert_eq!(stats.rtp_packets, results.iter().map(|r| r.media.sent).sum::<u64>());
    }

    #[tokio::test]
    async fn the_callee_hangs_up_while_the_tone_runs() {
        let behaviour =
            Behaviour::Answer { ring: Duration::from_millis(20), hang_up_after: Some(Duration::from_millis(100)) };
        let server = Server::start(ANY, Settings { behaviour, ..Settings::default() }).await.unwrap();
        let results = place(Plan { hold: Duration::from_secs(60), ..Plan::new(server.address()) }).await;
        assert_eq!(results[0].outcome, Outcome::Completed);
        assert!(results[0].hung_up_by_peer && results[0].media.sent > 0, "{results:?}");
    }

    #[tokio::test]
    async fn a_refused_call_frees_its_port() {
        let behaviour = Behaviour::Refuse { status: 500 };
        let server = Server::start(ANY, Settings { behaviour, ..Settings::default() }).await.unwrap();
        let results = place(Plan { calls: 3, ..Plan::new(server.address()) }).await;
        assert_eq!(
            results.iter().map(|r| r.outcome).collect::<Vec<_>>(),
            [Outcome::Failed(Failure::Refused { status: 500 }); 3]
        );
    }

    #[tokio::test]
    async fn a_killed_server_is_gone_at_once_and_its_port_is_free() {
        let server = Server::start(ANY, Settings::default()).await.unwrap();
        let address = server.address();
        let caller = Caller::bind(ANY).await.unwrap();
        let placed = caller.place(Plan { hold: Duration::from_secs(60), ..Plan::new(address) }).unwrap();
        while server.stats().rtp_packets == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.kill().await.calls_active, 1);
        let again = Server::start(address, Settings::default()).await.unwrap();
        assert_eq!(again.address(), address);
        assert!(!placed.is_finished());
    }

    #[tokio::test]
    async fn a_stopped_server_hangs_up() {
        let server = Server::start(ANY, Settings::default()).await.unwrap();
        let plan = Plan { hold: Duration::from_secs(60), ..Plan::new(server.address()) };
        let placed = Caller::bind(ANY).await.unwrap().place(plan).unwrap();
        while placed.progress().active == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.stop().await.calls_active, 0);
        let results = placed.finish().await;
        assert!(results[0].hung_up_by_peer, "{results:?}");
    }
}
