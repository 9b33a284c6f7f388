//! Protocols as bytes. These modules know no machine.

pub mod ng;
pub mod sip;
pub mod vrrp;
