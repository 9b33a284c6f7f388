//! The names of the ways to choose a target, and the numbers by which Kamailio knows them.

use super::schema::{Given, Reader, Value, names, nearest};

names! {
    /// How a set chooses the target of a call.
    enum Algorithm {
        /// The same Call-ID goes to the same target.
        CallIdHash = "call-id-hash",
        /// The same From URI goes to the same target.
        FromUriHash = "from-uri-hash",
        /// The same To URI goes to the same target.
        ToUriHash = "to-uri-hash",
        /// The same Request-URI goes to the same target.
        RequestUriHash = "request-uri-hash",
        /// One after another.
        RoundRobin = "round-robin",
        /// The same authenticated user goes to the same target; round robin where there is none.
        AuthUserHash = "auth-user-hash",
        /// By chance, all alike.
        Random = "random",
        /// The same value of a header field that the rule names goes to the same target.
        ValueHash = "value-hash",
        /// The first one that is up, by priority.
        Serial = "serial",
        /// By weight, as percent.
        Weight = "weight",
        /// The one with the fewest calls.
        CallLoad = "call-load",
        /// By weight, as shares of those that are up.
        RelativeWeight = "relative-weight",
        /// All at once; the first answer wins.
        Parallel = "parallel",
        /// By priority, adjusted by measured latency.
        Latency = "latency",
        /// The first by round robin, the others by priority.
        RoundRobinOrSerial = "round-robin-or-serial",
        /// Within the lowest priority that has a target up, by weight (as DNS SRV does).
        PriorityWeight = "priority-weight",
        /// By priority, each as far as its overload control lets calls through (RFC 7339).
        Overload = "overload",
        /// By weighted rendezvous hash of the Call-ID: one target less moves only the calls of that one.
        Rendezvous = "rendezvous",
    }
}

const KAMAILIO_IDS: &[(u16, Algorithm)] = &[
    (0, Algorithm::CallIdHash),
    (1, Algorithm::FromUriHash),
    (2, Algorithm::ToUriHash),
    (3, Algorithm::RequestUriHash),
    (4, Algorithm::RoundRobin),
    (5, Algorithm::AuthUserHash),
    (6, Algorithm::Random),
    (7, Algorithm::ValueHash),
    (8, Algorithm::Serial),
    (9, Algorithm::Weight),
    (10, Algorithm::CallLoad),
    (11, Algorithm::RelativeWeight),
    (12, Algorithm::Parallel),
    (13, Algorithm::Latency),
    (14, Algorithm::RoundRobinOrSerial),
    (15, Algorithm::PriorityWeight),
    (64, Algorithm::Overload),
];

impl Algorithm {
    /// The algorithm with this number in Kamailio's dispatcher.
    pub(crate) fn from_kamailio(id: u16) -> Option<Self> {
        KAMAILIO_IDS.iter().find(|(known, _)| *known == id).map(|(_, algorithm)| *algorithm)
    }
}

impl Value for Algorithm {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let given = value.get_ref();
        let text = given.as_str().or_else(|| given.as_integer().map(|number| number.as_str()));
        let Some(text) = text else {
            reader.wrong_type(value, &Self::expected());
            return None;
        };
        if let Some(algorithm) = Self::named(text) {
            return Some(algorithm);
        }
        if let Ok(id) = text.parse::<u16>() {
            let Some(algorithm) = Self::from_kamailio(id) else {
                reader.problem(value.span(), format!("Kamailio has no algorithm {id}; wanted {}", Self::spellings()));
                return None;
            };
            let others = match id {
                8..=10 => " Some guides number the algorithms from 8 on differently.",
                _ => "",
            };
            reader.warning(
                value.span(),
                format!("{id} is Kamailio's number for \"{algorithm}\"; write the name.{others}"),
            );
            return Some(algorithm);
        }
        let hint = nearest(text, Self::ALL.iter().map(|algorithm| algorithm.name()))
            .map_or_else(|| format!("wanted {}", Self::spellings()), |near| format!("did you mean \"{near}\"?"));
        reader.problem(value.span(), format!("no algorithm is called {text:?}; {hint}"));
        None
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.name().into())
    }
    fn expected() -> String {
        "the name of an algorithm".to_owned()
    }
    fn choices() -> Vec<(&'static str, &'static str)> {
        Self::meanings()
    }
}
