//! 32-bit and 64-bit targets read files alike.

use crate::run::{cargo, command};
use anyhow::{Result, ensure};

const TARGET: &str = "i686-unknown-linux-gnu";
/// Where builds for the 32-bit target go.
const FOLDER: [&str; 4] = ["--target", TARGET, "--target-dir", "target/32bit"];

/// Runs the tests of all that reads files on a 32-bit target, then compares what photographs become there with what
/// they become here, to the last bit.
pub(crate) fn test() -> Result<()> {
    command("rustup", &["target", "add", TARGET]).run()?;
    let test = ["test", "--package", "pcsnet", "--no-default-features"];
    let narrow = |arguments: &[&str]| cargo(&[&test[..], &FOLDER, arguments].concat());
    narrow(&["--lib", "--", "image::", "weights::", "data::"]).run()?;
    narrow(&["--test", "cases", "--test", "fuzz"]).run()?;
    let print = ["--test", "targets", "--", "--ignored", "--nocapture"];
    let there = decoded(narrow(&print).output()?);
    let here = decoded(cargo(&[&test[..], &print].concat()).output()?);
    ensure!(!here.is_empty() && here.len() == there.len(), "{} files here, {} there", here.len(), there.len());
    for (here, there) in here.iter().zip(&there) {
        ensure!(here == there, "a photograph differs between targets:\n{here}\n{there}");
    }
    eprintln!("{} files decode and become the network's input alike, bit for bit.", here.len());
    Ok(())
}

/// The lines that `tests/targets.rs` prints of each file.
fn decoded(output: String) -> Vec<String> {
    output.lines().filter_map(|line| line.find("decoded ").map(|at| line[at..].to_owned())).collect()
}
