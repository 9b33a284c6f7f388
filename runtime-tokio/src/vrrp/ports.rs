//! What the machine wants done, done: adverts, addresses, announcements, notices.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::SystemTime;

use ipnet::IpNet;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};
use trunkline_core::sink::Sink;
use trunkline_core::vrrp::config::PRIORITY_OWNER;
use trunkline_core::vrrp::{Action, InstanceId, InterfaceId, State, Subject, Transition, VirtualAddress};

use super::announce::{Announcer, Claim, Listener};
use super::interfaces::Interfaces;
use super::netlink::{Address, Change, Link, Netlink};
use super::settings::{Instance, Plan, net};
use super::sockets::{Receiver, Sender};
use super::views::TransitionView;
use super::{Notice, words};

/// Changes that are remembered for `ctl`, of each instance and group.
const HISTORY_MAX: usize = 16;

/// An address that we put on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    index: u32,
    net: IpNet,
}

/// The sockets of one instance.
#[derive(Debug, Default)]
struct InstancePort {
    id: InstanceId,
    /// The sender with the interface and the source that it was opened for.
    sender: Option<(u32, IpAddr, Sender)>,
    /// Whether the last advert could not be sent: one line tells of it.
    has_failed: bool,
    /// Whether its own interface is switched on.
    virtual_up: bool,
    listener: Option<Listener>,
    /// The last host that claimed an address of ours.
    claimed: Option<Claim>,
}

/// Takes the adverts of an interface.
#[derive(Debug)]
pub(super) struct ReceivePort {
    /// The interface that the machine knows.
    pub(super) interface: InterfaceId,
    name: String,
    index: u32,
    v6: bool,
    pub(super) receiver: Receiver,
}

/// Everything but the machine.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) plan: Plan,
    pub(super) interfaces: Interfaces,
    pub(super) receivers: Vec<ReceivePort>,
    pub(super) histories: Vec<(String, VecDeque<TransitionView>)>,
    netlink: Netlink,
    announcer: Announcer,
    instances: Vec<InstancePort>,
    held: Vec<Held>,
    /// Interfaces that were made here.
    made: Vec<String>,
    notices: mpsc::Sender<Notice>,
}

impl Ports {
    pub(super) fn open(notices: mpsc::Sender<Notice>) -> io::Result<Self> {
        Ok(Self {
            plan: Plan::default(),
            interfaces: Interfaces::default(),
            receivers: Vec::new(),
            histories: Vec::new(),
            netlink: Netlink::open()?,
            announcer: Announcer::open()?,
            instances: Vec::new(),
            held: Vec::new(),
            made: Vec::new(),
            notices,
        })
    }

    /// Reads all interfaces and addresses.
    pub(super) fn reread(&mut self) -> io::Result<()> {
        let all = self.netlink.dump()?;
        self.interfaces.forget();
        all.into_iter().for_each(|change| self.interfaces.apply(change));
        Ok(())
    }

    /// Takes a new plan: names interfaces, makes those that virtual routers have of their own, and takes addresses away
    /// that a former process left behind.
    pub(super) fn adopt(&mut self, plan: Plan) {
        self.plan = plan;
        self.interfaces.name(&self.plan.interfaces);
        let ids: Vec<InstanceId> = self.plan.instances.iter().map(|i| i.config.id).collect();
        for id in &ids {
            if self.port(*id).is_none() {
                self.instances.push(InstancePort { id: *id, ..InstancePort::default() });
            }
        }
        self.remove_stale();
        self.make_all_virtual();
        self.open_receivers();
    }

    /// Makes the interfaces of virtual routers that are missing.
    pub(super) fn make_all_virtual(&mut self) {
        for i in 0..self.plan.instances.len() {
            self.make_virtual(i);
        }
    }

    /// Forgets what the plan no longer names.
    pub(super) fn prune(&mut self) {
        let plan = &self.plan;
        self.instances.retain(|port| plan.instances.iter().any(|i| i.config.id == port.id));
        let is_named =
            |name: &str| plan.instances.iter().any(|i| i.name == name) || plan.groups.iter().any(|(n, _)| n == name);
        self.histories.retain(|(name, _)| is_named(name));
        self.remove_virtual(|name, plan| {
            !plan.instances.iter().any(|i| i.virtual_interface().as_deref() == Some(name))
        });
    }

    /// Whether a virtual router may hold this address.
    pub(super) fn is_virtual(&self, ip: IpAddr) -> bool {
        self.plan.instances.iter().any(|i| i.config.addresses.iter().any(|a| a.address == ip))
    }

    fn port(&mut self, id: InstanceId) -> Option<&mut InstancePort> {
        self.instances.iter_mut().find(|port| port.id == id)
    }

    fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.plan.instances.iter().find(|i| i.config.id == id)
    }

    fn name(&self, id: InstanceId) -> String {
        self.instance(id).map_or_else(|| "?".to_owned(), |i| i.name.clone())
    }

    /// A process that was killed leaves its addresses on the interface, where they answer beside those of the new
    /// holder.
    fn remove_stale(&mut self) {
        let all: Vec<(InterfaceId, IpNet)> = self
            .plan
            .instances
            .iter()
            .filter(|i| i.config.priority != PRIORITY_OWNER)
            .flat_map(|i| i.config.addresses.iter().filter_map(|a| Some((a.interface, net(a)?))))
            .collect();
        for (interface, net) in all {
            let Some(link) = self.interfaces.get(interface).and_then(|i| i.link.clone()) else { continue };
            let is_held = self.held.contains(&Held { index: link.index, net });
            if is_held || !self.interfaces.has(link.index, net.addr()) {
                continue;
            }
            match self.netlink.remove_address(link.index, net) {
                Ok(()) => warn!("vrrp: {net} was on {}, left by a former process; removed", link.name),
                Err(e) => error!("vrrp: {net} is on {} already and cannot be removed: {e}", link.name),
            }
        }
    }

    /// Makes the interface of a virtual router with an Ethernet address of its own. It stays switched off while the
    /// router is not active, so that nothing of this node moves the address in the network's switches.
    fn make_virtual(&mut self, at: usize) {
        let Some(instance) = self.plan.instances.get(at) else { return };
        let (Some(name), mac) = (instance.virtual_interface(), instance.mac()) else { return };
        let Some(parent) = self.interfaces.link(&instance.interface).cloned() else { return };
        let id = instance.config.id;
        if let Some(old) = self.interfaces.link(&name).cloned() {
            if self.made.contains(&name) {
                return;
            }
            if old.mac != Some(mac) {
                return error!("vrrp: {}: there is an interface {name} that is not ours", self.name(id));
            }
            // A former process left it, maybe with its addresses.
            let _ = self.netlink.remove_link(old.index);
        }
        if let Err(e) = self.netlink.add_macvlan(&name, parent.index, mac).and_then(|()| self.reread()) {
            return error!("vrrp: {}: the interface {name} cannot be made: {e}", self.name(id));
        }
        self.made.push(name.clone());
        set_up_interfaces(&parent.name, &name);
    }

    /// Removes the interfaces that were made here and that `unwanted` names.
    pub(super) fn remove_virtual(&mut self, unwanted: impl Fn(&str, &Plan) -> bool) {
        let (gone, kept): (Vec<_>, Vec<_>) = self.made.drain(..).partition(|name| unwanted(name, &self.plan));
        self.made = kept;
        for link in gone.iter().filter_map(|name| self.interfaces.link(name)) {
            let _ = self.netlink.remove_link(link.index);
        }
    }

    /// Opens what is missing to take adverts, and closes what belongs to an interface that is gone.
    pub(super) fn open_receivers(&mut self) {
        let mut wanted: Vec<(InterfaceId, Link, bool)> = Vec::new();
        for instance in &self.plan.instances {
            let own = self.interfaces.get(instance.config.interface).and_then(|i| i.link.clone());
            let made = instance.virtual_interface().and_then(|name| self.interfaces.link(&name).cloned());
            let v6 = instance.config.is_ipv6();
            wanted.extend([own, made].into_iter().flatten().map(|link| (instance.config.interface, link, v6)));
        }
        self.receivers.retain(|port| wanted.iter().any(|(id, link, v6)| port.is_for(*id, link, *v6)));
        for (interface, link, v6) in wanted {
            if self.receivers.iter().any(|port| port.is_for(interface, &link, v6)) {
                continue;
            }
            match Receiver::open(&link.name, link.index, v6) {
                Ok(receiver) => {
                    let (name, index) = (link.name, link.index);
                    self.receivers.push(ReceivePort { interface, name, index, v6, receiver });
                }
                Err(e) => error!("vrrp: no adverts can be taken on {}: {e}", link.name),
            }
        }
    }

    /// What the kernel told of.
    pub(super) fn apply(&mut self, change: Change) {
        self.interfaces.apply(change);
    }

    /// Puts addresses of ours back that somebody took away. Those of an interface that is down or gone are the machine's
    /// to give up.
    pub(super) fn put_back(&mut self) {
        for held in &self.held {
            let is_up = self.interfaces.link_at(held.index).is_some_and(|link| link.is_up);
            if !is_up || self.interfaces.has(held.index, held.net.addr()) {
                continue;
            }
            match self.netlink.add_address(held.index, held.net) {
                Ok(()) => warn!("vrrp: {} was taken off its interface by somebody; put back", held.net),
                Err(e) => error!("vrrp: {} was taken off its interface and cannot be put back: {e}", held.net),
            }
        }
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.instances.iter().filter_map(|port| port.listener.as_ref()).map(|listener| listener.as_fd())
    }

    /// The next claim of another host to an address that we hold.
    pub(super) fn next_conflict(&mut self) -> Option<(InstanceId, IpAddr)> {
        for i in 0..self.instances.len() {
            while let Some((id, claim)) = self.instances.get(i).and_then(|p| Some((p.id, p.listener.as_ref()?.next()?)))
            {
                if self.is_foreign(id, claim) {
                    self.tell_conflict(id, claim);
                    return Some((id, claim.ip));
                }
            }
        }
        None
    }

    fn is_foreign(&self, id: InstanceId, claim: Claim) -> bool {
        let Some(instance) = self.instance(id) else { return false };
        let own = self.interfaces.iter().any(|i| i.link.as_ref().is_some_and(|l| l.mac == Some(claim.mac)));
        let ours = instance.config.addresses.iter().any(|a| a.address == claim.ip);
        ours && !own && claim.mac != instance.mac()
    }

    fn tell_conflict(&mut self, id: InstanceId, claim: Claim) {
        let name = self.name(id);
        let Some(port) = self.port(id) else { return };
        if port.claimed.replace(claim) != Some(claim) {
            warn!("vrrp: {name}: {} is claimed by {} as well", claim.ip, show_mac(claim.mac));
        }
    }

    /// The interface that holds the addresses of an instance: its own, if it has one.
    fn place(&self, id: InstanceId, interface: InterfaceId) -> Option<&Link> {
        let instance = self.instance(id)?;
        match instance.virtual_interface() {
            Some(name) if interface == instance.config.interface => self.interfaces.link(&name),
            _ => self.interfaces.get(interface)?.link.as_ref(),
        }
    }

    fn switch_virtual(&mut self, id: InstanceId, up: bool) {
        let Some(name) = self.instance(id).and_then(Instance::virtual_interface) else { return };
        let index = self.interfaces.link(&name).map(|l| l.index);
        let Some(port) = self.instances.iter_mut().find(|p| p.id == id && p.virtual_up != up) else { return };
        let Some(index) = index else { return };
        match self.netlink.set_up(index, up) {
            Ok(()) => port.virtual_up = up,
            Err(e) => error!("vrrp: {name} cannot be switched {}: {e}", if up { "on" } else { "off" }),
        }
    }

    fn send(&mut self, id: InstanceId, interface: InterfaceId, source: IpAddr, to: IpAddr, bytes: &[u8]) {
        self.switch_virtual(id, true);
        let Some(place) = self.place(id, interface) else { return };
        let at = (place.index, source);
        let open = self.instances.iter().find(|p| p.id == id).and_then(|p| p.sender.as_ref());
        let sent = match open.filter(|(index, source, _)| (*index, *source) == at) {
            Some((.., sender)) => sender.send(to, bytes).map(|()| None),
            None => Sender::open(&place.name, place.index, source)
                .and_then(|sender| sender.send(to, bytes).map(|()| Some(sender))),
        };
        let failure =
            sent.as_ref().err().map(|e| format!("no advert can be sent from {source} by {}: {e}", place.name));
        let Some(port) = self.port(id) else { return };
        match sent {
            Ok(opened) => {
                port.has_failed = false;
                if let Some(sender) = opened {
                    port.sender = Some((at.0, at.1, sender));
                }
            }
            Err(_) => port.sender = None,
        }
        if let Some(failure) = failure
            && !std::mem::replace(&mut port.has_failed, true)
        {
            error!("vrrp: {}: {failure}", self.name(id));
        }
    }

    /// Whether the addresses are this node's own (priority 255): what it has of them anyway is neither added nor removed.
    fn owns(&self, id: InstanceId) -> bool {
        self.instance(id).is_some_and(|i| i.config.priority == PRIORITY_OWNER)
    }

    fn add(&mut self, id: InstanceId, address: VirtualAddress) {
        let (Some(index), Some(net)) = (self.place(id, address.interface).map(|l| l.index), net(&address)) else {
            return warn!("vrrp: {}: {} has no interface to be put on", self.name(id), address.address);
        };
        if self.owns(id) && self.interfaces.has(index, net.addr()) {
            return;
        }
        // One that cannot be added now is tried again when interfaces change.
        self.held.push(Held { index, net });
        match self.netlink.add_address(index, net) {
            Ok(()) => {
                let address = Address { index, ip: net.addr(), prefix_len: net.prefix_len(), is_secondary: false };
                // The kernel tells of it later; until then it is not missing.
                self.interfaces.apply(Change::Address(address));
            }
            Err(e) => error!("vrrp: {}: {net} cannot be added: {e}", self.name(id)),
        }
    }

    fn remove(&mut self, id: InstanceId, address: VirtualAddress) {
        let Some(net) = net(&address) else { return };
        // Where it was put, not where it would be put now.
        let place = self.place(id, address.interface).map(|l| l.index);
        let held = self.held.iter().position(|h| h.net == net && place.is_none_or(|index| index == h.index));
        let Some(held) = held.map(|i| self.held.swap_remove(i)) else { return };
        match self.netlink.remove_address(held.index, net) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {}
            Err(e) => error!("vrrp: {}: {net} cannot be removed: {e}", self.name(id)),
        }
    }

    fn announce(&self, id: InstanceId, address: VirtualAddress) {
        let Some(link) = self.place(id, address.interface) else { return };
        let Some(mac) = link.mac.filter(|mac| *mac != [0; 6]) else { return };
        if let Err(e) = self.announcer.announce(link.index, mac, address.address, false) {
            debug!("vrrp: {}: {} cannot be announced: {e}", self.name(id), address.address);
        }
    }

    fn notify(&mut self, subject: Subject, transition: Transition, priority: u8) {
        let (name, is_group) = match subject {
            Subject::Instance(id) => (self.name(id), false),
            Subject::Group(id) => {
                let group = self.plan.groups.iter().find(|(_, g)| g.id == id);
                (group.map_or_else(|| "?".to_owned(), |(name, _)| name.clone()), true)
            }
        };
        if let Subject::Instance(id) = subject {
            self.follow(id, transition);
        }
        let state = words::state_after(transition.to, transition.reason);
        let reason = words::reason(&self.plan, transition.reason);
        let what = if is_group { "sync group " } else { "" };
        match state {
            "fault" => warn!("vrrp: {what}{name} is at fault: {reason}"),
            _ => info!("vrrp: {what}{name} is {state}: {reason}"),
        }
        let view = TransitionView {
            at: jiff::Timestamp::try_from(SystemTime::now()).map(|t| format!("{t:.3}")).unwrap_or_default(),
            from: words::state(transition.from, None).to_owned(),
            to: state.to_owned(),
            reason,
        };
        self.remember(&name, view);
        let notice = Notice { name, is_group, state, is_active: transition.to == State::Active, priority };
        if self.notices.try_send(notice).is_err() {
            error!("vrrp: too many changes of state at once; commands for some of them are not run");
        }
    }

    /// What changes with the state of an instance beside its addresses.
    fn follow(&mut self, id: InstanceId, transition: Transition) {
        let is_active = transition.to == State::Active;
        if !is_active {
            self.switch_virtual(id, false);
        }
        let v6 = self.instance(id).is_some_and(|i| i.config.is_ipv6());
        let interface = self.instance(id).map(|i| i.config.interface);
        let index = interface.and_then(|i| Some(self.interfaces.get(i)?.link.as_ref()?.index));
        let opened = index.filter(|_| is_active).map(|index| Listener::open(index, v6));
        let Some(port) = self.port(id) else { return };
        port.claimed = None;
        port.listener = match opened {
            Some(Ok(listener)) => Some(listener),
            Some(Err(e)) => {
                warn!("vrrp: other hosts with our addresses are not noticed: {e}");
                None
            }
            None => None,
        };
    }

    fn remember(&mut self, name: &str, view: TransitionView) {
        if !self.histories.iter().any(|(n, _)| n == name) {
            self.histories.push((name.to_owned(), VecDeque::with_capacity(HISTORY_MAX)));
        }
        let Some((_, history)) = self.histories.iter_mut().find(|(n, _)| n == name) else { return };
        if history.len() == HISTORY_MAX {
            history.pop_front();
        }
        history.push_back(view);
    }

    /// Addresses that are on interfaces now.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }
}

impl ReceivePort {
    fn is_for(&self, interface: InterfaceId, link: &Link, v6: bool) -> bool {
        (self.interface, self.index, self.v6) == (interface, link.index, v6) && self.name == link.name
    }
}

impl Sink<Action<'_>> for Ports {
    fn emit(&mut self, action: Action<'_>) {
        match action {
            Action::Send { instance, interface, source, destination, bytes } => {
                self.send(instance, interface, source, destination, bytes);
            }
            Action::AddAddress { instance, address, .. } => self.add(instance, address),
            Action::RemoveAddress { instance, address } => self.remove(instance, address),
            Action::Announce { instance, address } => self.announce(instance, address),
            Action::Notify { subject, transition, priority } => self.notify(subject, transition, priority),
            _ => {}
        }
    }
}

/// Settings of the kernel that an interface with an Ethernet address of its own wants.
fn set_up_interfaces(parent: &str, own: &str) {
    for (interface, family, key, value) in [
        // Only the interface that has the address answers for it, and packets may come in by either.
        (parent, "ipv4", "arp_ignore", "1"),
        // Answers to the same network leave by the parent: they must not say that the address is there.
        (parent, "ipv4", "arp_announce", "2"),
        (own, "ipv4", "arp_ignore", "1"),
        (own, "ipv4", "rp_filter", "0"),
        // No address of its own, which both nodes would make alike.
        (own, "ipv6", "addr_gen_mode", "1"),
    ] {
        let path = format!("/proc/sys/net/{family}/conf/{interface}/{key}");
        match std::fs::write(&path, value) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => warn!("vrrp: {path} cannot be set to {value}: {e}"),
            _ => {}
        }
    }
}

fn show_mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
