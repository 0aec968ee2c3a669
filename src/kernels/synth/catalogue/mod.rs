//! What can be named: each family's members with their tables.

mod library;
mod micro;
mod operators;

use super::{Entry, Make};
use crate::config::GpuSpec;
use crate::kernels::KernelGenerator;
use crate::kernels::fields::Param;
use crate::kernels::operator::Operator;

/// An entry whose value is made of the family's own fields.
macro_rules! family_entry {
    ($name:literal, $family:ty, $doc:literal) => {
        super::entry($name, $doc, <$family>::FIELDS, |values, _| {
            Box::new(<$family>::of(values))
        })
    };
}

use family_entry;

const fn entry(
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    make: fn(&[u64], &GpuSpec) -> Box<dyn KernelGenerator>,
) -> Entry {
    Entry {
        name,
        doc,
        params,
        make: Make::Kernel(make),
    }
}

const fn operator(
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    make: fn(&[u64]) -> Operator,
) -> Entry {
    Entry {
        name,
        doc,
        params,
        make: Make::Operator(make),
    }
}

/// Everything that can be named.
pub(super) fn entries() -> impl Iterator<Item = &'static Entry> + Clone {
    let parts = [micro::ENTRIES, library::ENTRIES, operators::ENTRIES];
    parts.into_iter().flatten()
}
