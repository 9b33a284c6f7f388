//! The relay under the ng protocol: a control message in, its reply out.

use core::time::Duration;

use super::action::Action;
use super::commands::Doomed;
use super::error::RelayError;
use super::flags::{self, DtmfSecurity, Flag, Flags, FlagsError};
use super::layer::Relay;
use super::notice::Notice;
use super::party::Restrictions;
use super::rewrite::Mode;
use super::statistics::{self, LIST_DEFAULT, text};
use super::totals::Command;
use crate::machine::Cx;
use crate::sink::Sink;
use crate::store::Key;
use crate::wire::ng::{Dict, DictWriter, Encoding, Overflow, Value, decode, split, write};

impl<'a> flags::Value<'a> for Value<'a> {
    fn text(self) -> Option<&'a [u8]> {
        self.as_str()
    }

    fn integer(self) -> Option<i64> {
        if let Self::Int(n) = self { Some(n) } else { None }
    }

    fn each_item(self, f: impl FnMut(Self)) -> bool {
        let list = self.as_list();
        list.into_iter().flatten().for_each(f);
        list.is_some()
    }

    fn each_entry(self, mut f: impl FnMut(&'a [u8], Self)) -> bool {
        let dict = self.as_dict();
        dict.into_iter().flatten().for_each(|(key, value)| f(key, value));
        dict.is_some()
    }
}

/// Why a request gets an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The relay refuses.
    Relay(RelayError),
    /// The message cannot be read.
    Message(&'static str),
    /// A flag cannot be read.
    Flags(FlagsError),
}

impl Refusal {
    const fn relay(self) -> Option<RelayError> {
        if let Self::Relay(error) = self { Some(error) } else { None }
    }
}

impl From<RelayError> for Refusal {
    fn from(error: RelayError) -> Self {
        Self::Relay(error)
    }
}

/// What a request has come to.
#[derive(Clone, Copy, Debug)]
enum Done {
    Ok,
    Pong,
    /// A changed body of so many bytes.
    Body(usize),
    /// A call is described.
    Call(Key),
    /// Something is deleted, with its description if the request named a party, once the reply is written.
    Delete {
        doomed: Doomed,
        described: bool,
        delay: Option<Duration>,
    },
    /// There was nothing to delete, which is no error.
    Warning(RelayError),
    /// At most so many Call-IDs.
    List(u32),
    Statistics,
}

/// What a control message is about, for a runtime that has several relays to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Its cookie.
    pub cookie: &'a [u8],
    /// How its reply is to be encoded.
    pub encoding: Encoding,
    /// The command, if it is one.
    pub command: Option<Command>,
    /// The Call-ID, if there is one.
    pub call_id: Option<&'a [u8]>,
    /// The limit of `list`.
    pub limit: u32,
}

/// Looks into a control message. `None` without a cookie. `scratch` takes a body in JSON:
/// [`SCRATCH_MAX`](crate::wire::ng::SCRATCH_MAX) bytes are enough.
pub fn peek<'a>(bytes: &'a [u8], scratch: &'a mut [u8]) -> Option<Peek<'a>> {
    let message = split(bytes).ok()?;
    let dict = decode(message.body, scratch).unwrap_or(Dict::empty());
    Some(Peek {
        cookie: message.cookie,
        encoding: Encoding::of(message.body).unwrap_or(Encoding::Bencode),
        command: dict.str("command").and_then(Command::parse),
        call_id: dict.str("call-id"),
        limit: dict.int("limit").map_or(LIST_DEFAULT, |limit| u32::try_from(limit).unwrap_or(LIST_DEFAULT)),
    })
}

impl Relay<'_> {
    /// Takes a control message. Each gets one reply, but for those without a cookie: such a reply would amplify.
    pub(super) fn control<S>(&mut self, cx: &mut Cx<'_>, bytes: &[u8], out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Ok(message) = split(bytes) else {
            self.totals.unanswerable += 1;
            out.emit(Action::Notice(Notice::Unanswerable));
            return;
        };
        if let Some(reply) = self.repeats.find(bytes, cx.now) {
            self.totals.repeated += 1;
            out.emit(Action::Reply { bytes: reply });
            return;
        }
        let mut scratch = self.take_scratch();
        let json = scratch.json.used_mut();
        let request = read(message.body, json);
        let command = request.as_ref().ok().map(|(command, _)| *command);
        let done = request.and_then(|(command, dict)| self.request(cx, command, dict, scratch.body.used_mut(), out));
        if let Err(refusal) = done {
            self.totals.count_error(refusal.relay());
        }
        let encoding = Encoding::of(message.body).unwrap_or(Encoding::Bencode);
        let reply = scratch.reply.used_mut();
        let body = scratch.body.used();
        let len = match write(reply, message.cookie, encoding, |d| self.entries(cx, &done, body, d)) {
            Ok(reply) => reply.len(),
            Err(Overflow) => {
                self.totals.reply_overflows += 1;
                let too_long = |d: &mut DictWriter<'_, '_>| error(d, "Reply too long");
                write(reply, message.cookie, encoding, too_long).map_or(0, <[u8]>::len)
            }
        };
        let reply = reply.get(..len).unwrap_or_default();
        if command.is_some_and(changes) {
            self.repeats.keep(bytes, reply, cx.now);
        }
        out.emit(Action::Reply { bytes: reply });
        self.scratch = scratch;
        if let Ok(Done::Delete { doomed, delay, .. }) = done {
            self.delete(cx, doomed, delay, out);
        }
    }

    fn request<S>(
        &mut self,
        cx: &mut Cx<'_>,
        command: Command,
        dict: Dict<'_>,
        body: &mut [u8],
        out: &mut S,
    ) -> Result<Done, Refusal>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.totals.count(command);
        let flags = Flags::read(Value::Dict(dict)).map_err(Refusal::Flags)?;
        Ok(match command {
            Command::Ping => Done::Pong,
            Command::Offer => Done::Body(self.signal(cx, Mode::Offer, &flags, body, out)?),
            Command::Answer => Done::Body(self.signal(cx, Mode::Answer, &flags, body, out)?),
            Command::Delete => self.deletion(&flags)?,
            Command::Query => Done::Call(self.selected_call(&flags)?),
            Command::List => Done::List(flags.limit.unwrap_or(LIST_DEFAULT)),
            Command::Statistics => Done::Statistics,
            command => {
                self.change(command, &flags, out)?;
                Done::Ok
            }
        })
    }

    /// Commands that change how a call is relayed.
    fn change<S>(&mut self, command: Command, flags: &Flags<'_>, out: &mut S) -> Result<(), RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let mut restrict = |change: fn(&mut Restrictions)| self.restrict(flags, change, out);
        match command {
            Command::BlockMedia => restrict(|r| r.media_blocked = true),
            Command::UnblockMedia => restrict(|r| r.media_blocked = false),
            Command::BlockDtmf if flags.dtmf_security == Some(DtmfSecurity::Off) => {
                restrict(|r| r.dtmf_blocked = false)
            }
            // To replace events, audio would have to be coded.
            Command::BlockDtmf => restrict(|r| r.dtmf_blocked = true),
            Command::UnblockDtmf => restrict(|r| r.dtmf_blocked = false),
            Command::SilenceMedia => restrict(|r| r.silenced = true),
            Command::UnsilenceMedia => restrict(|r| r.silenced = false),
            Command::StartForwarding | Command::StopForwarding => self.selected(flags).map(|_| ()),
            Command::StartRecording => self.record(flags, true),
            Command::StopRecording | Command::PauseRecording => self.record(flags, false),
            _ => Err(RelayError::Unsupported),
        }
    }

    fn selected_call(&self, flags: &Flags<'_>) -> Result<Key, RelayError> {
        let call_id = flags.call_id.ok_or(RelayError::NoCallId)?;
        self.calls.find(call_id).ok_or(RelayError::UnknownCall)
    }

    fn deletion(&self, flags: &Flags<'_>) -> Result<Done, RelayError> {
        match self.doomed(flags) {
            Ok(doomed) => {
                let delay = flags.delete_delay_s.map(|s| Duration::from_secs(s.into()));
                Ok(Done::Delete { doomed, described: flags.from_tag.is_some(), delay })
            }
            Err(RelayError::NothingToDelete) if !flags.has(Flag::Fatal) => {
                Ok(Done::Warning(RelayError::NothingToDelete))
            }
            Err(error) => Err(error),
        }
    }

    /// The entries of the reply.
    fn entries(&self, cx: &Cx<'_>, done: &Result<Done, Refusal>, body: &[u8], d: &mut DictWriter<'_, '_>) {
        match *done {
            Ok(Done::Ok) => {}
            Ok(Done::Pong) => return d.str("result", "pong"),
            Ok(Done::Body(len)) => d.str("sdp", body.get(..len).unwrap_or_default()),
            Ok(Done::Call(key)) => self.view().call(key, d),
            Ok(Done::Delete { doomed, described: true, .. }) => self.view().call(doomed.call(), d),
            Ok(Done::Delete { .. }) => {}
            Ok(Done::Warning(warning)) => d.str("warning", warning.as_str()),
            Ok(Done::List(limit)) => {
                return statistics::list(d, self.calls().map(|call| call.call_id).take(limit as usize));
            }
            Ok(Done::Statistics) => return statistics::statistics(d, &self.totals(), self.uptime(cx.now)),
            Err(Refusal::Relay(reason)) => return error(d, reason.as_str()),
            Err(Refusal::Message(reason)) => return error(d, reason),
            Err(Refusal::Flags(reason)) => {
                d.str("result", "error");
                return d.text("error-reason", |t| text(t, format_args!("{reason}")));
            }
        }
        d.str("result", "ok");
    }
}

fn error(d: &mut DictWriter<'_, '_>, reason: &str) {
    d.str("result", "error");
    d.str("error-reason", reason);
}

/// The command of a message and its dictionary. The texts of the errors are those of rtpengine.
fn read<'a>(body: &'a [u8], json: &'a mut [u8]) -> Result<(Command, Dict<'a>), Refusal> {
    let encoding = Encoding::of(body).ok_or(Refusal::Message(match body {
        [] => "Invalid data (no payload)",
        _ => "Invalid NG data format",
    }))?;
    let dict = decode(body, json).map_err(|_| {
        Refusal::Message(match encoding {
            Encoding::Bencode => "Could not decode bencode dictionary",
            Encoding::Json => "Failed to parse JSON document",
        })
    })?;
    let command = dict.str("command").ok_or(Refusal::Message("Dictionary contains no key \"command\""))?;
    Ok((Command::parse(command).ok_or(RelayError::UnknownCommand)?, dict))
}

/// Whether a command must not be carried out twice when its message comes twice.
const fn changes(command: Command) -> bool {
    !matches!(command, Command::Ping | Command::Query | Command::List | Command::Statistics)
}
