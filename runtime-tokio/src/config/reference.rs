//! The commented reference file, written from the declarations of the types.

use super::schema::{Key, Kind, Section, Table as _};
use super::types::Config;

const HEAD: &str = "\
# The configuration of trunkline: every key, what it means, its default.
#
# Lines that start with \"# \" explain. Lines that start with \"#\" and no blank are settings that are not set, or examples.
# All others are set to their defaults, so a configuration needs only those that it changes.
# Durations have a unit (ms, s, m, h, d), sizes too (B, KiB, MiB, GiB).
# `trunkline check` says what a configuration means; `trunkline check --dump` prints what holds.
";

/// Longest line of a comment.
const WIDTH: usize = 116;

/// The text of the reference file.
pub(crate) fn text() -> String {
    let mut out = HEAD.to_owned();
    section(&mut out, "", Config::SECTION, false);
    out
}

fn section(out: &mut String, path: &str, section: &Section, commented: bool) {
    for key in section.keys {
        if let Kind::Leaf = (key.kind)() {
            leaf(out, key, commented);
        }
    }
    for key in section.keys {
        let full = if path.is_empty() { key.name().to_owned() } else { format!("{path}.{}", key.name()) };
        let (inner, header, commented) = match (key.kind)() {
            Kind::Leaf => continue,
            // A section that may be left out is shown, but not set.
            Kind::Section(inner) => (inner, format!("[{full}]"), commented || key.has_no_default()),
            Kind::List(inner) => (inner, format!("[[{full}]]"), true),
        };
        out.push('\n');
        comment(out, key.doc);
        out.push_str(&format!("{}{header}\n", if commented { "#" } else { "" }));
        self::section(out, &full, inner, commented);
    }
}

fn leaf(out: &mut String, key: &Key, commented: bool) {
    out.push('\n');
    comment(out, key.doc);
    let mut facts = format!("{}", Capital(&(key.expected)()));
    if let Some((low, high)) = key.range {
        facts.push_str(&format!("; {} to {}", (key.show_size)(low), (key.show_size)(high)));
    }
    if key.default.is_none() {
        facts.push_str("; must be given");
    }
    facts.push('.');
    wrap(out, &facts);
    for (name, meaning) in (key.choices)() {
        wrap(out, &format!("- \"{name}\": {}", meaning.trim()));
    }
    let default = key.default.and_then(|default| default());
    let example = key.example.filter(|_| commented || default.is_none()).map(str::to_owned);
    let unset = commented || default.is_none();
    let value = example.or_else(|| default.map(|value| value.to_string())).unwrap_or_default();
    out.push_str(&format!("{}{} = {value}\n", if unset { "#" } else { "" }, key.name()));
}

impl Key {
    /// Whether leaving the key out is something else than writing its default.
    fn has_no_default(&self) -> bool {
        self.default.and_then(|default| default()).is_none()
    }
}

struct Capital<'a>(&'a str);

impl std::fmt::Display for Capital<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut chars = self.0.chars();
        match chars.next() {
            Some(first) => write!(f, "{}{}", first.to_uppercase(), chars.as_str()),
            None => Ok(()),
        }
    }
}

fn comment(out: &mut String, doc: &[&str]) {
    wrap(out, &doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "));
}

fn wrap(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}
