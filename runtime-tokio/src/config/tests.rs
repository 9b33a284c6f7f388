use std::path::Path;
use std::time::Duration;

use super::algorithm::Algorithm;
use super::schema::{Key, Kind, Section, Table as _};
use super::values::{AdminState, ByteSize, Code, LogLevel, RelayMode, parse_duration, show_duration};
use super::*;

/// The platform of the documents: three media servers, conferences on one of them, the rest as the dialplan says.
const PLATFORM: &str = r#"
[[listen]]
transport = "udp"
address = "10.0.1.10"
[[listen]]
transport = "tcp"
address = "10.0.1.10"

[[set]]
id = 1
name = "media servers"
algorithm = "call-id-hash"
[[set.target]]
uri = "sip:10.0.1.30:5060"
duid = "fs01"
[[set.target]]
uri = "sip:10.0.1.31:5060;transport=tcp"
duid = "fs02"
max_calls = 5000
max_cps = 100
strip = ["100rel", "timer"]

[[set]]
id = 2
fallback = 1
[[set.target]]
uri = "sip:10.0.1.32"

[[route]]
name = "conferences"
match.user = "^conf[0-9]+$"
match.source = ["10.0.0.0/8", "192.0.2.1"]
dispatch.set = 2
dispatch.algorithm = "call-load"
[[route]]
match.method = ["PUBLISH"]
reject = { code = 405 }
[[route]]
match.header = [{ name = "X-Carrier", pattern = "^blue$" }]
relay = true
[[route]]
dispatch.set = 1
"#;

fn read(text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    let path = Path::new("t.toml");
    let lines = |problems: &[Problem]| problems.iter().map(|problem| show(path, text, problem)).collect();
    match parse(text, Path::new("")) {
        Ok((config, warnings)) => Ok((config, lines(&warnings))),
        Err(problems) => Err(lines(&problems)),
    }
}

#[track_caller]
fn assert_problem(text: &str, wanted: &str) {
    let problems = read(text).expect_err("the text is accepted");
    assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted:?} is not in {problems:#?}");
}

#[test]
fn nothing_configured_is_loopback_and_an_echo() {
    let config = embedded();
    let listen: Vec<_> = config.listen.iter().map(|l| (l.transport, l.address.to_string(), l.port)).collect();
    assert_eq!(listen, [(Transport::Udp, "127.0.0.1".into(), 5060), (Transport::Tcp, "127.0.0.1".into(), 5060)]);
    let [route] = &config.route[..] else { panic!("{:?}", config.route) };
    assert!(route.echo);
    let user = route.r#match.user.as_ref().unwrap().0.clone();
    assert!(user.is_match(b"9196") && !user.is_match(b"91960"));
    assert_eq!(read("").unwrap(), (config, vec![]));
}

#[test]
fn a_set_without_rules_takes_calls_and_relays_what_belongs_to_calls() {
    let (config, warnings) = read("[[set]]\nid = 7\n[[set.target]]\nuri = \"sip:10.0.0.1\"\n").unwrap();
    assert_eq!(warnings, [""; 0]);
    let [calls, others] = &config.route[..] else { panic!("{:?}", config.route) };
    let methods = |route: &Route| route.r#match.method.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(methods(calls), ["INVITE"]);
    assert!(matches!(calls.actions().next(), Some(Action::Dispatch(to)) if to.set == 7));
    assert_eq!(methods(others), ["NOTIFY", "INFO", "UPDATE", "PRACK"]);
    assert!(matches!(others.actions().next(), Some(Action::Relay)));
    // A rule of the operator's own takes what it says, and every method if it names none.
    let (config, _) = read("[[set]]\nid = 7\n[[route]]\ndispatch.set = 7\n").unwrap();
    assert!(config.route.len() == 1 && config.route[0].r#match.method.is_empty());
}

#[test]
fn defaults_are_those_of_the_documents() {
    let config = Config::default();
    let s = Duration::from_secs;
    assert_eq!((config.timers.t1, config.timers.t2, config.timers.t4), (Duration::from_millis(500), s(4), s(5)));
    assert_eq!((config.timers.fr_timer, config.timers.fr_inv_timer), (s(30), s(120)));
    assert!(config.timers.restart_fr_on_each_reply);
    assert!(config.timers.timer_c > s(180));
    assert_eq!((config.node.server_header.as_str(), config.node.max_forwards), ("VoIP-Platform", 10));
    assert_eq!((config.tcp.connection_lifetime, config.tcp.message_size), (s(3605), ByteSize(16384)));
    assert!(config.tcp.accept_no_content_length);
    assert_eq!((config.udp.receive_buffer, config.udp.request_size), (ByteSize(4 << 20), ByteSize(1300)));
    let record_route = &config.record_route;
    assert!(record_route.enable_full_lr && record_route.append_fromtag && record_route.enable_double_rr);
    let ping = &config.dispatch.ping;
    assert_eq!((ping.method.as_ref(), ping.interval, ping.timeout), ("OPTIONS", s(10), s(4)));
    assert_eq!((ping.probing_threshold, ping.inactive_threshold, ping.latency_stats), (3, 3, true));
    assert_eq!(ping.reply_codes, [Code::Class(2), Code::Class(3), Code::Class(4)]);
    assert_eq!(config.dispatch.failover_codes, [Code::One(408), Code::Class(5)]);
    assert_eq!(config.dispatch.first_reply_timeout, s(2));
    assert_eq!(config.ping_from(), "sip:keepalive@nodomain.com");
}

#[test]
fn edge_keys_are_named_and_counted_as_in_ecallmgr() {
    let text = "[edge]\ndefault_realm = \"r\"\nauthz_default_action = \"allow\"\n\
        expires_deviation_time = 180\nnode_down_grace_period = 10000\n";
    let (config, _) = read(text).unwrap();
    assert_eq!(config.edge.expires_deviation_time, Edge::default().expires_deviation_time);
    assert_eq!(config.edge.node_down_grace_period, Edge::default().node_down_grace_period);
    let (config, _) = read("[edge]\nexpires_deviation_time = \"1m\"").unwrap();
    assert_eq!(config.edge.expires_deviation_time.0, Duration::from_secs(60));
    assert_problem("[edge]\nnode_down_grace_period = -1", "-1 is not a duration");
    assert_problem("[edge]\nnode_down_grace_period = 3600001", "out of range: 0s to 1h");
}

#[test]
fn the_platform_reads_as_written() {
    let (config, warnings) = read(PLATFORM).unwrap();
    assert_eq!(warnings, [""; 0]);
    let target = &config.set[0].target[1];
    assert_eq!((target.uri.transport, target.uri.address()), (Transport::Tcp, "10.0.1.31:5060".parse().ok()));
    assert_eq!((target.weight, target.max_calls, target.max_cps, target.state), (50, 5000, 100, AdminState::Active));
    assert_eq!(target.strip.iter().map(|tag| tag.as_ref()).collect::<Vec<_>>(), ["100rel", "timer"]);
    let [conference, publish, blue, rest] = &config.route[..] else { panic!() };
    let Some(Action::Dispatch(to)) = conference.actions().next() else { panic!() };
    assert_eq!((to.set, to.algorithm, config.set_by_id(2).unwrap().fallback), (2, Some(Algorithm::CallLoad), Some(1)));
    assert_eq!(conference.r#match.source[1], "192.0.2.1/32".parse().unwrap());
    assert!(matches!(publish.actions().next(), Some(Action::Reject(Reject { code: 405, reason: None }))));
    assert_eq!((blue.relay, blue.r#match.header[0].name.as_ref()), (true, "X-Carrier"));
    assert_eq!(rest.r#match, Match::default());
}

#[test]
fn a_dump_is_read_back_and_dumps_alike() {
    for text in ["", PLATFORM, "[session_timer]\nmin_se = \"120s\"\n[dispatch]\nlimit = 1\nfailover_codes = []\n"] {
        let (config, _) = read(text).unwrap();
        let dumped = dump(&config);
        let (again, _) = read(&dumped).unwrap_or_else(|problems| panic!("{problems:#?}\n{dumped}"));
        assert_eq!(again, config);
        assert_eq!(dump(&again), dumped);
    }
}

#[test]
fn sets_without_rules_take_all_calls() {
    let (config, _) = read("[[set]]\nid = 7\n[[set.target]]\nuri = \"sip:192.0.2.1\"\n").unwrap();
    assert!(matches!(config.route[0].actions().next(), Some(Action::Dispatch(to)) if to.set == 7));
}

#[test]
fn unknown_keys_are_named_with_place_and_nearest() {
    let problems = read("[node]\nname = \"a\"\n[dispatch.ping]\n  intervall = \"5s\"\n[timerz]\n").unwrap_err();
    assert_eq!(problems[1], "t.toml:4:3: dispatch.ping.intervall: unknown key `intervall`; did you mean `interval`?");
    assert_eq!(problems[0], "t.toml:5:2: timerz: unknown key `timerz`; did you mean `timers`?");
    assert_problem("qqq = 1", "known keys: node, listen, udp");
}

#[test]
fn all_that_is_wrong_is_reported_together() {
    let text = "[node]\nshards = 1000\nname = 5\n[timers]\nt1 = \"5\"\nt2 = 4\n[[set]]\nname = \"x\"\n[[set.target]]\nuri = \"tel:1\"\n";
    let problems = read(text).unwrap_err();
    let wanted = [
        "t.toml:3:8: node.name: 5 is not allowed here; wanted a string in quotes",
        "t.toml:2:10: node.shards: 1000 is out of range: 0 to 64",
        "t.toml:5:6: timers.t1: \"5\": wanted a number and a unit",
        "t.toml:6:6: timers.t2: 4 is not allowed here; wanted a duration with its unit",
        "set[0].id: the key `id` is missing here",
        "t.toml:10:7: set[0].target[0].uri: \"tel:1\": a target starts with \"sip:\"",
    ];
    for wanted in wanted {
        assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted:?} is not in {problems:#?}");
    }
    assert_eq!(problems.len(), wanted.len());
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_place() {
    assert_problem("[node]\nname = \n", "t.toml:2:");
    assert_problem("[node\n", "not TOML");
    assert_problem("[node]\n[node]\n", "t.toml:2:");
    assert_problem("a = \"\u{0}\"", "not TOML");
}

#[test]
fn values_are_strict() {
    for (text, wanted) in [
        (
            "[dispatch.ping]\nreply_codes = [\"class2\"]",
            "dispatch.ping.reply_codes[0]: \"class2\": write a class as \"2xx\"",
        ),
        ("[dispatch.ping]\nreply_codes = \"class2;class3\"", "is not allowed here; wanted a list of a SIP code"),
        ("[dispatch]\nfailover_codes = [\"1xx\"]", "wanted a final code"),
        ("[dispatch]\nfailover_codes = [\"0408\"]", "wanted a final code"),
        ("[dispatch.ping]\nmethod = \"options\"", "upper case"),
        ("[dispatch.ping]\ntimeout = \"10s\"", "dispatch.ping.timeout: 10s must be less than the interval, 10s"),
        ("[timers]\ntimer_c = \"180s\"", "out of range: 180001ms to 24h"),
        ("[timers]\nt1 = \"5s\"", "t2"),
        ("[udp]\nreceive_buffer = \"4 MB\"", "wanted a number and a unit"),
        ("[udp]\nreceive_buffer = \"18446744073709551615GiB\"", "too large"),
        ("[dialog]\nmax_lifetime = \"99999999999999999999d\"", "wanted a number and a unit"),
        ("[dialog]\nmax_lifetime = \"999999999999999999d\"", "too long"),
        ("[node]\nserver_header = \"a\\r\\nX: y\"", "control characters"),
        ("[[listen]]\ntransport = \"tls\"", "one of \"udp\", \"tcp\""),
        ("[[listen]]\ntransport = \"udp\"\nport = 0", "0 is out of range: 1 to 65535"),
        ("[[listen]]\ntransport = \"udp\"\n[[listen]]\ntransport = \"udp\"", "listen[1]: the same socket"),
        ("listen = 5", "wanted a list of a table"),
        ("[[set]]\nid = -1", "-1 is out of range"),
        ("[[set]]\nid = 1\n[[set]]\nid = 1", "there is another set 1"),
        ("[[set]]\nid = 1\nfallback = 3", "there is no set 3; known sets: 1"),
        ("[[set]]\nid = 1\nfallback = 2\n[[set]]\nid = 2\nfallback = 1", "comes back"),
        ("[[set]]\nid = 1\nalgorithm = \"call_load\"", "did you mean \"call-load\"?"),
        ("[[set]]\nid = 1\nalgorithm = 99", "Kamailio has no algorithm 99"),
        ("[[set]]\nid = 1\nalgorithm = \"value-hash\"", "needs a value_header"),
        ("[[route]]\nname = \"x\"", "route[0]: a rule has exactly one of reject, dispatch, relay, echo; this has none"),
        ("[[route]]\nrelay = true\necho = true", "this has several"),
        ("[[route]]\ndispatch.set = 1", "there is no set 1; there are none"),
        ("[[route]]\nreject.code = 200", "200 is out of range: 300 to 699"),
        ("[[route]]\nrelay = true\nmatch.user = \"(\"", "not a regular expression: unclosed group"),
        ("[[route]]\nrelay = true\nmatch.user = \"(a{1000}){1000}\"", "too large"),
        ("[[route]]\nrelay = true\nmatch.source = [\"10.0.0.0/33\"]", "not an address or a network"),
        ("[[route]]\nrelay = true\nmatch.domain = [\"a:5060\"]", "is not a host without port"),
    ] {
        assert_problem(text, wanted);
    }
}

#[test]
fn target_uris_say_what_is_wrong() {
    let set = |uri: &str| format!("[[set]]\nid = 1\n[[set.target]]\nuri = \"{uri}\"");
    for (uri, wanted) in [
        ("sips:10.0.0.1", "needs TLS"),
        ("sip:10.0.0.1;transport=tls", "is not udp or tcp"),
        ("sip:10.0.0.1;lr", "has no meaning on a target"),
        ("sip:10.0.0.1:0", "is not a port"),
        ("sip:10.0.0.1:", "is not a port"),
        ("sip:bob@10.0.0.1", "without a user part"),
        ("sip:2001:db8::1", "in brackets"),
        ("sip:[2001:db8::1", "without \\\"]\\\""),
        ("sip:[::1]5060", "text after"),
        ("sip:10.0.0.300", "neither an address nor a host name"),
        ("sip:", "neither an address nor a host name"),
        ("sip:a..b", "neither an address nor a host name"),
    ] {
        assert_problem(&set(uri), &wanted.replace("\\\"", "\""));
    }
    let (config, _) = read(&set("sip:[2001:db8::1]:5070;transport=TCP")).unwrap();
    assert_eq!(config.set[0].target[0].uri.address(), "[2001:db8::1]:5070".parse().ok());
}

#[test]
fn what_is_hardly_meant_is_said() {
    let text = "[[listen]]\ntransport = \"udp\"\naddress = \"0.0.0.0\"\n[[set]]\nid = 1\nalgorithm = 9\n[[set.target]]\n\
        uri = \"sip:127.0.0.1\"\n[[set.target]]\nuri = \"sip:fs.example.com\"\n[[set]]\nid = 3\n\
        [[route]]\ndispatch.set = 1\n[[route]]\nname = \"late\"\nmatch.method = [\"INVITE\"]\nrelay = true\n";
    let (config, warnings) = read(text).unwrap();
    assert_eq!(config.set[0].algorithm, Algorithm::Weight);
    let wanted = [
        "t.toml:6:13: set[0].algorithm: 9 is Kamailio's number for \"weight\"; write the name.",
        "t.toml:8:7: set[0].target[0].uri: sip:127.0.0.1 is a listener of this node: calls would loop",
        "t.toml:10:7: set[0].target[1].uri: fs.example.com is a name",
        "set[1]: set 3 has no targets",
        "set[1]: no rule sends calls to set 3",
        "route[1]: never decides: rule 1 matches all that it matches",
    ];
    for wanted in wanted {
        assert!(warnings.iter().any(|warning| warning.contains(wanted)), "{wanted:?} is not in {warnings:#?}");
    }
    assert_eq!(warnings.len(), wanted.len(), "{warnings:#?}");
}

#[test]
fn failover_on_an_answer_of_the_callee_is_said() {
    let text = "[dispatch]\nfailover_codes = [\"408\", \"4xx\"]\n";
    let (_, warnings) = read(text).unwrap();
    assert!(
        warnings[0].contains("t.toml:2:26: dispatch.failover_codes[1]: 4xx includes 486 Busy Here"),
        "{warnings:?}"
    );
    assert_eq!(read("[dispatch]\nfailover_codes = [\"480\", \"5xx\"]\n").unwrap().1, [""; 0]);
    assert_eq!(read("[dispatch]\nfailover_codes = [\"603\"]\n").unwrap().1.len(), 1);
}

#[test]
fn a_rule_is_shadowed_only_if_all_it_matches_is_matched_before() {
    let shadowed = |first: &str, second: &str| {
        let text = format!(
            "[[route]]\nrelay = true\nmatch = {{ {first} }}\n[[route]]\nrelay = true\nmatch = {{ {second} }}\n"
        );
        !read(&text).unwrap().1.is_empty()
    };
    assert!(shadowed("", "user = \"1\""));
    assert!(shadowed("source = [\"10.0.0.0/8\"]", "source = [\"10.1.0.0/16\"], method = [\"BYE\"]"));
    assert!(shadowed("method = [\"A\", \"B\"]", "method = [\"B\"]"));
    assert!(!shadowed("method = [\"B\"]", "method = [\"A\", \"B\"]"));
    assert!(!shadowed("source = [\"10.1.0.0/16\"]", "source = [\"10.0.0.0/8\"]"));
    assert!(!shadowed("user = \"1\"", ""));
    assert!(!shadowed("transport = \"udp\"", "transport = \"tcp\""));
    assert!(!shadowed("header = [{ name = \"A\", pattern = \"1\" }]", "header = [{ name = \"A\", pattern = \"2\" }]"));
}

#[test]
fn listed_targets_join_their_sets() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("d.list"), "1 sip:192.0.2.2\n4 sip:192.0.2.4 4\n").unwrap();
    let text = "[dispatch]\nlist_file = \"d.list\"\n[[set]]\nid = 1\n[[set.target]]\nuri = \"sip:192.0.2.1\"\n";
    let (config, _) = parse(text, dir.path()).unwrap();
    let uris: Vec<_> =
        config.set.iter().map(|set| set.target.iter().map(|t| t.uri.as_str()).collect::<Vec<_>>()).collect();
    assert_eq!(uris, [vec!["sip:192.0.2.1", "sip:192.0.2.2"], vec!["sip:192.0.2.4"]]);
    assert_eq!(config.set[1].target[0].state, AdminState::Disabled);
    assert!(!dump(&config).contains("list_file"));
    let problems = parse("[dispatch]\nlist_file = \"none\"", dir.path()).unwrap_err();
    assert!(problems[0].message.contains("cannot be read") && problems[0].span.is_some(), "{problems:?}");
    std::fs::write(dir.path().join("d.list"), "1 sip:192.0.2.2\n\nx\n").unwrap();
    let problems = parse("[dispatch]\nlist_file = \"d.list\"", dir.path()).unwrap_err();
    assert!(problems[0].message.contains("d.list:3: \"x\" is not a set id"), "{problems:?}");
}

#[test]
fn root_and_its_services_have_one_control_socket() {
    let path = |root, dir: &str| control_socket_of(root, Some(dir.into())).display().to_string();
    assert_eq!(path(true, "/run/user/0"), "/run/trunkline/trunkline.sock");
    assert_eq!(path(false, ""), "/run/trunkline/trunkline.sock");
    assert_eq!(path(false, "/run/user/7"), "/run/user/7/trunkline.sock");
    let (config, _) = read("[control]\nsocket = \"/tmp/s\"").unwrap();
    assert_eq!(config.control_socket(), Path::new("/tmp/s"));
}

#[test]
fn durations_and_sizes_are_written_as_they_are_read() {
    for (text, ms) in [("0s", 0), ("1ms", 1), ("1h30m", 5_400_000), ("3605s", 3_605_000), ("2d", 172_800_000)] {
        let duration = parse_duration(text).unwrap();
        assert_eq!(duration, Duration::from_millis(ms));
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }
    for bad in ["", "5", "s", "5 s", "-5s", "5sec", "1.5s", "5s5"] {
        assert!(parse_duration(bad).is_err(), "{bad:?}");
    }
    for size in [0, 1, 1300, 16384, 4 << 20, 1 << 30] {
        assert_eq!(ByteSize(size).to_string().parse(), Ok(ByteSize(size)));
    }
}

proptest::proptest! {
    /// Damaged files are refused or read, with every problem at a place; nothing panics.
    #[test]
    fn damaged_text_is_answered(at in 0..PLATFORM.len(), cut in 0..40usize, put in "[\\[\\]{}=\"'.,#a0\\n\u{e4}-]{0,4}") {
        let end = (at + cut).min(PLATFORM.len());
        let text = format!("{}{put}{}", &PLATFORM[..at], &PLATFORM[end..]);
        match read(&text) {
            Ok((config, _)) => assert_eq!(read(&dump(&config)).unwrap().0, config),
            Err(problems) => assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn values_of_any_text_are_answered(text in "\\PC{0,20}") {
        if let Ok(duration) = parse_duration(&text) {
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        if let Ok(size) = text.parse::<ByteSize>() {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        let _ = super::values::split_host(&text);
        let _ = text.parse::<super::values::TargetUri>();
        let _ = text.parse::<Code>();
    }
}

#[test]
fn codes_cover_their_class() {
    let five: Code = "5xx".parse().unwrap();
    assert!(five.covers(500) && five.covers(599) && !five.covers(499) && !five.covers(600));
    let one: Code = "408".parse().unwrap();
    assert!(one.covers(408) && !one.covers(409));
}

#[test]
fn names_have_meanings() {
    assert_eq!(LogLevel::named("warn"), Some(LogLevel::Warn));
    assert!(Algorithm::ALL.iter().all(|algorithm| !algorithm.meaning().trim().is_empty()));
    let ids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 64];
    let known: std::collections::HashSet<_> =
        ids.iter().map(|id| Algorithm::from_kamailio(*id).unwrap().name()).collect();
    assert_eq!(known.len(), ids.len());
    assert_eq!(Algorithm::from_kamailio(10), Some(Algorithm::CallLoad));
}

/// Uncomments settings: what is left of `#` and no blank.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn all_keys<'a>(section: &'a Section, keys: &mut Vec<&'a Key>) {
    for key in section.keys {
        keys.push(key);
        if let Kind::Section(inner) | Kind::List(inner) = (key.kind)() {
            all_keys(inner, keys);
        }
    }
}

#[test]
fn the_reference_sets_nothing_but_defaults() {
    let (config, warnings) = read(&reference::text()).unwrap();
    assert_eq!((config, warnings), (embedded(), vec![]));
}

#[test]
fn the_reference_names_every_key_with_a_value_that_is_allowed() {
    let text = reference::text();
    let mut keys = Vec::new();
    all_keys(Config::SECTION, &mut keys);
    assert!(keys.len() > 90);
    for key in keys {
        let name = key.name();
        let there = [format!("\n{name} = "), format!("\n#{name} = "), format!("{name}]\n"), format!("{name}]]\n")];
        assert!(there.iter().any(|form| text.contains(form)), "{name}");
        assert!(!key.doc.is_empty());
    }
    // Every example is allowed by its type; only what contradicts other examples may be refused.
    let problems = read(&uncommented(&text)).unwrap_err();
    let contradictions = [
        "dispatch.list_file: ",
        "there is no set 2",
        "has exactly one of",
        "value_header go together",
        "only version 2 has passwords",
        "there is no virtual router \"VI_MEDIA\"",
    ];
    for problem in problems {
        assert!(contradictions.iter().any(|known| problem.contains(known)), "{problem}");
    }
}

#[test]
fn the_committed_reference_is_the_one_that_is_printed() {
    let committed = include_str!("../../trunkline.reference.toml");
    assert!(
        committed == reference::text(),
        "write it anew: cargo run -p trunkline-tokio -- reference > runtime-tokio/trunkline.reference.toml"
    );
}

#[test]
fn media_goes_where_the_mode_says() {
    let mode = |text: &str| read(text).unwrap().0.relay.mode();
    let listed = "[[relay.ng]]\naddress = \"127.0.0.1:2223\"\n";
    assert_eq!((mode(""), mode(listed)), (RelayMode::Off, RelayMode::Ng));
    let off = read(&format!("[relay]\nmode = \"off\"\n{listed}")).unwrap().0.relay;
    assert_eq!((off.mode(), off.listed().len()), (RelayMode::Off, 0));
    let text = "relay = { mode = \"embedded\", interface = [\"in/10.0.0.1\", \"out/10.0.0.1!203.0.113.5\"], \
                timeout = 30, final_timeout = \"0s\", inside.interface = \"in\", outside.interface = \"out\" }";
    let relay = read(text).unwrap().0.relay;
    assert_eq!(relay.mode(), RelayMode::Embedded);
    assert_eq!((relay.timeout.0, relay.final_timeout.0), (Duration::from_secs(30), Duration::ZERO));
    assert_eq!(relay.interface[1].advertised.to_string(), "203.0.113.5");
}

#[test]
fn what_a_relay_cannot_work_with_is_said() {
    for (text, wanted) in [
        ("relay.mode = \"ng\"", "t.toml:1:14: relay.mode: \"ng\" needs a relay"),
        ("relay.mode = \"embedded\"", "relay.interface: the embedded relay needs an address for media"),
        ("relay.mode = \"kernel\"", "\"off\", \"ng\", \"embedded\""),
        ("relay.interface = [\"a/0.0.0.0\"]", "relay.interface[0]: \"a/0.0.0.0\": wanted one address"),
        ("relay.interface = [\"a/1.2.3.4\", \"a/1.2.3.4\"]", "relay.interface[1]: a/1.2.3.4 is there twice"),
        ("relay.port_min = 2001\nrelay.port_max = 2002", "2001 to 2002 holds no pair"),
        ("relay.tos = 256", "relay.tos: 256 is out of range: 0 to 255"),
        ("relay.listen_ng = []", "relay.listen_ng: a relay that nobody can speak to"),
        ("relay.node = []", "unknown key `node`"),
        (
            "relay = { mode = \"embedded\", interface = [\"a/1.2.3.4\"], inside.interface = \"a\", \
             outside.interface = \"b\" }",
            "relay.outside.interface: no interface of the relay has the label \"b\"",
        ),
    ] {
        assert_problem(text, wanted);
    }
}
