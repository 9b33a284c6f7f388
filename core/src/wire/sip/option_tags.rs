//! Lists of tokens: Supported, Require, Proxy-Require, Unsupported (option tags, RFC 3261 §19.2) and Allow (methods).

use super::method::Method;
use super::token::{Elements, is_token};
use crate::error::{ParseError, ParseErrorKind};

/// Iterates the tokens of a field value. Empty elements are skipped, since `Supported` and `Allow` may be empty. The first error
/// ends the iteration.
#[derive(Clone, Debug)]
pub struct Tokens<'b> {
    elements: Elements<'b>,
    failed: bool,
}

impl<'b> Tokens<'b> {
    /// The tokens of `value`.
    pub fn new(value: &'b [u8]) -> Self {
        Self { elements: Elements::new(value), failed: false }
    }

    /// The tokens as methods, for Allow.
    pub fn methods(self) -> impl Iterator<Item = Result<Method<'b>, ParseError>> {
        self.map(|token| token.map(Method::from_token))
    }
}

impl<'b> Iterator for Tokens<'b> {
    type Item = Result<&'b [u8], ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = match self.elements.find(|e| !e.as_ref().is_ok_and(|e| e.value.is_empty()))? {
            Ok(element) if is_token(element.value) => Ok(element.value),
            Ok(element) => Err(ParseError::new(ParseErrorKind::Syntax("token"), element.span.start)),
            Err(error) => Err(error),
        };
        self.failed = item.is_err();
        Some(item)
    }
}

/// Whether the list `value` has the option tag `tag`, in either case. What comes after a syntax error is not seen.
pub fn has_option_tag(value: &[u8], tag: &[u8]) -> bool {
    Tokens::new(value).map_while(Result::ok).any(|t| t.eq_ignore_ascii_case(tag))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn tokens_and_methods() {
        let tags: Vec<_> = Tokens::new(b" 100rel , ,timer,\r\n nothingSupports ").map(Result::unwrap).collect();
        assert_eq!(tags, [&b"100rel"[..], b"timer", b"nothingSupports"]);
        let methods: Vec<_> = Tokens::new(b"INVITE, foo").methods().map(Result::unwrap).collect();
        assert_eq!(methods, [Method::Invite, Method::Other(b"foo")]);
        assert_eq!(Tokens::new(b"  ").count(), 0);
    }

    #[test]
    fn option_tags_compare_in_either_case() {
        assert!(has_option_tag(b"a,Timer", b"timer"));
        assert!(!has_option_tag(b"timers", b"timer"));
    }

    #[test]
    fn what_is_no_token_ends_the_list() {
        for bad in [&b"a b"[..], b"a;x", b"\"a\"", b"a,b/c"] {
            let all: Vec<_> = Tokens::new(bad).collect();
            assert!(all.last().unwrap().is_err());
        }
    }
}
