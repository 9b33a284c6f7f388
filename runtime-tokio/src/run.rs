use crate::cli::{Global, RunArgs};

pub(crate) fn main(global: &Global, args: &RunArgs) -> std::process::ExitCode {
    eprintln!("trunkline run is not a part of this build ({global:?}, {args:?})");
    std::process::ExitCode::FAILURE
}
