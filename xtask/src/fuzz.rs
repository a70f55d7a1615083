//! The fuzzer: `fuzz/`, built with coverage of all that is compiled, and run on one target after another.

use crate::run::{command, project_root};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

/// Each target with the length of its longest input, in bytes: of folders, names alone are of interest.
const TARGETS: [(&str, u32); 5] =
    [("image", 65536), ("layouts", 4096), ("metadata", 65536), ("stdin", 65536), ("weights", 65536)];

/// What cargo-fuzz hands to the compiler, but for the sanitizer, which stable compilers do not have: with it, and with
/// nightly, `cargo +nightly fuzz run TARGET` does the same.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Runs each target, or one alone, for some minutes or on so many files, from the corpus that earlier runs left and the
/// seeds.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).map(String::as_str).unwrap_or_default())
    };
    let bound = match value("--runs") {
        Some(runs) => format!("-runs={}", runs.parse::<u64>().context("--runs takes a number")?),
        None => {
            let minutes: f64 = value("--minutes").unwrap_or("1").parse().context("--minutes takes a number")?;
            format!("-max_total_time={}", (60.0 * minutes).ceil())
        }
    };
    let wanted = value("--target");
    let targets: Vec<_> = TARGETS.into_iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).collect();
    ensure!(!targets.is_empty(), "the targets are {}", TARGETS.map(|(name, _)| name).join(", "));
    let folder = project_root().join("fuzz");
    let triple = host()?;
    // With a target named, flags are not for build scripts.
    let build = ["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &triple];
    let folders = ["--target-dir", "fuzz/target"];
    command("cargo", &[&build[..], &folders].concat()).env("RUSTFLAGS", COVERAGE).run()?;
    let programs = folder.join("target").join(&triple).join("release");
    let seeds = programs.join("seeds");
    command(&path(&seeds), &[&path(&folder.join("seeds"))]).run()?;
    for (target, longest) in targets {
        let (corpus, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts").join(target));
        fs::create_dir_all(&corpus).and_then(|()| fs::create_dir_all(&artifacts))?;
        let arguments = [
            path(&corpus),
            path(&folder.join("seeds").join(target)),
            format!("-artifact_prefix={}/", path(&artifacts)),
            bound.clone(),
            // The bounds that are promised of any file, for the small pictures that are fuzzed.
            "-timeout=10".to_owned(),
            "-rss_limit_mb=1024".to_owned(),
            format!("-max_len={longest}"),
            "-print_final_stats=1".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program = command(&path(&programs.join(target)), &arguments);
        // Some targets write files, and wait for disks that keep them.
        if Path::new("/dev/shm").is_dir() {
            program = program.env("TMPDIR", "/dev/shm");
        }
        program.run()?;
    }
    Ok(())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The triple that the compiler builds for.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc").args(["--version", "--verbose"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}
