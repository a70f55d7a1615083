//! The vocabulary of a network being written down: activations without memory, and parts of them.

use super::Format;

/// An activation, channels last: `[batch][height][width][channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(super) id: usize,
    pub batch: u32,
    pub height: u32,
    pub width: u32,
    pub channels: u32,
    pub format: Format,
}

impl Tensor {
    pub(crate) fn shape(&self) -> [u32; 4] {
        [self.batch, self.height, self.width, self.channels]
    }

    /// Pixels of all images.
    pub(crate) fn pixels(&self) -> u32 {
        self.batch * self.height * self.width
    }

    /// Values of all pixels.
    pub(crate) fn values(&self) -> u64 {
        u64::from(self.batch) * u64::from(self.height) * u64::from(self.width) * u64::from(self.channels)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.format.bytes_per_value() * self.values()
    }

    pub(crate) fn is_f16(&self) -> bool {
        self.format.is_f16()
    }

    /// The leading rows of a single image.
    pub(crate) fn leading_rows(self, height: u32) -> Self {
        Self { batch: 1, height, ..self }
    }

    /// All pixels and channels, as an operand.
    pub(crate) fn all(self) -> Slice {
        Slice { tensor: self, first: 0, rows: self.pixels(), channels: self.channels }
    }

    /// `channels` channels of all pixels, from `first` on.
    pub(crate) fn channel_range(self, first: u32, channels: u32) -> Slice {
        Slice { tensor: self, first, rows: self.pixels(), channels }
    }

    /// All channels of `rows` pixels, from pixel `first` on.
    pub(crate) fn row_range(self, first: u32, rows: u32) -> Slice {
        Slice { tensor: self, first: first * self.channels, rows, channels: self.channels }
    }
}

/// Some pixels or channels of a tensor: a matrix of `rows` x `channels` with the tensor's row stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub tensor: Tensor,
    /// Element at which the first row begins.
    pub first: u32,
    pub rows: u32,
    pub channels: u32,
}

impl Slice {
    /// Whether it is all of its tensor.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows == self.tensor.pixels() && self.channels == self.tensor.channels
    }

    /// Elements from one row to the next.
    pub(crate) fn stride(&self) -> u32 {
        self.tensor.channels
    }
}
