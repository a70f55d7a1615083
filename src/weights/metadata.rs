//! A model's sizes from its files' metadata.

use super::safetensors::TensorFile;
use crate::config::{BackboneConfig, DescriptorKind, HeadConfig};
use crate::{Error, ModelConfig, Result};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Prefix of the keys that belong to this crate.
const OURS: &str = "pcsnet.";
/// A whole [`ModelConfig`] as JSON.
const CONFIG: &str = "pcsnet.config";
const BACKBONE: &str = "pcsnet.backbone";
const DESCRIPTOR: &str = "pcsnet.descriptor";
const BINS: &str = "pcsnet.bins";
const GRID: &str = "pcsnet.grid";
const NEAREST: &str = "pcsnet.nearest";
const INPUT: &str = "pcsnet.input";

/// Checks that two files say the same wherever both say something about the model.
pub(super) fn ensure_agree(first: &TensorFile, second: &TensorFile) -> Result<()> {
    for (key, value) in first.metadata.iter().filter(|(key, _)| key.starts_with(OURS)) {
        let other = second.metadata.get(key).unwrap_or(value);
        if !is_same(key, value, other) {
            return Err(Error::Config(format!(
                "metadata `{key}` is `{value}` in {} but `{other}` in {}; these files do not belong together",
                first.name, second.name
            )));
        }
    }
    Ok(())
}

/// Two programs write the same JSON with different spaces and orders.
fn is_same(key: &str, value: &str, other: &str) -> bool {
    let same_sizes = || parse_config(value).is_ok_and(|sizes| parse_config(other).is_ok_and(|others| sizes == others));
    value == other || (key == CONFIG && same_sizes())
}

/// The sizes that the metadata state; `descriptor` is the kind where they name none.
pub(super) fn config(metadata: &BTreeMap<&str, &str>, descriptor: DescriptorKind) -> Result<ModelConfig> {
    let whole = metadata.get(CONFIG).map(|text| parse_config(text)).transpose()?;
    let mut config = match &whole {
        Some(config) => config.clone(),
        None => standard(metadata, descriptor)?,
    };
    for (key, value) in metadata {
        set(&mut config, key, value)?;
        if whole.as_ref().is_some_and(|whole| *whole != config) {
            return Err(Error::Config(format!("metadata `{key}` is `{value}`, which contradicts `{CONFIG}`")));
        }
    }
    config.validate()?;
    Ok(config)
}

fn parse_config(text: &str) -> Result<ModelConfig> {
    serde_json::from_str(text).map_err(|error| Error::Config(format!("metadata `{CONFIG}`: {error}")))
}

fn standard(metadata: &BTreeMap<&str, &str>, descriptor: DescriptorKind) -> Result<ModelConfig> {
    let backbone = BackboneConfig::by_name(metadata.get(BACKBONE).unwrap_or(&"wide_resnet50_2"))?;
    let descriptor = metadata.get(DESCRIPTOR).map_or(Ok(descriptor), |name| descriptor_kind(name))?;
    Ok(ModelConfig::standard(backbone, descriptor))
}

/// Puts what one key states into the sizes.
fn set(config: &mut ModelConfig, key: &str, value: &str) -> Result<()> {
    match (key, &mut config.head) {
        (BACKBONE, _) => config.backbone = BackboneConfig::by_name(value)?,
        (INPUT, _) => config.input = number(key, value)?,
        (GRID, head) => {
            let grid = number(key, value)?;
            // Another grid has other positions, and a trained head has one prototype per position.
            if let HeadConfig::Trained(head) = head
                && config.grid != grid
            {
                head.prototypes = grid.saturating_mul(grid);
            }
            config.grid = grid;
        }
        (DESCRIPTOR, HeadConfig::Trained(head)) => head.descriptor = descriptor_kind(value)?,
        (BINS, HeadConfig::Trained(head)) => {
            head.bins = value.split(',').map(|bin| number(key, bin)).collect::<Result<_>>()?;
        }
        (NEAREST, HeadConfig::Trained(head)) => head.nearest = number(key, value)?,
        _ => {}
    }
    Ok(())
}

fn descriptor_kind(name: &str) -> Result<DescriptorKind> {
    DescriptorKind::by_name(name).map_err(|unknown| Error::Config(format!("metadata `{DESCRIPTOR}`: {unknown}")))
}

fn number(key: &str, text: &str) -> Result<u32> {
    u32::from_str(text.trim())
        .map_err(|_| Error::Config(format!("metadata `{key}` holds `{text}` where a whole number is expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(metadata: &[(&str, &str)]) -> Result<ModelConfig> {
        config(&metadata.iter().copied().collect(), DescriptorKind::Plain)
    }

    fn refusal(metadata: &[(&str, &str)]) -> String {
        let error = stated(metadata).expect_err("metadata that cannot be used");
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        error.to_string()
    }

    #[test]
    fn authors_sizes_by_default() {
        let expected = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
        assert_eq!(stated(&[("format", "pt")]).expect("defaults"), expected);
        let expected = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Rotation);
        let names = [("pcsnet.backbone", "resnet18"), ("pcsnet.descriptor", "rotation")];
        assert_eq!(stated(&names).expect("known names"), expected);
    }

    #[test]
    fn single_sizes_are_replaced() {
        let config = stated(&[
            ("pcsnet.bins", "30, 15,8"),
            ("pcsnet.grid", "32"),
            ("pcsnet.nearest", "100"),
            ("pcsnet.input", "160"),
        ])
        .expect("sizes that fit");
        assert_eq!((config.grid, config.input), (32, 160));
        let head = config.trained().expect("PCSNet's own head");
        assert_eq!((&head.bins, head.prototypes, head.nearest), (&vec![30, 15, 8], 1024, 100));
    }

    #[test]
    fn whole_config_as_json() {
        let mut config = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        if let HeadConfig::Trained(head) = &mut config.head {
            head.prototypes = 512;
        }
        let json = serde_json::to_string(&config).expect("sizes are plain data");
        let agreeing = [("pcsnet.config", json.as_str()), ("pcsnet.backbone", "resnet18"), ("pcsnet.grid", "64")];
        assert_eq!(stated(&agreeing).expect("keys that agree"), config);
        let text = refusal(&[("pcsnet.config", &json), ("pcsnet.backbone", "wide_resnet50_2")]);
        assert!(text.contains("`pcsnet.backbone` is `wide_resnet50_2`, which contradicts"), "{text}");
    }

    #[test]
    fn nonsense_is_named() {
        assert!(refusal(&[("pcsnet.config", "{}")]).contains("`pcsnet.config`: missing field"));
        assert!(refusal(&[("pcsnet.config", "[")]).contains("`pcsnet.config`: "));
        assert!(refusal(&[("pcsnet.backbone", "vgg")]).contains("unknown backbone `vgg`"));
        assert!(
            refusal(&[("pcsnet.descriptor", "round")])
                .contains("`pcsnet.descriptor`: descriptor: expected plain or rotation")
        );
        assert!(refusal(&[("pcsnet.bins", "60,x")]).contains("`pcsnet.bins` holds `x`"));
        assert!(refusal(&[("pcsnet.bins", "")]).contains("`pcsnet.bins`"));
        assert!(refusal(&[("pcsnet.nearest", "-4")]).contains("`pcsnet.nearest` holds `-4`"));
        assert!(refusal(&[("pcsnet.bins", "65")]).contains("bin 65"), "sizes are validated");
        assert!(refusal(&[("pcsnet.grid", "4294967295")]).contains("grid is 4294967295"));
    }
}
