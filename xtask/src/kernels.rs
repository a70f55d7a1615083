//! The kernels as AMD's compiler sees them: `tests/kernels`, with a Mesa that knows the newest generations.

use crate::machine;
use crate::run::{Run, cargo, command, project_root};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Runs `tests/kernels` for its tables. `options` are its own.
pub(crate) fn run(options: &[String]) -> Result<()> {
    machine::ensure_vulkan_driver()?;
    if knows_backports() && newer_mesa()?.is_none() {
        let folder = folder();
        eprintln!("Unpacking the Mesa of Debian's backports into {}.", folder.display());
        unpack(&folder).context("Debian's backports")?;
    }
    let mut words = vec!["test", "--test", "kernels", "--", "--tables"];
    words.extend(options.iter().map(String::as_str));
    with_newer_mesa(cargo(&words))?.run()
}

/// The task with the newer Mesa as what `tests/kernels` judges by, where it has been unpacked.
pub(crate) fn with_newer_mesa(task: Run) -> Result<Run> {
    Ok(match newer_mesa()? {
        Some(driver) => task.env(DRIVER, &driver.to_string_lossy()),
        None => task,
    })
}

/// Tells `tests/kernels` of the description of a Vulkan driver that takes the place of the installed one's.
const DRIVER: &str = "PCSNET_KERNELS_DRIVER";

/// Where Debian keeps newer versions for its stable release.
const BACKPORTS: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                         http://deb.debian.org/debian bookworm-backports main\n";

/// Debian 12's own Mesa, 22.3, does not know RDNA 4 nor matrix units: that of its backports is unpacked under `target`.
/// Elsewhere the installed one is newer.
fn knows_backports() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.contains("VERSION_CODENAME=bookworm") && machine::is_installed("apt-get")
}

fn folder() -> PathBuf {
    project_root().join("target/mesa")
}

/// What was unpacked before, described for the Vulkan loader.
fn newer_mesa() -> Result<Option<PathBuf>> {
    let folder = folder();
    let libraries = folder.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let library = libraries.join("libvulkan_radeon.so");
    if !cfg!(target_os = "linux") || !library.is_file() {
        return Ok(None);
    }
    let driver = folder.join("radeon.json");
    let icd = serde_json::json!({ "api_version": "1.3.0", "library_path": library });
    let description = serde_json::json!({ "file_format_version": "1.0.0", "ICD": icd });
    std::fs::write(&driver, description.to_string())?;
    Ok(Some(driver))
}

/// Downloads with package lists of its own, so that nothing of the system changes, and installs nothing.
fn unpack(folder: &Path) -> Result<()> {
    let apt = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(part))?;
    }
    let sources = apt.join("sources.list");
    std::fs::write(&sources, BACKPORTS)?;
    let own = [
        format!("Dir::Etc::SourceList={}", sources.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", apt.join("lists").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
    ];
    let packages = ["mesa-vulkan-drivers", "libdrm2", "libdrm-amdgpu1"];
    for task in [&["update"][..], &[&["download"][..], &packages].concat()] {
        let options = own.iter().flat_map(|option| ["-o", option.as_str()]);
        let words: Vec<&str> = options.chain(task.iter().copied()).collect();
        command("apt-get", &words).folder(&apt).run()?;
    }
    for entry in std::fs::read_dir(&apt)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let words = [Path::new("-x"), &path, folder].map(|word| word.to_string_lossy().into_owned());
            command("dpkg-deb", &words.each_ref().map(String::as_str)).run()?;
        }
    }
    Ok(())
}
