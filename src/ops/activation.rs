//! What happens to a sum before it is stored. The shaders' side is `shared/activation.wgsl`.

use crate::gpu::{Binding, Constant, Format, Graph, Slice, Tensor};

/// A piecewise linear activation: x above zero, `slope` x below, never above `ceiling`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Activation {
    pub slope: f32,
    pub ceiling: f32,
}

impl Activation {
    pub(crate) const IDENTITY: Self = Self { slope: 1.0, ceiling: f32::MAX };
    pub(crate) const RELU: Self = Self { slope: 0.0, ceiling: f32::MAX };
    pub(crate) const RELU6: Self = Self { slope: 0.0, ceiling: 6.0 };
    /// PyTorch's default `leaky_relu`.
    pub(crate) const LEAKY_RELU: Self = Self { slope: 0.01, ceiling: f32::MAX };
}

/// Something added to a sum. A tensor has the output's format.
#[derive(Clone, Copy, Default)]
pub(crate) enum Residual<'a> {
    #[default]
    None,
    /// activation(sum + residual): the identity of a residual block.
    Before(Slice),
    /// activation(sum) + residual: the decoder's skip connections.
    After(Slice),
    /// activation(sum + residual), a constant of f32 of one image's `rows` that all images share.
    Constant { values: &'a Constant, rows: u32 },
}

impl Residual<'_> {
    /// The shaders' `residual_kind`.
    pub(super) fn kind(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Before(_) | Self::Constant { .. } => 1,
            Self::After(_) => 2,
        }
    }

    /// Checks that it can be added to what is stored in `out`: it is as large, and kernels read it in the same format.
    pub(super) fn ensure_suits(&self, graph: &mut Graph<'_>, label: &str, out: Slice) {
        let format = out.tensor.format;
        match *self {
            Self::None => {}
            Self::Before(slice) | Self::After(slice) => {
                let shape = |slice: Slice| (slice.rows, slice.channels);
                graph.ensure_equal(label, (slice.tensor.format, shape(slice)), (format, shape(out)));
                graph.ensure_inside(label, slice);
            }
            Self::Constant { values, rows } => {
                let shape = values.shape().iter().product::<u32>();
                graph.ensure_equal(label, (values.format(), shape), (format, rows * out.channels));
            }
        }
    }

    pub(super) fn binding(&self) -> Binding {
        match self {
            Self::None => Binding::UNUSED,
            Self::Before(slice) | Self::After(slice) => Binding::read(slice.tensor),
            Self::Constant { values, .. } => Binding::read(*values),
        }
    }
}

/// What stands between a sum with its bias and its place in memory.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    pub activation: Activation,
    pub residual: Residual<'a>,
    /// How the output is stored; as the input, where it does not say.
    pub format: Option<Format>,
}

impl<'a> Epilogue<'a> {
    /// The sum as it is.
    pub(crate) const NONE: Self = Self::of(Activation::IDENTITY);
    pub(crate) const RELU: Self = Self::of(Activation::RELU);
    pub(crate) const RELU6: Self = Self::of(Activation::RELU6);

    pub(crate) const fn of(activation: Activation) -> Self {
        Self { activation, residual: Residual::None, format: None }
    }

    /// The epilogue with something added to the sum.
    pub(crate) fn with(self, residual: Residual<'a>) -> Self {
        Self { residual, ..self }
    }

    /// The epilogue with the output stored so.
    pub(crate) fn stored(self, format: Format) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Whether it leaves the sum as it is.
    pub(super) fn is_none(&self) -> bool {
        self.residual.kind() == 0 && self.activation == Activation::IDENTITY
    }
}

/// What a convolution reads: a tensor as it is stored, or through a relu.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    pub tensor: Tensor,
    /// Smaller values are taken for this one.
    pub(super) floor: f32,
}

impl Input {
    /// No value is smaller.
    pub(super) const NO_FLOOR: f32 = f32::MIN;

    /// `relu(tensor)`.
    pub(crate) fn relu(tensor: Tensor) -> Self {
        Self { tensor, floor: 0.0 }
    }
}

impl From<Tensor> for Input {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, floor: Self::NO_FLOOR }
    }
}
