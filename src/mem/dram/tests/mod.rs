//! Tests of the channel as a whole: laws over random traffic, and single behaviours to the exact cycle.

mod behaviour;
mod laws;
