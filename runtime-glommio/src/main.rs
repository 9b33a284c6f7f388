//! `trunkline-relay`

fn main() -> std::process::ExitCode {
    trunkline_glommio::main()
}
