//! How weights and activations are stored.

/// The numbers that weights or an activation are stored as; for activations the shaders' side is
/// `shaders/shared/activation_storage.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    F32,
    /// Half precision. Kernels store what is beyond its range as its largest numbers.
    F16,
}

impl Format {
    pub(crate) fn bytes_per_value(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    pub(crate) fn is_f16(self) -> bool {
        self == Self::F16
    }

    /// The values as they stand in memory, rounded where they must be.
    pub(crate) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => bytemuck::cast_slice(values).to_vec(),
            Self::F16 => values.iter().flat_map(|&value| half::f16::from_f32(value).to_ne_bytes()).collect(),
        }
    }

    /// The values that stand in memory.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytemuck::pod_collect_to_vec(bytes),
            Self::F16 => bytemuck::pod_collect_to_vec::<u8, half::f16>(bytes).into_iter().map(f32::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn values_come_back() {
        let values = [0.0, -1.5, 65504.0, 1.0 / 3.0];
        assert_eq!(Format::F32.decode(&Format::F32.encode(&values)), values);
        let halves = Format::F16.encode(&values);
        assert_eq!(halves.len(), 8);
        assert_eq!(Format::F16.decode(&halves), [0.0, -1.5, 65504.0, 0.333_251_95]);
    }
}
