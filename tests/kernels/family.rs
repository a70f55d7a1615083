//! AMD's GPU generations as Mesa's RADV compiles for them on null hardware: `RADV_FORCE_FAMILY` makes a device that
//! cannot run anything but has the real compiler.

use crate::driver::Compiled;
use crate::spirv::Module;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// Vega, and the integrated graphics of Ryzen up to 5000.
    Gcn5,
    Rdna1,
    /// RDNA 2, the Steam Deck's too.
    Rdna2,
    Rdna3,
    Rdna4,
}

impl Family {
    pub const ALL: [Self; 5] = [Self::Gcn5, Self::Rdna1, Self::Rdna2, Self::Rdna3, Self::Rdna4];

    pub fn name(self) -> &'static str {
        match self {
            Self::Gcn5 => "GCN 5",
            Self::Rdna1 => "RDNA 1",
            Self::Rdna2 => "RDNA 2",
            Self::Rdna3 => "RDNA 3",
            Self::Rdna4 => "RDNA 4",
        }
    }

    /// What Mesa calls a chip of it, the newer name first.
    fn chips(self) -> &'static [&'static str] {
        match self {
            Self::Gcn5 => &["vega10"],
            Self::Rdna1 => &["navi10"],
            Self::Rdna2 => &["navi21"],
            Self::Rdna3 => &["navi31", "gfx1100"],
            Self::Rdna4 => &["gfx1200"],
        }
    }
}

/// Set in processes that compile: modules on standard input to statistics on standard output.
pub const COMPILER: &str = "PCSNET_KERNELS_COMPILE";

/// Where Linux distributions say which Vulkan drivers they have.
const DRIVER_FOLDERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// Names the description of a Vulkan driver that takes the place of the installed one's.
const DRIVER: &str = "PCSNET_KERNELS_DRIVER";

/// The description of the RADV to judge by, if there is one: that which the environment names, or this machine's.
pub fn driver() -> Option<PathBuf> {
    std::env::var_os(DRIVER).map(PathBuf::from).or_else(installed_driver)
}

fn installed_driver() -> Option<PathBuf> {
    let files = DRIVER_FOLDERS.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let is_radv = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("radeon_icd"))
            && !path.to_string_lossy().contains("i686")
    };
    files.map(|file| file.path()).find(is_radv)
}

/// The folder of a driver that is not among the system's: what it came with lies beside it.
fn libraries(driver: &Path) -> Result<Option<PathBuf>> {
    let description: serde_json::Value = serde_json::from_slice(&std::fs::read(driver)?)?;
    let library = description["ICD"]["library_path"].as_str().context("no library_path")?;
    Ok(Path::new(library).parent().filter(|folder| folder.is_absolute()).map(Path::to_owned))
}

/// Compiles modules for a generation, in a process of its own because drivers read their environment once. `None`
/// where this driver does not know the generation.
pub fn compile(driver: &Path, family: Family, modules: &[Module]) -> Result<Option<Compiled>> {
    let modules = serde_json::to_vec(modules)?;
    let libraries = libraries(driver).with_context(|| driver.display().to_string())?;
    for chip in family.chips() {
        let mut child = Command::new(std::env::current_exe()?)
            .env(COMPILER, "1")
            .envs(libraries.iter().map(|folder| ("LD_LIBRARY_PATH", folder)))
            .env("RADV_FORCE_FAMILY", chip)
            .env("VK_DRIVER_FILES", driver)
            .env("VK_ICD_FILENAMES", driver)
            .env("NODEVICE_SELECT", "1")
            .env("MESA_SHADER_CACHE_DISABLE", "true")
            .env("XDG_RUNTIME_DIR", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no pipe to the compiler")?.write_all(&modules)?;
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(Some(serde_json::from_slice(&output.stdout)?));
        }
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(complaint.contains("no Vulkan device") || complaint.contains("Unknown family"), "{chip}: {complaint}");
    }
    Ok(None)
}
