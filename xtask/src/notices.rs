//! The copyright notices and licences of the crates that a binary is linked from.

use crate::files::{copy, write};
use crate::run::project_root;
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId, TargetKind};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::Path;

/// How the names of files begin that hold licences and notices.
const FILES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

const INTRODUCTION: &str = "\
contains code of the crates below and of Rust's standard library (Copyright The Rust Project Contributors, MIT or
Apache-2.0, the texts of which are in `LICENSE-MIT` and `LICENSE-APACHE`). The default model contains weights of
EfficientNet-Lite0, see `DEFAULT-MODEL.md`.
";

/// Writes what a package that is handed on must bring along: this project's licences, what the default model is made
/// of, and the notices of all that its `binary` links for a target.
pub(crate) fn write_all(package: &str, target: &str, binary: &str, out: &Path) -> Result<()> {
    let root = project_root();
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root.join(licence), &out.join(licence))?;
    }
    // It tells where the default model's backbone comes from, under which licence, and what was changed.
    copy(&root.join("weights/README.md"), &out.join("DEFAULT-MODEL.md"))?;
    let notices = of_linked_crates(package, target)?;
    write(&out.join("THIRD-PARTY-NOTICES.md"), &format!("# Third-party notices\n\n`{binary}` {INTRODUCTION}{notices}"))
}

/// A list of the foreign crates that a package links for a target, and every text that comes with them, once.
fn of_linked_crates(package: &str, target: &str) -> Result<String> {
    let metadata = MetadataCommand::new()
        .current_dir(project_root())
        .other_options(["--filter-platform", target, "--locked"].map(str::to_owned).to_vec())
        .exec()
        .context("`cargo metadata` cannot tell what the package links")?;
    let mut crates = linked(&metadata, package)?;
    crates.retain(|package| package.source.is_some());
    crates.sort_by_key(|package| (&package.name, &package.version));

    let mut notices = "\n| crate | licence | authors |\n| --- | --- | --- |\n".to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in crates {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its text");
        writeln!(notices, "| {name} | {licence} | {} |", package.authors.join(", "))?;
        for text in texts_of(package)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in &texts {
        write!(notices, "\n## {}\n\n```text\n{}\n```\n", names.join(", "), text.trim_end())?;
    }
    Ok(notices)
}

/// A package and all it needs in order to run; what only runs while compiling is not linked.
fn linked<'a>(metadata: &'a Metadata, package: &str) -> Result<Vec<&'a Package>> {
    let resolve = metadata.resolve.as_ref().context("`cargo metadata` resolved nothing")?;
    let root = metadata.packages.iter().find(|candidate| candidate.name == package).context("no such package")?;
    let mut seen: HashSet<&PackageId> = HashSet::from([&root.id]);
    let mut open = vec![&root.id];
    let mut found = Vec::new();
    while let Some(id) = open.pop() {
        let package = &metadata[id];
        if package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro)) {
            continue;
        }
        found.push(package);
        let node = resolve.nodes.iter().find(|node| node.id == *id).context("an unresolved package")?;
        let is_linked =
            |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|info| info.kind == DependencyKind::Normal);
        open.extend(
            node.deps.iter().filter(|dep| is_linked(&dep.dep_kinds)).map(|dep| &dep.pkg).filter(|id| seen.insert(id)),
        );
    }
    Ok(found)
}

/// The licences and notices in a crate's folder.
fn texts_of(package: &Package) -> Result<Vec<String>> {
    let folder = package.manifest_path.parent().context("a manifest without a folder")?;
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {folder}"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.path().is_file() && FILES.iter().any(|start| name.starts_with(start)) {
            let text =
                std::fs::read_to_string(entry.path()).with_context(|| format!("cannot read {:?}", entry.path()))?;
            texts.push(text.replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}
