//! The photographs that a model was made from.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a model's metadata say of the photographs it was made from: a model scores them too low to be calibrated with
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainingImages {
    names: BTreeSet<String>,
    sha256: BTreeSet<String>,
}

/// The part of `pcsnet.training` that lists photographs.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Record {
    images: Vec<String>,
    sha256: Vec<String>,
}

impl TrainingImages {
    /// Reads `pcsnet.training`, JSON with `images`, the files' names, and `sha256`, the hashes of their bytes in
    /// hexadecimal digits. Models of other programs list nothing.
    pub fn from_metadata(metadata: &BTreeMap<&str, &str>) -> Self {
        let text = metadata.get("pcsnet.training").copied().unwrap_or_default();
        let Record { images, sha256 } = serde_json::from_str(text).unwrap_or_default();
        let sha256 = sha256.into_iter().map(|hash| hash.to_ascii_lowercase());
        Self { names: images.into_iter().collect(), sha256: sha256.collect() }
    }

    /// Whether the model tells its photographs by their content, and not by their names alone.
    pub fn has_hashes(&self) -> bool {
        !self.sha256.is_empty()
    }

    /// Whether a file of this name and content is one of them. Where the model lists hashes, they alone decide.
    pub fn contains(&self, name: &str, sha256: &str) -> bool {
        if self.has_hashes() { self.sha256.contains(sha256) } else { self.names.contains(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_decide_where_there_are_any() {
        let read = |text: &str| TrainingImages::from_metadata(&[("pcsnet.training", text)].into());
        let named = read(r#"{"recipe":"held-out","images":["000.png","007.png"]}"#);
        assert!(named.contains("007.png", "aa") && !named.contains("001.png", "aa") && !named.has_hashes());
        let hashed = read(r#"{"images":["000.png"],"sha256":["AB12"]}"#);
        assert!(hashed.contains("another name.png", "ab12") && !hashed.contains("000.png", "aa"));
        for other in ["", "[]", "{\"images\":7}"] {
            assert_eq!(read(other), TrainingImages::default());
        }
        assert!(!TrainingImages::from_metadata(&BTreeMap::new()).contains("000.png", "aa"));
    }
}
