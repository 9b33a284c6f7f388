use crate::cli::{CtlArgs, Global};

pub(crate) fn main(global: &Global, args: &CtlArgs) -> std::process::ExitCode {
    eprintln!("trunkline ctl is not a part of this build ({global:?}, {args:?})");
    std::process::ExitCode::FAILURE
}
