//! What the network needs to be told: tensors by name, and who tells them.

use crate::Result;

/// A tensor of trained numbers, as a piece of the network declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its full PyTorch name.
    pub name: String,
    /// Its shape in PyTorch's order, outermost dimension first; convolutions are output x input x height x width.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
}

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The kernels of a convolution.
    Weight,
    /// What a convolution adds to each output channel.
    Bias,
    /// The scale of a BatchNorm, gamma.
    NormScale,
    /// The shift of a BatchNorm, beta.
    NormShift,
    /// The mean a BatchNorm gathered in training.
    NormMean,
    /// The variance a BatchNorm gathered in training.
    NormVariance,
    /// The prototypes of good parts, descriptor channels x prototypes.
    Prototypes,
    /// Distances that good parts have, and how levels are joined by them.
    Distances,
}

impl Parameter {
    /// A parameter of this name, role and shape.
    pub(crate) fn new(name: String, role: Role, shape: &[u32]) -> Self {
        Self { name, shape: shape.iter().map(|&size| size as usize).collect(), role }
    }
}

/// The parameters that make up some parts of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    parts: Vec<&'static str>,
    tensors: Vec<Parameter>,
}

impl Schema {
    /// The schema of all tensors whose names begin with one of `parts`.
    pub(crate) fn new(parts: &[&'static str], tensors: Vec<Parameter>) -> Self {
        Self { parts: parts.to_vec(), tensors }
    }

    /// The schema of these parts and others together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { parts: [self.parts, other.parts].concat(), tensors: [self.tensors, other.tensors].concat() }
    }

    /// The tensors, in the order the network reads them.
    pub fn tensors(&self) -> &[Parameter] {
        &self.tensors
    }

    /// Whether a full name lies in the parts described here, so that it must be one of [`Schema::tensors`].
    pub fn covers(&self, name: &str) -> bool {
        self.parts.iter().any(|part| name.starts_with(part))
    }
}

/// Knows the values of parameters: files, the memory of a trainer, or random numbers for tests.
pub(crate) trait Source {
    /// The values, row-major.
    ///
    /// # Errors
    /// Where they are missing or unsound.
    fn values(&self, parameter: &Parameter) -> Result<Vec<f32>>;
}

impl<F: Fn(&Parameter) -> Vec<f32>> Source for F {
    fn values(&self, parameter: &Parameter) -> Result<Vec<f32>> {
        Ok(self(parameter))
    }
}
