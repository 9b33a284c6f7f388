//! The command line: rtpengine's options, and `ctl`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::{Given, OPTIONS, Support, Takes};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Run the relay.
    Run {
        /// The file to read first.
        file: Option<PathBuf>,
        /// Its section.
        section: String,
        /// What the command line says.
        given: Vec<Given>,
        /// Say whether that is all right, and end.
        check: bool,
    },
    /// Send a command to a relay that runs.
    Ctl {
        /// Its `listen-cli`.
        to: SocketAddr,
        /// The command.
        words: Vec<String>,
    },
}

fn command() -> Command {
    let ctl = Command::new("ctl")
        .about("Asks a relay that runs, or has it do something")
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("IP:PORT")
                .default_value("127.0.0.1:9900")
                .value_parser(clap::value_parser!(SocketAddr)),
        )
        .arg(Arg::new("words").value_name("COMMAND").num_args(1..).required(true).help(
            "list totals | list numsessions | list sessions all | list sessions CALL-ID | list maxsessions | \
             set maxsessions N | terminate CALL-ID | terminate all",
        ));
    let relay = Command::new("trunkline-relay")
        .about("RTP relay with the ng protocol and the options of rtpengine")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Print the version"))
        .args_conflicts_with_subcommands(true)
        .arg(
            Arg::new("config-file")
                .long("config-file")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Read this rtpengine.conf, or this TOML file with a table [relay]; `none` for none"),
        )
        .arg(
            Arg::new("config-section")
                .long("config-section")
                .value_name("NAME")
                .default_value("rtpengine")
                .help("Section of an rtpengine.conf"),
        )
        .arg(Arg::new("check").long("check").action(ArgAction::SetTrue).help("Say whether the settings hold, and end"))
        .subcommand(ctl);
    OPTIONS.iter().fold(relay, |relay, option| {
        let arg = Arg::new(option.name).long(option.name);
        let arg = match option.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        let arg = match option.takes {
            Takes::Switch => arg.action(ArgAction::Count),
            // As with rtpengine the last one counts.
            Takes::One(value) => arg.overrides_with(option.name).value_name(value).allow_hyphen_values(true),
            Takes::Many(value) => arg.action(ArgAction::Append).value_name(value).allow_hyphen_values(true),
        };
        relay.arg(match option.support {
            Support::Yes(help) => arg.help(help),
            Support::Moot(_) | Support::No(_) => arg.hide(true),
        })
    })
}

/// Reads the command line.
///
/// # Errors
///
/// What clap has to say, help and version among it.
pub(crate) fn parse(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    if let Some(("ctl", ctl)) = matches.subcommand() {
        return Ok(Invocation::Ctl {
            to: ctl.get_one("to").copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9900))),
            words: ctl.get_many("words").into_iter().flatten().cloned().collect(),
        });
    }
    Ok(Invocation::Run {
        file: matches.get_one::<PathBuf>("config-file").filter(|path| path.as_os_str() != "none").cloned(),
        section: matches.get_one("config-section").cloned().unwrap_or_default(),
        given: given(&matches),
        check: matches.get_flag("check"),
    })
}

fn given(matches: &ArgMatches) -> Vec<Given> {
    let entry = |name: &str, values| Given { name: name.to_owned(), values, at: format!("--{name}") };
    OPTIONS
        .iter()
        .filter_map(|option| match option.takes {
            Takes::Switch => (matches.get_count(option.name) > 0).then(|| entry(option.name, Vec::new())),
            Takes::One(_) | Takes::Many(_) => {
                let values: Vec<String> = matches.get_many(option.name)?.cloned().collect();
                Some(entry(option.name, values))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn run(line: &str) -> (Option<PathBuf>, Vec<Given>) {
        match parse(line.split(' ').map(Into::into)).unwrap() {
            Invocation::Run { file, given, .. } => (file, given),
            Invocation::Ctl { .. } => panic!("no ctl"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn the_command_line_of_a_unit_file_is_understood() {
        let line = "rtpengine -f -E --no-log-timestamps --pidfile /run/x.pid --config-file=none --table=-1 -i internal/10.0.1.20 \
                    --interface=external/10.0.2.20!203.0.113.50 -n 10.0.1.20:2223 -m 20000 -M 40000 -L 7 -L 6 --num-threads=2";
        let (file, given) = run(line);
        assert_eq!(file, None);
        let (settings, remarks) = load(None, "rtpengine", given).unwrap();
        assert_eq!(settings.interfaces.len(), 2);
        assert_eq!((settings.ports.min, settings.log_level, settings.threads), (20_000, 6, Some(2)));
        assert_eq!(remarks.len(), 4, "{remarks:?}");
    }

    #[test]
    fn ctl_takes_words() {
        let words = parse(["x", "ctl", "--to", "127.0.0.1:1", "list", "sessions", "all"].map(Into::into)).unwrap();
        assert!(
            matches!(words, Invocation::Ctl { to, words } if to.port() == 1 && words == ["list", "sessions", "all"])
        );
        assert!(parse(["x", "ctl"].map(Into::into)).is_err());
        assert!(parse(["x", "--interfacee", "1"].map(Into::into)).is_err());
    }
}
