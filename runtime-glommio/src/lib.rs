//! trunkline on glommio: the thread-per-core RTP relay, driven by the ng protocol of rtpengine.

mod cli;
mod clock;
mod config;
mod control;
mod ctl;
mod entropy;
mod log;
mod mailbox;
mod notify;
mod ring;
mod run;
mod shard;
mod shards;
mod sys;

use std::process::ExitCode;

use cli::Invocation;

/// Does what the command line of the process says.
pub fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match invocation {
        Invocation::Ctl { to, words } => match ctl::client::ask(to, &words) {
            Ok(answer) => {
                print!("{answer}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("trunkline-relay: no answer from {to}: {error}");
                ExitCode::FAILURE
            }
        },
        Invocation::Run { file, section, given, check } => match config::load(file.as_deref(), &section, given) {
            Ok((settings, remarks)) => {
                log::start(settings.log_level);
                for remark in remarks {
                    tracing::info!("{remark}");
                }
                if check {
                    return ExitCode::SUCCESS;
                }
                match run::run(&settings) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(problem) => {
                        eprintln!("trunkline-relay: {problem}");
                        ExitCode::FAILURE
                    }
                }
            }
            Err(problems) => {
                for problem in problems {
                    eprintln!("trunkline-relay: {problem}");
                }
                ExitCode::from(2)
            }
        },
    }
}
