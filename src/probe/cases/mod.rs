//! Each operation with its CPU twin, for any shape.

pub(crate) mod gradients;
pub(crate) mod maps;
pub(crate) mod photographs;
pub(crate) mod pools;
pub(crate) mod products;
pub(crate) mod selection;
pub(crate) mod teaching;
