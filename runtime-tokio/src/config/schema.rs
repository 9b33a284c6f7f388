//! How a configuration type is declared: one declaration gives the Rust type, its defaults, the reader with its error
//! messages, the writer of `check --dump` and the text of the reference file. So none of them can drift from another.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with, or worth saying about, a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key's full name (`dispatch.ping.interval`), empty for the file as a whole.
    pub(crate) key: String,
    /// What was given and what is allowed.
    pub(crate) message: String,
    /// Bytes of the file that it is about.
    pub(crate) span: Option<Range<usize>>,
}

/// A value as it stands in the file.
pub(crate) type Given<'i> = Spanned<DeValue<'i>>;

/// Collects what is wrong while a file is read, so that one run reports all of it.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    path: String,
    /// What makes the file invalid.
    pub(crate) problems: Vec<Problem>,
    /// What is accepted, but should be known.
    pub(crate) warnings: Vec<Problem>,
}

/// The outcome of looking for one key.
pub(crate) enum Found<T> {
    Absent,
    Bad,
    Got(T),
}

impl Reader {
    /// Records that the value at `span` is not valid.
    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem { key: self.path.clone(), message: message.into(), span: Some(span) });
    }

    /// Records a warning about the value at `span`.
    pub(crate) fn warning(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.warnings.push(Problem { key: self.path.clone(), message: message.into(), span: Some(span) });
    }

    /// Records that a value has the wrong type.
    pub(crate) fn wrong_type(&mut self, value: &Given<'_>, expected: &str) {
        self.problem(value.span(), format!("{} is not allowed here; wanted {expected}", describe(value.get_ref())));
    }

    /// Runs `read` with `name` added to the path.
    pub(crate) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() && !name.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Reads the key `name` of `table`.
    pub(crate) fn field<T: Value>(&mut self, table: &DeTable<'_>, name: &str, range: Option<(u64, u64)>) -> Found<T> {
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            return Found::Absent;
        };
        self.within(name, |reader| {
            let Some(read) = T::read(value, reader) else { return Found::Bad };
            if let (Some((low, high)), Some(size)) = (range, read.size())
                && !(low..=high).contains(&size)
            {
                let (low, high) = (T::show_size(low), T::show_size(high));
                reader.problem(value.span(), format!("{} is out of range: {low} to {high}", describe(value.get_ref())));
                return Found::Bad;
            }
            Found::Got(read)
        })
    }

    /// Records every key of `table` that is not in `known`, with the nearest one that is.
    pub(crate) fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[Key]) {
        for (key, _) in table.iter() {
            let name: &str = key.get_ref();
            if known.iter().any(|k| k.name() == name) {
                continue;
            }
            let hint = nearest(name, known.iter().map(Key::name)).map_or_else(
                || format!("known keys: {}", known.iter().map(Key::name).collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.within(name, |reader| reader.problem(key.span(), format!("unknown key `{name}`; {hint}")));
        }
    }

    /// Records that the key `name` must be there and is not.
    pub(crate) fn missing(&mut self, span: Range<usize>, name: &str) {
        self.within(name, |reader| reader.problem(span, format!("the key `{name}` is missing here")));
    }
}

/// The candidate that `name` is most likely a slip for.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A value in an operator's words: `"abc"`, `5`, `a list`.
pub(crate) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A type that a key can have.
pub(crate) trait Value: Sized {
    /// Reads the value; `None` when a problem was recorded.
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self>;
    /// The value as TOML; `None` when the key is to be left out.
    fn write(&self) -> Option<toml::Value>;
    /// What is allowed, in words.
    fn expected() -> String;
    /// What the reference prints for it.
    fn kind() -> Kind {
        Kind::Leaf
    }
    /// The values that it can have, each with its meaning, where they are few.
    fn choices() -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
    /// The figure that a range of the key limits.
    fn size(&self) -> Option<u64> {
        None
    }
    /// A limit of a range, in the units of the type.
    fn show_size(size: u64) -> String {
        size.to_string()
    }
}

/// Whether a key holds a value, a section or a list of sections.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Leaf,
    Section(&'static Section),
    List(&'static Section),
}

/// A table of the file, as declared.
pub(crate) struct Section {
    /// Its keys, in order.
    pub(crate) keys: &'static [Key],
}

/// A key of the file, as declared.
pub(crate) struct Key {
    pub(crate) raw_name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) kind: fn() -> Kind,
    pub(crate) expected: fn() -> String,
    pub(crate) choices: fn() -> Vec<(&'static str, &'static str)>,
    pub(crate) show_size: fn(u64) -> String,
    pub(crate) default: Option<fn() -> Option<toml::Value>>,
    pub(crate) range: Option<(u64, u64)>,
    pub(crate) example: Option<&'static str>,
}

impl Key {
    /// The key as the file spells it.
    pub(crate) fn name(&self) -> &'static str {
        self.raw_name.trim_start_matches("r#")
    }
}

/// A value in the file that is a table of known keys.
pub(crate) trait Table: Sized {
    /// What was declared.
    const SECTION: &'static Section;
    /// Reads the table found at `span`.
    fn read_table(table: &DeTable<'_>, span: Range<usize>, reader: &mut Reader) -> Option<Self>;
    /// The table as TOML.
    fn write_table(&self) -> toml::Table;
}

/// Declares a table: `name: Type [= default] [, in low..=high] [, eg "example"];` with a doc comment on everything.
/// A key without default must be given. `section! { default …` also gives `Default`, so all keys need one.
macro_rules! section {
    (default $(#[doc = $doc:literal])+ struct $name:ident {
        $($(#[doc = $key_doc:literal])+ $key:ident : $ty:ty = $default:expr
            $(, in $low:literal ..= $high:literal)? $(, eg $example:literal)? ;)+
    }) => {
        $crate::config::schema::section! {
            $(#[doc = $doc])+ struct $name {
                $($(#[doc = $key_doc])+ $key : $ty = $default $(, in $low ..= $high)? $(, eg $example)? ;)+
            }
        }
        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }
    };
    ($(#[doc = $doc:literal])+ struct $name:ident {
        $($(#[doc = $key_doc:literal])+ $key:ident : $ty:ty $(= $default:expr)?
            $(, in $low:literal ..= $high:literal)? $(, eg $example:literal)? ;)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name {
            $($(#[doc = $key_doc])+ pub(crate) $key: $ty,)+
        }

        impl $crate::config::schema::Table for $name {
            const SECTION: &'static $crate::config::schema::Section = &$crate::config::schema::Section {
                keys: &[$($crate::config::schema::Key {
                    raw_name: stringify!($key),
                    doc: &[$($key_doc),+],
                    kind: <$ty as $crate::config::schema::Value>::kind,
                    expected: <$ty as $crate::config::schema::Value>::expected,
                    choices: <$ty as $crate::config::schema::Value>::choices,
                    show_size: <$ty as $crate::config::schema::Value>::show_size,
                    default: $crate::config::schema::section!(@default $ty $(, $default)?),
                    range: $crate::config::schema::section!(@option $(($low, $high))?),
                    example: $crate::config::schema::section!(@option $($example)?),
                }),+],
            };

            fn read_table(
                table: &toml::de::DeTable<'_>,
                span: std::ops::Range<usize>,
                reader: &mut $crate::config::schema::Reader,
            ) -> Option<Self> {
                use $crate::config::schema::Found;
                // A table without required keys has no use for it.
                let _ = &span;
                reader.unknown_keys(table, Self::SECTION.keys);
                $(
                    let range = $crate::config::schema::section!(@option $(($low, $high))?);
                    let $key = match reader.field::<$ty>(table, stringify!($key).trim_start_matches("r#"), range) {
                        Found::Got(value) => Some(value),
                        Found::Bad => None,
                        Found::Absent => $crate::config::schema::section!(@absent reader, span, $key $(, $default)?),
                    };
                )+
                Some(Self { $($key: $key?,)+ })
            }

            fn write_table(&self) -> toml::Table {
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = $crate::config::schema::Value::write(&self.$key) {
                        table.insert(stringify!($key).trim_start_matches("r#").to_owned(), value);
                    }
                )+
                table
            }
        }

        impl $crate::config::schema::Value for $name {
            fn read(
                value: &$crate::config::schema::Given<'_>,
                reader: &mut $crate::config::schema::Reader,
            ) -> Option<Self> {
                let Some(table) = value.get_ref().as_table() else {
                    reader.wrong_type(value, &Self::expected());
                    return None;
                };
                <Self as $crate::config::schema::Table>::read_table(table, value.span(), reader)
            }
            fn write(&self) -> Option<toml::Value> {
                Some(toml::Value::Table($crate::config::schema::Table::write_table(self)))
            }
            fn expected() -> String {
                "a table".to_owned()
            }
            fn kind() -> $crate::config::schema::Kind {
                $crate::config::schema::Kind::Section(<Self as $crate::config::schema::Table>::SECTION)
            }
        }
    };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };
    (@default $ty:ty) => { None };
    (@default $ty:ty, $default:expr) => {
        Some(|| { let value: $ty = $default; $crate::config::schema::Value::write(&value) })
    };
    (@absent $reader:ident, $span:ident, $key:ident) => {{
        $reader.missing($span.clone(), stringify!($key).trim_start_matches("r#"));
        None
    }};
    (@absent $reader:ident, $span:ident, $key:ident, $default:expr) => { Some($default) };
}
pub(crate) use section;

/// Declares an enumeration whose values are written as strings.
macro_rules! names {
    ($(#[doc = $doc:literal])+ enum $name:ident {
        $($(#[doc = $variant_doc:literal])+ $variant:ident = $text:literal,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $name {
            /// Every value, in order.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as the file spells it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value spelled `text`.
            pub(crate) fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == text)
            }

            /// What the value means, in one line.
            pub(crate) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($variant_doc),+),)+
                }
            }

            /// Every value with its meaning.
            pub(crate) fn meanings() -> Vec<(&'static str, &'static str)> {
                Self::ALL.iter().map(|value| (value.name(), value.meaning())).collect()
            }

            /// All spellings, for messages.
            pub(crate) fn spellings() -> String {
                let names: Vec<_> = Self::ALL.iter().map(|value| format!("\"{}\"", value.name())).collect();
                format!("one of {}", names.join(", "))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use names;

/// Reads a string and what it means, with the problem at the value.
pub(crate) fn read_str<T>(
    value: &Given<'_>,
    reader: &mut Reader,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let Some(text) = value.get_ref().as_str() else {
        reader.wrong_type(value, expected);
        return None;
    };
    match parse(text) {
        Ok(read) => Some(read),
        Err(why) => {
            reader.problem(value.span(), format!("{text:?}: {why}"));
            None
        }
    }
}

impl Value for bool {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            reader.wrong_type(value, &Self::expected());
        }
        read
    }
    fn write(&self) -> Option<toml::Value> {
        Some((*self).into())
    }
    fn expected() -> String {
        "true or false".to_owned()
    }
}

impl Value for String {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        read_str(value, reader, &Self::expected(), |text| {
            // A control character would end up in a header field, a log line or a path.
            if text.chars().any(char::is_control) {
                return Err("control characters are not allowed".to_owned());
            }
            Ok(text.to_owned())
        })
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.as_str().into())
    }
    fn expected() -> String {
        "a string in quotes".to_owned()
    }
}

macro_rules! integer {
    ($($ty:ty),+) => { $(
        impl Value for $ty {
            fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
                let Some(number) = value.get_ref().as_integer() else {
                    reader.wrong_type(value, &Self::expected());
                    return None;
                };
                let read = i128::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| n.try_into().ok());
                if read.is_none() {
                    let message = format!("{number} is out of range: {} to {}", <$ty>::MIN, <$ty>::MAX);
                    reader.problem(value.span(), message);
                }
                read
            }
            fn write(&self) -> Option<toml::Value> {
                i64::try_from(*self).ok().map(Into::into)
            }
            fn expected() -> String {
                "a whole number".to_owned()
            }
            fn size(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )+ };
}
integer!(u16, u32);

impl<T: Value> Value for Option<T> {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        T::read(value, reader).map(Some)
    }
    fn write(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::write)
    }
    fn expected() -> String {
        T::expected()
    }
    fn kind() -> Kind {
        T::kind()
    }
    fn choices() -> Vec<(&'static str, &'static str)> {
        T::choices()
    }
    fn size(&self) -> Option<u64> {
        self.as_ref().and_then(T::size)
    }
    fn show_size(size: u64) -> String {
        T::show_size(size)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(value, &Self::expected());
            return None;
        };
        let read: Vec<Option<T>> = array
            .iter()
            .enumerate()
            .map(|(i, item)| reader.within(&format!("[{i}]"), |reader| T::read(item, reader)))
            .collect();
        read.into_iter().collect()
    }
    fn write(&self) -> Option<toml::Value> {
        // A list of tables that is empty would print as `key = []`, which cannot be extended by hand.
        if self.is_empty() && matches!(T::kind(), Kind::Section(_)) {
            return None;
        }
        Some(toml::Value::Array(self.iter().filter_map(T::write).collect()))
    }
    fn expected() -> String {
        format!("a list of {}", T::expected())
    }
    fn kind() -> Kind {
        match T::kind() {
            Kind::Section(section) => Kind::List(section),
            _ => Kind::Leaf,
        }
    }
}

/// The bytes of the file that hold the value with the full name `path` (`set[0].target[1].uri`), or of its nearest
/// parent that is written down.
pub(crate) fn locate(root: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(root);
    for part in path.split('.') {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        let Some((_, found)) = table?.iter().find(|(key, _)| key.get_ref() == name) else { return span };
        let mut value = found;
        for index in indices.split(['[', ']']).filter_map(|index| index.parse::<usize>().ok()) {
            let Some(item) = value.get_ref().as_array().and_then(|array| array.get(index)) else { return span };
            value = item;
        }
        span = Some(value.span());
        table = value.get_ref().as_table();
        if table.is_none() {
            return span;
        }
    }
    span
}
