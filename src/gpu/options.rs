//! What a caller may choose.

use super::{MatmulKernel, MatrixUnits, Tuning};

/// How an [`Engine`](crate::Engine) uses its device.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The shape of the matrix products; by default the one that suits the kind of device.
    pub matmul: Option<MatmulKernel>,
    /// The matrix units that products may run on whose factors are both stored as f16
    /// ([`Precision::F16Activations`](crate::Precision::F16Activations) and
    /// [`Precision::F16Products`](crate::Precision::F16Products)) where they were measured to be the fastest; by
    /// default none, as they are experimental in wgpu. [`MatrixUnits::of`] finds those of an adapter.
    pub matrix_units: Option<MatrixUnits>,
    /// What [`Engine::tune`](crate::Engine::tune) measured before. One of another device, driver or version of the
    /// shaders is not used.
    pub tuning: Option<Tuning>,
}
