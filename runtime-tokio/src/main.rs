//! trunkline on tokio: the server and its command line.

mod assemble;
mod check;
mod cli;
mod config;
mod control;
mod ctl;
mod demo;
mod doctor;
mod import;
mod io;
mod log;
mod relay;
mod run;
mod sys;
mod vrrp;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use trunkline_tokio::media;

use crate::cli::{Cli, Command, ImportFrom};

/// Writes to stdout. A reader that has gone away (`trunkline reference | head`) is no error.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match command {
        Command::Run(args) => run::main(&global, &args),
        Command::Vrrp => run::vrrp_main(&global),
        Command::Relay(args) => relay::role::main(&global, &args),
        Command::Check(args) => check::main(&global, &args),
        Command::Reference => {
            print(&config::reference::text());
            ExitCode::SUCCESS
        }
        Command::Import(args) => match args.from {
            ImportFrom::Kamailio(args) => import::main(&global, &args),
            ImportFrom::Keepalived(args) => import::keepalived(&global, &args),
        },
        Command::Doctor => doctor::main(&global),
        Command::Ctl(args) => ctl::main(&global, &args),
        Command::Demo(args) => demo::main(&global, &args),
    }
}
