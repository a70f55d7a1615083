//! Python's own tests of the package, `tests/*.py`, in a virtual environment of their own below the target folder, or
//! with the package that is installed for the Python of `PCSNET_TEST_PYTHON`. Where there is no Python that the package
//! is made for, or none of the packages that the tests need can be had, that is said.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NEEDED: [&str; 5] = ["numpy", "ipykernel", "nbclient", "pillow", "pytest"];

#[test]
fn python_tests_pass() {
    let mut pytest = match pytest() {
        Ok(pytest) => pytest,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let small_model = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small.safetensors");
    fs::write(&small_model, support::model_file(&support::small_configs()[0], 1)).expect("a model of random weights");
    let status = pytest
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
        .env("PCSNET_TEST_SMALL_MODEL", small_model)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PCSNET_NO_TUNING", "true")
        .status();
    assert!(status.expect("pytest starts").success(), "Python's tests fail");
}

/// A Python that has the package and all that its tests need.
fn pytest() -> Result<Command, String> {
    if let Some(installed) = std::env::var_os("PCSNET_TEST_PYTHON") {
        return Ok(Command::new(installed));
    }
    let mut python = Command::new(environment()?);
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("package");
    assemble(&Path::new(env!("CARGO_MANIFEST_DIR")).join("python/pcsnet"), &package.join("pcsnet"));
    python.env("PYTHONPATH", &package);
    Ok(python)
}

/// A Python in an environment that has all that the tests need, made the first time.
fn environment() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let imports = "import sys, numpy, ipykernel, nbclient, PIL, pytest; assert sys.version_info >= (3, 11)";
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
