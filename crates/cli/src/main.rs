//! The `azud` program.
fn main() {}
