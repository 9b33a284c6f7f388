//! Protocols as bytes. These modules know no machine.

pub mod ng;
pub mod rtp;
pub mod sdp;
pub mod sip;
pub mod stun;
pub mod vrrp;
