//! A channel fed by a request trace: reading traces, the injection rules, and the report.

mod generate;
mod report;
mod run;
mod trace;

pub use generate::{Pattern, generate};
pub use report::{BusReport, Report};
pub use run::{Replay, Run};
pub use trace::{Record, TraceError, parse, read};
