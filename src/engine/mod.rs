//! Simulated time, and the containers that carry messages between shards. Names no unit.

pub mod calendar;
pub mod port;
pub mod state;
pub mod team;
pub mod time;

pub use calendar::{Calendar, Timed, put_in_order};
pub use port::Port;
pub use state::State;
pub(crate) use state::state;
pub use team::{Deal, Team};
pub use time::{ClockRatio, Cycle};
