//! The schema against the names and shapes that the reference script of the golden outputs gives its full-size weights.

#[path = "support/shared.rs"]
mod shared;

use pcsnet::ModelConfig;
use pcsnet::config::{BackboneConfig, DescriptorKind};
use pcsnet::schema;
use shared::shared;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Lists names and shapes; zeros stand in for the random values, which take long to draw.
const LIST: &str = "
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import numpy, weights
class Zeros:
    def standard_normal(self, shape):
        return numpy.zeros(shape, numpy.float32)
weights.stream = lambda *_: Zeros()
for name, tensor in weights.all_weights(1, sys.argv[2]).items():
    print(name, *tensor.shape)
";

/// What the reference script in a folder lists, or why it cannot run here.
fn listed(golden: &Path, variant: &str) -> Result<BTreeMap<String, Vec<usize>>, String> {
    let output = Command::new("python3")
        .args(["-c", LIST])
        .arg(golden)
        .arg(variant)
        .output()
        .map_err(|error| format!("python3 does not run: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("No module named 'numpy'") {
        return Err("python3 has no numpy".into());
    }
    assert!(output.status.success(), "{complaint}");
    let lines = String::from_utf8(output.stdout).expect("names are ASCII");
    let entries = lines.lines().map(|line| {
        let mut words = line.split(' ');
        let name = words.next().expect("a name").to_owned();
        (name, words.map(|size| size.parse().expect("a size")).collect())
    });
    Ok(entries.collect())
}

#[test]
fn same_tensors_as_the_reference() {
    let Some(golden) = shared("golden") else { return };
    for (variant, kind) in [("plain", DescriptorKind::Plain), ("rotation", DescriptorKind::Rotation)] {
        let mut expected = match listed(&golden, variant) {
            Ok(expected) => expected,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let config = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), kind);
        // The script takes the prototypes from a file of their own.
        let prototypes = vec![config.descriptor_channels() as usize, 4096];
        expected.insert("adaptor.C".into(), prototypes);
        let schema = schema::model(&config);
        let found: BTreeMap<_, _> = schema.tensors().iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
        assert_eq!(found.len(), schema.tensors().len(), "every name stands once");
        assert_eq!(found, expected);
    }
}
