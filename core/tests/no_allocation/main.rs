//! After its start no machine allocates anything, whatever it is sent.

#![cfg(feature = "alloc")]

mod counting;
#[path = "../edge/mod.rs"]
mod edge;
mod node;
mod plane;
mod relay;
mod vrrp;
