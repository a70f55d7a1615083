//! What a tensor's name in a file stands for.

/// Prefix of the frozen feature network.
pub(crate) const BACKBONE: &str = "backbone.";
/// Prefix of descriptor and prototypes.
pub(crate) const ADAPTOR: &str = "adaptor.";
/// Prefix of the context-aware segmentation decoder.
pub(crate) const CAS: &str = "cas.";

/// Prefix of a head that was taught.
pub(crate) const TAUGHT: &str = "taught.";
/// Prefix of what a taught model keeps for teaching it more.
pub(crate) const TEACHING: &str = "teaching.";

/// What a tensor's name in a file stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A tensor of the model, or one that claims to be, by its full name.
    Canonical(String),
    /// A tensor that the network never reads.
    Unread,
    /// A tensor of something else than the model.
    Unknown,
}

impl Name {
    /// Resolves a name as written in a file.
    pub(super) fn of(written: &str) -> Self {
        let name = if is_bare_backbone(written) { format!("{BACKBONE}{written}") } else { written.to_owned() };
        if is_unread(&name) {
            Self::Unread
        } else if part(&name).is_some() {
            Self::Canonical(name)
        } else {
            Self::Unknown
        }
    }
}

/// The prefix of the part of the model that a full name belongs to.
pub(super) fn part(name: &str) -> Option<&'static str> {
    [BACKBONE, ADAPTOR, CAS, TAUGHT, TEACHING].into_iter().find(|prefix| name.starts_with(prefix))
}

/// Whether torchvision's ResNets or timm's EfficientNets have such a name at their top level.
fn is_bare_backbone(name: &str) -> bool {
    match name.split_once('.') {
        Some(("conv1" | "bn1" | "fc" | "conv_stem" | "blocks" | "conv_head" | "bn2" | "classifier", _)) => true,
        Some((module, _)) => module
            .strip_prefix("layer")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    }
}

/// What a checkpoint may carry though no inference reads it: classifier, auxiliary outputs, training state.
fn is_unread(name: &str) -> bool {
    let unread_modules = [
        "backbone.layer4.",
        "backbone.fc.",
        "backbone.blocks.5.",
        "backbone.blocks.6.",
        "backbone.conv_head.",
        "backbone.bn2.",
        "backbone.classifier.",
        "cas.inner_cls.",
    ];
    name.ends_with(".num_batches_tracked")
        || unread_modules.iter().any(|module| name.starts_with(module))
        || name == "adaptor.r"
        || is_descriptor_base_class(name)
}

/// CoordConv's own weight and bias in PyTorch, inherited from `Conv2d`; its inner `conv` is the one that computes.
fn is_descriptor_base_class(name: &str) -> bool {
    let field = name.strip_prefix("adaptor.Descriptor.layer_").and_then(|rest| rest.split_once('.'));
    matches!(field, Some(("1" | "2" | "3", "weight" | "bias")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_backbone_names_get_their_prefix() {
        for bare in ["conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "blocks.4.2.conv_dw.weight"] {
            assert_eq!(Name::of(bare), Name::Canonical(format!("backbone.{bare}")));
            assert_eq!(Name::of(&format!("backbone.{bare}")), Name::Canonical(format!("backbone.{bare}")));
        }
    }

    #[test]
    fn unread_names_are_passed_over() {
        let unread = [
            "fc.weight",
            "backbone.fc.bias",
            "layer4.2.conv3.weight",
            "backbone.layer4.0.bn1.weight",
            "bn1.num_batches_tracked",
            "adaptor.Descriptor.bn1_2.num_batches_tracked",
            "blocks.6.0.conv_pwl.weight",
            "classifier.weight",
            "cas.inner_cls.0.3.weight",
            "adaptor.r",
            "adaptor.Descriptor.layer_1.weight",
            "adaptor.Descriptor.layer_3.bias",
        ];
        for name in unread {
            assert_eq!(Name::of(name), Name::Unread, "{name}");
        }
        let read = ["adaptor.Descriptor.layer_1.conv.weight", "adaptor.Descriptor.layer_4.weight", "adaptor.C"];
        for name in read {
            assert_eq!(Name::of(name), Name::Canonical(name.into()));
        }
    }

    #[test]
    fn foreign_names_are_unknown() {
        for name in ["", "input", "layer.weight", "layerx.weight", "conv1", "head.weight", "casual.weight"] {
            assert_eq!(Name::of(name), Name::Unknown, "{name}");
        }
    }
}
