//! How others talk to the relay's thread.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::Waker;
use tokio::sync::{mpsc, oneshot};
use trunkline_core::Cx;
use trunkline_core::relay::{Action, Relay};

use crate::io::{Counter, Stopped};

/// What is run on the relay's thread between two turns.
pub(super) type Command = Box<dyn FnOnce(&mut Relay<'static>, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) + Send>;

/// What the thread counts about its sockets.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Packets that the kernel did not send.
    pub(crate) send_failures: Counter,
    /// Errors on receiving.
    pub(crate) receive_errors: Counter,
    /// Commands from sources that are not listed.
    pub(crate) refused: Counter,
    /// Turns of the thread.
    pub(crate) turns: Counter,
}

impl Stats {
    /// Names and values, in a fixed order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("send_failures", &self.send_failures),
            ("receive_errors", &self.receive_errors),
            ("refused_commands", &self.refused),
            ("turns", &self.turns),
        ]
        .map(|(name, counter)| (name, counter.value()))
        .into_iter()
    }
}

/// What both sides hold.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stats: Stats,
    pub(super) stop: AtomicBool,
}

/// A way to a relay, for any thread.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) waker: Arc<Waker>,
    pub(super) shared: Arc<Shared>,
    pub(super) control: Arc<[SocketAddr]>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Handle {
    /// Runs `ask` on the relay's thread and gives its result. What it emits is done.
    pub(crate) async fn ask<R, F>(&self, ask: F) -> Result<R, Stopped>
    where
        R: Send + 'static,
        F: FnOnce(&mut Relay<'static>, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |relay, cx, out| {
            // Whoever asked may have gone.
            let _ = answer.send(ask(relay, cx, out));
        });
        self.commands.send(command).await.map_err(|_| Stopped)?;
        self.wake();
        answered.await.map_err(|_| Stopped)
    }

    /// Where it takes commands.
    pub(crate) fn control(&self) -> &[SocketAddr] {
        &self.control
    }

    /// What the thread has counted.
    pub(crate) fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Waits until the thread has ended.
    pub(crate) async fn ended(&self) {
        self.commands.closed().await;
    }

    fn wake(&self) {
        // It fails only if the thread has ended, and then nobody waits for it.
        let _ = self.waker.wake();
    }
}

/// A relay's thread. It ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) handle: Handle,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Running {
    /// A way to it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread, whatever calls there are, and waits for it.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.handle.shared.stop.store(true, Ordering::Relaxed);
        self.handle.wake();
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(io::Error::other("the relay's thread panicked")),
            _ => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
