use crate::cli::{DemoArgs, Global};

pub(crate) fn main(global: &Global, args: &DemoArgs) -> std::process::ExitCode {
    eprintln!("trunkline demo is not a part of this build ({global:?}, {args:?})");
    std::process::ExitCode::FAILURE
}
