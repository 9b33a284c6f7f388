//! Digest authentication as it stands in header fields (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! This is the grammar only: nothing is computed or verified here. Of quoted strings the fields hold what lies between the
//! quotes, escapes as they are, which is what the digest is computed over (RFC 7616 §3.4).

use core::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{recognize, verify};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded, separated_pair, terminated};
use nom::{IResult, Parser};

use super::token::{QUOTED, TOKEN, Text, VALUE, WSP, hex_value, is};
use crate::error::{ParseError, ParseErrorKind};

/// The hash of a digest, and whether it is of the `-sess` kind (RFC 7616 §3.3, RFC 8760 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Algorithm {
    /// `MD5`; also where none is named.
    #[default]
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256`.
    Sha512_256,
    /// `SHA-512-256-sess`.
    Sha512_256Sess,
    /// One that we do not know.
    Other,
}

impl Algorithm {
    /// The algorithm that `name` names, in either case.
    pub fn parse(name: &[u8]) -> Self {
        const KNOWN: [(&[u8], Algorithm); 6] = [
            (b"MD5", Algorithm::Md5),
            (b"MD5-sess", Algorithm::Md5Sess),
            (b"SHA-256", Algorithm::Sha256),
            (b"SHA-256-sess", Algorithm::Sha256Sess),
            (b"SHA-512-256", Algorithm::Sha512_256),
            (b"SHA-512-256-sess", Algorithm::Sha512_256Sess),
        ];
        KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map_or(Self::Other, |&(_, a)| a)
    }
}

/// A quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Qop {
    /// `auth`.
    Auth,
    /// `auth-int`: the body is covered too.
    AuthInt,
    /// One that we do not know.
    Other,
}

impl Qop {
    /// The quality of protection that `name` names, in either case.
    pub fn parse(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"auth") {
            Self::Auth
        } else if name.eq_ignore_ascii_case(b"auth-int") {
            Self::AuthInt
        } else {
            Self::Other
        }
    }
}

/// What a server asks for: WWW-Authenticate and Proxy-Authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge<'b> {
    /// Digest.
    Digest(DigestChallenge<'b>),
    /// Another scheme, by its name.
    Other(&'b [u8]),
}

/// What a client answers: Authorization and Proxy-Authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials<'b> {
    /// Digest.
    Digest(DigestCredentials<'b>),
    /// Another scheme, by its name.
    Other(&'b [u8]),
}

/// A Digest challenge. `Debug` hides what belongs to the secret exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigestChallenge<'b> {
    /// The realm.
    pub realm: &'b [u8],
    /// The nonce.
    pub nonce: &'b [u8],
    /// What the client is to return unchanged.
    pub opaque: Option<&'b [u8]>,
    /// The URIs that share the credentials, as they were written.
    pub domain: Option<&'b [u8]>,
    /// The algorithm; MD5 where none is named.
    pub algorithm: Algorithm,
    /// Whether only the nonce was too old.
    pub stale: bool,
    /// The qop list, as it was written; see [`DigestChallenge::qops`].
    pub qop: Option<&'b [u8]>,
    /// Whether the server takes hashed user names (RFC 7616 §3.4.4).
    pub userhash: bool,
}

/// Digest credentials. `Debug` hides what belongs to the secret exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigestCredentials<'b> {
    /// The user name, or its hash where `userhash` is set; empty where only `username_ext` is there.
    pub username: &'b [u8],
    /// The user name in the form of RFC 5987 (`username*`), as it was written.
    pub username_ext: Option<&'b [u8]>,
    /// The realm.
    pub realm: &'b [u8],
    /// The nonce of the challenge.
    pub nonce: &'b [u8],
    /// The URI that was signed.
    pub uri: &'b [u8],
    /// The digest, in hexadecimal. Empty in the first request of AKA (RFC 3310 §3.4).
    pub response: &'b [u8],
    /// The algorithm; MD5 where none is named.
    pub algorithm: Algorithm,
    /// The client's nonce.
    pub cnonce: Option<&'b [u8]>,
    /// The `opaque` of the challenge.
    pub opaque: Option<&'b [u8]>,
    /// The quality of protection; `None` is the form of RFC 2069.
    pub qop: Option<Qop>,
    /// How often the nonce was used, this time included.
    pub nonce_count: Option<u32>,
    /// Whether `username` is a hash.
    pub userhash: bool,
}

impl<'b> Challenge<'b> {
    /// Parses a field value. Commas separate parameters, never challenges: each challenge has its own header field
    /// (RFC 3261 §7.3.1).
    ///
    /// # Errors
    /// `Syntax("challenge")`; `Missing` of `realm` or `nonce`; `Duplicate` of any parameter that is read.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        match Fields::parse(value, "challenge")? {
            (_, Some(fields)) => DigestChallenge::from_fields(&fields).map(Self::Digest),
            (scheme, None) => Ok(Self::Other(scheme)),
        }
    }
}

impl<'b> Credentials<'b> {
    /// Parses a field value.
    ///
    /// # Errors
    /// `Syntax("credentials")`; `Missing` of `username`, `realm`, `nonce`, `uri` or `response`; `Number` where `nc` is not
    /// eight hexadecimal digits; `Duplicate` of any parameter that is read.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        match Fields::parse(value, "credentials")? {
            (_, Some(fields)) => DigestCredentials::from_fields(&fields).map(Self::Digest),
            (scheme, None) => Ok(Self::Other(scheme)),
        }
    }
}

impl<'b> DigestChallenge<'b> {
    fn from_fields(fields: &Fields<'b>) -> Result<Self, ParseError> {
        Ok(Self {
            realm: fields.required(Name::Realm)?,
            nonce: fields.required(Name::Nonce)?,
            opaque: fields.value(Name::Opaque),
            domain: fields.value(Name::Domain),
            algorithm: fields.algorithm(),
            stale: fields.is_true(Name::Stale),
            qop: fields.value(Name::Qop),
            userhash: fields.is_true(Name::Userhash),
        })
    }

    /// The qualities of protection that the server offers; none in the form of RFC 2069.
    pub fn qops(&self) -> impl Iterator<Item = Qop> + use<'b> {
        let list = self.qop.unwrap_or(&[]);
        list.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|q| !q.is_empty()).map(Qop::parse)
    }
}

impl<'b> DigestCredentials<'b> {
    fn from_fields(fields: &Fields<'b>) -> Result<Self, ParseError> {
        let username_ext = fields.value(Name::UsernameExt);
        let username = match (fields.value(Name::Username), username_ext) {
            (None, Some(_)) => &[],
            _ => fields.required(Name::Username)?,
        };
        Ok(Self {
            username,
            username_ext,
            realm: fields.required(Name::Realm)?,
            nonce: fields.required(Name::Nonce)?,
            uri: fields.required(Name::Uri)?,
            response: fields.required(Name::Response)?,
            algorithm: fields.algorithm(),
            cnonce: fields.value(Name::Cnonce),
            opaque: fields.value(Name::Opaque),
            qop: fields.value(Name::Qop).map(Qop::parse),
            nonce_count: fields.nonce_count()?,
            userhash: fields.is_true(Name::Userhash),
        })
    }
}

const HIDDEN: &str = "***";

impl fmt::Debug for DigestChallenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestChallenge")
            .field("realm", &Text(self.realm))
            .field("nonce", &HIDDEN)
            .field("opaque", &self.opaque.map(|_| HIDDEN))
            .field("algorithm", &self.algorithm)
            .field("stale", &self.stale)
            .field("qop", &self.qop.map(Text))
            .field("userhash", &self.userhash)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DigestCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestCredentials")
            .field("username", &Text(self.username))
            .field("realm", &Text(self.realm))
            .field("nonce", &HIDDEN)
            .field("response", &HIDDEN)
            .field("cnonce", &self.cnonce.map(|_| HIDDEN))
            .field("opaque", &self.opaque.map(|_| HIDDEN))
            .field("algorithm", &self.algorithm)
            .field("qop", &self.qop)
            .field("nonce_count", &self.nonce_count)
            .field("userhash", &self.userhash)
            .finish_non_exhaustive()
    }
}

/// The parameters that are read.
#[derive(Clone, Copy)]
enum Name {
    Realm,
    Nonce,
    Opaque,
    Domain,
    Algorithm,
    Stale,
    Qop,
    Userhash,
    Username,
    UsernameExt,
    Uri,
    Response,
    Cnonce,
    NonceCount,
}

/// Names in the order of [`Name`].
const NAMES: [&str; 14] = [
    "realm",
    "nonce",
    "opaque",
    "domain",
    "algorithm",
    "stale",
    "qop",
    "userhash",
    "username",
    "username*",
    "uri",
    "response",
    "cnonce",
    "nc",
];

#[derive(Clone, Copy)]
struct Field<'b> {
    value: &'b [u8],
    at: usize,
}

struct Fields<'b> {
    slots: [Option<Field<'b>>; NAMES.len()],
    length: usize,
}

impl<'b> Fields<'b> {
    /// The scheme, and its fields where it is Digest.
    fn parse(value: &'b [u8], what: &'static str) -> Result<(&'b [u8], Option<Self>), ParseError> {
        let offset = |rest: &[u8]| value.len() - rest.len();
        let syntax = |e: nom::Err<nom::error::Error<&'b [u8]>>| {
            let at = match e {
                nom::Err::Error(e) | nom::Err::Failure(e) => offset(e.input),
                nom::Err::Incomplete(_) => value.len(),
            };
            ParseError::new(ParseErrorKind::Syntax(what), at)
        };
        let (mut rest, scheme) = delimited(lws, token, lws).parse(value).map_err(syntax)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Ok((scheme, None));
        }
        let mut fields = Self { slots: [None; NAMES.len()], length: value.len() };
        loop {
            let at = offset(rest);
            let (after, (name, field)) = terminated(auth_param, lws).parse(rest).map_err(syntax)?;
            fields.note(name, Field { value: field, at })?;
            if after.is_empty() {
                return Ok((scheme, Some(fields)));
            }
            (rest, _) = pair(char(','), lws).parse(after).map_err(syntax)?;
        }
    }

    fn note(&mut self, name: &[u8], field: Field<'b>) -> Result<(), ParseError> {
        let mut slots = NAMES.iter().zip(self.slots.iter_mut());
        let Some((known, slot)) = slots.find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())) else {
            return Ok(());
        };
        match slot.replace(field) {
            Some(_) => Err(ParseError::new(ParseErrorKind::Duplicate(known), field.at)),
            None => Ok(()),
        }
    }

    fn value(&self, name: Name) -> Option<&'b [u8]> {
        self.slots[name as usize].map(|field| field.value)
    }

    fn required(&self, name: Name) -> Result<&'b [u8], ParseError> {
        self.value(name).ok_or(ParseError::new(ParseErrorKind::Missing(NAMES[name as usize]), self.length))
    }

    fn is_true(&self, name: Name) -> bool {
        self.value(name).is_some_and(|v| v.eq_ignore_ascii_case(b"true"))
    }

    fn algorithm(&self) -> Algorithm {
        self.value(Name::Algorithm).map_or(Algorithm::default(), Algorithm::parse)
    }

    fn nonce_count(&self) -> Result<Option<u32>, ParseError> {
        let Some(Field { value, at }) = self.slots[Name::NonceCount as usize] else { return Ok(None) };
        let digits = (value.len() == 8).then_some(value);
        let number = digits.and_then(|d| d.iter().try_fold(0u32, |n, &b| Some(n << 4 | u32::from(hex_value(b)?))));
        number.map(Some).ok_or(ParseError::new(ParseErrorKind::Number, at))
    }
}

fn lws(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize(many0_count(alt((take_while1(|b| is(b, WSP)), fold)))).parse(input)
}

fn fold(input: &[u8]) -> IResult<&[u8], &[u8]> {
    recognize(pair(tag(&b"\r\n"[..]), take_while1(|b| is(b, WSP)))).parse(input)
}

fn token(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b| is(b, TOKEN)).parse(input)
}

fn quoted_string(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let escaped = |b: &u8| b.is_ascii() && !matches!(b, b'\r' | b'\n');
    let quoted_pair = recognize(preceded(char('\\'), verify(nom::number::complete::u8, escaped)));
    let content = many0_count(alt((take_while1(|b| is(b, QUOTED)), quoted_pair, fold)));
    delimited(char('"'), recognize(content), char('"')).parse(input)
}

/// `auth-param`; an unquoted value may hold more than a token, and nothing, as some clients have it.
fn auth_param(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    let equal = delimited(lws, char('='), lws);
    separated_pair(token, equal, alt((quoted_string, take_while(|b| is(b, VALUE))))).parse(input)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    fn credentials(value: &[u8]) -> DigestCredentials<'_> {
        match Credentials::parse(value) {
            Ok(Credentials::Digest(d)) => d,
            other => panic!("{:?}: {other:?}", Text(value)),
        }
    }

    #[test]
    fn a_challenge() {
        let value = b"Digest realm=\"a \\\"b\\\"\", qop=\"auth, auth-int,x\" ,\r\n nonce=\"n1\",opaque=\"\",stale=TRUE, algorithm=SHA-256,x=y";
        let Ok(Challenge::Digest(c)) = Challenge::parse(value) else { panic!("no digest") };
        assert_eq!((c.realm, c.nonce, c.opaque), (&b"a \\\"b\\\""[..], &b"n1"[..], Some(&b""[..])));
        assert_eq!(c.qops().collect::<Vec<_>>(), [Qop::Auth, Qop::AuthInt, Qop::Other]);
        assert!(c.stale && !c.userhash);
        assert_eq!(c.algorithm, Algorithm::Sha256);
    }

    #[test]
    fn credentials_of_rfc_3261() {
        let c = credentials(
            b"Digest username=\"bob\",\r\n realm=\"biloxi.com\",\r\n nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n uri=\"sip:bob@biloxi.com\",\
              \r\n qop=auth,\r\n nc=00000001,\r\n cnonce=\"0a4f113b\",\r\n response=\"6629fae49393a05397450978507c4ef1\",\
              \r\n opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        );
        assert_eq!((c.username, c.realm, c.uri), (&b"bob"[..], &b"biloxi.com"[..], &b"sip:bob@biloxi.com"[..]));
        assert_eq!((c.qop, c.nonce_count, c.algorithm), (Some(Qop::Auth), Some(1), Algorithm::Md5));
        assert_eq!(c.response, b"6629fae49393a05397450978507c4ef1");
        assert_eq!(c.cnonce, Some(&b"0a4f113b"[..]));
    }

    #[test]
    fn hashed_and_extended_user_names() {
        let rest = "realm=\"r\",nonce=\"n\",uri=\"sip:a\",response=\"\"";
        let hashed = format!("digest username=\"ab12\",userhash=true,{rest}");
        assert!(credentials(hashed.as_bytes()).userhash);
        let extended = format!("Digest username*=UTF-8''J%C3%A4s,{rest}");
        let c = credentials(extended.as_bytes());
        assert_eq!((c.username, c.username_ext), (&b""[..], Some(&b"UTF-8''J%C3%A4s"[..])));
    }

    #[test]
    fn algorithms_by_name() {
        for (name, algorithm) in [
            (&b"md5"[..], Algorithm::Md5),
            (b"MD5-sess", Algorithm::Md5Sess),
            (b"SHA-256-SESS", Algorithm::Sha256Sess),
            (b"SHA-512-256", Algorithm::Sha512_256),
            (b"SHA-512-256-sess", Algorithm::Sha512_256Sess),
            (b"SHA-1", Algorithm::Other),
        ] {
            assert_eq!(Algorithm::parse(name), algorithm);
        }
    }

    #[test]
    fn missing_and_double_parameters() {
        let kind = |value| Credentials::parse(value).unwrap_err().kind;
        assert_eq!(kind(b"Digest username=\"a\",realm=r,nonce=n,uri=u"), ParseErrorKind::Missing("response"));
        assert_eq!(kind(b"Digest realm=r,nonce=n,uri=u,response=x"), ParseErrorKind::Missing("username"));
        assert_eq!(kind(b"Digest realm=r,Realm=r"), ParseErrorKind::Duplicate("realm"));
        assert_eq!(kind(b"Digest username=a,realm=r,nonce=n,uri=u,response=x,nc=1"), ParseErrorKind::Number);
        assert_eq!(Challenge::parse(b"Digest realm=r").unwrap_err().kind, ParseErrorKind::Missing("nonce"));
    }

    #[test]
    fn structure_is_strict_in_digest_only() {
        for bad in [
            &b""[..],
            b"Digest",
            b"Digest realm",
            b"Digest realm=\"a",
            b"Digest realm=a nonce=b",
            b"Digest realm=a,",
            b"Digest ,realm=a",
            b"Digest realm=a;nonce=b",
            b"Digest realm=\"\x01\"",
        ] {
            assert!(Challenge::parse(bad).is_err(), "{:?}", Text(bad));
        }
        assert_eq!(
            Credentials::parse(b"NoOneKnowsThisScheme opaque-data=here"),
            Ok(Credentials::Other(b"NoOneKnowsThisScheme"))
        );
        assert_eq!(Credentials::parse(b"Basic QWxhZGRpbg=="), Ok(Credentials::Other(b"Basic")));
        assert_eq!(Challenge::parse(b"Digest realm=a,\x01").unwrap_err().at, 15);
    }

    #[test]
    fn debug_shows_no_secret() {
        let value = b"Digest username=\"bob\",realm=\"r\",nonce=\"secret1\",uri=\"sip:a\",response=\"secret2\",cnonce=\"secret3\",opaque=\"secret4\"";
        let text = format!("{:?} {:?}", credentials(value), Challenge::parse(value));
        assert!(text.contains("bob") && !text.contains("secret"), "{text}");
    }
}
