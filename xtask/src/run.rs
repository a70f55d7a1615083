//! Child processes that echo their command line and whose failure is an error.

use crate::machine;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// A command on its way to being run from the project's root.
pub(crate) struct Run(Command);

/// The cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Run {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&program, arguments)
}

pub(crate) fn command(program: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(machine::project_root()).envs(machine::driver_environment());
    Run(command)
}

impl Run {
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.0.env(key, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn run(self) -> Result<()> {
        self.run_to(&[0])
    }

    /// Runs to one of the exit codes that are no failure.
    pub(crate) fn run_to(mut self, codes: &[i32]) -> Result<()> {
        let arguments: Vec<_> = self.0.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let line = format!("{} {}", self.0.get_program().to_string_lossy(), arguments.join(" "));
        eprintln!("$ {line}");
        let status = self.0.status().with_context(|| format!("`{line}` could not be started"))?;
        ensure!(status.code().is_some_and(|code| codes.contains(&code)), "`{line}` failed: {status}");
        Ok(())
    }
}
