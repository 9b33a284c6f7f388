//! The ways to choose a target, by name and by the numbers of Kamailio's `ds_select_dst`.

use core::fmt;
use core::str::FromStr;

/// How a target is chosen from a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Algorithm {
    /// Hash of the Call-ID.
    CallIdHash,
    /// Hash of the From URI.
    FromUriHash,
    /// Hash of the To URI.
    ToUriHash,
    /// Hash of the Request-URI.
    RequestUriHash,
    /// One after the other.
    #[default]
    RoundRobin,
    /// Hash of the user name in the credentials; round robin without one.
    AuthUserHash,
    /// Any, with equal chances.
    Random,
    /// Hash of a value that the configuration names.
    ValueHash,
    /// Highest priority first.
    Serial,
    /// Fixed shares by `weight`.
    Weight,
    /// Fewest calls first.
    CallLoad,
    /// Shares by `rweight` among the targets that are up.
    RelativeWeight,
    /// All at once.
    Parallel,
    /// Round robin among the best by priority less latency.
    Latency,
    /// The first by round robin, the rest by priority.
    RoundRobinOrSerial,
    /// Lowest priority value first, by `weight` within it, as SRV records are used (RFC 2782).
    PriorityWeight,
    /// By priority, each as far as its overload control lets calls through (RFC 7339).
    Overload,
    /// Weighted highest-random-weight over the Call-ID.
    Rendezvous,
}

/// One row of the table of algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlgorithmInfo {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Its name in a configuration.
    pub name: &'static str,
    /// Its number in Kamailio, if it has one there.
    pub kamailio_id: Option<u8>,
    /// What it does, in one line.
    pub meaning: &'static str,
}

const fn row(algorithm: Algorithm, name: &'static str, id: u8, meaning: &'static str) -> AlgorithmInfo {
    AlgorithmInfo { algorithm, name, kamailio_id: Some(id), meaning }
}

/// Every algorithm, in the order of Kamailio's numbers, our own last.
pub const ALGORITHMS: [AlgorithmInfo; 18] = [
    row(Algorithm::CallIdHash, "call-id-hash", 0, "the same Call-ID goes to the same target"),
    row(Algorithm::FromUriHash, "from-uri-hash", 1, "the same From URI goes to the same target"),
    row(Algorithm::ToUriHash, "to-uri-hash", 2, "the same To URI goes to the same target"),
    row(Algorithm::RequestUriHash, "request-uri-hash", 3, "the same Request-URI goes to the same target"),
    row(Algorithm::RoundRobin, "round-robin", 4, "one target after the other"),
    row(
        Algorithm::AuthUserHash,
        "auth-user-hash",
        5,
        "the same authenticated user goes to the same target; else round robin",
    ),
    row(Algorithm::Random, "random", 6, "any target, with equal chances"),
    row(Algorithm::ValueHash, "value-hash", 7, "the same value of the configured expression goes to the same target"),
    row(Algorithm::Serial, "serial", 8, "the target with the highest priority; the others on failover"),
    row(
        Algorithm::Weight,
        "weight",
        9,
        "fixed shares by weight; the next target takes over the share of one that is down",
    ),
    row(Algorithm::CallLoad, "call-load", 10, "the target with the fewest active calls"),
    row(Algorithm::RelativeWeight, "relative-weight", 11, "shares by rweight among the targets that are up"),
    row(Algorithm::Parallel, "parallel", 12, "all targets at once"),
    row(Algorithm::Latency, "latency", 13, "round robin among the targets with the best priority less latency"),
    row(
        Algorithm::RoundRobinOrSerial,
        "round-robin-or-serial",
        14,
        "first by round robin, then on failover by priority",
    ),
    row(
        Algorithm::PriorityWeight,
        "priority-weight",
        15,
        "lowest priority value first, by weight within it, as SRV records",
    ),
    row(
        Algorithm::Overload,
        "overload",
        64,
        "by priority, as far as each target's overload control lets calls through",
    ),
    AlgorithmInfo {
        algorithm: Algorithm::Rendezvous,
        name: "rendezvous",
        kamailio_id: None,
        meaning: "the same Call-ID goes to the same target; a lost target moves only its own calls",
    },
];

/// An algorithm as a configuration wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParsedAlgorithm {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether it was written as a number, which deserves a warning: numbers are often remembered wrongly.
    pub by_number: bool,
}

/// A text that names no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such dispatching algorithm")
    }
}

impl core::error::Error for UnknownAlgorithm {}

impl Algorithm {
    fn info(self) -> &'static AlgorithmInfo {
        // Every variant has its row; a test walks them.
        ALGORITHMS.iter().find(|row| row.algorithm == self).unwrap_or(&ALGORITHMS[4])
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The number in Kamailio, if it has one there.
    pub fn kamailio_id(self) -> Option<u8> {
        self.info().kamailio_id
    }

    /// What the algorithm does, in one line.
    pub fn meaning(self) -> &'static str {
        self.info().meaning
    }

    /// Reads a name (`call-load`) or a number of Kamailio (`10`), and says which it was.
    pub fn parse(text: &str) -> Result<ParsedAlgorithm, UnknownAlgorithm> {
        if let Some(row) = ALGORITHMS.iter().find(|row| row.name == text) {
            return Ok(ParsedAlgorithm { algorithm: row.algorithm, by_number: false });
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(UnknownAlgorithm);
        }
        let id: u8 = text.parse().map_err(|_| UnknownAlgorithm)?;
        let row = ALGORITHMS.iter().find(|row| row.kamailio_id == Some(id)).ok_or(UnknownAlgorithm)?;
        Ok(ParsedAlgorithm { algorithm: row.algorithm, by_number: true })
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map(|parsed| parsed.algorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_name_the_same_algorithm() {
        let expected = [
            (0, "call-id-hash"),
            (1, "from-uri-hash"),
            (2, "to-uri-hash"),
            (3, "request-uri-hash"),
            (4, "round-robin"),
            (5, "auth-user-hash"),
            (6, "random"),
            (7, "value-hash"),
            (8, "serial"),
            (9, "weight"),
            (10, "call-load"),
            (11, "relative-weight"),
            (12, "parallel"),
            (13, "latency"),
            (14, "round-robin-or-serial"),
            (15, "priority-weight"),
            (64, "overload"),
        ];
        for (id, name) in expected {
            let mut digits = heapless::String::<4>::new();
            fmt::Write::write_fmt(&mut digits, format_args!("{id}")).unwrap();
            let by_number = Algorithm::parse(&digits).unwrap();
            let by_name = Algorithm::parse(name).unwrap();
            assert_eq!(by_number.algorithm, by_name.algorithm, "{name}");
            assert!(by_number.by_number && !by_name.by_number);
            assert_eq!(by_name.algorithm.name(), name);
            assert_eq!(by_name.algorithm.kamailio_id(), Some(id));
        }
        assert_eq!("rendezvous".parse(), Ok(Algorithm::Rendezvous));
        assert_eq!(Algorithm::Rendezvous.kamailio_id(), None);
    }

    #[test]
    fn every_row_finds_itself() {
        for row in ALGORITHMS {
            assert_eq!(row.algorithm.info(), &row);
            assert!(!row.meaning.is_empty());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "16", "63", "256", "+4", "-1", " 4", "4 ", "Round-Robin", "roundrobin", "99999999999999999999"]
        {
            assert_eq!(Algorithm::parse(text), Err(UnknownAlgorithm), "{text:?}");
        }
    }
}
