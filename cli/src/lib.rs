//! What the `pcsnet` command does, for the command itself and for the Python package. This file holds the command line;
//! each subcommand has a file of its own.

#![warn(unreachable_pub)]

mod bench;
pub mod calibrate;
mod detect;
pub mod device;
mod doctor;
pub mod evaluate;
mod fetch;
pub mod framing;
pub mod images;
mod info;
mod interrupt;
pub mod monitor;
pub mod output;
pub mod pipeline;
pub mod prepared;
mod report;
mod reproduce;
mod shots;
pub mod teach;
mod trace;
mod train;
mod tuning;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use tracing_subscriber::EnvFilter;

/// All was done.
const DONE: u8 = 0;
/// Nothing, or not all, could be done; `error:` on stderr says why.
const FATAL: u8 = 1;
/// `pcsnet detect` or `evaluate` went through, but some images could not be inspected. (2 is clap's, for arguments it
/// does not understand.)
const SOME_UNDONE: u8 = 3;
/// `pcsnet detect` inspected all images, and some parts do not pass.
const SOME_FAIL: u8 = 4;

const EXIT_CODES: &str = "\
Exit codes:
  0  all was done; where the model holds a threshold, all parts pass (detect)
  1  an error ended the command; a line on stderr says which
  2  the arguments were not understood
  3  some images could not be inspected, or what was found not be written; the others were (detect, evaluate)
  4  all images were inspected, some parts fail (detect)

Environment:
  PCSNET_CACHE  the folder that keeps which kernels are the fastest on a device; by default in the user's for caches
  RUST_LOG      what is logged to stderr, such as `pcsnet=debug` or `wgpu=info`";

/// Find defects in photographs with PCSNet, on any graphics card.
#[derive(Parser)]
#[command(name = "pcsnet", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Teach(teach::Arguments),
    Detect(detect::Arguments),
    Evaluate(evaluate::Arguments),
    Calibrate(calibrate::Arguments),
    Bench(bench::Arguments),
    Doctor(doctor::Arguments),
    Fetch(fetch::Arguments),
    Info(info::Arguments),
    Report(report::Arguments),
    Reproduce(reproduce::Arguments),
    Trace(trace::Arguments),
    Train(train::Arguments),
}

/// Runs the command with its arguments, its own name being the first, and gives the exit code.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(refusal) => {
            // Nobody is left to hear it where this fails.
            refusal.print().ok();
            return refusal.exit_code() as u8;
        }
    };
    log_to_stderr();
    let outcome = match &cli.command {
        Command::Bench(arguments) => bench::run(arguments).map(|()| DONE),
        Command::Calibrate(arguments) => calibrate::run(arguments).map(|()| DONE),
        Command::Detect(arguments) => detect::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments).map(|()| DONE),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Fetch(arguments) => fetch::run(arguments).map(|()| DONE),
        Command::Info(arguments) => info::run(arguments).map(|()| DONE),
        Command::Report(arguments) => report::run(arguments).map(|()| DONE),
        Command::Reproduce(arguments) => reproduce::run(arguments),
        Command::Teach(arguments) => teach::run(arguments).map(|()| DONE),
        Command::Trace(arguments) => trace::run(arguments).map(|()| DONE),
        Command::Train(arguments) => train::run(arguments).map(|()| DONE),
    };
    outcome.unwrap_or_else(|error| {
        output::complain(&format!("error: {}", one_line(&error)));
        FATAL
    })
}

/// Reads the arguments of a subcommand by themselves, as a program that runs it has them.
///
/// # Errors
/// In the command's own words.
pub fn parse<A: clap::Args>(arguments: &[String]) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new("pcsnet").no_binary_name(true));
    A::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Logs what `RUST_LOG` asks for and nothing else: what goes wrong is told by the errors themselves.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// An error and its causes as one line.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        // Many errors already quote their cause.
        if !line.contains(&cause) {
            line += if line.is_empty() { "" } else { ": " };
            line += &cause;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn causes_are_told_once() {
        let cause = anyhow::anyhow!("disk\n  full");
        assert_eq!(one_line(&cause.context("cannot write a: disk full").context("no scores")), {
            "no scores: cannot write a: disk full"
        });
    }
}
