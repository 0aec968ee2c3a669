//! The two clocks of a run: the host launches, the device computes, and waits where the host is behind.

use crate::model::lower::Runtime;

/// What the host takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Host {
    /// Microseconds of a call of an operator.
    pub call_us: f64,
    /// Where the number comes from.
    pub source: &'static str,
}

impl Host {
    /// That of a runtime.
    ///
    /// - eager: 10 us an operator on a host of 2023 or later (plain operators of PyTorch; whole models of 2020 to 2024 were
    ///   seen at 25 to 60 us).
    /// - compile: 4.9 us, the time that a launch takes on the host of an H200, measured.
    /// - graph: nothing; the device goes through a recorded graph by itself.
    pub fn usual(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Eager => Host {
                call_us: 10.0,
                source: "10 us an operator: PyTorch on a recent host; older hosts take 25 to 60 us",
            },
            Runtime::Compile => Host {
                call_us: 4.9,
                source: "4.9 us a launch: measured on the host of an H200",
            },
            Runtime::Graph => Host {
                call_us: 0.0,
                source: "a recorded graph needs no host between kernels",
            },
        }
    }

    /// As the user says.
    pub fn stated(call_us: f64) -> Self {
        Host {
            call_us,
            source: "as stated by --host-us",
        }
    }
}

/// Both clocks, in seconds from the begin of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    host: f64,
    device: f64,
    begun: bool,
}

impl Clocks {
    /// One call: the host works for `host_s`, then its kernels follow each other and those before them, `gap_s` apart. Gives
    /// the seconds that the device waited for the host.
    pub fn call(&mut self, host_s: f64, kernels: impl IntoIterator<Item = f64>, gap_s: f64) -> f64 {
        self.host += host_s;
        let mut waited = 0.0;
        for seconds in kernels {
            let ready = match self.begun {
                true => self.device + gap_s,
                false => self.device,
            };
            self.begun = true;
            waited += (self.host - ready).max(0.0);
            self.device = ready.max(self.host) + seconds;
        }
        waited
    }

    /// What the host does behind a call: it goes on, or `waits` for the device.
    pub fn after(&mut self, waits: bool) {
        if waits {
            self.host = self.host.max(self.device);
        }
    }

    /// When everything is done.
    pub fn end(&self) -> f64 {
        self.device.max(self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that is behind makes the device wait; one that is ahead costs nothing but its first call.
    #[test]
    fn the_slower_clock_counts() {
        let mut behind = Clocks::default();
        let waited: f64 = (0..10).map(|_| behind.call(10.0, [2.0], 1.0)).sum();
        assert_eq!(behind.end(), 102.0);
        // 10 in front, then 7 each: 2 of the kernel and 1 of the gap are not waited for.
        assert_eq!(waited, 10.0 + 9.0 * 7.0);
        let mut ahead = Clocks::default();
        for _ in 0..10 {
            ahead.call(10.0, [20.0, 20.0], 1.0);
        }
        assert_eq!(ahead.end(), 10.0 + 20.0 * 20.0 + 19.0);
        // Behind a wait the device has nothing to do until the host has called again.
        ahead.after(false);
        ahead.after(true);
        assert_eq!(ahead.call(10.0, [20.0], 1.0), 9.0);
        assert_eq!(ahead.end(), 429.0 + 30.0);
    }
}
