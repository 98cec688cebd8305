//! House rules as code, and the steps of CI.
fn main() {}
