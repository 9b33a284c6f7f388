//! Events for fuzzers, out of the bytes that they give.
//!
//! Peers and listeners are few, so that one event often meets what another one has left.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU64;

use ::arbitrary::{Arbitrary, Result, Unstructured};

use crate::flow::{ConnectionId, Flow, ListenerId};
use crate::node::Event;
use crate::wire::sip::transport::Transport;

/// 192.0.2.0 to 192.0.2.3 or 2001:db8::0 to 2001:db8::3, port 5060 to 5063.
fn peer(u: &mut Unstructured<'_>) -> Result<SocketAddr> {
    let host = u.int_in_range(0..=3)?;
    let port = u.int_in_range(5_060..=5_063)?;
    let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into());
    Ok(if u.arbitrary()? { (Ipv4Addr::new(192, 0, 2, host), port).into() } else { (ipv6, port).into() })
}

impl Arbitrary<'_> for ConnectionId {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let number = u.int_in_range(1..=4)?;
        Ok(Self(NonZeroU64::MIN.saturating_add(number)))
    }
}

impl Arbitrary<'_> for Flow {
    fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let transport = *u.choose(&[Transport::Udp, Transport::Tcp])?;
        Ok(Self {
            listener: ListenerId(u.int_in_range(0..=2)?),
            transport,
            peer: peer(u)?,
            connection: if transport.is_reliable() { Some(u.arbitrary()?) } else { None },
        })
    }
}

impl<'a> Arbitrary<'a> for Event<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=7)? {
            0 => Self::Timeout,
            1 => Self::Disconnected { connection: u.arbitrary()? },
            2 => Self::Undelivered { to: peer(u)?, bytes: u.arbitrary()? },
            _ => Self::Received { flow: u.arbitrary()?, bytes: u.arbitrary()? },
        })
    }
}
