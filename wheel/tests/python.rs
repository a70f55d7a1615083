//! Python's own tests of the package, `tests/*.py`, in a virtual environment of their own below the target folder.
//! Where there is no Python that the package is made for, or none of the packages that the tests need can be had, that
//! is said.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NEEDED: [&str; 3] = ["numpy", "pillow", "pytest"];

#[test]
fn python_tests_pass() {
    let python = match environment() {
        Ok(python) => python,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let wheel = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    assemble(&wheel.join("python/pcsnet"), &package.join("pcsnet"));
    let status = Command::new(python)
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"])
        .current_dir(wheel.join("tests"))
        .env("PYTHONPATH", &package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PCSNET_NO_TUNING", "true")
        .status();
    assert!(status.expect("pytest starts").success(), "Python's tests fail");
}

/// A Python in an environment that has all that the tests need, made the first time.
fn environment() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let imports = "import sys, numpy, PIL, pytest; assert sys.version_info >= (3, 11)";
    if succeeds(Command::new(&python).args(["-c", imports])) {
        return Ok(python);
    }
    let is_new = "import sys; assert sys.version_info >= (3, 11)";
    let system = ["python3", "python", "/usr/bin/python3"]
        .into_iter()
        .find(|python| succeeds(Command::new(python).args(["-c", is_new])))
        .ok_or("no Python 3.11 or newer")?;
    if !succeeds(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder)) {
        return Err("Python makes no virtual environment (Debian: apt-get install python3-venv)".to_owned());
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    match succeeds(Command::new(&python).args(pip).args(NEEDED)) {
        true => Ok(python),
        false => Err(format!("pip installs no {}", NEEDED.join(", "))),
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Puts the package together as a wheel has it: Python's files and the library.
fn assemble(sources: &Path, package: &Path) {
    fs::create_dir_all(package).expect("a folder for the package");
    for entry in fs::read_dir(sources).expect("the package's sources") {
        let file = entry.expect("a file").path();
        if file.is_file() {
            fs::copy(&file, package.join(file.file_name().unwrap_or_default())).expect("a copy");
        }
    }
    // Replaced, not written over: a process that still has the old one open goes on with it.
    let native = package.join(if cfg!(windows) { "_native.pyd" } else { "_native.abi3.so" });
    fs::remove_file(&native).ok();
    fs::copy(library(), &native).expect("the library is built beside its tests");
}

/// The library that cargo built for these tests.
fn library() -> PathBuf {
    let name: OsString = [std::env::consts::DLL_PREFIX, "pcsnet_python", std::env::consts::DLL_SUFFIX].concat().into();
    let program = std::env::current_exe().expect("a running test");
    program.parent().expect("a folder").join(name)
}
