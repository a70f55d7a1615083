//! What a fresh machine lacks.

use crate::run::command;
use anyhow::{Result, bail, ensure};
use std::process::Command;

/// Installs Mesa's software Vulkan driver where Linux has no Vulkan driver at all. macOS and Windows come with theirs.
pub(crate) fn ensure_vulkan_driver() -> Result<()> {
    if !cfg!(target_os = "linux") || has_vulkan_driver() {
        return Ok(());
    }
    ensure!(
        is_installed("apt-get"),
        "this machine has no Vulkan driver; install the graphics card's, or Mesa's software driver (lavapipe)"
    );
    eprintln!("No Vulkan driver: installing Mesa's software driver.");
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", "mesa-vulkan-drivers", "libvulkan1"])?;
    if !has_vulkan_driver() {
        bail!("mesa-vulkan-drivers is installed, but no Vulkan driver is to be found in {DRIVER_FOLDERS:?}");
    }
    Ok(())
}

/// Where Linux distributions list Vulkan drivers.
const DRIVER_FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

fn has_vulkan_driver() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|key| std::env::var_os(key).is_some());
    let listed = DRIVER_FOLDERS.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    named || listed.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let run = if is_root() {
        command("apt-get", arguments)
    } else {
        ensure!(is_installed("sudo"), "installing packages needs root: run `apt-get {}` as root", arguments.join(" "));
        command("sudo", &[&["apt-get"], arguments].concat())
    };
    run.env("DEBIAN_FRONTEND", "noninteractive").run()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
