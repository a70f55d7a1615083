//! What a caller may choose.

use super::{MatmulKernel, Tuning, Winograd};

/// How an [`Engine`](crate::Engine) uses its device.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The shape of the matrix products; by default the one that suits the kind of device.
    pub matmul: Option<MatmulKernel>,
    /// How 3 x 3 convolutions are computed; by default each as was measured to be the fastest, or else with the larger
    /// tiles where the image is large enough.
    pub winograd: Option<Winograd>,
    /// GPU memory for the transformed weights of a model's 3 x 3 convolutions, in bytes; by default as much as they take.
    /// Convolutions that it has no room for keep their weights as the file has them, a quarter as large (9/16 for
    /// [`Winograd::F2x2`]), and transform them into scratch memory, which all of them share, each time they run.
    pub winograd_bytes: Option<u64>,
    /// What [`Engine::tune`](crate::Engine::tune) measured before. One of another device, driver or version of the shaders
    /// is not used.
    pub tuning: Option<Tuning>,
}
