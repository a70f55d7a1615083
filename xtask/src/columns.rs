//! No line of code or of its comments is longer than a screen shows beside another.

use crate::run::project_root;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

const MOST: usize = 120;
/// Folders with sources of ours.
const FOLDERS: [&str; 11] =
    ["src", "shaders", "tests", "cli", "benches", "examples", "fuzz", "python", "web", "wheel", "xtask"];
const ENDINGS: [&str; 6] = ["rs", "wgsl", "js", "mjs", "ts", "py"];
/// Folders of tools, which hold what others wrote or machines made.
const OTHERS: [&str; 4] = ["node_modules", "target", "__pycache__", "corpus"];

/// Names every line that is too long.
pub(crate) fn check() -> Result<()> {
    let mut long = Vec::new();
    for folder in FOLDERS {
        collect(&project_root().join(folder), &mut long)?;
    }
    ensure!(long.is_empty(), "lines of more than {MOST} columns:\n{}", long.join("\n"));
    Ok(())
}

fn collect(folder: &Path, long: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours = !name.starts_with('.') && !OTHERS.contains(&name.as_ref());
        let is_source = path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        if path.is_dir() && is_ours {
            collect(&path, long)?;
        } else if path.is_file() && is_source {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = too_long(&text).map(|(number, length)| format!("{}:{number} has {length}", path.display()));
            long.extend(lines);
        }
    }
    Ok(())
}

/// The numbers of the lines that are too long, and their lengths.
fn too_long(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let lengths = text.lines().map(|line| line.chars().count());
    (1..).zip(lengths).filter(|(_, length)| *length > MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_not_bytes() {
        let text = ["é".repeat(120), "x".repeat(121), String::new(), "y".repeat(300)].join("\n");
        assert_eq!(too_long(&text).collect::<Vec<_>>(), [(2, 121), (4, 300)]);
    }
}
