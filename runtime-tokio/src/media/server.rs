//! A media server: a user agent on a UDP port of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::agent::{Agent, Counters};
use super::clock::Clock;
use super::rtp_echo::Echoes;
use super::settings::Settings;
use super::transactions::Outbox;

/// Longest datagram.
pub(super) const DATAGRAM_MAX: usize = 65_535;
/// Datagrams taken before what they brought is sent.
pub(super) const BATCH: usize = 64;
/// How long [`Server::stop`] waits for its BYEs to be answered.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

/// What a media server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Calls that ring or are answered.
    pub calls_active: u64,
    /// Calls answered since the start.
    pub calls_answered: u64,
    /// Calls refused since the start.
    pub calls_refused: u64,
    /// Malformed messages.
    pub malformed: u64,
    /// RTP packets received from peers.
    pub rtp_packets: u64,
    /// RTP packets dropped since they came from elsewhere.
    pub rtp_strangers: u64,
}

/// A running media server. Dropping it is [`Server::kill`] without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a media server on `address`, where port 0 stands for any. To be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of binding the socket.
    pub async fn start(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let address = socket.local_addr()?;
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = oneshot::channel();
        let echoes = Echoes::new(settings.clone(), Arc::clone(&counters));
        let agent = Agent::new(settings, address, echoes, Arc::clone(&counters));
        let task = tokio::spawn(run(socket, agent, stopped));
        Ok(Self { address, counters, stop: Some(stop), task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn stats(&self) -> ServerStats {
        let c = &self.counters;
        ServerStats {
            calls_active: c.active.load(Relaxed),
            calls_answered: c.answered.load(Relaxed),
            calls_refused: c.refused.load(Relaxed),
            malformed: c.malformed.load(Relaxed),
            rtp_packets: c.rtp_packets.load(Relaxed),
            rtp_strangers: c.rtp_strangers.load(Relaxed),
        }
    }

    /// Vanishes without a word. When it returns the SIP port is free; those of RTP become so as their tasks end.
    pub async fn kill(mut self) -> ServerStats {
        self.task.abort();
        // The task was just told to end: what it says is that it did.
        let _ = (&mut self.task).await;
        self.stats()
    }

    /// Takes no more calls, hangs up on those that are there, and ends.
    pub async fn stop(mut self) -> ServerStats {
        if let Some(stop) = self.stop.take() {
            // An error means that the task is gone already.
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(STOP_PATIENCE, &mut self.task).await;
        self.task.abort();
        self.stats()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(socket: UdpSocket, mut agent: Agent<Echoes>, mut stop: oneshot::Receiver<()>) {
    let clock = Clock::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    let mut out = Outbox::new();
    let mut stopping = false;
    while !(stopping && agent.is_idle()) {
        let wake_at = agent.next_deadline().map(|d| clock.wake_at(d));
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                if let Ok((len, source)) = received {
                    agent.receive(clock.now(), source, &buffer[..len], &mut out);
                }
                for _ in 1..BATCH {
                    let Ok((len, source)) = socket.try_recv_from(&mut buffer) else { break };
                    agent.receive(clock.now(), source, &buffer[..len], &mut out);
                }
            }
            () = sleep_until(wake_at) => {}
            told = &mut stop, if !stopping => {
                stopping = true;
                // Dropping the handle aborts this task; only a message means to hang up.
                if told.is_ok() {
                    agent.stop(clock.now(), &mut out);
                }
            }
        }
        agent.expire(clock.now(), &mut out);
        flush(&socket, &mut out).await;
    }
}

/// Sends what waits. What cannot be sent is lost, as any datagram may be.
pub(super) async fn flush(socket: &UdpSocket, out: &mut Outbox) {
    for (to, bytes) in out.drain(..) {
        let _ = socket.send_to(&bytes, to).await;
    }
}

/// Sleeps until `at`, or for good.
pub(super) async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
