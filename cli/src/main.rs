//! pcsnet
fn main() {}
