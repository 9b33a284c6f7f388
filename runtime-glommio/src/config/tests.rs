use std::io::Write;

use super::*;

fn command_line(options: &[(&str, &[&str])]) -> Vec<Given> {
    options
        .iter()
        .map(|(name, values)| Given {
            name: (*name).to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            at: format!("--{name}"),
        })
        .collect()
}

fn problems(options: &[(&str, &[&str])]) -> Vec<String> {
    let mut all = command_line(&[("interface", &["127.0.0.1"]), ("listen-ng", &["2223"])]);
    all.extend(command_line(options));
    load(None, "rtpengine", all).expect_err("a problem").into_iter().map(|problem| problem.0).collect()
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    (dir, path)
}

/// The file of the tutorial that the seed comes from: each `interface` has a line of its own.
const TUTORIAL: &str = "[rtpengine]
table = 0
no-fallback = false
interface = internal/10.0.1.20
interface = external/10.0.2.20!203.0.113.50
listen-ng = 10.0.1.20:2223
port-min = 20000
port-max = 40000
timeout = 60
silent-timeout = 3600
final-timeout = 7200
tos = 184
num-threads = 4
log-level = 5
delete-delay = 30
";

#[test]
fn a_file_of_rtpengine_keeps_every_repeated_key() {
    let (_dir, path) = file("rtpengine.conf", TUTORIAL);
    let (settings, remarks) = load(Some(&path), "rtpengine", Vec::new()).unwrap();
    let label = |at: usize| settings.interfaces[at].label.as_str();
    assert_eq!((label(0), label(1)), ("internal", "external"));
    assert_eq!(settings.interfaces[1].advertised, "203.0.113.50".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(settings.interfaces[1].bound, "10.0.2.20".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(settings.listen_ng, ["10.0.1.20:2223".parse().unwrap()]);
    assert_eq!((settings.ports.min, settings.ports.max), (20_000, 40_000));
    assert_eq!(settings.timeouts.total, Some(Duration::from_secs(7_200)));
    assert_eq!((settings.tos, settings.threads), (184, Some(4)));
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].contains("rtpengine.conf:2: `table` has no effect"), "{remarks:?}");
}

#[test]
fn values_of_one_key_may_be_separated_by_semicolons() {
    let (_dir, path) = file("r.conf", "[rtpengine]\ninterface = a/127.0.0.1; b/127.0.0.2 ;\nlisten-ng=2223\n");
    let (settings, _) = load(Some(&path), "rtpengine", Vec::new()).unwrap();
    assert_eq!(settings.interfaces.len(), 2);
    assert_eq!(settings.listen_ng, ["[::]:2223".parse().unwrap()]);
}

#[test]
fn keys_that_do_not_exist_are_refused_with_a_hint_and_their_line() {
    let text =
        format!("{TUTORIAL}dtls-cert = /etc/ssl/cert.pem\nice-lite = true\nsilent-timeoutt = 5\nfrobnicate = 1\n");
    let (_dir, path) = file("rtpengine.conf", &text);
    let all: Vec<String> =
        load(Some(&path), "rtpengine", Vec::new()).unwrap_err().into_iter().map(|problem| problem.0).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all[0].contains("rtpengine.conf:16: `dtls-cert`: "), "{all:?}");
    assert!(all[1].contains("ICE-lite is a flag of an ng message"), "{all:?}");
    assert!(all[2].contains("`silent-timeout` is meant"), "{all:?}");
    assert!(all[3].contains("no option `frobnicate`"), "{all:?}");
}

#[test]
fn other_sections_are_others_and_a_missing_one_is_told() {
    let (_dir, path) = file("r.conf", "[one]\nnonsense = 1\n[two]\ninterface=127.0.0.1\nlisten-ng=127.0.0.1:2223\n");
    assert!(load(Some(&path), "two", Vec::new()).is_ok());
    let missing = load(Some(&path), "three", Vec::new()).unwrap_err();
    assert!(missing[0].0.contains("no section [three]"), "{missing:?}");
}

#[test]
fn toml_knows_the_same_names() {
    let text = "[relay]\ninterface = [\"internal/10.0.1.20\", \"external/10.0.2.20!203.0.113.50\"]\n\
                listen_ng = \"10.0.1.20:2223\"\nport_min = 20000\nport-max = 29999\ntimeout = \"2m\"\ncoalesce = \"500us\"\n";
    let (_dir, path) = file("trunkline.toml", text);
    let (settings, _) = load(Some(&path), "rtpengine", Vec::new()).unwrap();
    assert_eq!(settings.interfaces.len(), 2);
    assert_eq!((settings.ports.min, settings.ports.max), (20_000, 29_999));
    assert_eq!(settings.timeouts.media, Some(Duration::from_secs(120)));
    assert_eq!(settings.coalesce, Duration::from_micros(500));
    let (_dir, path) = file("trunkline.toml", "[relay]\nportmin = 1\n");
    assert!(load(Some(&path), "", Vec::new()).unwrap_err()[0].0.contains("`port-min` is meant"));
}

#[test]
fn the_command_line_replaces_what_the_file_says() {
    let (_dir, path) = file("rtpengine.conf", TUTORIAL);
    let over = command_line(&[("interface", &["127.0.0.1"]), ("port-min", &["22000"])]);
    let (settings, _) = load(Some(&path), "rtpengine", over).unwrap();
    assert_eq!(settings.interfaces.len(), 1);
    assert_eq!((settings.ports.min, settings.ports.max), (22_000, 40_000));
}

#[test]
fn bad_values_say_which_and_what() {
    for (name, value, part) in [
        ("port-min", "70000", "number from 1 to 65535"),
        ("port-max", "2", "no pair"),
        ("tos", "256", "number from 0 to 255"),
        ("timeout", "soon", "no time"),
        ("coalesce", "1s", "would be heard"),
        ("endpoint-learning", "sometimes", "none of delayed"),
        ("ng-allow", "10.0.0.0/40", "no network"),
        ("listen-cli", "localhost:9900", "IP:PORT"),
        ("log-level", "9", "number from 0 to 7"),
        ("redis", "127.0.0.1:6379/1", "not kept in Redis"),
        ("listen-udp", "2222", "use listen-ng"),
    ] {
        let all = problems(&[(name, &[value])]);
        assert!(all.len() == 1 && all[0].contains(part), "{name}={value}: {all:?}");
    }
    assert!(problems(&[("port-min", &["1", "2"])])[0].contains("more than once"));
}

#[test]
fn interfaces_are_read_in_all_their_forms() {
    let read = values::interface;
    let plain = read("192.0.2.1").unwrap();
    assert_eq!((plain.label.as_str(), plain.bound, plain.advertised), ("default", plain.bound, plain.bound));
    let v6 = read("wan/[2001:db8::1]!2001:db8::2").unwrap();
    assert_eq!((v6.label.as_str(), v6.bound.to_string()), ("wan", "2001:db8::1".to_owned()));
    assert_eq!(v6.advertised.to_string(), "2001:db8::2");
    for bad in ["", "a/", "/192.0.2.1", "eth0", "a/192.0.2.1!x", "rr:a/192.0.2.1"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn without_an_interface_or_a_control_port_nothing_starts() {
    let all = load(None, "rtpengine", Vec::new()).unwrap_err();
    assert_eq!(all.len(), 2, "{all:?}");
}

#[test]
fn every_option_stands_once_and_is_either_set_or_explained() {
    for (at, option) in OPTIONS.iter().enumerate() {
        assert!(OPTIONS[at + 1..].iter().all(|o| o.name != option.name), "{}", option.name);
        assert!(option.short.is_none() || OPTIONS[at + 1..].iter().all(|o| o.short != option.short), "{}", option.name);
        if matches!(option.support, Support::Yes(_)) {
            let error = Settings::default().set(option.name, &[]).err().unwrap_or_default();
            assert!(!error.contains("there is no option"), "{} has no effect", option.name);
        }
    }
}

#[test]
fn the_file_of_a_whole_platform_means_the_same_here() {
    let text = "[[listen]]\ntransport = \"udp\"\n[relay]\nmode = \"ng\"\ninterface = [\"127.0.0.1\"]\ntries = 2\n\
                [[relay.ng]]\naddress = \"127.0.0.1:2223\"\n[relay.inside]\nice = \"remove\"\n";
    let (_dir, path) = file("trunkline.toml", text);
    let (settings, remarks) = load(Some(&path), "rtpengine", Vec::new()).unwrap();
    assert_eq!((settings.ports.min, settings.ports.max, settings.tos), (20_000, 40_000, 184));
    assert_eq!(settings.timeouts.total, Some(Duration::from_secs(7_200)));
    assert_eq!(settings.listen_ng, ["127.0.0.1:2223".parse().unwrap()]);
    assert_eq!(remarks, [""; 0]);
}
