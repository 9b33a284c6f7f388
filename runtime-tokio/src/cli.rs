//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::Transport;
use crate::config::values::{LogLevel, TargetUri, parse_duration};

const LONG_ABOUT: &str = "\
The edge of a voice platform: a SIP load balancer and proxy.

It takes SIP over UDP and TCP, spreads calls over sets of media servers, watches their health, tries the next one when \
one fails, and keeps every later request of a call on its path.";

const EXAMPLES: &str = "\
Examples:
  trunkline run                                  answer on 127.0.0.1:5060; call 9196 to hear yourself
  trunkline run --listen udp:0.0.0.0:5060        the same, open to the network
  trunkline check trunkline.toml                 say what a configuration means
  trunkline reference > trunkline.toml           start from the commented reference file
  trunkline import kamailio --cfg kamailio.cfg --list dispatcher.list > trunkline.toml
  trunkline import keepalived keepalived.conf >> trunkline.toml
  trunkline ctl targets                          list targets and their health
  trunkline ctl drain sip:10.0.1.30:5060 --wait  take a media server out of service

Exit codes: 0 done, 1 it failed (the reason is on stderr), 2 the command line is not valid.";

/// The edge of a voice platform: a SIP load balancer and proxy.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, long_version = LONG_VERSION, long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Settings of all subcommands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nSIP (RFC 3261, 6026, 4320, 4028) over UDP and TCP, VRRP (RFC 3768, 9568)\nlicence: ",
    env!("CARGO_PKG_LICENSE")
);

/// Settings of all subcommands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The configuration file [default: ./trunkline.toml, else /etc/trunkline/trunkline.toml, else none]
    #[arg(short, long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Write JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How much is logged: error, warn, info, debug, trace [default: as configured]
    #[arg(short = 'v', long, global = true, value_name = "LEVEL", value_parser = log_level)]
    pub(crate) log_level: Option<LogLevel>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take SIP traffic
    ///
    /// Without a configuration it listens on 127.0.0.1, port 5060, UDP and TCP, and answers calls to 9196 itself with an
    /// echo. SIGTERM: no new calls, transactions finish, exit. SIGHUP: read the configuration again.
    Run(RunArgs),
    /// Hold virtual addresses (VRRP), and take no SIP traffic
    ///
    /// Runs the virtual routers of the configuration beside another SIP server. SIGTERM: give up the addresses, exit. SIGHUP:
    /// read the configuration again. `run` does the same beside SIP.
    Vrrp,
    /// Relay media, commanded by the ng protocol, without SIP
    ///
    /// The same relay as trunkline-relay, for machines where io_uring is not permitted. It reads `[relay]` of the
    /// configuration. SIGTERM: no new calls, those there are end, exit.
    Relay(RelayArgs),
    /// Check a configuration and say what it means
    ///
    /// Exit codes: 0 the configuration is valid (warnings do not change that), 1 it is not.
    Check(CheckArgs),
    /// Print the commented reference configuration, with every key and its default
    Reference,
    /// Turn the configuration of another program into ours
    Import(ImportArgs),
    /// Check this machine's settings for voice traffic
    ///
    /// Each line says what was found, what is wanted and the command that sets it. Exit codes: 0 all is as wanted,
    /// 1 something is below.
    Doctor,
    /// Control a running node
    Ctl(CtlArgs),
    /// Show a balancer, three media servers and calls among them in this one process
    ///
    /// Places calls with media, stops one media server, drains another and shows a live table. Exit code 0 only if no
    /// call was lost that should not be.
    Demo(DemoArgs),
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// Listen here instead of where the configuration says (may be given several times)
    #[arg(short, long, value_name = "TRANSPORT:ADDRESS:PORT")]
    pub(crate) listen: Vec<ListenArg>,
}

/// Arguments of `relay`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RelayArgs {
    /// Address of this machine for media, with its label and what session descriptions carry instead (may be given several
    /// times) [default: as configured]
    #[arg(short, long, value_name = "[LABEL/]ADDRESS[!ADVERTISED]")]
    pub(crate) interface: Vec<trunkline_core::relay::Address>,
    /// Take ng commands over UDP here (may be given several times) [default: as configured, 127.0.0.1:2223]
    #[arg(short = 'n', long, value_name = "ADDRESS:PORT")]
    pub(crate) listen_ng: Vec<SocketAddr>,
    /// The lowest port for media [default: as configured, 20000]
    #[arg(short = 'm', long, value_name = "PORT")]
    pub(crate) port_min: Option<u16>,
    /// The highest port for media [default: as configured, 40000]
    #[arg(short = 'M', long, value_name = "PORT")]
    pub(crate) port_max: Option<u16>,
    /// The control socket [default: as configured]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// Print the effective configuration as TOML (JSON with --json) instead of what it means
    #[arg(long)]
    pub(crate) dump: bool,
    /// The file [default: that of --config, or where `run` looks]
    pub(crate) file: Option<PathBuf>,
}

/// Arguments of `import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// What to import from.
    #[command(subcommand)]
    pub(crate) from: ImportFrom,
}

/// What to import from.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ImportFrom {
    /// From Kamailio: listeners, timers and dispatcher parameters of kamailio.cfg, and a dispatcher list
    ///
    /// TOML goes to stdout. Each thing that could not be carried over is a line on stderr, with its file and line.
    /// Exit codes: 0 done, 1 a file cannot be read or has lines that are not valid.
    Kamailio(ImportKamailioArgs),
    /// From Keepalived: virtual routers, sync groups, scripts and notify commands of keepalived.conf
    ///
    /// TOML goes to stdout. Each thing that could not be carried over is a line on stderr, with its file and line.
    /// Exit codes: 0 done, 1 a file cannot be read or has lines that are not valid.
    Keepalived(ImportKeepalivedArgs),
}

/// Arguments of `import keepalived`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportKeepalivedArgs {
    /// The keepalived.conf
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Arguments of `import kamailio`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportKamailioArgs {
    /// The kamailio.cfg
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    pub(crate) cfg: Option<PathBuf>,
    /// The dispatcher list [default: the list_file that kamailio.cfg names, where it can be read]
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
}

/// Arguments of `ctl`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CtlArgs {
    /// The control socket [default: as configured]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: CtlVerb,
}

/// What `ctl` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CtlVerb {
    /// List targets: URI, flags, priority, latency, calls
    ///
    /// Flags: A active, I inactive, T trying, D disabled; then P when it is pinged, X when not.
    #[command(visible_alias = "dispatcher.list")]
    Targets {
        /// Only this set
        #[arg(long)]
        set: Option<u32>,
    },
    /// Set what you want of a target: a (active), i (drain), d (disabled)
    ///
    /// It holds whatever the target's health: a drained target stays out although it answers pings.
    #[command(visible_alias = "dispatcher.set_state")]
    SetState {
        /// active, drain or disabled; or the letter a, i or d, with p or without
        state: StateArg,
        /// The set
        set: u32,
        /// The target's URI, duid or host:port; or "all"
        target: String,
    },
    /// Add a target until the next reload
    #[command(visible_alias = "dispatcher.add")]
    Add {
        /// The set
        set: u32,
        /// The target's URI
        uri: TargetUri,
        /// Its share, for algorithms that weigh
        #[arg(long, default_value_t = 50)]
        weight: u16,
        /// Its priority, for algorithms that order
        #[arg(long, default_value_t = 0)]
        priority: u16,
        /// Its name
        #[arg(long, default_value = "")]
        duid: String,
        /// Calls at once that it takes; 0: no limit
        #[arg(long, default_value_t = 0)]
        max_calls: u32,
        /// New calls a second that it takes; 0: no limit
        #[arg(long, default_value_t = 0)]
        max_cps: u32,
    },
    /// Remove a target until the next reload; calls that it has go on
    #[command(visible_alias = "dispatcher.remove")]
    Remove {
        /// The set
        set: u32,
        /// The target's URI, duid or host:port
        target: String,
    },
    /// Read the configuration again: all of it holds, or a bad file changes nothing
    #[command(visible_alias = "dispatcher.reload")]
    Reload,
    /// Ping targets now
    Ping {
        /// Only this target, by URI, duid or host:port
        target: Option<String>,
    },
    /// Give a target no new calls; with --wait, until its last call has ended
    Drain {
        /// The target's URI, duid or host:port, in whatever sets it is
        target: String,
        /// Wait until it has no calls, and show how many are left
        #[arg(long)]
        wait: bool,
        /// Stop waiting after this (exit code 1)
        #[arg(long, requires = "wait", value_parser = parse_duration, value_name = "DURATION")]
        timeout: Option<Duration>,
    },
    /// List dialogs
    #[command(visible_alias = "dlg.list")]
    Dialogs {
        /// Only this Call-ID
        #[arg(long)]
        call_id: Option<String>,
        /// Most lines
        #[arg(long, default_value_t = 1_000)]
        limit: u32,
    },
    /// Count transactions by kind and state
    Transactions,
    /// List the media relays; with `sessions` or `totals`, ask the relay of this process
    Relay {
        /// What to print of the relay of this process
        #[command(subcommand)]
        what: Option<RelayVerb>,
    },
    /// Print statistics
    Stats {
        /// Only names that contain this
        name: Option<String>,
    },
    /// List virtual routers: state, priority, last changes; or give them up and take them back
    Vrrp {
        /// What to do; left out: show.
        #[command(subcommand)]
        verb: Option<VrrpVerb>,
    },
    /// Print since when the node runs
    #[command(visible_alias = "core.uptime")]
    Uptime,
    /// Print or set how much is logged
    LogLevel {
        /// error, warn, info, debug or trace; left out: print it
        #[arg(value_parser = log_level)]
        level: Option<LogLevel>,
    },
}

/// What `ctl vrrp` can do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum VrrpVerb {
    /// List virtual routers: state, priority, last changes
    Show,
    /// Let other nodes take over; it comes back only on command
    Release {
        /// The virtual router or sync group; left out: all.
        name: Option<String>,
    },
    /// Take part again after a release
    Resume {
        /// The virtual router or sync group; left out: all.
        name: Option<String>,
    },
}

/// What `ctl relay` can ask the relay of the process.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RelayVerb {
    /// List calls with media; or print one of them
    Sessions {
        /// Only this Call-ID, with its streams
        call_id: Option<String>,
        /// Most lines
        #[arg(long, default_value_t = 1_000)]
        limit: u32,
    },
    /// Print counters
    Totals,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long calls are placed
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) duration: Duration,
    /// New calls a second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) rate: u32,
    /// How long each call lasts
    #[arg(long, default_value = "4s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) call_length: Duration,
}

/// A listener given on the command line: `udp:0.0.0.0:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListenArg {
    /// The transport.
    pub(crate) transport: Transport,
    /// The address and port.
    pub(crate) address: SocketAddr,
}

impl FromStr for ListenArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "wanted udp or tcp, an address and a port: udp:0.0.0.0:5060, tcp:[::]:5060".to_owned();
        let (transport, address) = text.split_once(':').ok_or_else(wanted)?;
        let transport = Transport::named(transport).ok_or_else(wanted)?;
        Ok(Self { transport, address: address.parse().map_err(|_| wanted())? })
    }
}

/// A state given on the command line, by name or by Kamailio's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateArg(pub(crate) crate::config::values::AdminState);

impl FromStr for StateArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        use crate::config::values::AdminState;
        // The letter p says whether Kamailio pings the target; here the ping mode decides that.
        let state = match text {
            "a" | "ap" => AdminState::Active,
            "i" | "ip" => AdminState::Drain,
            "d" | "dp" => AdminState::Disabled,
            "t" | "tp" | "p" => return Err("health is found by pings and calls; it cannot be set".to_owned()),
            name => AdminState::named(name).ok_or("wanted active, drain or disabled, or a, i or d")?,
        };
        Ok(Self(state))
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    LogLevel::named(text).ok_or_else(|| format!("wanted {}", LogLevel::spellings()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::AdminState;
    use clap::CommandFactory;

    #[test]
    fn definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn listeners_name_transport_address_and_port() {
        let arg: ListenArg = "tcp:[::1]:5070".parse().unwrap();
        assert_eq!(arg.transport, Transport::Tcp);
        assert_eq!(arg.address, "[::1]:5070".parse().unwrap());
        for bad in
            ["", "udp", "sctp:0.0.0.0:5060", "udp:5060", "udp:localhost:5060", "udp:0.0.0.0:70000", "udp:::1:5060"]
        {
            assert!(bad.parse::<ListenArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn states_have_names_and_letters() {
        for (text, state) in [
            ("a", AdminState::Active),
            ("ip", AdminState::Drain),
            ("d", AdminState::Disabled),
            ("drain", AdminState::Drain),
        ] {
            assert_eq!(text.parse(), Ok(StateArg(state)));
        }
        assert!("p".parse::<StateArg>().is_err());
        assert!("x".parse::<StateArg>().is_err());
    }

    #[test]
    fn the_seeds_verbs_are_known() {
        let line = ["trunkline", "ctl", "dispatcher.set_state", "i", "1", "sip:10.0.1.30:5060"];
        let Command::Ctl(CtlArgs { verb: CtlVerb::SetState { state, set, target }, .. }) =
            Cli::try_parse_from(line).unwrap().command
        else {
            panic!("another verb");
        };
        assert_eq!((state.0, set, target.as_str()), (AdminState::Drain, 1, "sip:10.0.1.30:5060"));
        for verb in ["dispatcher.list", "dispatcher.reload", "dlg.list", "core.uptime", "targets", "stats"] {
            assert!(Cli::try_parse_from(["trunkline", "ctl", verb]).is_ok(), "{verb}");
        }
    }
}
