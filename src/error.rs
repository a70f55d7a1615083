//! The one error type of the crate.
//!
//! Every variant says what was wrong, where, what was expected and found, and what would do, because its
//! `Display` text is what the user of the command line reads.

use std::fmt;
use std::path::PathBuf;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a file, an image or a device and an anomaly map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file or folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: `read`, `write`, `list`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file is not a well-formed safetensors file.
    #[error("{file}: not a usable safetensors file: {reason}")]
    Safetensors {
        /// The file, or the name its bytes were given.
        file: String,
        /// What is malformed, with the offending numbers.
        reason: String,
    },

    /// A tensor the model needs is in none of the files.
    #[error("tensor `{tensor}` is missing from {files} (expected shape {expected:?})")]
    MissingTensor {
        /// The tensor's full PyTorch name.
        tensor: String,
        /// The files that were searched.
        files: String,
        /// The shape it must have.
        expected: Vec<usize>,
    },

    /// A file holds a tensor that is no part of the model.
    #[error(
        "{file}: tensor `{tensor}` is no part of this model; remove it, or check that the file and the model kind \
         belong together"
    )]
    UnknownTensor {
        /// The tensor's name as written in the file.
        tensor: String,
        /// The file that holds it.
        file: String,
    },

    /// Two of the given files, or two names in one file, stand for the same tensor.
    #[error("tensor `{tensor}` is given twice, by {first} and by {second}; give each tensor once")]
    DuplicateTensor {
        /// The tensor's full PyTorch name.
        tensor: String,
        /// The file in which it was met first.
        first: String,
        /// The file in which it was met again.
        second: String,
    },

    /// A tensor has another shape than the model's sizes demand.
    #[error("{file}: tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The tensor's full PyTorch name.
        tensor: String,
        /// The file that holds it.
        file: String,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },

    /// A tensor is stored in an element type that is not read.
    #[error("{file}: tensor `{tensor}` has element type {found}; F32, F16 and BF16 are read")]
    TensorType {
        /// The tensor's full PyTorch name.
        tensor: String,
        /// The file that holds it.
        file: String,
        /// The element type it has.
        found: String,
    },

    /// A weight is NaN or infinite.
    #[error("{file}: tensor `{tensor}` holds {value} at element {index}; weights must be finite")]
    NonFinite {
        /// The tensor's full PyTorch name.
        tensor: String,
        /// The file that holds it.
        file: String,
        /// Position of the first such value, in storage order.
        index: usize,
        /// The value.
        value: f32,
    },

    /// A model's sizes contradict one another, or its metadata cannot be understood.
    #[error("model configuration: {0}")]
    Config(String),

    /// Models, or a backbone and a head, that cannot run together.
    #[error("these models do not fit together: {0}")]
    Mismatch(String),

    /// A text is no [`Tuning`](crate::gpu::Tuning).
    #[error("not a tuning of this version: {0}; measure again")]
    Tuning(String),

    /// An image cannot be decoded or used.
    #[error("{name}: {reason}")]
    Image {
        /// The image's path, or the name its bytes were given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A folder is not the test set it should be.
    #[error("{}: {reason}", path.display())]
    Dataset {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// No graphics adapter can be used.
    #[error("no usable graphics adapter: {0}")]
    NoAdapter(String),

    /// An adapter or device cannot run the kernels at all.
    #[error("{device} offers less than the compute kernels need: {}", list(shortfalls))]
    Requirements {
        /// The adapter's name.
        device: String,
        /// Every limit that is too small.
        shortfalls: Vec<Shortfall>,
    },

    /// A device offers less than the work needs.
    #[error("{what} needs {limit} of at least {required}, this device was given {available}")]
    Limit {
        /// What needs it: a buffer's or a kernel's name.
        what: String,
        /// WebGPU's name of the limit.
        limit: &'static str,
        /// What is needed.
        required: u64,
        /// What the device has.
        available: u64,
    },

    /// More images at once than the device's limits allow.
    #[error("a batch of {requested} images does not fit this device: at most {largest} at once")]
    Batch {
        /// The batch size asked for.
        requested: u32,
        /// The largest one that fits.
        largest: u32,
    },

    /// The device has no memory left.
    #[error("out of GPU memory while creating {0}; use a smaller batch or f16 weights")]
    OutOfMemory(String),

    /// The device was lost: unplugged, reset by its driver, or destroyed.
    #[error("the graphics device was lost: {0}; create a new device and load the model again")]
    DeviceLost(String),

    /// The graphics driver or wgpu's validation refused a call.
    #[error("{what} was refused by the graphics device: {reason}")]
    Gpu {
        /// What was being created or run.
        what: String,
        /// wgpu's reason.
        reason: String,
    },

    /// Training cannot go on.
    #[error("training: {0}")]
    Training(String),

    /// An argument does not fit the model or session it is given to.
    #[error("{what}: expected {expected}, found {found}")]
    Input {
        /// Which argument.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl Error {
    /// An [`Error::Io`]; for use in `map_err`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// An [`Error::Input`] for a name that is none of those there are.
    pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> Self {
        Self::Input { what: what.to_owned(), expected: known.join(" or "), found: format!("`{name}`") }
    }
}

/// A limit that is too small for the kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// WebGPU's name of the limit.
    pub limit: &'static str,
    /// What the kernels need.
    pub required: u64,
    /// What the adapter or device has.
    pub available: u64,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, needs {}", self.limit, self.available, self.required)
    }
}

fn list(shortfalls: &[Shortfall]) -> String {
    shortfalls.iter().map(Shortfall::to_string).collect::<Vec<_>>().join("; ")
}
