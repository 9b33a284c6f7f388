//! RFC 5118 §4, row by row.

use super::Case;
use super::Expect::{Accept, Incomplete, Reject};

macro_rules! row {
    ($($field:tt)*) => { super::case!(Rfc5118, "rfc5118", $($field)*) };
}

#[rustfmt::skip]
pub(super) static CASES: &[Case] = &[
    row!("ipv6-good", "4.1", valid, Accept, "an IPv6 reference in every place for a host"),
    row!("ipv6-bad", "4.2", invalid, Reject(&[400]), "an IPv6 address without brackets as host"),
    row!("port-ambiguous", "4.3", valid, Accept, "all that the brackets hold is the address: 5070 is its last group and no port"),
    row!("port-unambiguous", "4.4", valid, Accept, "the port stands after the bracket"),
    row!("via-received-param-with-delim", "4.5", valid, Accept, "received with brackets, as many write it"),
    row!("via-received-param-no-delim", "4.5", valid, Accept, "received without brackets, as RFC 3261 has it"),
    row!("ipv6-in-sdp", "4.6", valid, Accept, "IPv6 addresses in the body; length corrected from the print"),
    row!("ipv6-in-sdp-as-printed", "4.6", invalid, Reject(&[400]), "the length as printed is 17 bytes over the body").stream(Incomplete),
    row!("mult-ip-in-header", "4.7", valid, Accept, "IPv4 and IPv6 in one list of Via values, and received of the other family"),
    row!("mult-ip-in-sdp", "4.8", valid, Accept, "one stream over IPv4 and one over IPv6; length corrected from the print"),
    row!("ipv4-mapped-ipv6", "4.9", valid, Accept, "IPv4-mapped addresses in Via, Contact and body; length corrected from the print"),
    row!("ipv6-bug-abnf-3-colons", "4.10", valid, Accept, "three colons, as the grammar of RFC 3261 before RFC 5954 can make: to be borne"),
    row!("ipv6-correct-abnf-2-colons", "4.10", valid, Accept, "the same address as RFC 4291 writes it"),
];
