//! Attribute lines: those that stay, those that are ours, and the `sdp-attr` rules over both.

use super::Rewrite;
use super::plan::{Candidate, CandidateKind};
use crate::relay::flags::{AttrOp, AttrSection, Word};
use crate::wire::sdp::Line;
use crate::wire::sdp::edit::Editor;
use crate::wire::sip::put::{Put, Text};

/// Longest line of ours to which rules are applied, in bytes.
const LINE_MAX: usize = 512;

/// What a rule does to a line.
enum Verdict<'r> {
    Keep,
    Remove,
    /// The text of the rule, then the line from here on.
    Substitute(Word<'r>, usize),
}

impl<'r> Rewrite<'r> {
    /// The first rule of `section` that means `text`.
    fn verdict(&self, section: AttrSection, text: &[u8]) -> Verdict<'r> {
        for rule in self.flags.attrs.iter().filter(|r| r.section == section) {
            match rule.op {
                AttrOp::Remove(word) if !word.is_empty() && word.prefix_of(text).is_some() => return Verdict::Remove,
                AttrOp::Substitute(from, to) if !from.is_empty() => {
                    if let Some(rest) = from.prefix_of(text) {
                        return Verdict::Substitute(to, text.len() - rest.len());
                    }
                }
                _ => {}
            }
        }
        Verdict::Keep
    }

    /// Leaves a line as it is, but for the rules.
    pub(super) fn keep_line<P: Put>(&self, section: AttrSection, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        if self.flags.attrs.is_empty() {
            return;
        }
        match self.verdict(section, line.value(self.sdp.bytes())) {
            Verdict::Keep => {}
            Verdict::Remove => editor.delete(line.start()..line.end()),
            Verdict::Substitute(to, rest) => {
                let start = line.value_start();
                to.write(editor.replace(start..start + rest));
            }
        }
    }

    /// Writes a line of ours: `a=`, what `f` writes, a line end; by the rules.
    pub(super) fn put_line<P: Put>(&self, section: AttrSection, out: &mut P, f: impl FnOnce(&mut dyn Put)) {
        if self.flags.attrs.is_empty() {
            out.put(b"a=");
            f(out);
            out.put(self.line_end());
            return;
        }
        let text = Text::<LINE_MAX>::with(|t| f(t));
        match self.verdict(section, text.as_bytes()) {
            Verdict::Remove => {}
            verdict => {
                out.put(b"a=");
                let rest = match verdict {
                    Verdict::Substitute(to, rest) => {
                        to.write(out);
                        rest
                    }
                    _ => 0,
                };
                out.put(text.as_bytes().get(rest..).unwrap_or(&[]));
                out.put(self.line_end());
            }
        }
    }

    /// Adds the lines that rules add, unless they are there.
    pub(super) fn added_lines<P: Put>(
        &self,
        section: AttrSection,
        there: impl Fn(Word<'_>) -> bool,
        at: usize,
        editor: &mut Edit<'_, '_, '_, P>,
    ) {
        for rule in self.flags.attrs.iter().filter(|r| r.section == section) {
            if let AttrOp::Add(word) = rule.op
                && !word.is_empty()
                && !there(word)
            {
                let out = self.end_of_section(at, editor);
                out.put(b"a=");
                word.write(out);
                out.put(self.line_end());
            }
        }
    }

    /// Where lines are added behind those of a section that ends at `at`.
    pub(super) fn end_of_section<'e, 'o, P: Put>(
        &self,
        at: usize,
        editor: &'e mut Edit<'_, '_, 'o, P>,
    ) -> &'e mut Out<'o, P> {
        let out = editor.insert(at);
        // The last line of a description may lack its end.
        if out.in_line {
            out.put(self.line_end());
        }
        out
    }
}

/// An editor into [`Out`].
pub(super) type Edit<'b, 'e, 'o, P> = Editor<'b, 'e, Out<'o, P>>;

/// Passes bytes on, and knows whether they end in a line.
pub(super) struct Out<'o, P> {
    out: &'o mut P,
    in_line: bool,
}

impl<'o, P> Out<'o, P> {
    pub(super) const fn new(out: &'o mut P) -> Self {
        Self { out, in_line: false }
    }
}

impl<P: Put> Put for Out<'_, P> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.in_line = *last != b'\n';
        }
        self.out.put(bytes);
    }
}

/// Writes `a=candidate` of ours (RFC 8839 §5.1).
pub(super) fn put_candidate(c: &Candidate, out: &mut dyn Put) {
    out.put(b"candidate:");
    out.put_number(u64::from(c.foundation));
    out.put(b" ");
    out.put_number(u64::from(c.component));
    out.put(b" UDP ");
    out.put_number(u64::from(c.priority));
    out.put(b" ");
    out.put_ip(c.address);
    out.put(b" ");
    out.put_number(u64::from(c.port));
    match c.kind {
        CandidateKind::Host => out.put(b" typ host"),
        CandidateKind::Relay => {
            // A related address is demanded (RFC 8839 §5.1); there is none to tell but its own.
            out.put(b" typ relay raddr ");
            out.put_ip(c.address);
            out.put(b" rport ");
            out.put_number(u64::from(c.port));
        }
    }
}
