//! A channel fed by a request trace: reading traces, the injection rules, and the report.

mod generate;
mod log;
mod report;
mod run;
mod trace;

pub use generate::{Pattern, generate};
pub use log::CommandLog;
pub use report::Report;
pub use run::{Replay, Run};
pub use trace::{CYCLE_MAX, Limits, Record, parse, read};
