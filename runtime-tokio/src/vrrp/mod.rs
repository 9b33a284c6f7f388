//! VRRP: virtual routers of the configuration, run by a thread of their own.
//!
//! ```text
//!   raw sockets ── adverts ──┐                  ┌── adverts, gratuitous ARP
//!   rtnetlink ── interfaces ─┼─ Driver ─ Ports ─┼── addresses (rtnetlink)
//!   commands ────────────────┘  (machine)       └── Notice ─┬─ notify commands, one after another
//!   scripts, processes, files, SIP node ── Handle::track    └─ is the node active?
//! ```
//!
//! The thread ([`driver`]) does nothing that can wait for others: scripts and notify commands run beside it.

mod announce;
mod command;
mod driver;
pub(crate) mod health;
mod interfaces;
mod netlink;
mod notify;
mod ports;
pub(crate) mod settings;
mod sockets;
mod trackers;
pub(crate) mod views;
mod words;

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info};

use self::driver::{Command, Driver};
use self::ports::Ports;
use self::settings::{Numbers, Plan};
use self::trackers::Trackers;
use self::views::VrrpView;
use crate::config::{Config, Problem};

/// A change of state, for those beside the thread.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// The name of the virtual router or sync group.
    pub(crate) name: String,
    /// Whether it is a sync group.
    pub(crate) is_group: bool,
    /// Its state in words.
    pub(crate) state: &'static str,
    /// Whether it is active.
    pub(crate) is_active: bool,
    /// Its priority.
    pub(crate) priority: u8,
}

/// A way to the thread, for any other.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    commands: std_mpsc::Sender<Command>,
    bell: Arc<OwnedFd>,
}

impl Handle {
    fn send(&self, command: Command) -> Result<(), String> {
        let gone = || "no virtual router runs".to_owned();
        self.commands.send(command).map_err(|_| gone())?;
        // A full counter rings already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        Ok(())
    }

    /// Tells how a track is.
    pub(crate) fn track(&self, name: &str, ok: bool) {
        // Without the thread there is nobody to be told.
        let _ = self.send(Command::Track(name.to_owned(), ok));
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, String> {
        let (done, answer) = oneshot::channel();
        self.send(command(done))?;
        answer.await.map_err(|_| "no virtual router runs".to_owned())
    }
}

/// Running virtual routers.
#[derive(Debug)]
pub(crate) struct Vrrp {
    handle: Handle,
    numbers: RefCell<Numbers>,
    trackers: RefCell<Trackers>,
    config: Rc<RefCell<Config>>,
    has_node: bool,
    active: watch::Receiver<bool>,
    thread: RefCell<Option<JoinHandle<()>>>,
    notices: RefCell<Option<tokio::task::JoinHandle<()>>>,
}

/// Makes the plan of `config`, or says what is wrong with it.
fn plan(config: &Config, has_node: bool, numbers: &mut Numbers) -> Result<Plan, String> {
    let mut problems: Vec<Problem> = Vec::new();
    let plan = settings::plan(config, has_node, numbers, &mut problems);
    match problems.first() {
        None => Ok(plan),
        Some(problem) => Err(format!("{}: {}", problem.key, problem.message)),
    }
}

/// Starts the virtual routers of `config`. `has_node`: there is a SIP node in this process, whose health is told to
/// [`Handle::track`] by the name [`settings::NODE`]. Must be called on a `LocalSet`.
///
/// # Errors
/// One line that says what is missing, and the way out.
pub(crate) fn start(config: &Config, has_node: bool) -> Result<Vrrp, String> {
    trackers::check_rights()?;
    let mut numbers = Numbers::default();
    let plan = plan(config, has_node, &mut numbers)?;
    let (notices, noticed) = mpsc::channel(notify::QUEUE_MAX);
    let ports = Ports::open(notices).map_err(|e| format!("vrrp: no raw sockets: {e}"))?;
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let bell = Arc::new(bell.map_err(|e| format!("vrrp: no eventfd: {e}"))?);
    let (commands, received) = std_mpsc::channel();
    let handle = Handle { commands, bell: Arc::clone(&bell) };
    for instance in &plan.instances {
        let (name, config) = (&instance.name, &instance.config);
        let priority = config.priority;
        info!("vrrp: {name} on {}: VRID {}, priority {priority}", instance.interface, config.vrid);
    }
    let driver = Driver::new(plan, ports, received, bell).map_err(|e| format!("vrrp: {e}"))?;
    let priority = config.vrrp_options.realtime_priority;
    let thread = std::thread::Builder::new().name("vrrp".to_owned()).spawn(move || {
        driver::raise_priority(priority);
        driver.run();
    });
    let thread = thread.map_err(|e| format!("vrrp: cannot start: {e}"))?;
    let config = Rc::new(RefCell::new(config.clone()));
    let (tell, active) = watch::channel(false);
    let notices = tokio::task::spawn_local(follow(Rc::clone(&config), noticed, tell));
    let vrrp = Vrrp {
        handle,
        numbers: RefCell::new(numbers),
        trackers: RefCell::default(),
        config,
        has_node,
        active,
        thread: RefCell::new(Some(thread)),
        notices: RefCell::new(Some(notices)),
    };
    vrrp.track();
    Ok(vrrp)
}

/// Passes changes of state on: to the commands that want to know, and to whoever asks whether the node is active.
async fn follow(config: Rc<RefCell<Config>>, mut notices: mpsc::Receiver<Notice>, active: watch::Sender<bool>) {
    let (jobs, queue) = mpsc::channel(notify::QUEUE_MAX);
    let runner = tokio::task::spawn_local(notify::run(queue));
    let mut holders: Vec<String> = Vec::new();
    while let Some(notice) = notices.recv().await {
        if !notice.is_group {
            holders.retain(|name| *name != notice.name);
            if notice.is_active {
                holders.push(notice.name.clone());
            }
            active.send_if_modified(|now| std::mem::replace(now, !holders.is_empty()) == holders.is_empty());
        }
        for job in notify::jobs(&config.borrow(), &notice) {
            if jobs.try_send(job).is_err() {
                error!("vrrp: too many notify commands wait; one of {} is not run", notice.name);
            }
        }
    }
    drop(jobs);
    let _ = runner.await;
}

impl Vrrp {
    /// A way to the thread.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether some virtual router is active here; changes can be waited for.
    pub(crate) fn active(&self) -> watch::Receiver<bool> {
        self.active.clone()
    }

    fn track(&self) {
        self.trackers.borrow_mut().follow(&self.config.borrow().track, &self.handle);
    }

    /// Takes another configuration, whole or not at all. States do not change by that.
    pub(crate) async fn reload(&self, config: &Config) -> Result<(), String> {
        let mut numbers = self.numbers.borrow().clone();
        let plan = plan(config, self.has_node, &mut numbers)?;
        self.handle.ask(|done| Command::Reload(Box::new(plan), done)).await??;
        *self.numbers.borrow_mut() = numbers;
        *self.config.borrow_mut() = config.clone();
        self.track();
        Ok(())
    }

    /// How things are.
    pub(crate) async fn show(&self) -> Result<VrrpView, String> {
        self.handle.ask(Command::Show).await
    }

    /// Lets others take over, or takes that back.
    pub(crate) async fn release(&self, name: Option<&str>, release: bool) -> Result<(), String> {
        let name = name.map(str::to_owned);
        self.handle.ask(|done| Command::Release { name, release, done }).await?
    }

    /// Gives up all addresses, and waits for the notify commands that follow from it.
    pub(crate) async fn stop(&self) {
        let _ = self.handle.send(Command::Stop);
        let thread = self.thread.borrow_mut().take();
        if let Some(thread) = thread {
            // It answers within a turn; nothing that it does waits for this thread.
            let _ = thread.join();
        }
        let notices = self.notices.borrow_mut().take();
        let limit = self.config.borrow().vrrp_options.notify_timeout;
        if let Some(notices) = notices
            && tokio::time::timeout(limit, notices).await.is_err()
        {
            error!("vrrp: some notify commands were not run to their end");
        }
    }
}
