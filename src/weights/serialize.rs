//! Tensors as the bytes of a safetensors file.

use super::safetensors::{METADATA, write_header};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// A tensor to write.
#[derive(Clone, Copy, Debug)]
pub struct NamedTensor<'a> {
    /// Its name; each may stand once in a file.
    pub name: &'a str,
    /// Its shape, outermost dimension first: batch, channels, height, width for a feature map.
    pub shape: &'a [usize],
    /// Its values, row-major.
    pub values: &'a [f32],
    /// The numbers its values are stored as.
    pub stored: Stored,
}

/// The numbers that a tensor's values are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit floats: the values as they are.
    #[default]
    F32,
    /// 16-bit floats: rounded to the nearest, in half the space.
    F16,
}

impl Stored {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
        }
    }

    fn bytes_per_value(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl NamedTensor<'_> {
    /// What its values take of a file.
    pub(crate) fn bytes(&self) -> usize {
        self.stored.bytes_per_value() * self.values.len()
    }

    fn write(&self, file: &mut dyn Write) -> io::Result<()> {
        let mut values = self.values.iter();
        match self.stored {
            Stored::F32 => values.try_for_each(|value| file.write_all(&value.to_le_bytes())),
            Stored::F16 => values.try_for_each(|value| file.write_all(&half::f16::from_f32(*value).to_le_bytes())),
        }
    }
}

/// Gives tensors, in the given order, and `metadata` the form of a safetensors file.
///
/// # Errors
/// [`Error::Input`] for a shape that does not fit its values or a name that is taken.
pub fn serialize(tensors: &[NamedTensor<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    check(tensors)?;
    let mut file = Vec::new();
    write_tensors(&mut file, tensors, metadata).map_err(Error::io("write", "memory"))?;
    Ok(file)
}

/// Writes tensors that were [checked](check).
pub(super) fn write_tensors(
    file: &mut dyn Write,
    tensors: &[NamedTensor<'_>],
    metadata: &BTreeMap<String, String>,
) -> io::Result<()> {
    write_header(file, metadata, descriptions(tensors))?;
    tensors.iter().try_for_each(|tensor| tensor.write(file))
}

pub(super) fn check(tensors: &[NamedTensor<'_>]) -> Result<()> {
    let mut names = BTreeSet::from([METADATA]);
    for NamedTensor { name, shape, values, .. } in tensors {
        if !names.insert(name) {
            return Err(Error::Input {
                what: format!("tensor `{name}`"),
                expected: "a name that no other tensor has".into(),
                found: "a name that is taken".into(),
            });
        }
        let size = shape.iter().try_fold(1_usize, |size, &dimension| size.checked_mul(dimension));
        if size != Some(values.len()) {
            return Err(Error::Input {
                what: format!("tensor `{name}`"),
                expected: format!("as many values as shape {shape:?} holds"),
                found: format!("{} values", values.len()),
            });
        }
    }
    Ok(())
}

fn descriptions<'a>(tensors: &'a [NamedTensor<'a>]) -> impl Iterator<Item = (&'a str, Value)> {
    let mut begin = 0;
    tensors.iter().map(move |tensor| {
        let offsets = [begin, begin + tensor.bytes()];
        begin = offsets[1];
        (tensor.name, json!({ "dtype": tensor.stored.name(), "shape": tensor.shape, "data_offsets": offsets }))
    })
}
