//! The `pcsnet` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pcsnet_cli::run(std::env::args_os()).into()
}
