//! An oracle for the scanners of this folder: the ABNF of RFC 3261 §25.1 (with RFC 5954 for IPv6), rule by rule.
//!
//! It is slow, allocates, and shares no code with the scanners, so that a test or a fuzzer can hold the two against each other.
//! tel URIs (RFC 3966) are not transcribed.

use alloc::vec::Vec;

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while_m_n, take_while1};
use nom::character::complete::char;
use nom::combinator::{opt, recognize, verify};
use nom::multi::{fold_many0, many0_count};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

/// Which language is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The grammar as it is written.
    Strict,
    /// The grammar with each place where our scanners are deliberately wider or narrower.
    Ours,
}

type Out<'b, T = &'b [u8]> = IResult<&'b [u8], T>;

/// Name and value of a parameter; of a quoted value what is between the quotes.
pub type ParamParts<'b> = (&'b [u8], Option<&'b [u8]>);

/// Parts of a Via element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViaParts<'b> {
    /// protocol-name, protocol-version, transport.
    pub protocol: [&'b [u8]; 3],
    /// Host of sent-by.
    pub host: &'b [u8],
    /// Port of sent-by.
    pub port: Option<&'b [u8]>,
    /// via-params.
    pub params: Vec<ParamParts<'b>>,
}

/// Parts of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriParts<'b> {
    /// The scheme.
    pub scheme: &'b [u8],
    /// user.
    pub user: Option<&'b [u8]>,
    /// password.
    pub password: Option<&'b [u8]>,
    /// host; empty in an absoluteURI.
    pub host: &'b [u8],
    /// port.
    pub port: Option<&'b [u8]>,
    /// uri-parameters.
    pub params: Vec<ParamParts<'b>>,
    /// headers, without `?`.
    pub headers: Option<&'b [u8]>,
}

/// Parts of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressParts<'b> {
    /// display-name, without quotes and the white space around it; empty counts as none.
    pub display: &'b [u8],
    /// The URI.
    pub uri: &'b [u8],
    /// Parameters of the header field.
    pub params: Vec<ParamParts<'b>>,
}

/// `Via`: all elements of a value.
pub fn via(value: &[u8], mode: Mode) -> Option<Vec<ViaParts<'_>>> {
    let (mut rest, first) = preceded(|i| sws(i, mode), |i| via_parm(i, mode)).parse(value).ok()?;
    let mut all = Vec::from([first]);
    while let Ok((after, via)) = preceded(|i| sep(i, b',', mode), |i| via_parm(i, mode)).parse(rest) {
        all.push(via);
        rest = after;
    }
    end(rest, mode).then_some(all)
}

/// `CSeq`: number and method.
pub fn cseq(value: &[u8], mode: Mode) -> Option<(&[u8], &[u8])> {
    let (rest, (_, number, _, method)) = (|i| sws(i, mode), digits, |i| lws(i, mode), token).parse(value).ok()?;
    let fits = mode == Mode::Strict || number_below(number, 1 << 31);
    (fits && end(rest, mode)).then_some((number, method))
}

/// `SIP-URI`, `SIPS-URI` or `absoluteURI`.
pub fn uri(value: &[u8], mode: Mode) -> Option<UriParts<'_>> {
    alt((|i| sip_uri(i, mode), |i| absolute_uri(i, mode)))
        .parse(value)
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, u)| u)
}

/// One `name-addr` or `addr-spec` with parameters, as From and To have it.
pub fn address(value: &[u8], mode: Mode) -> Option<AddressParts<'_>> {
    let named = |i| named_address(i, mode);
    let (rest, (display, text)) = preceded(|i| sws(i, mode), alt((named, bare_address))).parse(value).ok()?;
    uri(text, mode)?;
    let (rest, params) = generic_params(rest, mode).ok()?;
    let tags: Vec<_> = params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"tag")).collect();
    let tag_is_sound = tags.len() < 2 && tags.iter().all(|(_, value)| value.is_some_and(|v| !v.is_empty()));
    ((mode == Mode::Strict || tag_is_sound) && end(rest, mode)).then_some(AddressParts { display, uri: text, params })
}

/// `Request-Line` without its CRLF: method, URI, version.
pub fn request_line(line: &[u8]) -> Option<[&[u8]; 3]> {
    let (rest, (method, _, target, _, version)) =
        (token, char(' '), take_while1(|b| b != b' '), char(' '), sip_version).parse(line).ok()?;
    uri(target, Mode::Strict)?;
    rest.is_empty().then_some([method, target, version])
}

/// `Status-Line` without its CRLF: version, code, reason.
pub fn status_line(line: &[u8]) -> Option<[&[u8]; 3]> {
    let code = take_while_m_n(3, 3, |b: u8| b.is_ascii_digit());
    let (reason, (version, _, code, _)) = (sip_version, char(' '), code, char(' ')).parse(line).ok()?;
    let phrase = reason
        .iter()
        .all(|&b| b == b' ' || b == b'\t' || (b.is_ascii_graphic() && !b"\"#<>[\\]^`{|}".contains(&b)) || b >= 0x80);
    let escapes = reason.split(|&b| b == b'%').skip(1).all(|s| s.len() > 1 && s[..2].iter().all(u8::is_ascii_hexdigit));
    let utf8 = core::str::from_utf8(reason).is_ok();
    (phrase && escapes && utf8).then_some([version, code, reason])
}

fn sip_version(i: &[u8]) -> Out<'_> {
    recognize((tag_no_case(&b"SIP/"[..]), digits, char('.'), digits)).parse(i)
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b)
}

fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b)
}

fn token(i: &[u8]) -> Out<'_> {
    take_while1(is_token).parse(i)
}

fn digits(i: &[u8]) -> Out<'_> {
    take_while1(|b: u8| b.is_ascii_digit()).parse(i)
}

fn number_below(digits: &[u8], limit: u64) -> bool {
    let text = core::str::from_utf8(digits).ok();
    text.and_then(|t| t.parse::<u64>().ok()).is_some_and(|n| n < limit)
}

fn is_wsp(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `LWS`; ours is any number of them in a row.
fn lws(i: &[u8], mode: Mode) -> Out<'_> {
    let one = |i| recognize(pair(opt(pair(take_while(is_wsp), tag(&b"\r\n"[..]))), take_while1(is_wsp))).parse(i);
    match mode {
        Mode::Strict => one(i),
        Mode::Ours => recognize(verify(many0_count(one), |n| *n > 0)).parse(i),
    }
}

fn sws(i: &[u8], mode: Mode) -> Out<'_> {
    recognize(opt(|i| lws(i, mode))).parse(i)
}

/// A separator with white space on both sides: `SEMI`, `EQUAL`, `COMMA`, `SLASH`, `COLON`.
fn sep(i: &[u8], byte: u8, mode: Mode) -> Out<'_, char> {
    delimited(|i| sws(i, mode), char(byte as char), |i| sws(i, mode)).parse(i)
}

fn end(rest: &[u8], mode: Mode) -> bool {
    matches!(sws(rest, mode), Ok((&[], _)))
}

/// What `quoted-string` has between its quotes; ours takes bytes from 0x80 that are no UTF-8.
fn quoted(i: &[u8], mode: Mode) -> Out<'_> {
    let plain = take_while1(|b: u8| b >= 0x80 || (b.is_ascii_graphic() && b != b'"' && b != b'\\'));
    let escaped =
        recognize(pair(char('\\'), verify(nom::number::complete::u8, |b| *b < 0x80 && *b != b'\r' && *b != b'\n')));
    let content = recognize(many0_count(alt((|i| lws(i, mode), plain, escaped))));
    let content = verify(content, |c: &[u8]| mode == Mode::Ours || core::str::from_utf8(c).is_ok());
    delimited(char('"'), content, char('"')).parse(i)
}

fn is_ipv4(bytes: &[u8], mode: Mode) -> bool {
    let octets: Vec<&[u8]> = bytes.split(|&b| b == b'.').collect();
    octets.len() == 4
        && octets.iter().all(|o| {
            let form = (1..=3).contains(&o.len()) && o.iter().all(u8::is_ascii_digit);
            form && (mode == Mode::Strict || (number_below(o, 256) && (o.len() == 1 || o[0] != b'0')))
        })
}

fn is_hostname(bytes: &[u8], mode: Mode) -> bool {
    let labels: Vec<&[u8]> = bytes.strip_suffix(b".").unwrap_or(bytes).split(|&b| b == b'.').collect();
    let label = |l: &&[u8]| match mode {
        Mode::Ours => l.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !l.is_empty(),
        Mode::Strict => {
            let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
            edge(l.first()) && edge(l.last()) && l.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-')
        }
    };
    let named = match mode {
        Mode::Strict => labels.last().and_then(|l| l.first()).is_some_and(u8::is_ascii_alphabetic),
        Mode::Ours => bytes.iter().any(|b| !b.is_ascii_digit() && *b != b'.'),
    };
    labels.iter().all(label) && named
}

/// `IPv6address`; ours also the three colons of RFC 3261 before an IPv4 tail.
fn is_ipv6(bytes: &[u8], mode: Mode) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let parses = |t: &str| t.parse::<core::net::Ipv6Addr>().is_ok();
    let old = || {
        let tail = text.split_once(":::").map(|(_, tail)| tail);
        tail.is_some_and(|t| is_ipv4(t.as_bytes(), Mode::Ours)) && parses(&text.replace(":::", "::"))
    };
    parses(text) || (mode == Mode::Ours && old())
}

fn host(i: &[u8], mode: Mode) -> Out<'_> {
    let reference =
        recognize(delimited(char('['), verify(take_while(|b| b != b']'), |a: &[u8]| is_ipv6(a, mode)), char(']')));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || (mode == Mode::Ours && b == b'_');
    let name = verify(take_while1(is_host), |h: &[u8]| is_ipv4(h, mode) || is_hostname(h, mode));
    alt((reference, name)).parse(i)
}

fn port(i: &[u8], mode: Mode) -> Out<'_> {
    verify(digits, |p: &[u8]| mode == Mode::Strict || number_below(p, 65_536)).parse(i)
}

/// `gen-value`, and the bare IPv6 address of `via-received`; ours is any visible byte that ends no value, or nothing.
fn gen_value<'b>(i: &'b [u8], name: &[u8], mode: Mode) -> Out<'b> {
    if i.first() == Some(&b'"') {
        return quoted(i, mode);
    }
    if mode == Mode::Ours {
        return take_while(|b: u8| b.is_ascii_graphic() && !b"\",;<>\\".contains(&b)).parse(i);
    }
    let address = verify(take_while1(|b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.'), |a: &[u8]| {
        name.eq_ignore_ascii_case(b"received") && is_ipv6(a, mode)
    })
    .parse(i);
    let results = [address, host(i, mode), token(i)];
    let longest = results.into_iter().flatten().min_by_key(|(rest, _)| rest.len());
    longest.ok_or(nom::Err::Error(nom::error::Error::new(i, nom::error::ErrorKind::Alt)))
}

fn generic_param(i: &[u8], mode: Mode) -> Out<'_, ParamParts<'_>> {
    let (i, name) = token(i)?;
    let (i, value) = opt(preceded(|i| sep(i, b'=', mode), |i| gen_value(i, name, mode))).parse(i)?;
    Ok((i, (name, value)))
}

fn generic_params(i: &[u8], mode: Mode) -> Out<'_, Vec<ParamParts<'_>>> {
    collect(i, preceded(|i| sep(i, b';', mode), |i| generic_param(i, mode)))
}

fn collect<'b, T>(
    i: &'b [u8],
    item: impl Parser<&'b [u8], Output = T, Error = nom::error::Error<&'b [u8]>>,
) -> Out<'b, Vec<T>> {
    fold_many0(item, Vec::new, |mut all, one| {
        all.push(one);
        all
    })
    .parse(i)
}

/// What our scanner demands of the parameters that decide the way of a response.
fn via_params_are_sound(params: &[ParamParts<'_>]) -> bool {
    let of = |name: &'static str| params.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    ["branch", "rport", "received"].iter().all(|name| of(name).count() < 2)
        && of("branch").all(|(_, v)| v.is_some_and(|v| !v.is_empty()))
        && of("rport").all(|(_, v)| v.is_none_or(|v| v.is_empty() || number_is(v, 65_536)))
        && of("ttl").all(|(_, v)| v.is_some_and(|v| number_is(v, 256)))
}

fn number_is(bytes: &[u8], limit: u64) -> bool {
    bytes.iter().all(u8::is_ascii_digit) && number_below(bytes, limit)
}

fn via_parm(i: &[u8], mode: Mode) -> Out<'_, ViaParts<'_>> {
    let slash = |i| sep(i, b'/', mode);
    let (i, (name, _, version, _, transport)) = (token, slash, token, slash, token).parse(i)?;
    let (i, host) = preceded(|i| lws(i, mode), |i| host(i, mode)).parse(i)?;
    let (i, port) = opt(preceded(|i| sep(i, b':', mode), |i| port(i, mode))).parse(i)?;
    let sound = |p: &Vec<ParamParts<'_>>| mode == Mode::Strict || via_params_are_sound(p);
    let (i, params) = verify(|i| generic_params(i, mode), sound).parse(i)?;
    Ok((i, ViaParts { protocol: [name, version, transport], host, port, params }))
}

/// Bytes of `set` and `unreserved`, and escapes.
fn escaped_run<'b>(i: &'b [u8], set: &'static [u8]) -> Out<'b> {
    let escape = recognize(pair(char('%'), take_while_m_n(2, 2, |b: u8| b.is_ascii_hexdigit())));
    recognize(many0_count(alt((take_while1(|b| is_unreserved(b) || set.contains(&b)), escape)))).parse(i)
}

fn some(bytes: &[u8]) -> bool {
    !bytes.is_empty()
}

fn sip_uri(i: &[u8], mode: Mode) -> Out<'_, UriParts<'_>> {
    let (i, scheme) = alt((tag_no_case(&b"sips"[..]), tag_no_case(&b"sip"[..]))).parse(i)?;
    let (i, _) = char(':').parse(i)?;
    let user_set: &'static [u8] = if mode == Mode::Ours { b"&=+$,;?/#" } else { b"&=+$,;?/" };
    let user = verify(|i| escaped_run(i, user_set), some);
    let password = opt(preceded(char(':'), |i| escaped_run(i, b"&=+$,")));
    let (i, userinfo) = opt((user, password, char('@'))).parse(i)?;
    let (i, host) = host(i, mode)?;
    let (i, port) = opt(preceded(char(':'), |i| port(i, mode))).parse(i)?;
    let (i, params) = collect(i, preceded(char(';'), |i| uri_param(i, mode)))?;
    let (i, headers) = opt(preceded(char('?'), uri_headers)).parse(i)?;
    let (user, password) = userinfo.map_or((None, None), |(user, password, _)| (Some(user), password));
    Ok((i, UriParts { scheme, user, password, host, port, params, headers }))
}

/// `uri-parameter`; in ours the value may be empty and hold `=`.
fn uri_param(i: &[u8], mode: Mode) -> Out<'_, ParamParts<'_>> {
    let (i, name) = verify(|i| escaped_run(i, b"[]/:&+$"), some).parse(i)?;
    let value = |i| match mode {
        Mode::Strict => verify(|i| escaped_run(i, b"[]/:&+$"), some).parse(i),
        Mode::Ours => escaped_run(i, b"[]/:&+$="),
    };
    let (i, value) = opt(preceded(char('='), value)).parse(i)?;
    Ok((i, (name, value)))
}

fn uri_headers(i: &[u8]) -> Out<'_> {
    let part = |i| escaped_run(i, b"[]/?:+$");
    let header = |i| recognize((verify(part, some), char('='), part)).parse(i);
    recognize(pair(header, many0_count(preceded(char('&'), header)))).parse(i)
}

/// `absoluteURI` of other schemes, not split; ours is any visible byte but quotes and angle brackets.
fn absolute_uri(i: &[u8], mode: Mode) -> Out<'_, UriParts<'_>> {
    let known = |s: &[u8]| [&b"sip"[..], b"sips", b"tel"].iter().any(|k| s.eq_ignore_ascii_case(k));
    let name = take_while1(|b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (i, scheme) = verify(name, |s: &[u8]| s[0].is_ascii_alphabetic() && !known(s)).parse(i)?;
    let (i, _) = char(':').parse(i)?;
    let (i, _) = match mode {
        Mode::Strict => verify(|i| escaped_run(i, b";/?:@&=+$,"), some).parse(i)?,
        Mode::Ours => take_while1(|b: u8| b.is_ascii_graphic() && !b"\"<>".contains(&b)).parse(i)?,
    };
    Ok((i, UriParts { scheme, user: None, password: None, host: &[], port: None, params: Vec::new(), headers: None }))
}

/// `name-addr`; ours takes words of any visible byte that ends none, and no white space before `<`.
fn named_address(i: &[u8], mode: Mode) -> Out<'_, (&[u8], &[u8])> {
    let word = |i| match mode {
        Mode::Strict => recognize(pair(token, |i| lws(i, mode))).parse(i),
        Mode::Ours => {
            let word = take_while1(|b: u8| b >= 0x80 || (b.is_ascii_graphic() && !b"\",;<>".contains(&b)));
            recognize(pair(word, |i| sws(i, mode))).parse(i)
        }
    };
    let unquoted = recognize(many0_count(word)).map(trim);
    let (i, display) = alt((|i| quoted(i, mode), unquoted)).parse(i)?;
    let laquot = preceded(|i| sws(i, mode), char('<'));
    let (i, uri) = delimited(laquot, take_while(|b| b != b'>'), char('>')).parse(i)?;
    Ok((i, (display, uri)))
}

fn trim(words: &[u8]) -> &[u8] {
    words.trim_ascii_end()
}

/// `addr-spec` on its own, which ends at the first byte that §20.10 wants brackets for.
fn bare_address(i: &[u8]) -> Out<'_, (&[u8], &[u8])> {
    let uri = take_while1(|b: u8| b.is_ascii_graphic() && !b",;?<>\"".contains(&b));
    uri.map(|uri| (&[][..], uri)).parse(i)
}

#[cfg(test)]
mod tests;
