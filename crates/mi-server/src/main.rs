//! The binary `micro-integrator`.
fn main() {}
