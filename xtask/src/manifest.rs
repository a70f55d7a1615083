//! The npm package's `package.json`: the one in `web/package`, with the workspace's version, and with where the project
//! is kept, which only a checkout that came from somewhere knows.

use crate::files::{read, write};
use crate::run::project_root;
use anyhow::{Context, Result};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Completes the `package.json` of a folder.
pub(crate) fn complete(folder: &Path) -> Result<()> {
    let path = folder.join("package.json");
    // The order of what `exports` holds has a meaning, so values stay as they are written.
    let mut manifest: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&read(&path)?).context("package.json is not JSON")?;
    let mut set = |field: &str, value: Value| anyhow::Ok(manifest.insert(field.to_owned(), to_raw_value(&value)?));
    set("version", json!(env!("CARGO_PKG_VERSION")))?;
    match origin().as_deref().and_then(web_address) {
        Some(home) => {
            set("repository", json!({ "type": "git", "url": format!("git+{home}.git") }))?;
            set("homepage", json!(format!("{home}#readme")))?;
            set("bugs", json!(format!("{home}/issues")))?;
        }
        None => eprintln!("This checkout has no remote `origin`, so package.json names no repository."),
    }
    write(&path, &format!("{}\n", serde_json::to_string_pretty(&manifest)?))
}

/// What `git clone` was given.
fn origin() -> Option<String> {
    let arguments = ["remote", "get-url", "origin"];
    let output = Command::new("git").args(arguments).current_dir(project_root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The page of a remote repository, for the remotes of GitHub, GitLab and their like; none for a folder.
fn web_address(remote: &str) -> Option<String> {
    let over_ssh = || remote.strip_prefix("git@")?.split_once(':');
    let (host, path) = match remote.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => over_ssh()?,
    };
    // Without the user, whose token may stand there.
    let host = host.rsplit('@').next()?;
    Some(format!("https://{host}/{}", path.trim_end_matches('/').trim_end_matches(".git")))
        .filter(|_| host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_have_a_page() {
        let page = Some("https://code.example/owner/name".to_owned());
        for remote in [
            "https://code.example/owner/name.git",
            "https://code.example/owner/name",
            "https://token@code.example/owner/name.git",
            "ssh://git@code.example/owner/name.git",
            "git@code.example:owner/name.git",
        ] {
            assert_eq!(web_address(remote), page, "{remote}");
        }
        for folder in ["/srv/name.git", "../name", "file:///srv/name.git"] {
            assert_eq!(web_address(folder), None, "{folder}");
        }
    }
}
