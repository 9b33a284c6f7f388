use super::*;
use crate::config::algorithm::Algorithm;
use crate::config::values::{AdminState, Code, PingMode, Transport};

/// The directives of the documents' platform that say something about a load balancer.
const CFG: &str = r##"#!KAMAILIO
#!define DBURL "mysql://kamailio:secret@10.0.1.40/kamailio"
#!define MY_PRIVATE_IP "10.0.1.10"
#!define WITH_DISPATCHER
#!define WITH_TLS
debug=2
fork=yes
children=8 # workers
listen=udp:MY_PRIVATE_IP:5060
listen=tcp:MY_PRIVATE_IP:5060
#!ifdef WITH_TLS
listen=tls:MY_PRIVATE_IP:5061
#!endif
tcp_connection_lifetime=3605
tcp_accept_no_cl=yes
tcp_rd_buf_size=16384
server_header="Server: Edge"
user_agent_header="User-Agent: Edge"
loadmodule "tm.so"
modparam("tm", "fr_timer", 20000)
modparam("tm", "fr_inv_timer", 90000)
modparam("rr", "append_fromtag", 0)
modparam("registrar", "max_expires", 3600)
#!ifdef WITH_DISPATCHER
modparam("dispatcher", "db_url", DBURL)
modparam("dispatcher", "ds_ping_method", "INFO")
modparam("dispatcher", "ds_ping_interval", 20)
modparam("dispatcher", "ds_ping_from", "sip:keepalive@example.com")
modparam("dispatcher", "ds_ping_reply_codes", "class2;class3;class4")
modparam("dispatcher", "ds_probing_mode", 2)
modparam("dispatcher",
  "ds_probing_threshold", 2)
modparam("dispatcher", "ds_inactive_threshold", 4)
modparam("dispatcher", "ds_ping_latency_stats", 0)
#!endif
request_route {
  if (is_method("INVITE")) { route(DISPATCH); exit; }
}
route[DISPATCH] {
  $var(set) = 1;
  if (!ds_select_dst("1", "10", "6")) {
    sl_send_reply("503", "Service Unavailable");
    exit;
  }
}
"##;

const LIST: &str = "\
# setid uri flags priority attributes
1 sip:10.0.1.30:5060 0 0 weight=50;duid=fs01
1 sip:10.0.1.31:5060;transport=tcp 8 5 duid=fs02;maxload=100;rweight=20 second
1 sip:10.0.1.32 4 0 \"weight=30;rweight=7;socket=udp:10.0.1.10:5060;cc=1;latency=40;color=red\"
2 sip:10.0.1.32 1 0 socket=udp:10.0.9.9:5060;ping_from=sip:watch@example.com;obproxy=sip:10.0.1.40
";

fn import(cfg: &str, list: &str) -> Imported {
    let dir = tempfile::tempdir().unwrap();
    let (cfg_path, list_path) = (dir.path().join("kamailio.cfg"), dir.path().join("dispatcher.list"));
    std::fs::write(&cfg_path, cfg).unwrap();
    std::fs::write(&list_path, list).unwrap();
    kamailio(Some(&cfg_path), Some(&list_path))
}

#[track_caller]
fn assert_note(notes: &[String], wanted: &str) {
    assert!(notes.iter().any(|note| note.contains(wanted)), "{wanted:?} is not in {notes:#?}");
}

#[test]
fn the_platform_is_taken_over() {
    let Imported { config, notes, problems } = import(CFG, LIST);
    assert_eq!(problems, [""; 0]);
    let listen: Vec<_> = config.listen.iter().map(|l| (l.transport, l.address.to_string(), l.port)).collect();
    assert_eq!(listen, [(Transport::Udp, "10.0.1.10".into(), 5060), (Transport::Tcp, "10.0.1.10".into(), 5060)]);
    assert_eq!((config.timers.fr_timer.as_secs(), config.timers.fr_inv_timer.as_secs()), (20, 90));
    assert_eq!((config.node.server_header.as_str(), config.node.user_agent_header.as_str()), ("Edge", "Edge"));
    assert!(!config.record_route.append_fromtag && config.record_route.enable_full_lr);
    let ping = &config.dispatch.ping;
    assert_eq!((ping.method.as_ref(), ping.interval.as_secs(), ping.mode), ("INFO", 20, PingMode::Inactive));
    assert_eq!((ping.probing_threshold, ping.inactive_threshold, ping.latency_stats), (2, 4, false));
    assert_eq!(config.ping_from(), "sip:keepalive@example.com");
    assert_eq!(config.dispatch.limit, 6);
    let [one, two] = &config.set[..] else { panic!("{:?}", config.set) };
    assert_eq!((one.algorithm, two.algorithm), (Algorithm::CallLoad, Algorithm::CallIdHash));
    let [fs01, fs02, fs03] = &one.target[..] else { panic!() };
    assert_eq!((fs01.weight, fs01.duid.as_str(), fs01.state), (50, "fs01", AdminState::Active));
    assert_eq!((fs02.weight, fs02.max_calls, fs02.priority, fs02.probing), (20, 100, 5, true));
    assert_eq!((fs03.weight, fs03.state), (30, AdminState::Disabled));
    assert_eq!(fs03.socket, Some("10.0.1.10:5060".parse().unwrap()));
    assert_eq!((fs03.relative_weight, fs03.congestion_control, fs03.latency.as_millis()), (Some(7), true, 40));
    let watched = &two.target[0];
    assert_eq!((watched.state, watched.socket), (AdminState::Drain, None));
    assert_eq!(watched.ping_from.as_ref().map(ToString::to_string).as_deref(), Some("sip:watch@example.com"));
    assert_eq!(watched.ping_proxy.as_ref().map(ToString::to_string).as_deref(), Some("sip:10.0.1.40"));
    assert_eq!(config.route[0].dispatch.as_ref().unwrap().set, 1);
    for wanted in [
        "kamailio.cfg:8: children=8: was not carried over",
        "kamailio.cfg:12: listen=tls:10.0.1.10:5061: tls was not carried over",
        "kamailio.cfg:23: registrar max_expires \"3600\": was not carried over",
        "kamailio.cfg:25: dispatcher db_url \"mysql://***@10.0.1.40/kamailio\": targets in a database",
        "Kamailio's algorithm 10 is call-load",
        "routes were not carried over, but for one rule: INVITE goes to set 1",
        "tries no second target",
        "dispatcher.list:4: attribute color was not carried over",
        "sip:10.0.1.32: socket 10.0.9.9:5060 was not carried over: nothing listens there",
    ] {
        assert_note(&notes, wanted);
    }
}

#[test]
fn reply_codes_that_kamailio_skips_are_named_with_the_right_form() {
    let Imported { config, notes, .. } = import(CFG, LIST);
    assert_eq!(config.dispatch.ping.reply_codes, [Code::Class(2)]);
    assert_note(&notes, "kamailio.cfg:29: dispatcher ds_ping_reply_codes");
    assert_note(&notes, "write reply_codes = [\"2xx\", \"3xx\", \"4xx\"]");
    let good = import("listen=10.0.0.1\nmodparam(\"dispatcher\", \"ds_ping_reply_codes\", \"class=3;code=404\")", "");
    assert_eq!(good.config.dispatch.ping.reply_codes, [Code::Class(2), Code::Class(3), Code::One(404)]);
    assert_eq!(good.notes, [""; 0]);
    assert_eq!(good.config.listen.len(), 2, "without a transport it is both");
    assert_note(&import("", "").notes, "no listen was carried over");
}

#[test]
fn what_is_printed_is_short_and_read_back_alike() {
    let imported = import(CFG, LIST);
    let toml = config::dump_changed(&imported.config);
    let (read, _) = config::parse(&toml, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"));
    assert_eq!(read, imported.config);
    assert!(!toml.contains("fr_on_each_reply") && !toml.contains("[edge]"), "{toml}");
}

#[test]
fn a_second_target_is_tried_only_where_the_flags_say_so() {
    assert_eq!(import("modparam(\"dispatcher\", \"flags\", 0)", "").config.dispatch.limit, 1);
    let both = import("modparam(\"dispatcher\", \"flags\", 3)", "");
    assert_eq!(both.config.dispatch.limit, Config::default().dispatch.limit);
    assert_note(&both.notes, "hash the user part only");
}

#[test]
fn a_set_chosen_at_run_time_is_noted() {
    let cfg = "route { if (!ds_select_dst(\"$var(dispatch_set)\", \"4\")) { exit; } }";
    let Imported { config, notes, .. } = import(cfg, "3 sip:192.0.2.1\n");
    assert_eq!((config.set[0].algorithm, config.route[0].dispatch.as_ref().unwrap().set), (Algorithm::RoundRobin, 3));
    assert_note(&notes, "the set \"$var(dispatch_set)\" is chosen at run time");
}

#[test]
fn values_that_are_not_valid_are_noted_with_their_line() {
    for (cfg, wanted) in [
        ("\nmodparam(\"tm\", \"fr_timer\", \"soon\")", ":2: tm fr_timer \"soon\": \"soon\" is not a number"),
        ("listen=udp:eth0:5060", ":1: listen=udp:eth0:5060: was not carried over: eth0 is not an IP address"),
        ("listen=udp:10.0.0.1:0", "\"0\" is not a port"),
        ("tcp_accept_no_cl=maybe", "is neither yes nor no"),
        ("modparam(\"dispatcher\", \"ds_probing_mode\", 7)", "is not a mode"),
        ("modparam(\"dispatcher\", \"ds_ping_method\", \"options\")", "upper case"),
        ("modparam(\"dispatcher\", \"flags\")", "has not three arguments"),
        ("modparam(\"dispatcher\", \"ds_ping_interval\", 3)", "given up after half the interval"),
        ("mhomed=1", "mhomed=1: was not carried over"),
    ] {
        assert_note(&import(cfg, "").notes, wanted);
    }
}

#[test]
fn a_list_file_is_found_beside_the_cfg() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kamailio.cfg");
    std::fs::write(&path, "modparam(\"dispatcher\", \"list_file\", \"d.list\")\n").unwrap();
    assert_note(&kamailio(Some(&path), None).notes, "list_file \"d.list\" is not here; give it with --list");
    std::fs::write(dir.path().join("d.list"), "1 sip:192.0.2.1\n").unwrap();
    assert_eq!(kamailio(Some(&path), None).config.set[0].target.len(), 1);
}

#[test]
fn lines_of_a_list_that_are_not_valid_have_their_line_and_stop_no_other() {
    let list = "x sip:a\n1\n1 tel:5\n1 sip:192.0.2.1 no\n1 sip:192.0.2.1 0 -1\n1 sip:192.0.2.1 0 0 weight\n\
        1 sip:192.0.2.1 0 0 weight=x\n-1 sip:192.0.2.1\n1 sip:192.0.2.1 18\n1 sip:192.0.2.1 0 0 duid=\u{1}\n";
    let listed = list::parse(list);
    let problems: Vec<_> = listed.problems.iter().map(|note| format!("{}: {}", note.line, note.message)).collect();
    let wanted = [
        "1: \"x\" is not a set id",
        "2: the URI is missing after the set id",
        "3: \"tel:5\": a target starts with \"sip:\"",
        "4: \"no\" is not a number of flags",
        "5: priority -1 is out of range: 0 to 65535",
        "6: attribute \"weight\" is not name=value",
        "7: attribute weight: \"x\" is not a number from 0 to 1000",
        "8: set id -1 is out of range",
        "10: control characters are not allowed",
    ];
    assert_eq!(problems, wanted);
    assert_eq!(listed.targets.len(), 1);
    assert_eq!(listed.notes.len(), 2, "trying, and bit 16: {:?}", listed.notes);
}

const KEEPALIVED: &str = r##"! the seed's configuration, and more
global_defs {
  router_id KAM_a
  script_user root
  enable_script_security
  vrrp_garp_master_refresh 10
}
vrrp_script check_sip {
  script "/usr/local/bin/check_sip.sh --fast"   # every 3 s
  interval 3
  weight -20
  fall 2
  rise 2
}
vrrp_instance VI_SIP {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 1
  authentication {
    auth_type PASS
    auth_pass s3cr3tpw
  }
  virtual_ipaddress {
    10.0.1.100/24 dev eth0 label eth0:1
    10.0.1.101
  }
  track_script { check_sip }
  track_interface {
    eth1 weight -10
  }
  smtp_alert
  notify_master "/etc/keepalived/notify.sh MASTER" root
}
vrrp_instance VI_V3
{
  version 3
  interface eth0
  virtual_router_id 52
  advert_int 0.1
  unicast_src_ip fd98::1
  unicast_peer { fd98::2
    fd98::3 }
  virtual_ipaddress { fd98::100/64 }
  nopreempt
  garp_master_repeat 3
}
vrrp_sync_group VG { group { VI_SIP VI_V3 } notify "/bin/all" }
virtual_server 10.0.0.1 80 {
  delay_loop 6
}
"##;

fn import_keepalived(text: &str) -> Imported {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keepalived.conf");
    std::fs::write(&path, text).unwrap();
    from_keepalived(&path)
}

#[test]
fn virtual_routers_are_taken_over() {
    let Imported { config, notes, problems } = import_keepalived(KEEPALIVED);
    assert_eq!(problems, [""; 0]);
    let [sip, v3] = &config.vrrp[..] else { panic!("{:?}", config.vrrp) };
    assert_eq!((sip.name.as_str(), sip.interface.as_str(), sip.vrid, sip.version), ("VI_SIP", "eth0", 51, 2));
    assert_eq!((sip.priority, sip.advert_interval.as_millis(), sip.preempt), (100, 1_000, true));
    assert_eq!(sip.password.as_ref().map(|p| p.expose()), Some("s3cr3tpw"));
    let addresses: Vec<String> = sip.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.1.100/24 dev eth0", "10.0.1.101/32"]);
    let tracks: Vec<_> = sip.track.iter().map(|t| (t.name.as_str(), t.weight.0)).collect();
    assert_eq!(tracks, [("check_sip", -20), ("eth1", -10)], "the weight is that of the script's definition");
    assert_eq!(sip.notify_active.as_ref().unwrap().0, ["/etc/keepalived/notify.sh", "MASTER"]);
    assert_eq!(sip.announce.refresh.as_secs(), 10);
    assert_eq!((v3.version, v3.advert_interval.as_millis(), v3.preempt), (3, 100, false));
    assert_eq!((v3.peers.len(), v3.source), (2, Some("fd98::1".parse().unwrap())));
    assert_eq!((v3.announce.count, v3.announce.repeat_count), (3, 3));
    let script = &config.track.script[0];
    assert_eq!(script.command.0, ["/usr/local/bin/check_sip.sh", "--fast"]);
    assert_eq!((script.interval.as_secs(), script.timeout.as_secs(), script.rise, script.fall), (3, 3, 2, 2));
    assert_eq!(config.vrrp_sync_group[0].members, ["VI_SIP", "VI_V3"]);
    for wanted in [
        "keepalived.conf:4: script_user root: commands run as the user of trunkline",
        "keepalived.conf:26: 10.0.1.100/24 dev eth0 label eth0:1: label eth0:1 was not carried over",
        "keepalived.conf:33: smtp_alert: was not carried over",
        "keepalived.conf:50: virtual_server 10.0.0.1 80: LVS was not carried over",
    ] {
        assert_note(&notes, wanted);
    }
    assert_eq!(notes.len(), 4, "{notes:#?}");
    let toml = config::dump_changed(&config);
    let (read, _) = config::parse(&toml, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{toml}"));
    assert_eq!((read.vrrp, read.vrrp_sync_group, read.track), (config.vrrp, config.vrrp_sync_group, config.track));
}

#[test]
fn braces_and_quotes_that_do_not_match_are_named_with_their_line() {
    for (text, wanted) in [
        ("vrrp_instance A {\n interface eth0\n", "keepalived.conf:2: the file ends inside a block"),
        ("}\n", "keepalived.conf:1: \"}\" without"),
        ("a {\n script \"x\n}\n", "keepalived.conf:2: a quote is not closed"),
    ] {
        assert_note(&import_keepalived(text).problems, wanted);
    }
    assert_note(&from_keepalived(Path::new("/no/such/file")).problems, "cannot be read");
}

#[test]
fn any_text_is_imported_without_a_fault_and_passwords_are_not_shown() {
    use proptest::prelude::*;
    proptest!(|(text in "([a-z_]{0,12}|[{}\"#!0-9. \n]){0,60}")| {
        let statements = keepalived::parse(&text, &mut Vec::new());
        let _ = keepalived::take(&statements);
    });
    let text = "vrrp_instance A {\n version 3\n authentication {\n auth_type PASS\n auth_pass hidden\n }\n }";
    let imported = import_keepalived(text);
    assert_note(&imported.notes, "version 3 has no passwords");
    assert!(!format!("{imported:?}").contains("hidden"), "{imported:?}");
}
