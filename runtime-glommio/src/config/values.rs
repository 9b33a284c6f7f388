//! Values of options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use trunkline_core::relay::Address;
use trunkline_core::relay::media::Learning;

/// Packets may gather no longer than this: it is delay that a listener would hear.
const COALESCE_MAX: Duration = Duration::from_millis(5);

/// `[NAME/]IP[!IP]`
pub(super) fn interface(text: &str) -> Result<Address, String> {
    text.parse().map_err(|why| format!("`{text}`: {why}"))
}

/// Reads each of several values.
pub(super) fn all<T>(values: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    values.iter().map(|value| read(value)).collect()
}

/// `[IP:]PORT`; without an address it is that of every interface.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    address(text, Ipv6Addr::UNSPECIFIED.into())
}

/// `[IP:]PORT`; without an address it is the loopback.
pub(super) fn listen_local(text: &str) -> Result<SocketAddr, String> {
    address(text, Ipv4Addr::LOCALHOST.into())
}

fn address(text: &str, default: IpAddr) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(default, port));
    }
    text.parse().map_err(|_| format!("`{text}` is no address of the form IP:PORT"))
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    IpNet::from_str(text)
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is no network"))
}

/// A number within bounds.
pub(super) fn number<T: TryFrom<u64>>(text: &str, min: u64, max: u64) -> Result<T, String> {
    let error = || format!("`{text}` is no number from {min} to {max}");
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    let number = parsed.ok().filter(|n| (min..=max).contains(n)).ok_or_else(error)?;
    T::try_from(number).map_err(|_| error())
}

/// A time: a number of seconds, or a number with `us`, `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("`{text}` is no time, as 60, 60s or 500us");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| error())?;
    let us = match unit.trim() {
        "us" => 1,
        "ms" => 1_000,
        "" | "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(error()),
    };
    number.checked_mul(us).map(Duration::from_micros).ok_or_else(error)
}

/// A time; zero is never.
pub(super) fn seconds_or_never(text: &str) -> Result<Option<Duration>, String> {
    duration(text).map(|time| Some(time).filter(|time| !time.is_zero()))
}

/// A time for packets to gather.
pub(super) fn coalesce(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time > COALESCE_MAX {
        return Err(format!("`{text}` is more than {} ms, which would be heard", COALESCE_MAX.as_millis()));
    }
    Ok(time)
}

/// A number; -1 is none, as rtpengine has it.
pub(super) fn maximum(text: &str) -> Result<Option<u32>, String> {
    if text == "-1" { Ok(None) } else { number(text, 0, u64::from(u32::MAX)).map(Some) }
}

/// How addresses are learned.
pub(super) fn learning(text: &str) -> Result<Learning, String> {
    Ok(match text {
        "delayed" => Learning::Delayed,
        "immediate" => Learning::Immediate,
        "off" | "no-learning" => Learning::Off,
        "heuristic" => Learning::Heuristic,
        _ => return Err(format!("`{text}` is none of delayed, immediate, off, heuristic")),
    })
}
