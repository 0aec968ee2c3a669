//! Tests of the configuration as a whole.

use super::*;
use crate::error::Error;

#[test]
fn every_built_in_gpu_loads() {
    for name in names() {
        let resolved = load(name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(resolved.spec.name, name);
    }
}
