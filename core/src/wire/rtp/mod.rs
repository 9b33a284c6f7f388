//! RTP and RTCP (RFC 3550), and what else comes to their ports.

pub mod demux;
pub mod packet;
pub mod rtcp;
