//! The interfaces that virtual routers speak on, as the kernel tells of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use trunkline_core::vrrp::{InterfaceId, InterfaceState};

use super::netlink::{Address, Change, Link};

/// An interface that is named in the configuration, whether it is there or not.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) id: InterfaceId,
    pub(super) name: String,
    pub(super) link: Option<Link>,
}

/// All interfaces that are named, and every address of the machine.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    named: Vec<Interface>,
    links: Vec<Link>,
    addresses: Vec<Address>,
}

impl Interfaces {
    /// Takes the names that matter from now on.
    pub(super) fn name(&mut self, names: &[(InterfaceId, String)]) {
        let link = |name: &String| self.links.iter().find(|l| l.name == *name).cloned();
        let named = names.iter().map(|(id, name)| Interface { id: *id, name: name.clone(), link: link(name) });
        self.named = named.collect();
    }

    /// Forgets all but the names; what is there comes anew.
    pub(super) fn forget(&mut self) {
        self.links.clear();
        self.addresses.clear();
        self.named.iter_mut().for_each(|i| i.link = None);
    }

    /// Takes what the kernel tells.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Link(link) => {
                self.links.retain(|l| l.index != link.index);
                self.links.push(link);
            }
            Change::LinkGone(index) => {
                self.links.retain(|l| l.index != index);
                self.addresses.retain(|a| a.index != index);
            }
            Change::Address(address) => {
                let place = self.addresses.iter_mut().find(|a| (a.index, a.ip) == (address.index, address.ip));
                match place {
                    Some(known) => *known = address,
                    None => self.addresses.push(address),
                }
            }
            Change::AddressGone(address) => {
                self.addresses.retain(|a| (a.index, a.ip) != (address.index, address.ip));
            }
        }
        for interface in &mut self.named {
            interface.link = self.links.iter().find(|l| l.name == interface.name).cloned();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.named.iter()
    }

    pub(super) fn get(&self, id: InterfaceId) -> Option<&Interface> {
        self.named.iter().find(|i| i.id == id)
    }

    /// The interface of this name, which need not stand in the configuration.
    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }

    /// The interface with this index.
    pub(super) fn link_at(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|l| l.index == index)
    }

    /// Whether the interface has this address now.
    pub(super) fn has(&self, index: u32, ip: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.index == index && a.ip == ip)
    }

    /// What the machine is told of an interface. Virtual addresses are no source of adverts.
    pub(super) fn state(&self, id: InterfaceId, is_virtual: impl Fn(IpAddr) -> bool) -> InterfaceState {
        let Some(link) = self.get(id).and_then(|i| i.link.as_ref()) else { return InterfaceState::default() };
        let own = || self.addresses.iter().filter(|a| a.index == link.index && !a.is_secondary && !is_virtual(a.ip));
        let v4 = |ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        let v6 = |ip| match ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(ip),
            _ => None,
        };
        let ipv4: Option<Ipv4Addr> = own().find_map(|a| v4(a.ip));
        let ipv6: Option<Ipv6Addr> = own().find_map(|a| v6(a.ip));
        InterfaceState { up: link.is_up, ipv4, ipv6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, is_up: bool) -> Change {
        Change::Link(Link { index, name: name.into(), mac: Some([2, 0, 0, 0, 0, 1]), is_up })
    }

    fn address(index: u32, ip: &str, is_secondary: bool) -> Address {
        Address { index, ip: ip.parse().unwrap(), prefix_len: 24, is_secondary }
    }

    fn known() -> Interfaces {
        let mut interfaces = Interfaces::default();
        interfaces.name(&[(InterfaceId(0), "eth0".into())]);
        interfaces
    }

    #[test]
    fn an_interface_may_come_later_go_and_come_back_with_another_index() {
        let mut all = known();
        let none = |_| false;
        assert_eq!(all.state(InterfaceId(0), none), InterfaceState::default());
        all.apply(link(3, "eth0", true));
        all.apply(Change::Address(address(3, "10.0.0.1", false)));
        all.apply(Change::Address(address(3, "fd98::1", false)));
        all.apply(Change::Address(address(3, "fe80::1", false)));
        let wanted = InterfaceState {
            up: true,
            ipv4: Some("10.0.0.1".parse().unwrap()),
            ipv6: Some("fe80::1".parse().unwrap()),
        };
        assert_eq!(all.state(InterfaceId(0), none), wanted);
        all.apply(link(3, "eth0", false));
        assert!(!all.state(InterfaceId(0), none).up);
        all.apply(Change::LinkGone(3));
        assert_eq!(all.state(InterfaceId(0), none), InterfaceState::default());
        all.apply(link(9, "eth0", true));
        assert_eq!(all.state(InterfaceId(0), none), InterfaceState { up: true, ipv4: None, ipv6: None });
    }

    #[test]
    fn virtual_and_secondary_addresses_are_no_source() {
        let mut all = known();
        let vip: IpAddr = "10.0.0.100".parse().unwrap();
        all.apply(link(3, "eth0", true));
        all.apply(Change::Address(address(3, "10.0.0.100", false)));
        all.apply(Change::Address(address(3, "10.0.0.2", true)));
        assert_eq!(all.state(InterfaceId(0), |ip| ip == vip).ipv4, None);
        all.apply(Change::Address(address(3, "10.0.0.2", false)));
        assert_eq!(all.state(InterfaceId(0), |ip| ip == vip).ipv4, Some("10.0.0.2".parse().unwrap()));
        assert!(all.has(3, vip) && !all.has(4, vip));
        all.apply(Change::AddressGone(address(3, "10.0.0.100", false)));
        assert!(!all.has(3, vip));
    }

    #[test]
    fn a_renamed_interface_is_another_one() {
        let mut all = known();
        all.apply(link(3, "eth0", true));
        all.apply(link(3, "lan0", true));
        assert!(all.get(InterfaceId(0)).unwrap().link.is_none());
        all.name(&[(InterfaceId(1), "lan0".into())]);
        assert_eq!(all.get(InterfaceId(1)).unwrap().link.as_ref().map(|l| l.index), Some(3));
    }
}
