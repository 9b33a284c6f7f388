//! The dialplan of the platform as routing rules: each number goes where it should.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::harness::{Config, Place, Server, Transport, Trunkline, Wire};
use trunkline_tests::needs;

/// Pattern of the user part, and the host whose server is its target.
const RULES: &[(&str, u8)] = &[
    ("^(ivr|2000)$", 11),
    ("^(sales|3001)$", 12),
    ("^(support|3002)$", 13),
    (r"^conf\d+$", 14),
    (r"^vm\d+$", 15),
    (r"^\+?\d{10,15}$", 16),
    (r"^1\d{3}$", 17),
    ("^9196$", 18),
    (r"^9\d+$", 19),
];

/// User part, and the host that it has to reach; 0 for 404.
const USERS: &[(&str, u8)] = &[
    ("ivr", 11),
    ("2000", 11),
    ("sales", 12),
    ("3001", 12),
    ("support", 13),
    ("3002", 13),
    ("conf1", 14),
    ("conf3000", 14),
    ("vm1001", 15),
    ("4930123456", 16),
    ("+493012345678901", 16),
    ("123456789012345", 16),
    ("1000", 17),
    ("1999", 17),
    ("9196", 18),
    ("9", 0),
    ("91", 19),
    ("9195", 19),
    ("912345678", 19),
    // Ten digits are a number, whatever they start with.
    ("9123456789", 16),
    ("ivr2", 0),
    ("xivr", 0),
    ("20000", 0),
    ("conf", 0),
    ("conf1a", 0),
    ("vm", 0),
    ("+493012345", 0),
    ("1234567890123456", 0),
    ("+1234567890123456", 0),
    ("100", 0),
    ("10000", 0),
    ("3003", 0),
    ("IVR", 0),
    ("", 0),
];

#[test]
fn each_user_reaches_its_set() {
    needs!("trunkline");
    let place = Place::shared();
    let servers: Vec<_> = RULES.iter().map(|(_, host)| Server::udp(place.at(*host))).collect();
    let config = Config::new(&place).listen_both(place.at(1));
    let config = RULES.iter().fold(config, |config, (pattern, host)| {
        config
            .target(u32::from(*host), &Transport::Udp.uri(place.at(*host)), "")
            .route(&format!("match = {{ user = '{pattern}' }}\ndispatch = {{ set = {host} }}"))
    });
    let edge = Trunkline::start(&place, &config);
    for (user, host) in USERS {
        let mut wire = Wire::udp(SocketAddr::new(place.ip(21), 0), edge.address());
        let at = if user.is_empty() { String::new() } else { format!("{user}@") };
        let uri = format!("sip:{at}pbx.example.com");
        let answer = wire.ask("INVITE", &uri, "", Duration::from_secs(5)).unwrap_or_else(|| panic!("{user}: nothing"));
        let reached: Vec<_> = servers
            .iter()
            .filter(|server| server.seen("INVITE").iter().any(|seen| seen.message.request_uri() == uri))
            .map(|server| server.address())
            .collect();
        if *host == 0 {
            assert_eq!((answer.status(), &reached[..]), (Some(404), &[][..]), "{user}");
        } else {
            assert_eq!((answer.status(), &reached[..]), (Some(200), &[place.at(*host)][..]), "{user}");
        }
    }
}
