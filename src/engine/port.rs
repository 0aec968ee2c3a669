//! A port of a certain width.

use super::Cycle;
use bincode::{Decode, Encode};

/// A port that moves a whole number of bytes per cycle; time is kept in bytes, so nothing is rounded
/// away.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Port {
    bytes_per_cycle: u64,
    /// What rounds up to a cycle.
    round: u64,
    /// All ones; zero where nothing has to wait.
    keep: u64,
    free: u64,
}

impl Port {
    /// A free port.
    pub fn new(bytes_per_cycle: u16) -> Self {
        let bytes_per_cycle = u64::from(bytes_per_cycle);
        Port {
            bytes_per_cycle,
            round: bytes_per_cycle - 1,
            keep: u64::MAX,
            free: 0,
        }
    }

    /// A port that is never busy.
    pub fn unlimited() -> Self {
        Port {
            bytes_per_cycle: 1,
            round: 0,
            keep: 0,
            free: 0,
        }
    }

    /// Sends `bytes` that are there at `at`; returns when they start through the port.
    #[inline]
    pub fn send(&mut self, at: Cycle, bytes: u64) -> Cycle {
        let start = self.free.max(at * self.bytes_per_cycle);
        self.free = (start + bytes) & self.keep;
        (start + self.round) / self.bytes_per_cycle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_spreads_bytes_exactly() {
        let mut port = Port::new(64);
        let starts: Vec<Cycle> = (0..4).map(|_| port.send(10, 160)).collect();
        assert_eq!(starts, [10, 13, 15, 18]);
        assert_eq!(port.send(100, 1), 100);
    }

    #[test]
    fn at_a_port_without_a_limit_nothing_waits() {
        let mut port = Port::unlimited();
        let starts = [10, 10, 7, 8].map(|at| port.send(at, 1000));
        assert_eq!(starts, [10, 10, 7, 8]);
    }
}
