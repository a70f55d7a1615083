//! What a caller may choose.

use super::{MatmulKernel, Tuning};

/// How an [`Engine`](crate::Engine) uses its device.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The shape of the matrix products; by default the one that suits the kind of device.
    pub matmul: Option<MatmulKernel>,
    /// What [`Engine::tune`](crate::Engine::tune) measured before. One of another device, driver or version of the
    /// shaders is not used.
    pub tuning: Option<Tuning>,
}
