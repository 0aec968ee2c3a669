//! A sub-core: one issue slot, its pipes, the wake wheel of its warps and its local memory queue.

use super::warp::{Local, PENDING, Queued};
use super::warp_sched::Scheduler;
use crate::config::SmSpec;
use crate::sm::program::Pipe;
use std::collections::VecDeque;

const WHEEL: u32 = 64;

/// One issue slot and what belongs to it. Warp numbers here are within the sub-core.
#[derive(Clone, Debug)]
pub struct SubCore {
    /// Warps that may issue as far as dependences go.
    pub ready: u16,
    /// Warps that wait for an event of unknown time.
    pub blocked: u16,
    /// Warps that are resident and have not exited.
    pub live: u16,
    /// Warps that exited and wait for their memory instructions.
    pub draining: u16,
    /// Which warps' next instruction uses each pipe.
    pub class: [u16; Pipe::COUNT],
    /// When each pipe takes the next instruction.
    pub pipe_free: [Local; Pipe::COUNT],
    /// Picks among the ready warps.
    pub scheduler: Scheduler,
    /// The issue port is held until then.
    pub issue_free: Local,
    /// Next cycle at which something can happen here.
    pub next: Local,
    /// Slots before this cycle have their label.
    pub accounted: Local,
    /// Read-port reservations of both register banks, bit i for cycle `ports_at + i`.
    pub ports: [u64; 2],
    /// Cycle of bit 0 of `ports`.
    pub ports_at: Local,
    /// Instructions that the last warp has issued in a row, without a jump or another warp between.
    pub streak: u8,
    /// Address generator free.
    pub agu_free: Local,
    /// Local memory queue, in order.
    pub queue: VecDeque<Box<Queued>>,
    /// Unused queue entries, kept for their memory.
    #[allow(
        clippy::vec_box,
        reason = "entries are large and move between two lists"
    )]
    pub spare: Vec<Box<Queued>>,
    wheel: [u16; WHEEL as usize],
    occupied: u64,
}

crate::engine::state! {
    SubCore {
        units: [scheduler],
        values: [ready, blocked, live, draining, class, pipe_free, issue_free, next, accounted, ports, ports_at, streak, agu_free, queue, wheel, occupied],
        left: [spare],
    }
}

impl SubCore {
    /// An empty sub-core.
    pub fn new(spec: &SmSpec) -> Self {
        SubCore {
            ready: 0,
            blocked: 0,
            live: 0,
            draining: 0,
            class: [0; Pipe::COUNT],
            pipe_free: [0; Pipe::COUNT],
            scheduler: Scheduler::new(spec),
            issue_free: 0,
            next: PENDING,
            accounted: 0,
            ports: [0; 2],
            ports_at: 0,
            streak: 0,
            agu_free: 0,
            queue: VecDeque::new(),
            spare: Vec::new(),
            wheel: [0; WHEEL as usize],
            occupied: 0,
        }
    }

    /// Wakes `warp` at `at`, seen from cycle `now < at`. Times beyond the wheel wake it early; whoever
    /// takes it from the wheel compares with the warp's own time. Returns when it is woken.
    #[inline(always)]
    pub fn wake_at(&mut self, warp: u8, now: Local, at: Local) -> Local {
        let at = at.min(now + WHEEL - 1);
        let slot = at % WHEEL;
        self.wheel[slot as usize] |= 1 << warp;
        self.occupied |= 1 << slot;
        at
    }

    /// The warps to wake at `now`.
    #[inline(always)]
    pub fn woken(&mut self, now: Local) -> u16 {
        let slot = now % WHEEL;
        if self.occupied >> slot & 1 == 0 {
            return 0;
        }
        self.occupied &= !(1 << slot);
        std::mem::take(&mut self.wheel[slot as usize])
    }

    /// The next cycle after `now` at which the wheel wakes somebody.
    #[inline(always)]
    pub fn next_wake(&self, now: Local) -> Local {
        if self.occupied == 0 {
            return PENDING;
        }
        let from = now + 1;
        from + self.occupied.rotate_right(from % WHEEL).trailing_zeros()
    }

    /// Removes `warp` from the wheel.
    pub fn forget(&mut self, warp: u8) {
        for slot in 0..WHEEL {
            self.wheel[slot as usize] &= !(1 << warp);
            if self.wheel[slot as usize] == 0 {
                self.occupied &= !(1 << slot);
            }
        }
    }

    /// Reserves read ports for an instruction that issues at `now` and reads `reads` registers of
    /// each bank in its three-cycle window; returns by how many cycles the window is late.
    #[inline(always)]
    pub fn read_operands(&mut self, now: Local, reads: [u8; 2], ports: u8) -> u32 {
        let passed = now - self.ports_at;
        self.ports_at = now;
        for bank in &mut self.ports {
            *bank = if passed < 64 { *bank >> passed } else { 0 };
        }
        // Wide operands (tensor) read in as many further cycles as they need.
        let need = match ports {
            1 => reads.map(u32::from),
            _ => reads.map(|r| u32::from(r.div_ceil(ports))),
        };
        let window = need[0].max(need[1]).max(3);
        let taken = [take(self.ports[0], need[0]), take(self.ports[1], need[1])];
        let last = 64 - (taken[0] | taken[1]).leading_zeros();
        if last <= window {
            self.ports = [self.ports[0] | taken[0], self.ports[1] | taken[1]];
            return 0;
        }
        self.read_late(last - window, need, window)
    }

    /// The window must start later: the whole instruction moves until all its reads fit.
    #[cold]
    fn read_late(&mut self, at_least: u32, need: [u32; 2], window: u32) -> u32 {
        let mut late = at_least;
        loop {
            let before = (1u64 << late) - 1;
            let taken = [0, 1].map(|b| take(self.ports[b] | before, need[b]));
            let last = 64 - (taken[0] | taken[1]).leading_zeros();
            if last <= late + window || late + window >= 60 {
                self.ports = [self.ports[0] | taken[0], self.ports[1] | taken[1]];
                return late;
            }
            late += 1;
        }
    }
}

/// The first `count` free slots of a port.
#[inline(always)]
fn take(busy: u64, count: u32) -> u64 {
    let mut all = busy;
    for _ in 0..count {
        all |= all.wrapping_add(1);
    }
    all ^ busy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub_core() -> SubCore {
        SubCore::new(&crate::config::load("v100", &[]).unwrap().spec.sm)
    }

    #[test]
    fn the_wheel_wakes_at_the_cycle_and_not_before() {
        let mut sub = sub_core();
        sub.wake_at(3, 10, 14);
        assert_eq!(sub.next_wake(10), 14);
        assert_eq!(sub.woken(13), 0);
        assert_eq!(sub.woken(14), 1 << 3);
        assert_eq!(sub.next_wake(14), PENDING);
    }

    #[test]
    fn far_wakes_come_early_within_the_wheel() {
        let mut sub = sub_core();
        sub.wake_at(0, 100, 1000);
        assert_eq!(sub.next_wake(100), 163);
    }

    /// Huerta et al., Listing 1: two FFMA whose six reads of one bank each need five to seven cycles.
    #[test]
    fn three_reads_of_one_bank_hold_the_next_instruction_back() {
        let mut sub = sub_core();
        assert_eq!(sub.read_operands(10, [3, 0], 1), 0);
        assert_eq!(sub.read_operands(11, [3, 0], 1), 2);
        let mut sub = sub_core();
        assert_eq!(sub.read_operands(10, [2, 1], 1), 0);
        assert_eq!(sub.read_operands(11, [1, 2], 1), 0);
        let mut sub = sub_core();
        assert_eq!(sub.read_operands(10, [2, 1], 1), 0);
        assert_eq!(sub.read_operands(11, [2, 1], 1), 0);
        assert_eq!(sub.read_operands(12, [2, 1], 1), 1);
    }
}
