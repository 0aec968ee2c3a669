//! From a run to what users read: the report (JSON schema), tables, the timeline.
//!
//! Reports know counters and configuration, never units.

pub mod json;
pub mod schema;
pub mod table;
pub mod timeline;

pub use schema::Report;

/// Cycles between two samples of the timeline.
pub const TIMELINE_INTERVAL: u64 = 1000;
