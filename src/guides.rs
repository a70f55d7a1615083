//! Guides: longer than an item's page, with code that compiles.
//!
//! * [`embed`]: inside a program that draws with wgpu
//! * [`lines`]: video, network cameras, MQTT, webhooks, PLCs; what to do when a line changes
//! * [`own_model`]: a model of one's own, from photographs to a file
//! * [`performance`]: what decides how fast a session is

#[doc = include_str!("../docs/guides/embed.md")]
pub mod embed {}

#[doc = include_str!("../docs/guides/lines.md")]
pub mod lines {}

#[doc = include_str!("../docs/guides/own-model.md")]
pub mod own_model {}

#[doc = include_str!("../docs/guides/performance.md")]
pub mod performance {}
