//! Child processes that echo their command line and whose failure is an error.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the workspace.
pub(crate) fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Settings that spare a headless Linux machine's drivers their warnings and keep their compiled shaders.
fn driver_environment() -> Vec<(&'static str, PathBuf)> {
    let scratch = project_root().join("target");
    let defaults = [("XDG_RUNTIME_DIR", std::env::temp_dir()), ("MESA_SHADER_CACHE_DIR", scratch.join("shader-cache"))];
    defaults.into_iter().filter(|(key, _)| cfg!(target_os = "linux") && std::env::var_os(key).is_none()).collect()
}

/// A command on its way to being run from the project's root.
pub(crate) struct Run(Command);

/// The cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Run {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&program, arguments)
}

/// Cargo, running tests, all of them or as the arguments say, but for the browser's, which has its own (`web::test`).
pub(crate) fn cargo_test(arguments: &[&str]) -> Run {
    let native = ["test", "--workspace", "--exclude", "pcsnet-web", "--exclude", "pcsnet-web-bindgen"];
    cargo(&[&native[..], arguments].concat())
}

pub(crate) fn command(program: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(project_root()).envs(driver_environment());
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

    /// Runs, and gives what it said on stdout.
    pub(crate) fn output(mut self) -> Result<String> {
        let line = self.line();
        eprintln!("$ {line}");
        let output = self.0.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("`{line}` could not be started"))?;
        ensure!(output.status.success(), "`{line}` failed: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    fn line(&self) -> String {
        let arguments: Vec<_> = self.0.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        format!("{} {}", self.0.get_program().to_string_lossy(), arguments.join(" "))
    }

    /// Runs to one of the exit codes that are no failure.
    pub(crate) fn run_to(mut self, codes: &[i32]) -> Result<()> {
        let line = self.line();
        eprintln!("$ {line}");
        let status = self.0.status().with_context(|| format!("`{line}` could not be started"))?;
        ensure!(status.code().is_some_and(|code| codes.contains(&code)), "`{line}` failed: {status}");
        Ok(())
    }
}
