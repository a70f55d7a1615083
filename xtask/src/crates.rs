//! The crates as crates.io gets them: packaged, looked over, and used by a program that knows nothing else of them.

use crate::files::{copy, copy_folder, read, write};
use crate::run::{cargo, command, project_root};
use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package};
use std::path::{Path, PathBuf};

/// What crates.io takes, in bytes.
const LARGEST: u64 = 10 << 20;
/// What every crate has.
const WANTED: [&str; 3] = ["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT"];
/// Folders of the repository, and endings of files, that no user of a crate needs.
const UNWANTED: [&str; 8] = ["samples", "tests", "benches", "examples", "python", "web", "fuzz", "wheel"];
const UNWANTED_ENDINGS: [&str; 4] = ["png", "jpg", "npy", "py"];

/// Packages the crates as `cargo publish` does and looks them over; then has a program that depends on the packaged
/// library inspect photographs, and one with a window compile.
pub(crate) fn test() -> Result<()> {
    let metadata = MetadataCommand::new().current_dir(project_root()).no_deps().exec()?;
    let published: Vec<&Package> =
        metadata.workspace_packages().into_iter().filter(|package| package.publish.is_none()).collect();
    let named = published.iter().flat_map(|package| ["--package", package.name.as_str()]);
    let package: Vec<&str> = ["package", "--allow-dirty", "--locked", "--no-verify"].into_iter().chain(named).collect();
    cargo(&package).run()?;
    for package in &published {
        unpack(package)?;
        look_over(package)?;
    }

    let library = published.iter().find(|package| package.name == "pcsnet").context("the library is not published")?;
    let plain = example_on(library, "wgpu")?;
    for (sample, verdict) in [("good/000", "pass"), ("chip/000", "fail")] {
        let photograph = project_root().join(format!("samples/test/{sample}.png")).display().to_string();
        let said = cargo(&["run", "--locked", "--quiet", "--", &photograph]).folder(&plain).output()?;
        print!("{sample}: {said}");
        ensure!(said.starts_with(verdict), "examples/wgpu should have said `{verdict}` of {sample}");
    }
    // A window needs a screen; that it compiles shows that eframe's wgpu and the packaged library's are one.
    cargo(&["check", "--locked"]).folder(&example_on(library, "live")?).run()
}

/// Where cargo leaves a package.
fn archive(package: &Package) -> PathBuf {
    project_root().join(format!("target/package/{}-{}.crate", package.name, package.version))
}

/// Where it is unpacked.
fn unpacked(package: &Package) -> PathBuf {
    project_root().join(format!("target/crates/{}-{}", package.name, package.version))
}

fn unpack(package: &Package) -> Result<()> {
    let folder = unpacked(package);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let into = project_root().join("target/crates");
    std::fs::create_dir_all(&into).with_context(|| format!("cannot make {}", into.display()))?;
    let [archive, into] = [archive(package), into].map(|path| path.display().to_string());
    command("tar", &["-xzf", &archive, "-C", &into]).run()
}

fn look_over(package: &Package) -> Result<()> {
    let name = &package.name;
    let stated = [
        ("description", package.description.is_some()),
        ("license", package.license.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("keywords", !package.keywords.is_empty()),
        ("categories", !package.categories.is_empty()),
    ];
    for (field, is_there) in stated {
        ensure!(is_there, "{name} has no `{field}` in its Cargo.toml");
    }
    if package.repository.is_none() {
        eprintln!("{name} names no `repository` yet: set it in the workspace's Cargo.toml before the first release.");
    }

    let archive = archive(package);
    let bytes = archive.metadata().with_context(|| format!("cargo left no {}", archive.display()))?.len();
    ensure!(bytes <= LARGEST, "{name} has {bytes} bytes; crates.io takes {LARGEST}");
    let files = files_below(&unpacked(package))?;
    let readme = package.readme.as_ref().with_context(|| format!("{name} names no `readme` in its Cargo.toml"))?;
    for wanted in WANTED.into_iter().chain([readme.as_str()]) {
        ensure!(files.iter().any(|file| file == Path::new(wanted)), "the package of {name} has no {wanted}");
    }
    for file in &files {
        let is_unwanted = UNWANTED.iter().any(|folder| file.starts_with(folder))
            || file.extension().is_some_and(|ending| UNWANTED_ENDINGS.iter().any(|unwanted| ending == *unwanted));
        ensure!(!is_unwanted, "the package of {name} has {}, which no user needs", file.display());
    }
    println!("{name}: {} files, {:.2} MB packed", files.len(), bytes as f64 / 1e6);
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    Ok(files)
}

/// Makes a copy of an example that depends on the packaged library instead of the repository's.
fn example_on(library: &Package, name: &str) -> Result<PathBuf> {
    let (from, to) = (project_root().join("examples").join(name), project_root().join("target/crates").join(name));
    copy_folder(&from.join("src"), &to.join("src"))?;
    copy(&from.join("Cargo.lock"), &to.join("Cargo.lock"))?;
    let manifest = String::from_utf8(read(&from.join("Cargo.toml"))?)?;
    let (ours, theirs) = (r#"path = "../..""#, format!("path = {:?}", unpacked(library).display().to_string()));
    ensure!(manifest.contains(ours), "examples/{name}/Cargo.toml does not depend on the library by `{ours}`");
    write(&to.join("Cargo.toml"), &manifest.replace(ours, &theirs))?;
    Ok(to)
}
