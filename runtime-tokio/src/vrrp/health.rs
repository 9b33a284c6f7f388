//! The health of the SIP node of this process, told as it changes.
//!
//! A shard whose thread ends says so at once. A shard that hangs is found by a question to each of them, and listeners by
//! OPTIONS that this process sends itself: neither is answered within two seconds when the node is not well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};
use tracing::{error, info};
use trunkline_core::proxy::Listener;
use trunkline_core::wire::sip::transport::Transport;

use super::Handle;
use super::settings::NODE;
use crate::control::server::Shard;
use crate::io::ShardHandle;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// An OPTIONS that gets lost in a full buffer is sent again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// What the Call-IDs of our questions begin with. Nobody else knows it.
static OWN: LazyLock<String> = LazyLock::new(|| format!("health-{:016x}-", rand::random::<u64>()));

/// Whether a request with this Call-ID is a question of ours.
pub(crate) fn is_own(call_id: &[u8]) -> bool {
    call_id.starts_with(OWN.as_bytes())
}

/// Looks after the node and tells `handle`, until it is dropped. `is_held` says whether an address is on this machine:
/// OPTIONS to another would go to the node that holds it.
pub(crate) async fn watch(shards: Vec<ShardHandle<Shard>>, listeners: Vec<Listener>, handle: Handle, own: Vec<IpAddr>) {
    let targets: Vec<SocketAddr> = listeners.iter().filter_map(|l| reachable(l, &own)).collect();
    let mut was_well = None;
    loop {
        let well = tokio::select! {
            () = any_stopped(&shards) => Err("a shard has ended".to_owned()),
            looked = look(&shards, &targets) => looked,
        };
        if was_well.replace(well.is_ok()) != Some(well.is_ok()) {
            match &well {
                Ok(()) => info!("vrrp: the SIP node is well"),
                Err(why) => error!("vrrp: the SIP node is not well: {why}"),
            }
            handle.track(NODE, well.is_ok());
        }
        // While it waits, the end of a shard is still news.
        tokio::select! {
            () = any_stopped(&shards), if was_well == Some(true) => {}
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Where a listener is reached from within, if it is: those on virtual addresses are not while another node has them.
fn reachable(listener: &Listener, own: &[IpAddr]) -> Option<SocketAddr> {
    let bound = listener.bound;
    if listener.transport != Transport::Udp {
        return None;
    }
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Some((Ipv4Addr::LOCALHOST, bound.port()).into()),
        IpAddr::V6(ip) if ip.is_unspecified() => Some((Ipv6Addr::LOCALHOST, bound.port()).into()),
        ip => own.contains(&ip).then_some(bound),
    }
}

async fn any_stopped(shards: &[ShardHandle<Shard>]) {
    let mut all: Vec<_> = shards.iter().map(|shard| Box::pin(shard.stopped())).collect();
    std::future::poll_fn(|cx| {
        let ended = all.iter_mut().any(|shard| shard.as_mut().poll(cx).is_ready());
        if ended { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

async fn look(shards: &[ShardHandle<Shard>], targets: &[SocketAddr]) -> Result<(), String> {
    for (i, shard) in shards.iter().enumerate() {
        match timeout(PATIENCE, shard.ask(|_, _, _| ())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(format!("shard {i} has ended")),
            Err(_) => return Err(format!("shard {i} does not turn")),
        }
    }
    for target in targets {
        let answered = timeout(PATIENCE, options(*target)).await;
        if !matches!(answered, Ok(Ok(()))) {
            return Err(format!("udp {target} does not answer OPTIONS"));
        }
    }
    Ok(())
}

/// Sends OPTIONS until something comes back.
async fn options(target: SocketAddr) -> std::io::Result<()> {
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    let own = socket.local_addr()?;
    let id: u64 = rand::random();
    let request = request(target, own, id);
    let mut answer = [0; 2_048];
    loop {
        socket.send(request.as_bytes()).await?;
        if let Ok(received) = timeout(AGAIN, socket.recv(&mut answer)).await {
            return received.map(|_| ());
        }
    }
}

/// An OPTIONS to the node itself: Max-Forwards 0, so that it goes no further (RFC 3261 §16.3).
fn request(target: SocketAddr, own: SocketAddr, id: u64) -> String {
    let call_id = OWN.as_str();
    format!(
        "OPTIONS sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id:016x};rport\r\n\
         From: <sip:health@{own}>;tag={id:x}\r\nTo: <sip:{target}>\r\nCall-ID: {call_id}{id:016x}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(transport: Transport, bound: &str) -> Listener {
        let bound = bound.parse().unwrap();
        Listener { transport, bound, advertised: bound }
    }

    #[test]
    fn only_what_is_here_is_asked() {
        let own = ["10.0.0.1".parse().unwrap()];
        let at = |l: &Listener| reachable(l, &own).map(|a| a.to_string());
        assert_eq!(at(&listener(Transport::Udp, "0.0.0.0:5060")).as_deref(), Some("127.0.0.1:5060"));
        assert_eq!(at(&listener(Transport::Udp, "[::]:5061")).as_deref(), Some("[::1]:5061"));
        assert_eq!(at(&listener(Transport::Udp, "10.0.0.1:5060")).as_deref(), Some("10.0.0.1:5060"));
        assert_eq!(at(&listener(Transport::Udp, "10.0.0.100:5060")), None, "a virtual address");
        assert_eq!(at(&listener(Transport::Tcp, "10.0.0.1:5060")), None);
    }

    #[test]
    fn the_question_is_a_whole_sip_request() {
        let text = request("127.0.0.1:5060".parse().unwrap(), "127.0.0.1:4000".parse().unwrap(), 7);
        let parsed = trunkline_core::wire::sip::msg::Msg::parse(text.as_bytes());
        assert!(parsed.is_ok(), "{parsed:?}");
    }

    #[test]
    fn something_that_answers_is_found_and_silence_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let at = server.local_addr().unwrap();
            let answering = async {
                let (_, from) = server.recv_from(&mut [0; 2_048]).await.unwrap();
                server.send_to(b"SIP/2.0 483 Too Many Hops\r\n\r\n", from).await.unwrap();
            };
            let (asked, ()) = tokio::join!(options(at), answering);
            asked.unwrap();
            drop(server);
            // Nobody is there: the kernel says so.
            assert!(options(at).await.is_err());
        });
    }
}
