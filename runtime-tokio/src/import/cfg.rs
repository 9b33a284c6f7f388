//! The statements of a `kamailio.cfg`: definitions and conditions are worked out, comments are gone, lines are kept.

use std::collections::HashMap;

use super::list::Note;

/// A statement that means something to an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its first line, from 1.
    pub(crate) line: usize,
    /// What it says.
    pub(crate) what: What,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `name = value`, outside of routes.
    Global { name: String, value: String },
    /// `name(arguments)`; `inside` a route or not. Quotes around arguments are gone.
    Call { name: String, arguments: Vec<String>, inside: bool },
}

/// How deep definitions may stand in each other.
const DEFINE_DEPTH: usize = 8;

/// Reads the statements; lines that are not valid are added to `problems`, directives without effect here to `notes`.
pub(crate) fn parse(text: &str, problems: &mut Vec<Note>, notes: &mut Vec<Note>) -> Vec<Statement> {
    let mut defines = HashMap::new();
    let text = without_comments(text, problems);
    let text = preprocess(&text, &mut defines, problems, notes);
    let mut scanner = Scanner { rest: &text, line: 1, defines: &defines };
    let mut statements = Vec::new();
    let mut depth: usize = 0;
    while let Some(c) = scanner.peek() {
        if c == '{' || c == '}' {
            if c == '}' && depth == 0 {
                problems.push(Note { line: scanner.line, message: "\"}\" without \"{\"".to_owned() });
            }
            depth = if c == '{' { depth + 1 } else { depth.saturating_sub(1) };
            scanner.bump();
        } else if c == '"' || c == '\'' {
            let line = scanner.line;
            if scanner.quoted().is_none() {
                problems.push(Note { line, message: "a quote is not closed".to_owned() });
            }
        } else if is_word(c) {
            let line = scanner.line;
            let name = scanner.word();
            match scanner.statement(&name, depth > 0) {
                Ok(Some(what)) => statements.push(Statement { line, what }),
                Ok(None) => {}
                Err(message) => problems.push(Note { line, message: format!("{name}: {message}") }),
            }
        } else {
            scanner.bump();
        }
    }
    if depth > 0 {
        problems
            .push(Note { line: scanner.line, message: "the file ends inside a route: \"}\" is missing".to_owned() });
    }
    statements
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// Blanks out comments (`#`, `//`, `/* */`), but not directives (`#!`, `!!`) and nothing in quotes.
fn without_comments(text: &str, problems: &mut Vec<Note>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quote = None;
    while let Some(c) = rest.chars().next() {
        let directive = rest.starts_with("#!") && out.rsplit('\n').next().is_none_or(|line| line.trim().is_empty());
        let skip = match quote {
            Some(open) => {
                if c == '\\' {
                    out.push(c);
                    rest = &rest[1..];
                    if let Some(escaped) = rest.chars().next() {
                        out.push(escaped);
                        rest = &rest[escaped.len_utf8()..];
                    }
                    continue;
                }
                if c == open {
                    quote = None;
                }
                0
            }
            None if directive => 0,
            None if c == '#' => line_end(rest),
            // A URL (`sip://`, `mysql://`) has a colon before its slashes.
            None if rest.starts_with("//") && !out.ends_with(':') => line_end(rest),
            None if rest.starts_with("/*") => rest.find("*/").map_or_else(
                || {
                    let line = out.matches('\n').count() + 1;
                    problems.push(Note { line, message: "a comment is not closed".to_owned() });
                    rest.len()
                },
                |end| end + 2,
            ),
            None => {
                if c == '"' {
                    quote = Some(c);
                }
                0
            }
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skip].chars().filter(|c| *c == '\n'));
            rest = &rest[skip..];
        }
    }
    out
}

fn line_end(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// Works out `#!define`, `#!ifdef` and their like; lines that do not count are left empty.
fn preprocess(
    text: &str,
    defines: &mut HashMap<String, String>,
    problems: &mut Vec<Note>,
    notes: &mut Vec<Note>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut conditions: Vec<(bool, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let active = conditions.iter().all(|(holds, _)| *holds);
        let trimmed = line.trim_start();
        if let Some(directive) = trimmed.strip_prefix("#!").or_else(|| trimmed.strip_prefix("!!")) {
            let (word, argument) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
            let argument = argument.trim();
            match word {
                "ifdef" => conditions.push((defines.contains_key(argument), number)),
                "ifndef" => conditions.push((!defines.contains_key(argument), number)),
                "else" => match conditions.last_mut() {
                    Some((holds, _)) => *holds = !*holds,
                    None => problems.push(Note { line: number, message: "#!else without #!ifdef".to_owned() }),
                },
                "endif" if conditions.pop().is_some() => {}
                "endif" => problems.push(Note { line: number, message: "#!endif without #!ifdef".to_owned() }),
                "define" | "trydef" | "redefine" if active => define(argument, word == "trydef", defines),
                "KAMAILIO" | "OPENSER" | "SER" | "ALL" | "MAXCOMPAT" | "define" | "trydef" | "redefine" => {}
                _ if active => {
                    notes.push(Note { line: number, message: format!("#!{word} was not worked out") });
                }
                _ => {}
            }
        } else if active {
            out.push_str(line);
        }
        out.push('\n');
    }
    if let Some((_, line)) = conditions.first() {
        problems.push(Note { line: *line, message: "the condition has no #!endif".to_owned() });
    }
    out
}

fn define(argument: &str, only_new: bool, defines: &mut HashMap<String, String>) {
    let (name, value) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let value = value.trim();
    // A comment after the value belongs to nobody.
    let value = if value.starts_with('"') { value } else { value.split(" #").next().unwrap_or("").trim() };
    if !only_new || !defines.contains_key(name) {
        defines.insert(name.to_owned(), value.to_owned());
    }
}

struct Scanner<'t> {
    rest: &'t str,
    line: usize,
    defines: &'t HashMap<String, String>,
}

impl<'t> Scanner<'t> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.line += usize::from(c == '\n');
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
    }

    /// What stands between this quote and the next one like it, which may be on a later line.
    fn quoted(&mut self) -> Option<String> {
        let open = self.bump()?;
        let mut text = String::new();
        loop {
            match self.bump()? {
                '\\' if self.peek() == Some(open) => text.extend(self.bump()),
                c if c == open => return Some(text),
                c => text.push(c),
            }
        }
    }

    /// What follows a word: the arguments of a call, or outside of routes a value.
    fn statement(&mut self, name: &str, inside: bool) -> Result<Option<What>, String> {
        let before = (self.rest, self.line);
        self.skip_blanks();
        match self.peek() {
            // Inside of routes only calls of the dispatcher matter, wherever in an expression they stand.
            Some('(') if !inside || name.starts_with("ds_") => {
                Ok(Some(What::Call { name: name.to_owned(), arguments: self.arguments()?, inside }))
            }
            Some('=') if !inside => {
                self.bump();
                Ok(Some(What::Global { name: name.to_owned(), value: self.value()? }))
            }
            _ => {
                (self.rest, self.line) = before;
                Ok(None)
            }
        }
    }

    /// The rest of the line after `=`, or a quoted text.
    fn value(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if self.peek() == Some('"') {
            return self.quoted().ok_or_else(|| "a quote is not closed".to_owned());
        }
        let (value, rest) = self.rest.split_at(line_end(self.rest));
        self.rest = rest;
        Ok(self.replaced(value.trim().trim_end_matches(';'), 0))
    }

    fn arguments(&mut self) -> Result<Vec<String>, String> {
        self.bump();
        let mut arguments = vec![String::new()];
        let mut depth = 0usize;
        loop {
            let Some(c) = self.peek() else { return Err("\")\" is missing".to_owned()) };
            let Some(argument) = arguments.last_mut() else { return Ok(arguments) };
            match c {
                '"' => argument.push_str(&self.quoted().ok_or("a quote is not closed")?),
                ')' if depth == 0 => {
                    self.bump();
                    return Ok(arguments);
                }
                ',' if depth == 0 => {
                    self.bump();
                    arguments.push(String::new());
                }
                c if is_word(c) => {
                    let word = self.word();
                    let word = self.replaced(&word, 0);
                    if let Some(argument) = arguments.last_mut() {
                        argument.push_str(&word);
                    }
                }
                c => {
                    depth = match c {
                        '(' => depth + 1,
                        ')' => depth.saturating_sub(1),
                        _ => depth,
                    };
                    if !c.is_whitespace() {
                        argument.push(c);
                    }
                    self.bump();
                }
            }
        }
    }

    /// `text` with its defined words replaced, as Kamailio does outside of quotes.
    fn replaced(&self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            // A dot ends a defined word: only identifiers are replaced.
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = if is_name(c) { rest.find(|c| !is_name(c)).unwrap_or(rest.len()) } else { c.len_utf8() };
            let (part, after) = rest.split_at(end);
            match self.defines.get(part) {
                Some(value) if depth < DEFINE_DEPTH => out.push_str(&self.replaced(value.trim_matches('"'), depth + 1)),
                _ => out.push_str(part),
            }
            rest = after;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Statement>, Vec<Note>, Vec<Note>) {
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        let statements = parse(text, &mut problems, &mut notes);
        (statements, problems, notes)
    }

    fn global(line: usize, name: &str, value: &str) -> Statement {
        Statement { line, what: What::Global { name: name.into(), value: value.into() } }
    }

    fn call(line: usize, name: &str, arguments: &[&str], inside: bool) -> Statement {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Statement { line, what: What::Call { name: name.into(), arguments, inside } }
    }

    #[test]
    fn globals_calls_and_comments() {
        let text = "#!KAMAILIO\n# a = 1\ndebug=2 # two\n/* b = 2\n */ children = 8;\nserver_header=\"S: a # b\"\n\
            modparam(\"dispatcher\",\n  \"flags\", 2) // x\ndb = \"mysql://u:p@h/k\"\n";
        let (statements, problems, notes) = read(text);
        assert_eq!(
            statements,
            [
                global(3, "debug", "2"),
                global(5, "children", "8"),
                global(6, "server_header", "S: a # b"),
                call(7, "modparam", &["dispatcher", "flags", "2"], false),
                global(9, "db", "mysql://u:p@h/k"),
            ]
        );
        assert_eq!((problems, notes), (vec![], vec![]));
    }

    #[test]
    fn definitions_replace_words_outside_of_quotes() {
        let text = "#!define IP \"10.0.1.10\"\n#!define PORT 5070 # ours\n#!define SELF IP\nlisten=udp:SELF:PORT\n\
            modparam(\"m\", \"IP\", PORT)\n#!define LOOP LOOP\nx=LOOP\n";
        let (statements, problems, _) = read(text);
        assert_eq!(statements[0], global(4, "listen", "udp:10.0.1.10:5070"));
        assert_eq!(statements[1], call(5, "modparam", &["m", "IP", "5070"], false));
        assert_eq!(statements[2], global(7, "x", "LOOP"));
        assert_eq!(problems, []);
    }

    #[test]
    fn conditions_are_worked_out() {
        let text = "#!define A\n#!ifdef A\na=1\n#!ifdef B\nb=1\n#!else\nb=2\n#!endif\n#!else\na=2\n#!endif\n#!ifndef A\nc=1\n#!endif\n";
        let (statements, problems, _) = read(text);
        assert_eq!(statements, [global(3, "a", "1"), global(7, "b", "2")]);
        assert_eq!(problems, []);
    }

    #[test]
    fn calls_in_routes_are_found_and_assignments_are_not() {
        let text = "route[D] {\n  $var(x) = 1;\n  if (!ds_select_dst(\"1\", \"0\", \"6\")) { exit; }\n}\nport=5060\n";
        let (statements, problems, _) = read(text);
        assert!(problems.is_empty());
        assert_eq!(statements, [call(3, "ds_select_dst", &["1", "0", "6"], true), global(5, "port", "5060")]);
    }

    #[test]
    fn what_is_not_valid_has_its_line() {
        for (text, line, message) in [
            ("a=1\n#!endif\n", 2, "#!endif without #!ifdef"),
            ("#!else\n", 1, "#!else without #!ifdef"),
            ("\n#!ifdef X\n", 2, "has no #!endif"),
            ("\n\n}\n", 3, "without \"{\""),
            ("route {\n\n", 3, "\"}\" is missing"),
            ("\nmodparam(\"a\", \"b\n", 2, "a quote is not closed"),
            ("\nmodparam(\"a\"", 2, "\")\" is missing"),
            ("x=\"a\n", 1, "a quote is not closed"),
            ("\n/* a", 2, "a comment is not closed"),
        ] {
            let (_, problems, _) = read(text);
            assert!(problems.iter().any(|p| p.line == line && p.message.contains(message)), "{text:?}: {problems:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[a-c(){}\"'#!=/*,\\\\\n ä]{0,60}") {
            read(&text);
        }
    }
}
