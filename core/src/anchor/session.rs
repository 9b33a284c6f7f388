//! What was offered in a call, and by which relay it is anchored.

use core::net::SocketAddr;

use crate::dialog::Side;
use crate::machine::Timed;
use crate::store::Buf;
use crate::time::Instant;

/// What a session description is in its offer/answer exchange (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// It begins an exchange.
    Offer,
    /// It ends one.
    Answer,
}

/// How a session description travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Carrier {
    /// In the INVITE, UPDATE or another request that is no ACK or PRACK.
    Request,
    /// In an ACK or a PRACK, which end an exchange that a response has begun, if one has.
    Acknowledgement,
    /// In a response to a request of the other side.
    Response,
}

/// A call with anchored media.
#[derive(Debug)]
pub struct Session {
    /// Keyed hash of Call-ID and the caller's tag.
    pub hash: u64,
    /// The relay, once one was asked.
    pub relay: Option<u8>,
    /// Where the INVITE came from.
    pub source: SocketAddr,
    /// Whether the caller and the callee are inside.
    pub inside: [bool; 2],
    /// CSeq number of the INVITE that sets up the call, once it was sent on.
    pub initial_cseq: Option<u32>,
    /// INVITEs of it that wait for a relay before they leave.
    pub(super) waiting: u8,
    /// The last request of each side that carried an offer, by its CSeq number.
    pub(super) offered: [Option<u32>; 2],
    /// Whether a response has begun an exchange that is still open.
    pub(super) late_offer: bool,
    /// When it is forgotten.
    pub until: Instant,
    /// Call-ID and the caller's tag, one behind the other, for the command that ends it.
    pub names: Option<Buf>,
    /// Length of the Call-ID in `names`.
    pub call_id_len: u16,
    /// Whether the INVITE was answered with a 2xx.
    pub answered: bool,
}

impl Session {
    /// The session of a call that begins.
    pub const fn new(hash: u64, source: SocketAddr, until: Instant) -> Self {
        Self {
            hash,
            relay: None,
            source,
            inside: [false; 2],
            initial_cseq: None,
            waiting: 0,
            offered: [None; 2],
            late_offer: false,
            until,
            names: None,
            call_id_len: 0,
            answered: false,
        }
    }

    /// Notes a session description and says what it is. `requester` sent the request that carries it or that is
    /// answered; `cseq` is its number.
    pub fn note(&mut self, carrier: Carrier, requester: Side, cseq: u32) -> Role {
        let offered = &mut self.offered[requester as usize];
        match carrier {
            Carrier::Request => {
                *offered = Some(cseq);
                Role::Offer
            }
            Carrier::Acknowledgement if core::mem::take(&mut self.late_offer) => Role::Answer,
            Carrier::Acknowledgement => {
                *offered = Some(cseq);
                Role::Offer
            }
            Carrier::Response if *offered == Some(cseq) => Role::Answer,
            Carrier::Response => {
                self.late_offer = true;
                Role::Offer
            }
        }
    }
}

impl Timed for Session {
    fn next_deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    /// A session is removed by whoever ends it.
    fn is_done(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(1, SocketAddr::from(([192, 0, 2, 1], 5060)), Instant::from_millis(1))
    }

    #[test]
    fn the_flows_of_rfc_3264_and_3262() {
        use Carrier::{Acknowledgement, Request, Response};
        use Role::{Answer, Offer};
        use Side::{Callee, Caller};
        // Each step: carrier, who sent the request, CSeq, what the description is.
        type Step = (Carrier, Side, u32, Role);
        let flows: [(&str, &[Step]); 5] = [
            (
                "offer in INVITE",
                &[(Request, Caller, 1, Offer), (Response, Caller, 1, Answer), (Response, Caller, 1, Answer)],
            ),
            ("offer in 200", &[(Response, Caller, 1, Offer), (Acknowledgement, Caller, 1, Answer)]),
            (
                "offer in 183, answer in PRACK",
                &[
                    (Response, Caller, 1, Offer),
                    (Acknowledgement, Caller, 2, Answer),
                    (Acknowledgement, Caller, 3, Offer),
                    (Response, Caller, 3, Answer),
                ],
            ),
            (
                "the callee asks later",
                &[
                    (Request, Caller, 1, Offer),
                    (Response, Caller, 1, Answer),
                    (Request, Callee, 1, Offer),
                    (Response, Callee, 1, Answer),
                ],
            ),
            (
                "an empty re-INVITE after an INVITE with an offer",
                &[
                    (Request, Caller, 1, Offer),
                    (Response, Caller, 1, Answer),
                    (Response, Caller, 2, Offer),
                    (Acknowledgement, Caller, 2, Answer),
                ],
            ),
        ];
        for (name, steps) in flows {
            let mut session = session();
            for (i, (carrier, side, cseq, role)) in steps.iter().enumerate() {
                assert_eq!(session.note(*carrier, *side, *cseq), *role, "{name}, step {i}");
            }
        }
    }
}
