//! A compiler for wasm32-unknown-unknown: the one at hand where it has that target or rustup can add it, else Debian's,
//! unpacked below `target/`.

use crate::run::{Run, cargo, command, project_root};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler for the browser, the source of the standard library it compiles along, and its linker.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld-19"];

/// Where builds for the browser go.
pub(crate) fn target_folder() -> PathBuf {
    project_root().join("target/web-build")
}

/// `cargo build` for the browser with these arguments.
pub(crate) fn cargo_build(arguments: &[&str]) -> Result<Run> {
    let folder = target_folder().display().to_string();
    let mut all = vec!["build", "--target", TARGET, "--target-dir", &folder];
    all.extend(arguments);
    if has_target()? || can_add_target() {
        return Ok(cargo(&all));
    }
    let debian = DebianToolchain::at(&project_root().join("target/web-toolchain"))?;
    all.push("-Zbuild-std=std,panic_abort");
    Ok(debian.environment().into_iter().fold(cargo(&all), |run, (key, value)| run.env(key, &value)))
}

/// Whether the compiler at hand has the target's standard library.
fn has_target() -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(project_root())
        .output()
        .context("`rustc` could not be started")?;
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn can_add_target() -> bool {
    command("rustup", &["target", "add", TARGET]).run().is_ok()
}

/// Debian's compiler for the browser and the source of its standard library.
struct DebianToolchain {
    root: PathBuf,
}

impl DebianToolchain {
    fn at(root: &Path) -> Result<Self> {
        let toolchain = Self { root: root.to_owned() };
        if !toolchain.rustc().is_file() {
            toolchain.unpack()?;
        }
        Ok(toolchain)
    }

    fn unpack(&self) -> Result<()> {
        ensure!(
            Path::new("/usr/bin/apt-get").is_file(),
            "no compiler for {TARGET}: run `rustup target add {TARGET}`, then this again"
        );
        eprintln!(
            "No {TARGET} and no way to add it: unpacking Debian's rustc-web below target/ (160 MB, 1 GB unpacked)."
        );
        // Beside its place, so that an interrupted attempt is not taken for a toolchain.
        let attempt = self.root.with_extension("unpacking");
        if attempt.exists() {
            std::fs::remove_dir_all(&attempt).with_context(|| format!("cannot remove {}", attempt.display()))?;
        }
        std::fs::create_dir_all(&attempt).with_context(|| format!("cannot make {}", attempt.display()))?;
        let packages = packages()?;
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        command("apt-get", &[&["download"], names.as_slice()].concat()).folder(&attempt).run()?;
        for entry in std::fs::read_dir(&attempt)? {
            let package = entry?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                let [package_name, folder] = [&package, &attempt].map(|path| path.display().to_string());
                command("dpkg-deb", &["-x", &package_name, &folder]).run()?;
                std::fs::remove_file(&package)?;
            }
        }
        std::fs::rename(&attempt, &self.root).with_context(|| format!("cannot make {}", self.root.display()))
    }

    fn rustc(&self) -> PathBuf {
        self.root.join("usr/bin/rustc")
    }

    fn environment(&self) -> [(&'static str, String); 4] {
        let usr = self.root.join("usr");
        let path = |path: PathBuf| path.display().to_string();
        let libraries = [usr.join("lib/x86_64-linux-gnu"), usr.join("lib/llvm-19/lib")].map(path).join(":");
        [
            ("LD_LIBRARY_PATH", libraries),
            ("RUSTC", path(self.rustc())),
            // Its standard library is compiled along, which stable compilers only do so.
            ("RUSTC_BOOTSTRAP", "1".to_owned()),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", path(usr.join("bin/wasm-ld-19"))),
        ]
    }
}

/// The packages to unpack: those above, and the compiler's own libraries, whose names carry versions.
fn packages() -> Result<Vec<String>> {
    let only_dependencies = ["pre-depends", "recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
        .map(|kind| format!("--no-{kind}"));
    let output = Command::new("apt-cache")
        .args(["depends", "--recurse"])
        .args(only_dependencies)
        .args(DEBIAN_PACKAGES)
        .output()
        .context("`apt-cache` could not be started")?;
    let is_wanted = |name: &&str| {
        DEBIAN_PACKAGES.contains(name) || ["libstd-rust-web", "libllvm"].iter().any(|start| name.starts_with(start))
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<String> = text.lines().filter(is_wanted).map(str::to_owned).collect();
    ensure!(
        DEBIAN_PACKAGES.iter().all(|name| packages.contains(*name)),
        "apt knows no rustc-web: run `rustup target add {TARGET}`, or `apt-get update` as root, then this again"
    );
    Ok(packages.into_iter().collect())
}
