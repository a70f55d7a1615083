//! Reference data and files that are no part of this project.

use std::path::{Path, PathBuf};

/// What the folder of shared files, `PCSNET_SHARED` or else `shared` beside the project, has at `place`. Where that is
/// absent it says so, and tests that want it pass.
pub fn shared(place: &str) -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("Cargo.lock").exists());
    let beside = || project.expect("the workspace has a lock file").join("../shared");
    let found = std::env::var_os("PCSNET_SHARED").map_or_else(beside, PathBuf::from).join(place);
    if !found.exists() {
        eprintln!("skipped: {} is not there", found.display());
        return None;
    }
    Some(found)
}
