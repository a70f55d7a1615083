//! Guides: longer than an item's page, with code that compiles.
//!
//! * [`embed`]: inside a program that draws with wgpu
//! * [`own_model`]: a model of one's own, from photographs to a file
//! * [`performance`]: what decides how fast a session is

#[doc = include_str!("../docs/guides/embed.md")]
pub mod embed {}

#[doc = include_str!("../docs/guides/own-model.md")]
pub mod own_model {}

#[doc = include_str!("../docs/guides/performance.md")]
pub mod performance {}
