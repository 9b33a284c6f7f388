//! The ng control protocol's way in: who may speak, which shard a call lives on, messages over TCP, and those that are
//! about all shards.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use glommio::net::{TcpListener, TcpStream};
use ipnet::IpNet;
use trunkline_core::relay::{Command, ng as relay_ng, statistics};
use trunkline_core::store::HashKey;
use trunkline_core::wire::ng;

use crate::mailbox::{Mail, Mailbox, Origin};
use crate::shards::Shards;

/// Most streams at once.
const STREAMS_MAX: usize = 64;
/// Room for one read of a stream.
const READ_LEN: usize = 16 * 1024;
/// A stream that asks for nothing for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// Who may speak to the control ports. Copies count together.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    allowed: Arc<[IpNet]>,
    refused: Arc<AtomicU64>,
}

impl Gate {
    /// Admits the sources in `allowed`.
    pub(crate) fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into(), refused: Arc::default() }
    }

    /// Whether `from` may speak. Counts those that may not, and logs the 1st, 2nd, 4th, 8th and so on.
    pub(crate) fn admits(&self, from: SocketAddr) -> bool {
        let ip = match from.ip() {
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
            ip => ip,
        };
        if self.allowed.iter().any(|net| net.contains(&ip)) {
            return true;
        }
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two() {
            tracing::warn!(%from, refused, "control message from a source that is not listed (--ng-allow): dropped");
        }
        false
    }

    /// How many were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Where a message is to be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// On this shard.
    Shard(usize),
    /// It is about all of them.
    All,
}

/// Finds the shard that a call lives on: by a keyed hash of its Call-ID, so that nobody can aim calls at one of them.
pub(crate) struct Router {
    mailboxes: Arc<[Mailbox]>,
    key: HashKey,
    scratch: Box<[u8]>,
}

impl Router {
    /// A router to these shards. Those of one process have to have the same `key`.
    pub(crate) fn new(mailboxes: Arc<[Mailbox]>, key: HashKey) -> Self {
        let scratch = if mailboxes.len() > 1 { vec![0; ng::SCRATCH_MAX] } else { Vec::new() };
        Self { mailboxes, key, scratch: scratch.into() }
    }

    /// Where `message` belongs. What is about no call is for the first shard.
    pub(crate) fn route(&mut self, message: &[u8]) -> Route {
        if self.mailboxes.len() < 2 {
            return Route::Shard(0);
        }
        let Some(peek) = relay_ng::peek(message, &mut self.scratch) else { return Route::Shard(0) };
        match (peek.command, peek.call_id) {
            (Some(Command::Statistics | Command::List), _) => Route::All,
            (_, Some(call_id)) => Route::Shard((self.key.hash(&[call_id]) % self.mailboxes.len() as u64) as usize),
            _ => Route::Shard(0),
        }
    }

    /// Posts a message to a shard; `false` if that one takes no more.
    pub(crate) fn post(&self, shard: usize, bytes: Box<[u8]>, origin: Origin) -> bool {
        self.mailboxes.get(shard).is_some_and(|mailbox| mailbox.post(Mail::Ng { bytes, origin }))
    }
}

/// A datagram about all shards: they are asked by the control executor.
#[derive(Debug)]
pub(crate) struct Common {
    /// The message.
    pub(crate) bytes: Box<[u8]>,
    /// The control socket it came by.
    pub(crate) socket: usize,
    /// Where it came from.
    pub(crate) from: SocketAddr,
}

/// Answers datagrams about all shards.
pub(crate) async fn serve_common(mut requests: mpsc::Receiver<Common>, sockets: Arc<[UdpSocket]>, shards: Shards) {
    while let Some(Common { bytes, socket, from }) = requests.next().await {
        let Some(reply) = answer_common(&bytes, &shards).await else { continue };
        if let Some(socket) = sockets.get(socket) {
            // One that finds no room is lost as one on the way is; the client asks again.
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// The reply to `statistics` or `list` for all shards together.
async fn answer_common(bytes: &[u8], shards: &Shards) -> Option<Box<[u8]>> {
    let mut scratch = vec![0; ng::SCRATCH_MAX];
    let peek = relay_ng::peek(bytes, &mut scratch)?;
    let mut room = vec![0; ng::MESSAGE_MAX];
    let written = if peek.command == Some(Command::List) {
        let calls = shards.calls(peek.limit as usize).await;
        let call_ids = calls.iter().map(|call| &*call.call_id);
        statistics::list_reply(&mut room, peek.cookie, peek.encoding, call_ids)
    } else {
        let totals = shards.totals().await;
        statistics::statistics_reply(&mut room, peek.cookie, peek.encoding, &totals.relay, totals.uptime)
    };
    Some(written.ok()?.into())
}

/// Takes ng messages over TCP and hands them to the shards.
pub(crate) async fn serve_tcp(listener: TcpListener, gate: Gate, router: Rc<RefCell<Router>>, shards: Shards) {
    let open = Rc::new(Cell::new(0usize));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "ng over TCP: accept");
                glommio::timer::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(from) = stream.peer_addr() else { continue };
        if !gate.admits(from) {
            continue;
        }
        if open.get() >= STREAMS_MAX {
            tracing::warn!(%from, "ng over TCP: {STREAMS_MAX} streams are open, one more refused");
            continue;
        }
        open.set(open.get() + 1);
        let (router, open, shards) = (Rc::clone(&router), Rc::clone(&open), shards.clone());
        glommio::spawn_local(async move {
            if let Err(error) = converse(stream, &router, &shards).await {
                tracing::debug!(%from, %error, "ng over TCP: stream ended");
            }
            open.set(open.get() - 1);
        })
        .detach();
    }
}

/// Serves one stream: one message, one reply, in order.
async fn converse(mut stream: TcpStream, router: &RefCell<Router>, shards: &Shards) -> std::io::Result<()> {
    let _ = stream.set_nodelay(true);
    stream.set_read_timeout(Some(IDLE_MAX)).map_err(std::io::Error::from)?;
    let mut read = vec![0; READ_LEN];
    let mut gathered = Vec::new();
    loop {
        while let Some(range) = ng::frame(&gathered).map_err(|_| std::io::ErrorKind::InvalidData)? {
            let end = range.end;
            let Some(bytes) = gathered.get(range).map(Box::<[u8]>::from) else { break };
            gathered.drain(..end);
            let route = router.borrow_mut().route(&bytes);
            let reply = match route {
                Route::All => answer_common(&bytes, shards).await,
                Route::Shard(shard) => {
                    let (reply, waiting) = oneshot::channel();
                    let posted = router.borrow().post(shard, bytes, Origin::Stream(reply));
                    if posted { waiting.await.ok() } else { None }
                }
            };
            if let Some(reply) = reply {
                stream.write_all(&reply).await?;
            }
        }
        let n = stream.read(&mut read).await?;
        if n == 0 {
            return Ok(());
        }
        gathered.extend_from_slice(read.get(..n).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(shards: usize) -> Router {
        let mailboxes: Vec<_> = (0..shards).map(|_| Mailbox::new().unwrap().0).collect();
        Router::new(mailboxes.into(), HashKey::new([7; 16]))
    }

    #[test]
    fn only_listed_sources_may_speak() {
        let gate = Gate::new(&["127.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        for (from, admitted) in [
            ("127.0.0.1:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[2001:db8::1]:1", true),
            ("192.0.2.1:1", false),
            ("[::1]:1", false),
        ] {
            assert_eq!(gate.admits(from.parse().unwrap()), admitted, "{from}");
        }
        assert_eq!(gate.refused(), 2);
    }

    #[test]
    fn every_message_of_a_call_goes_to_one_shard_and_calls_spread() {
        let mut router = router(4);
        let mut hits = [0; 4];
        for call in 0..400 {
            let call_id = format!("{call:03}@x");
            let offer = format!("1 d7:call-id5:{call_id}7:command5:offere");
            let delete = format!("2 {{\"command\":\"delete\",\"call-id\":\"{call_id}\"}}");
            let (Route::Shard(a), Route::Shard(b)) = (router.route(offer.as_bytes()), router.route(delete.as_bytes()))
            else {
                panic!("a call has a shard")
            };
            assert_eq!(a, b);
            hits[a] += 1;
        }
        assert!(hits.iter().all(|n| (60..140).contains(n)), "{hits:?}");
    }

    #[test]
    fn what_is_about_no_call_has_its_place() {
        assert_eq!(router(4).route(b"1 d7:command4:pinge"), Route::Shard(0));
        assert_eq!(router(4).route(b"no cookie"), Route::Shard(0));
        assert_eq!(router(4).route(b"1 d7:command10:statisticse"), Route::All);
        assert_eq!(router(4).route(b"1 d7:command4:liste"), Route::All);
        assert_eq!(router(1).route(b"1 d7:command4:liste"), Route::Shard(0));
    }
}
