//! The `phantom-gpu` command.
fn main() {}
