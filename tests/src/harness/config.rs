//! A configuration file of trunkline, put together key by key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Place, Transport};

/// What goes into the file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keys by the name of their table, each with its value as TOML.
    tables: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) listen: Vec<(Transport, SocketAddr)>,
    sets: BTreeMap<u32, (String, Vec<String>)>,
    routes: Vec<String>,
}

impl Config {
    /// A node with its control socket in `place`, which listens nowhere yet and has no targets. Pings are quick, so
    /// that tests are; everything else stands as it is by default.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        let new = Self { tables: BTreeMap::new(), listen: Vec::new(), sets: BTreeMap::new(), routes: Vec::new() };
        new.key("control", "socket", &format!("{:?}", place.path("ctl.sock")))
            .key("node", "shards", "1")
            .key("node", "log_level", "\"debug\"")
            .key("dispatch.ping", "interval", "\"500ms\"")
            .key("dispatch.ping", "timeout", "\"400ms\"")
    }

    /// Sets a key of a table; the value is TOML.
    #[must_use]
    pub fn key(mut self, table: &str, key: &str, value: &str) -> Self {
        self.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a listener.
    #[must_use]
    pub fn listen(mut self, transport: Transport, address: SocketAddr) -> Self {
        self.listen.push((transport, address));
        self
    }

    /// Adds listeners for UDP and TCP.
    #[must_use]
    pub fn listen_both(self, address: SocketAddr) -> Self {
        self.listen(Transport::Udp, address).listen(Transport::Tcp, address)
    }

    /// Adds a target to a set, with further keys as lines of TOML.
    #[must_use]
    pub fn target(mut self, set: u32, uri: &str, more: &str) -> Self {
        let (_, targets) = self.sets.entry(set).or_insert_with(|| ("round-robin".to_owned(), Vec::new()));
        targets.push(format!("uri = \"{uri}\"\n{more}"));
        self
    }

    /// Sets the algorithm of a set that has targets, or none.
    #[must_use]
    pub fn algorithm(mut self, set: u32, name: &str) -> Self {
        self.sets.entry(set).or_default().0 = name.to_owned();
        self
    }

    /// Adds a rule, as lines of TOML after `[[route]]`.
    #[must_use]
    pub fn route(mut self, lines: &str) -> Self {
        self.routes.push(lines.to_owned());
        self
    }

    /// Adds a rule by which everything goes to a set.
    #[must_use]
    pub fn route_all(self, set: u32) -> Self {
        self.route(&format!("dispatch = {{ set = {set} }}"))
    }

    /// A node that listens on host 1 of `place`, over UDP and TCP, with set 1 of these targets for all calls.
    #[must_use]
    pub fn balancer(place: &Place, targets: &[String]) -> Self {
        Self::by_default(place, targets).route_all(1)
    }

    /// The same without rules: those by default hold.
    #[must_use]
    pub fn by_default(place: &Place, targets: &[String]) -> Self {
        let new = Self::new(place).listen_both(place.at(1));
        targets.iter().fold(new, |config, uri| config.target(1, uri, ""))
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (table, keys) in &self.tables {
            let _ = writeln!(text, "[{table}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        for (transport, address) in &self.listen {
            let (name, ip, port) = (transport.name(), address.ip(), address.port());
            let _ = writeln!(text, "[[listen]]\ntransport = \"{name}\"\naddress = \"{ip}\"\nport = {port}");
        }
        for (id, (algorithm, targets)) in &self.sets {
            let _ = writeln!(text, "[[set]]\nid = {id}\nalgorithm = \"{algorithm}\"");
            for target in targets {
                let _ = writeln!(text, "[[set.target]]\n{target}");
            }
        }
        for route in &self.routes {
            let _ = writeln!(text, "[[route]]\n{route}");
        }
        text
    }
}
