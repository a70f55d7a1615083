//! What a network takes of the device's memory.

use serde::Serialize;

/// GPU memory in bytes, by what it is for: [`Session::memory`](crate::Session::memory). The parts add up to everything
/// that a model and a session have allocated; no byte counts twice.
///
/// Intermediate results that are never alive together share memory. Where the network's own and the kernels' share a
/// place, `activations` has the largest of the network's own there and `scratch` what the place is larger than that.
///
/// Not in here, because it comes and goes or belongs to others: the copies through which
/// [`Session::run`](crate::Session::run) uploads images and reads maps and scores back (as large as these), pipelines,
/// and what [`Session::texture_input`](crate::Session::texture_input) and
/// [`Session::heat_output`](crate::Session::heat_output) prepare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// The model's constants, in the layouts its kernels read; those of several heads and their backbone together.
    /// Other sessions of a model share them.
    pub weights: u64,
    /// Tensors of the network: features, descriptors, the nearest distances, the decoder's maps, of the images that run
    /// at once (at most 8, whatever the batch).
    pub activations: u64,
    /// What kernels hand to one another inside an operation: Winograd's patches and their products, operands packed for
    /// matrix products, bands of distances; and the parameters of all dispatches.
    pub scratch: u64,
    /// Pixels, maps and scores: those of the whole batch, and those of the images that run at once.
    pub io: u64,
}

impl Memory {
    /// The sum of all kinds of memory.
    pub fn total(&self) -> u64 {
        self.weights + self.activations + self.scratch + self.io
    }
}
