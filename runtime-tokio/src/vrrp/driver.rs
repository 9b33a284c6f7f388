//! The thread that runs the machine: it waits for packets, changes of interfaces, commands and the next deadline.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use trunkline_core::machine::{Cx, Machine as _, Timed as _};
use trunkline_core::vrrp::{
    Config, Event, Fault, Group, Instance as Machine, InstanceId, Packet, Subject, Track, Vrrp,
};

use super::netlink::{Change, Monitor, Overrun};
use super::ports::Ports;
use super::settings::{self, INSTANCES_MAX, INTERFACES_MAX, Plan, TRACKS_MAX};
use super::sockets::PACKET_MAX;
use super::views::{ActiveView, GroupView, InstanceView, TrackView, TransitionView, VrrpView};
use super::{views, words};
use crate::io::{Clock, ServerEntropy};

/// Packets that are taken from one socket before deadlines are looked at again.
const BATCH: usize = 64;
/// Descriptors that are waited for: the bell, the monitor, two a receiver's interface, one an instance.
const FDS_MAX: usize = 2 + 4 * INTERFACES_MAX + 2 * INSTANCES_MAX;

/// Something to do between two packets.
pub(super) enum Command {
    /// A track was looked at.
    Track(String, bool),
    /// The configuration has changed.
    Reload(Box<Plan>, oneshot::Sender<Result<(), String>>),
    /// Tell how things are.
    Show(oneshot::Sender<VrrpView>),
    /// Let others take over, or take that back: of one by its name, or of all.
    Release { name: Option<String>, release: bool, done: oneshot::Sender<Result<(), String>> },
    /// Give up, and end.
    Stop,
}

/// What the thread owns.
pub(super) struct Driver {
    machine: Vrrp<'static>,
    ports: Ports,
    monitor: Monitor,
    commands: mpsc::Receiver<Command>,
    bell: Arc<OwnedFd>,
    clock: Clock,
    entropy: ServerEntropy,
    changes: Vec<Change>,
    /// What was said of packets that were ignored: once of each instance and reason.
    said: Vec<(InstanceId, &'static str)>,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    bell: bool,
    monitor: bool,
    packets: bool,
    claims: bool,
}

impl Driver {
    /// Sets everything up; what is wrong with the plan is found out here.
    pub(super) fn new(
        plan: Plan,
        ports: Ports,
        commands: mpsc::Receiver<Command>,
        bell: Arc<OwnedFd>,
    ) -> Result<Self, String> {
        // Told of changes before it looks, so that none falls between.
        let monitor = Monitor::open().map_err(|e| format!("cannot watch interfaces: {e}"))?;
        let mut driver = Self {
            machine: settings::machine(),
            ports,
            monitor,
            commands,
            bell,
            clock: Clock::start(),
            entropy: ServerEntropy::new(),
            changes: Vec::new(),
            said: Vec::new(),
        };
        driver.ports.reread().map_err(|e| format!("cannot read interfaces: {e}"))?;
        driver.reload(plan)?;
        Ok(driver)
    }

    /// Runs until it is told to stop, or nobody is left who could.
    pub(super) fn run(mut self) {
        while !self.machine.is_done() {
            let ready = self.wait();
            if ready.monitor {
                self.take_changes();
            }
            if ready.packets {
                // One of each socket: whether there are more, the next wait tells for the price of nothing.
                self.take_packets(1);
            }
            if ready.claims {
                self.take_claims();
            }
            if ready.bell {
                self.take_commands();
            }
            if self.is_due() {
                // What waits to be read came before the deadline, for all that is known.
                if ready.packets {
                    self.take_packets(BATCH);
                }
                if self.is_due() {
                    self.handle(Event::Timeout);
                }
            }
        }
        self.ports.remove_virtual(|_, _| true);
        if self.ports.held() > 0 {
            error!("vrrp: {} addresses could not be taken down", self.ports.held());
        }
    }

    fn is_due(&self) -> bool {
        self.machine.next_deadline().is_some_and(|at| at <= self.clock.now())
    }

    /// Sleeps until there is something to do, at the latest at the next deadline.
    fn wait(&self) -> Ready {
        let timeout = self.machine.next_deadline().map(|at| at.since(self.clock.now()));
        let timeout = timeout.map(timespec);
        let mut fds: heapless::Vec<PollFd<'_>, FDS_MAX> = heapless::Vec::new();
        let receivers = self.ports.receivers.iter().map(|port| port.receiver.as_fd());
        let first = [self.bell.as_fd(), self.monitor.as_fd()];
        let claims_from = first.len() + self.ports.receivers.len();
        for fd in first.into_iter().chain(receivers).chain(self.ports.listeners()) {
            let _ = fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        // Interrupted or failed: nothing is ready, and the loop comes back.
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ready {
            bell: fds.first().is_some_and(is_ready),
            monitor: fds.get(1).is_some_and(is_ready),
            packets: fds.iter().take(claims_from).skip(2).any(is_ready),
            claims: fds.iter().skip(claims_from).any(is_ready),
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        self.machine.handle(&mut cx, event, &mut self.ports);
    }

    /// Takes up to `most` packets of each socket.
    fn take_packets(&mut self, most: usize) {
        let mut buffer = [0; PACKET_MAX];
        for i in 0..self.ports.receivers.len() {
            for _ in 0..most {
                let Some(port) = self.ports.receivers.get(i) else { break };
                let interface = port.interface;
                match port.receiver.receive(&mut buffer) {
                    Ok(Some(got)) => {
                        let packet =
                            Packet { source: got.source, destination: got.destination, ttl: got.ttl, bytes: got.bytes };
                        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
                        let event = Event::Packet { interface, packet };
                        self.machine.handle(&mut cx, event, &mut self.ports);
                        self.tell_oddities(got.source);
                    }
                    Ok(None) => {}
                    // An interface that is gone reports so; the monitor tells of it.
                    Err(_) => break,
                }
            }
        }
    }

    /// Says once what is odd about the packets of others; `source` sent the last one. `ctl` has how often.
    fn tell_oddities(&mut self, source: IpAddr) {
        for planned in &self.ports.plan.instances {
            let id = planned.config.id;
            let Some(counters) = self.machine.instance(id).map(Machine::counters) else { continue };
            for (count, what) in words::oddities(counters) {
                if count > 0 && !self.said.contains(&(id, what)) {
                    self.said.push((id, what));
                    warn!("vrrp: {} on {}: {what} (from {source})", planned.name, planned.interface);
                }
            }
        }
    }

    fn take_claims(&mut self) {
        for _ in 0..BATCH {
            let Some((instance, address)) = self.ports.next_conflict() else { return };
            self.handle(Event::AddressConflict { instance, address });
        }
    }

    fn take_changes(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        loop {
            match self.monitor.read(&mut changes) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Overrun) => {
                    changes.clear();
                    if let Err(e) = self.ports.reread() {
                        error!("vrrp: interfaces cannot be read: {e}");
                    }
                }
            }
        }
        for change in changes.drain(..) {
            self.ports.apply(change);
        }
        self.changes = changes;
        self.ports.put_back();
        self.ports.make_all_virtual();
        self.ports.open_receivers();
        self.tell_interfaces();
    }

    /// Tells the machine how all interfaces are; what has not changed changes nothing.
    fn tell_interfaces(&mut self) {
        for i in 0..self.ports.plan.interfaces.len() {
            let Some(&(id, _)) = self.ports.plan.interfaces.get(i) else { break };
            let state = self.ports.interfaces.state(id, |ip| self.ports.is_virtual(ip));
            self.handle(Event::Interface { interface: id, state });
            let tracks = self.ports.plan.interface_tracks.iter();
            let tracks: heapless::Vec<_, TRACKS_MAX> =
                tracks.filter(|(_, link)| *link == id).map(|(t, _)| *t).collect();
            for track in tracks {
                self.handle(Event::Track { track, ok: state.up });
            }
        }
    }

    fn take_commands(&mut self) {
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.command(command),
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => return self.handle(Event::Shutdown),
            }
        }
    }

    fn command(&mut self, command: Command) {
        // Whoever asked may have gone.
        match command {
            Command::Track(name, ok) => {
                if let Some(track) = self.ports.plan.track(&name) {
                    self.handle(Event::Track { track, ok });
                }
            }
            Command::Reload(plan, done) => {
                let _ = done.send(self.reload(*plan));
            }
            Command::Show(to) => {
                let _ = to.send(self.view());
            }
            Command::Release { name, release, done } => {
                let _ = done.send(self.release(name.as_deref(), release));
            }
            Command::Stop => self.handle(Event::Shutdown),
        }
    }

    /// Takes a plan, whole or not at all.
    fn reload(&mut self, plan: Plan) -> Result<(), String> {
        let (instances, groups, tracks) = plan.parts();
        let config = Config { instances: &instances, groups: &groups, tracks: &tracks };
        // The machine may still speak of what is in the old plan: both hold until it has let go.
        let old = std::mem::take(&mut self.ports.plan);
        self.ports.adopt(merged(&old, &plan));
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        if let Err(e) = self.machine.configure(&mut cx, &config, &mut self.ports) {
            self.ports.adopt(old);
            self.ports.prune();
            return Err(e.to_string());
        }
        self.ports.adopt(plan);
        self.ports.prune();
        // Another configuration may put it right, and is worth saying it again if not.
        self.said.clear();
        self.tell_interfaces();
        self.tell_missing();
        Ok(())
    }

    /// Says which instances cannot begin, which is no change of state and would go unsaid.
    fn tell_missing(&self) {
        for planned in &self.ports.plan.instances {
            let Some(machine) = self.machine.instance(planned.config.id) else { continue };
            let fault = machine.fault().filter(|fault| matches!(fault, Fault::Link | Fault::NoSource));
            if let (None, Some(fault)) = (machine.last_transition(), fault) {
                let why = words::fault(&self.ports.plan, fault);
                warn!("vrrp: {} on {} takes no part yet: {why}", planned.name, planned.interface);
            }
        }
    }

    fn release(&mut self, name: Option<&str>, release: bool) -> Result<(), String> {
        let subjects = self.subjects(name)?;
        for subject in subjects {
            self.handle(if release { Event::Release(subject) } else { Event::Resume(subject) });
        }
        let (what, whom) = (if release { "released" } else { "resumed" }, name.unwrap_or("all virtual routers"));
        info!("vrrp: the operator {what} {whom}");
        Ok(())
    }

    fn subjects(&self, name: Option<&str>) -> Result<Vec<Subject>, String> {
        let plan = &self.ports.plan;
        let Some(name) = name else {
            return Ok(plan.instances.iter().map(|i| Subject::Instance(i.config.id)).collect());
        };
        let instance = plan.instances.iter().find(|i| i.name == name).map(|i| Subject::Instance(i.config.id));
        let group = plan.groups.iter().find(|(n, _)| n == name).map(|(_, g)| Subject::Group(g.id));
        let known = || plan.instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = instance.or(group);
        found.map(|s| vec![s]).ok_or_else(|| format!("there is no virtual router {name:?}; known: {}", known()))
    }

    fn history(&self, name: &str) -> Vec<TransitionView> {
        let history = self.ports.histories.iter().find(|(n, _)| n == name);
        history.map(|(_, history)| history.iter().cloned().collect()).unwrap_or_default()
    }

    fn view(&self) -> VrrpView {
        let plan = &self.ports.plan;
        let instances = plan.instances.iter().filter_map(|i| {
            let machine = self.machine.instance(i.config.id)?;
            Some(self.instance_view(i, machine))
        });
        let name = |id| plan.instances.iter().find(|i| i.config.id == id).map(|i| i.name.clone());
        let groups = plan.groups.iter().filter_map(|(group, config)| {
            let state = self.machine.group(config.id).map(Group::state)?;
            Some(GroupView {
                name: group.clone(),
                state: words::state(state, None).to_owned(),
                members: config.members.iter().filter_map(|id| name(*id)).collect(),
                transitions: self.history(group),
            })
        });
        let tracks = plan.tracks.iter().map(|(name, config)| TrackView {
            name: name.clone(),
            is_up: self.machine.track(config.id).and_then(Track::up),
        });
        let ignored = views::ignored(&self.machine.stats());
        VrrpView { instances: instances.collect(), groups: groups.collect(), tracks: tracks.collect(), ignored }
    }

    fn instance_view(&self, planned: &super::settings::Instance, machine: &Machine) -> InstanceView {
        let config = &planned.config;
        let fault = machine.fault();
        InstanceView {
            name: planned.name.clone(),
            state: words::state(machine.state(), fault).to_owned(),
            fault: fault.map(|fault| words::fault(&self.ports.plan, fault)),
            priority: machine.priority(),
            base_priority: config.priority,
            interface: planned.interface.clone(),
            vrid: config.vrid,
            version: if config.version == trunkline_core::wire::vrrp::Version::V2 { 2 } else { 3 },
            advert_interval_ms: u64::from(config.interval.as_centis()) * 10,
            source: machine.source().map(|ip| ip.to_string()),
            addresses: config.addresses.iter().map(|a| format!("{}/{}", a.address, a.prefix_len)).collect(),
            active: machine.active().map(|(ip, priority)| ActiveView { address: ip.to_string(), priority }),
            counters: views::counted(machine.counters()),
            transitions: self.history(&planned.name),
        }
    }
}

/// Both plans at once, for the moment in which the machine leaves one for the other: what is in both is that of the new
/// one.
fn merged(old: &Plan, new: &Plan) -> Plan {
    let mut both = new.clone();
    both.interfaces
        .extend(old.interfaces.iter().filter(|(id, _)| !new.interfaces.iter().any(|(n, _)| n == id)).cloned());
    let is_new = |id| new.instances.iter().any(|i| i.config.id == id);
    both.instances.extend(old.instances.iter().filter(|i| !is_new(i.config.id)).cloned());
    both.groups.extend(old.groups.iter().filter(|(_, g)| !new.groups.iter().any(|(_, n)| n.id == g.id)).cloned());
    both
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// Gives this thread real-time priority, or says why it has none.
pub(super) fn raise_priority(priority: u16) {
    if priority == 0 {
        return;
    }
    match crate::sys::set_realtime(priority.into()) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => warn!(
            "vrrp: no permission for real-time priority, so a busy machine may lose its addresses; grant CAP_SYS_NICE \
             or set vrrp_options.realtime_priority to 0"
        ),
        Err(e) => warn!("vrrp: no real-time priority: {e}"),
    }
}
