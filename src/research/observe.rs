//! From a probe to a section of the report.

use super::{Exhibits, Study};
use crate::error::Result;
use crate::probe::{Chosen, Instrument, NoProbe, Probe};
use crate::report::explain::{self, Entry};
use crate::report::record::Field;
use serde::Serialize;
use serde_json::Value as Json;

/// A section of the report: typed data, serialised as they stand.
pub trait Section: Serialize {
    /// Its name under `research`.
    const NAME: &'static str;
    /// What every leaf means: groups of fields with their place below the section, such as `banks[].`; the fields of the
    /// section itself are at "".
    const SCHEMA: &'static [(&'static str, &'static [Field])];

    /// Tables and figures of it.
    fn exhibits(&self) -> Exhibits;
}

/// An instrument that makes a section of what it has seen.
pub trait Observe: Instrument {
    /// The section.
    type Section: Section;

    /// The section of a run; all units are merged. Further runs are made here.
    ///
    /// # Errors
    /// A further run that failed.
    fn section(self, study: &Study) -> Result<Self::Section>;
}

/// What one feature found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The section's name.
    pub name: &'static str,
    /// The section.
    pub data: Json,
    /// Its tables and figures.
    pub exhibits: Exhibits,
}

/// A probe of any number of instruments.
pub trait Observer: Probe {
    /// Adds the findings of those that are on.
    ///
    /// # Errors
    /// A further run that failed.
    fn find(self, study: &Study, out: &mut Vec<Finding>) -> Result<()>;

    /// Adds the explanations of all.
    fn explain(out: &mut Vec<Entry>);
}

impl Observer for NoProbe {
    fn find(self, _study: &Study, _out: &mut Vec<Finding>) -> Result<()> {
        Ok(())
    }

    fn explain(_out: &mut Vec<Entry>) {}
}

/// A pair of observers, without those that observe nothing: a build without features observes with [`NoProbe`] itself, and
/// has its code once.
pub trait Before<B> {
    /// The pair.
    type Both: Observer;
}

impl<B: Observer> Before<B> for NoProbe {
    type Both = B;
}

impl<P: Observe, B: Observer> Before<B> for Chosen<P> {
    type Both = (Chosen<P>, B);
}

/// `A` and `B`.
pub type Join<A, B> = <A as Before<B>>::Both;

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn find(self, study: &Study, out: &mut Vec<Finding>) -> Result<()> {
        self.0.find(study, out)?;
        self.1.find(study, out)
    }

    fn explain(out: &mut Vec<Entry>) {
        A::explain(out);
        B::explain(out);
    }
}

impl<P: Observe> Observer for Chosen<P> {
    fn find(self, study: &Study, out: &mut Vec<Finding>) -> Result<()> {
        let Some(probe) = self.0 else { return Ok(()) };
        let section = probe.section(study)?;
        out.push(Finding {
            name: P::Section::NAME,
            data: serde_json::to_value(&section).expect("plain data"),
            exhibits: section.exhibits(),
        });
        Ok(())
    }

    fn explain(out: &mut Vec<Entry>) {
        for (place, fields) in P::Section::SCHEMA {
            let prefix = format!("research.{}.{place}", P::Section::NAME);
            out.extend(explain::entries(&prefix, fields));
        }
    }
}
