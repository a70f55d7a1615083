//! Project tasks: `cargo xtask TASK`. Each sets up what it needs and says what it does.

#![warn(unreachable_pub)]

mod arrows;
mod columns;
mod crates;
mod demo;
mod files;
mod fuzz;
mod kernels;
mod machine;
mod manifest;
mod notices;
mod package;
mod precompute;
mod run;
mod sheet;
mod wasm;
mod web;
mod wheel;
mod word_size;

use anyhow::{Result, bail};
use run::{cargo, cargo_test};

const HELP: &str = "\
cargo xtask TASK

  demo    set up, build, and find the defects in the sample photographs; ends with a contact sheet
  setup   give this machine a Vulkan driver if it has none (Debian and Ubuntu: Mesa's software driver)
  check   who imports whom, lines' lengths, formatting, lints and documentation, each without a warning
  test    set up, then run every test
  test-32bit  read files on a 32-bit target, and compare with this one (needs rustup and g++-multilib)
  fuzz    hand made-up files to whatever reads files, --minutes N or --runs N each, or
          --target NAME alone (needs a C++ compiler)
  kernels what AMD's compiler makes of the kernels, without a GPU: registers, spills, occupancy, latency, what changed.
          --write renews docs/kernels.md; --export FILE writes the kernels down, --against FILE compares with such
  web     build the browser page and its package into target/web
  test-web  the same, then drive the page in Chromium (needs Chromium and Node.js)
  test-bundlers  the same with programs that Vite, webpack, esbuild and Rollup make of the package
  wheel   build the Python package, and test it installed in a fresh environment, with Ray and a notebook
  wheel-licences  write the licences and notices that the Python package brings along, for maturin alone
  test-crates  package the crates as for crates.io, look them over, and try both examples on the packaged library
  precompute  renew the page's results of its samples, after another default model
";

fn main() -> Result<()> {
    let task = std::env::args().nth(1);
    match task.as_deref() {
        Some("demo") => demo::run(),
        Some("setup") => machine::ensure_vulkan_driver(),
        Some("check") => check(),
        Some("test") => test(),
        Some("test-32bit") => word_size::test(),
        Some("fuzz") => fuzz::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("kernels") => kernels::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("web") => web::build(),
        Some("test-web") => web::test(),
        Some("test-bundlers") => web::test_bundlers(),
        Some("wheel") => wheel::run(),
        Some("wheel-licences") => wheel::write_licences(),
        Some("test-crates") => crates::test(),
        Some("precompute") => precompute::run(),
        Some("help") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("there is no task `{other}`\n\n{HELP}"),
    }
}

fn check() -> Result<()> {
    arrows::check()?;
    columns::check()?;
    cargo(&["fmt", "--all", "--check"]).run()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]).run()?;
    cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "--deny warnings").run()
}

fn test() -> Result<()> {
    machine::ensure_vulkan_driver()?;
    kernels::with_newer_mesa(cargo_test(&[]))?.run()
}
