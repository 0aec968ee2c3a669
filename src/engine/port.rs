//! A port of a certain width.

use super::Cycle;
use bincode::{Decode, Encode};

/// A port that moves a whole number of bytes per cycle; time is kept in bytes, so nothing is rounded
/// away.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Port {
    bytes_per_cycle: u64,
    free: u64,
}

impl Port {
    /// A free port.
    pub fn new(bytes_per_cycle: u16) -> Self {
        Port {
            bytes_per_cycle: u64::from(bytes_per_cycle),
            free: 0,
        }
    }

    /// Sends `bytes` that are there at `at`; returns when they start through the port.
    #[inline]
    pub fn send(&mut self, at: Cycle, bytes: u64) -> Cycle {
        let start = self.free.max(at * self.bytes_per_cycle);
        self.free = start + bytes;
        start.div_ceil(self.bytes_per_cycle)
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
}
