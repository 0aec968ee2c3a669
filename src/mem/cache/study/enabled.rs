//! A study: the trace, row by row, through every cache.

use super::Request;
use super::driver::Alone;
use super::reference::{Coalescer, Reference};
use super::stream::Stream;
use super::trace::Rows;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};

pub use super::report::Report;

/// Whether studies are compiled in.
pub const ENABLED: bool = true;

/// The caches, and what is seen of the stream that they are fed with.
pub struct Study {
    pub(super) stream: Stream,
    pub(super) caches: Vec<Alone>,
}

impl Study {
    /// Empty caches, one for each policy.
    pub fn new(request: &Request) -> Self {
        let spec = &request.cache.spec;
        let caches = request.policies.iter();
        Study {
            stream: Stream::new(),
            caches: caches.map(|&policy| Alone::new(spec, policy)).collect(),
        }
    }

    /// Lets every cache serve `reference`.
    pub fn serve(&mut self, reference: &Reference) {
        let allocates = self.caches.first().is_some_and(|c| c.allocates(reference));
        let seen = self.stream.see(reference, allocates);
        for cache in &mut self.caches {
            cache.serve(reference, &seen);
        }
    }
}

/// Runs the study; `rows` counts the rows of the trace that were read.
///
/// # Errors
/// A trace that cannot be read or is none.
pub fn run(request: &Request, rows: &AtomicU64) -> Result<Report> {
    let mut study = Study::new(request);
    let mut trace = Rows::open(&request.trace)?;
    let mut coalescer = Coalescer::default();
    while let Some(row) = trace.next_row()? {
        rows.fetch_add(1, Ordering::Relaxed);
        if request.sm.is_none_or(|sm| sm == row.sm) {
            coalescer.push(&row, |reference| study.serve(reference));
        }
    }
    coalescer.finish(|reference| study.serve(reference));
    if study.stream.is_empty() {
        let file = request.trace.display().to_string();
        let (what, remedy) = match request.sm {
            Some(sm) if rows.load(Ordering::Relaxed) > 0 => (
                format!("no access of SM {sm}"),
                "choose another --sm, or leave it out",
            ),
            _ => (
                "the trace has no access".to_owned(),
                "write one with `phantom-gpu simulate ... --address-trace FILE`",
            ),
        };
        return Err(Error::input(file, "whole file", what, remedy));
    }
    Ok(Report::new(request, &study))
}
