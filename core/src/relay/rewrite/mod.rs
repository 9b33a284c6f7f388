//! A description rewritten for the other party.
//!
//! [`Rewrite`] is a pure function of the received description, the wishes of the message ([`Flags`]) and the relay's decisions
//! ([`Plan`]). What neither of them asks to change goes out byte for byte. One pass over the lines writes the result into any
//! [`Put`], so that what sizes it and what writes it are the same code.

mod attributes;
mod codecs;
mod media;
pub mod negotiate;
mod plan;
mod session;

pub use codecs::Codecs;
pub use plan::{Candidate, CandidateKind, IcePlan, MediaPlan, Mode, OriginPlan, Plan};

use core::hash::Hasher;
use core::net::IpAddr;

use super::flags::Flags;
use crate::wire::sdp::Sdp;
use crate::wire::sdp::edit::Editor;
use crate::wire::sip::put::{Counter, Put, Writer};
use attributes::Out;

/// One rewriting.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'r> {
    /// The description as it came.
    pub sdp: &'r Sdp<'r>,
    /// What the message asks for.
    pub flags: &'r Flags<'r>,
    /// What the relay decided.
    pub plan: &'r Plan<'r>,
}

impl Rewrite<'_> {
    /// Writes the result.
    pub fn visit(&self, out: &mut impl Put) {
        let mut out = Out::new(out);
        let mut editor = Editor::new(self.sdp.bytes(), &mut out);
        self.session(&mut editor);
        for (index, media) in self.sdp.media().enumerate() {
            self.media(index, &media, &mut editor);
        }
        editor.finish();
    }

    /// Bytes of the result.
    pub fn size(&self) -> usize {
        let mut counter = Counter::default();
        self.visit(&mut counter);
        counter.0
    }

    /// Writes the result into `out`; `None` where it does not fit.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        let mut writer = Writer::new(out);
        self.visit(&mut writer);
        writer.finish()
    }

    /// A digest of the result but its version, by which a changed description is told from a repeated one.
    pub fn digest(&self, hasher: &mut impl Hasher) -> u64 {
        struct Digest<'h, H>(&'h mut H);
        impl<H: Hasher> Put for Digest<'_, H> {
            fn put(&mut self, bytes: &[u8]) {
                self.0.write(bytes);
            }
        }
        let mut plan = *self.plan;
        plan.origin.version = Some(0);
        Rewrite { plan: &plan, ..*self }.visit(&mut Digest(hasher));
        hasher.finish()
    }

    /// An address of the relay as it is written: `media address` goes before all.
    fn written(&self, ip: IpAddr) -> IpAddr {
        self.flags.media_address.unwrap_or(ip)
    }

    /// The line end of the description: that of its first line.
    fn line_end(&self) -> &'static [u8] {
        match memchr::memchr(b'\n', self.sdp.bytes()) {
            Some(at) if at.checked_sub(1).and_then(|i| self.sdp.bytes().get(i)) != Some(&b'\r') => b"\n",
            _ => b"\r\n",
        }
    }
}

#[cfg(test)]
mod tests;
