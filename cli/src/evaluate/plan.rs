//! Which models are measured on which categories.

use crate::output;
use anyhow::{Result, bail, ensure};
use pcsnet::data::{self, Dataset};
use std::path::{Path, PathBuf};

/// Stands for the category's name in a model's.
const CATEGORY: &str = "{category}";

/// A category with its models.
#[derive(Debug)]
pub(crate) struct Category {
    pub set: Dataset,
    pub models: Vec<ModelFiles>,
}

/// A model's file.
#[derive(Debug, PartialEq)]
pub(crate) struct ModelFiles {
    /// What it is called in tables: the file's name without ending, with its folder where two are called the same.
    pub name: String,
    pub path: PathBuf,
}

/// The categories to be measured: the folder itself, the one in it that is named, or all that have models.
pub(crate) fn categories(folder: &Path, category: Option<&str>, models: &[String]) -> Result<Vec<Category>> {
    let folders = match category {
        None => vec![folder.to_owned()],
        Some("all") => data::categories(folder)?,
        Some(name) => vec![folder.join(name)],
    };
    let all = category == Some("all");
    let mut categories = Vec::new();
    for folder in folders {
        let set = Dataset::open(folder)?;
        let models = models_of(&set.name, models);
        let missing: Vec<_> = models.iter().filter(|model| !model.path.is_file()).collect();
        if all && missing.len() == models.len() {
            output::complain(&format!("{} has no model and is passed over", set.name));
            continue;
        }
        if let Some(model) = missing.first() {
            bail!("{} has no model {}", set.name, model.path.display());
        }
        output::complain(&set.to_string());
        categories.push(Category { set, models });
    }
    ensure!(!categories.is_empty(), "no category in {} has a model {}", folder.display(), models.join(" or "));
    Ok(categories)
}

fn models_of(category: &str, patterns: &[String]) -> Vec<ModelFiles> {
    let paths: Vec<_> = patterns.iter().map(|pattern| PathBuf::from(pattern.replace(CATEGORY, category))).collect();
    let short = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let model = |path: &PathBuf| {
        let alone = paths.iter().filter(|other| short(other) == short(path)).count() == 1;
        let name = if alone { short(path) } else { path.with_extension("").display().to_string() };
        ModelFiles { name, path: path.clone() }
    };
    paths.iter().map(model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn categories_with_models() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for file in ["set/a/test/good/0.png", "set/b/test/good/0.png", "heads/a-0.safetensors", "heads/a-1.safetensors"]
        {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            fs::write(path, "").expect("writable");
        }
        let heads = root.path().join("heads").display().to_string();
        let patterns = |seeds: &[u32]| -> Vec<String> {
            seeds.iter().map(|seed| format!("{heads}/{{category}}-{seed}.safetensors")).collect()
        };
        let set = root.path().join("set");
        let found = categories(&set, Some("all"), &patterns(&[0, 1])).expect("one has models");
        assert_eq!((found.len(), found[0].set.name.as_str()), (1, "a"));
        assert_eq!(found[0].models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["a-0", "a-1"]);
        let refusal =
            |category, seeds: &[u32]| categories(&set, category, &patterns(seeds)).expect_err("no model").to_string();
        assert!(refusal(Some("all"), &[0, 2]).contains("a has no model"));
        assert!(refusal(Some("b"), &[0]).contains("b has no model"));
        assert!(refusal(Some("all"), &[7]).contains("no category in"));
        assert!(refusal(None, &[0]).contains("name one of them"));
        let names = models_of("x", &["p/{category}.st".to_owned(), "q/{category}.st".to_owned()]);
        assert_eq!((names[0].name.as_str(), names[1].name.as_str()), ("p/x", "q/x"));
    }
}
