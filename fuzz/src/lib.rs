//! Fuzzing: what is done with arbitrary bytes, and what to begin with. `cargo xtask fuzz` runs it; `tests/fuzz.rs` does
//! the same for a second each.

pub mod seeds;
pub mod targets;
