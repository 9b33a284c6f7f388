//! Which parties an offer or an answer is about.

use super::action::Action;
use super::config::Config;
use super::error::RelayError;
use super::flags::{Family, Flags};
use super::layer::Relay;
use super::party::Party;
use super::rewrite::Mode;
use crate::machine::Cx;
use crate::sink::Sink;
use crate::store::{Buf, Key};
use crate::time::Instant;

/// Most parties of one call.
const PARTIES_MAX: usize = 64;

/// The two parties of an offer or an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    /// The one whose body it is.
    pub(super) sender: Key,
    /// The one the body goes to.
    pub(super) receiver: Key,
    /// Those that were made for it.
    made: [Option<Key>; 2],
    /// Whom the sender and the receiver talked with before.
    before: [Option<Key>; 2],
}

/// Texts of a message that name its parties. In an answer the From tag is that of the one it goes to.
struct Names<'f> {
    sender: &'f [u8],
    receiver: Option<&'f [u8]>,
    branch: Option<&'f [u8]>,
}

/// What `direction` says of one side: the logical interface, and the family where it is said in the old way.
#[derive(Clone, Copy, Debug, Default)]
struct Facing {
    interface: u8,
    family: Option<Family>,
}

impl Facing {
    fn of(config: &Config, name: Option<&[u8]>) -> Self {
        let Some(name) = name else { return Self::default() };
        match (config.logical(name), name) {
            (Some(interface), _) => Self { interface, family: None },
            // The words of rtpproxy, where no interface has these names.
            (None, b"internal") => Self { interface: 0, family: Some(Family::Ip4) },
            (None, b"external") => Self { interface: 0, family: Some(Family::Ip6) },
            (None, _) => Self::default(),
        }
    }
}

impl Relay<'_> {
    /// Finds or makes the parties of a message. `direction` counts where a party is made; later it is remembered.
    pub(super) fn sides(
        &mut self,
        now: Instant,
        call: Key,
        mode: Mode,
        flags: &Flags<'_>,
    ) -> Result<Sides, RelayError> {
        let from = flags.from_tag.ok_or(RelayError::NoFromTag)?;
        let to = flags.to_tag.filter(|tag| !tag.is_empty());
        let branch = flags.via_branch.filter(|branch| !branch.is_empty());
        let names = match mode {
            Mode::Offer => Names { sender: from, receiver: to, branch },
            Mode::Answer => Names { sender: to.ok_or(RelayError::NoToTag)?, receiver: Some(from), branch },
        };
        let mut made = [None; 2];
        let result = self.find_sides(now, call, mode, flags, &names, &mut made);
        match result {
            Ok((sender, receiver)) => {
                let before = [sender, receiver].map(|party| self.calls.party(party).and_then(|party| party.peer));
                self.calls.party_mut(sender, |party| party.peer = Some(receiver));
                self.calls.party_mut(receiver, |party| party.peer = Some(sender));
                Ok(Sides { sender, receiver, made, before })
            }
            Err(error) => {
                made.into_iter().flatten().for_each(|party| self.calls.remove_party(party));
                Err(error)
            }
        }
    }

    /// Takes back what [`sides`](Self::sides) has done.
    pub(super) fn part_again<S>(&mut self, cx: &mut Cx<'_>, sides: &Sides, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        for (party, before) in [sides.sender, sides.receiver].into_iter().zip(sides.before) {
            self.calls.party_mut(party, |party| party.peer = before);
        }
        for party in sides.made.into_iter().flatten() {
            self.remove_party(cx, party, out);
        }
    }

    fn find_sides(
        &mut self,
        now: Instant,
        call: Key,
        mode: Mode,
        flags: &Flags<'_>,
        names: &Names<'_>,
        made: &mut [Option<Key>; 2],
    ) -> Result<(Key, Key), RelayError> {
        let facing = flags.direction.map(|name| Facing::of(&self.config, name));
        let known = names.receiver.and_then(|tag| self.calls.by_tag(call, tag));
        let found = match known {
            Some(receiver) => self
                .calls
                .by_tag(call, names.sender)
                .or_else(|| self.nameless(call, receiver, names.branch))
                .or_else(|| if mode == Mode::Answer { self.forked(call, receiver, names.branch) } else { None }),
            None => self.calls.by_tag(call, names.sender),
        };
        let sender = match found {
            Some(sender) => sender,
            None => *made[0].insert(self.make_party(now, call, facing[0])?),
        };
        self.name_party(sender, names.sender, |party| &mut party.tag)?;
        let reached = known.or_else(|| self.reached(call, sender, names.branch));
        let receiver = match reached {
            Some(receiver) => receiver,
            None => *made[1].insert(self.make_party(now, call, facing[1])?),
        };
        if known.is_none() {
            for (text, of) in [(names.receiver, tag as Of), (names.branch, branch as Of)] {
                if let Some(text) = text {
                    self.name_party(receiver, text, of)?;
                }
            }
        }
        Ok((sender, receiver))
    }

    /// Gives a party a name, if that is not its name already.
    fn name_party(&mut self, key: Key, text: &[u8], of: Of) -> Result<(), RelayError> {
        let Some(party) = self.calls.parties.get_mut(key) else { return Ok(()) };
        let own = of(party).take();
        let same = own.as_ref().is_some_and(|own| self.calls.bytes(Some(own)) == text);
        if let Some(party) = self.calls.parties.get_mut(key) {
            *of(party) = own;
        }
        if same { Ok(()) } else { self.calls.name(key, text, of) }
    }

    fn make_party(&mut self, now: Instant, call: Key, facing: Facing) -> Result<Key, RelayError> {
        if self.calls.parties_of(call).count() >= PARTIES_MAX {
            return Err(RelayError::Full);
        }
        let key = self.calls.add_party(call, facing.interface, now)?;
        self.calls.party_mut(key, |party| party.family = facing.family);
        Ok(key)
    }

    /// The party that `receiver` has made an offer to and that has not answered, on that branch first.
    fn nameless(&self, call: Key, receiver: Key, branch: Option<&[u8]>) -> Option<Key> {
        let waits = |party: &Party| party.tag.is_none() && party.peer == Some(receiver);
        self.calls
            .party_with(call, |party| waits(party) && self.on_branch(party, branch))
            .or_else(|| self.calls.party_with(call, waits))
    }

    /// The party whose offer was forked on its way, so that another one answers it. Both know the same ports of ours, so
    /// the one who answers last takes the place of the other.
    fn forked(&self, call: Key, receiver: Key, branch: Option<&[u8]>) -> Option<Key> {
        let offered = |party: &Party| party.peer == Some(receiver) && self.on_branch(party, branch);
        self.calls.party_with(call, offered).or_else(|| self.calls.party(receiver)?.peer)
    }

    /// The party that an offer of `sender` without a To tag went to before on that branch.
    fn reached(&self, call: Key, sender: Key, branch: Option<&[u8]>) -> Option<Key> {
        self.calls.party_with(call, |party| party.peer == Some(sender) && self.on_branch(party, branch))
    }

    fn on_branch(&self, party: &Party, branch: Option<&[u8]>) -> bool {
        party.via_branch.as_ref().map(|own| self.calls.bytes(Some(own))) == branch
    }
}

type Of = fn(&mut Party) -> &mut Option<Buf>;

fn tag(party: &mut Party) -> &mut Option<Buf> {
    &mut party.tag
}

fn branch(party: &mut Party) -> &mut Option<Buf> {
    &mut party.via_branch
}
