//! What the warps of an SM executed, run by run.
//!
//! To count at each issue would cost most of what a simulation costs: an SM has a table of its own by instruction, and by the
//! time that an SM's turn comes again the host's caches have forgotten it. So the runs of instructions are noted, and followed
//! up many at a time: what each instruction was executed is then sums over the places where runs begin and end.

use crate::probe::WarpRun;

/// Runs that are noted before they are followed up.
const NOTED_MAX: usize = 512;

/// Instructions that a warp executed one after the other, with the same lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Place of the first one in the code of the kernel.
    pub first: u32,
    /// Place behind the last one; where that is the first one, none was executed.
    pub end: u32,
    /// Active lanes.
    pub mask: u32,
    /// Warp slot.
    pub warp: u8,
    /// Program.
    pub program: u8,
    /// The warp is another one than that of the run before in its slot.
    pub another: bool,
}

const _: () = assert!(size_of::<Run>() == 16);

impl Run {
    /// How many instructions it has.
    pub fn length(&self) -> u64 {
        u64::from(self.end - self.first)
    }

    /// How many lanes are active.
    pub fn lanes(&self) -> u32 {
        self.mask.count_ones()
    }
}

/// Runs of the warps of an SM.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// By warp slot the one that it is within, or that was its last.
    now: Vec<Run>,
    /// Those that are over, in their order.
    over: Vec<Run>,
}

impl Runs {
    /// Of an SM with so many warp slots.
    pub fn new(slots: usize) -> Self {
        Runs {
            now: vec![Run::default(); slots],
            over: Vec::with_capacity(NOTED_MAX + slots),
        }
    }

    /// A warp begins a run. Whether there are many to follow up.
    #[inline]
    #[must_use]
    pub fn begun(&mut self, run: &WarpRun) -> bool {
        self.replace(Run {
            first: run.first,
            end: run.end,
            mask: run.mask,
            warp: run.warp,
            program: run.program,
            another: false,
        });
        self.over.len() >= NOTED_MAX
    }

    /// Another warp starts in a slot.
    pub fn warp_started(&mut self, warp: u8, program: u8) {
        self.replace(Run {
            warp,
            program,
            another: true,
            ..Run::default()
        });
    }

    #[inline]
    fn replace(&mut self, run: Run) {
        let now = &mut self.now[usize::from(run.warp)];
        self.over.push(std::mem::replace(now, run));
    }

    /// The run of a slot ends before the instruction at `place`.
    pub fn broken_off(&mut self, warp: u8, place: u32) {
        self.now[usize::from(warp)].end = place;
    }

    /// The runs of `program` are over: its warps have ended.
    pub fn close(&mut self, program: u8) {
        let of = self.now.iter_mut().filter(|run| run.program == program);
        self.over.extend(of.map(std::mem::take));
    }

    /// All runs are over.
    pub fn close_all(&mut self) {
        self.over.extend(self.now.iter_mut().map(std::mem::take));
    }

    /// Takes those that are over; those of a warp come in its order. Without an instruction are only those with which
    /// another warp starts.
    pub fn follow_up(&mut self) -> impl Iterator<Item = Run> {
        let says_something = |run: &Run| run.length() > 0 || run.another;
        self.over.drain(..).filter(says_something)
    }
}

/// How often the instructions of a kernel were executed.
#[derive(Clone, Debug, Default)]
pub(super) struct Executed {
    /// By place: more than the instruction before it, as far as runs begin and end between them. Less is a large number,
    /// and sums wrap around.
    more: Vec<Times>,
}

/// Executions of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// By warps.
    pub warps: u64,
    /// By lanes of them.
    pub lanes: u64,
}

impl Executed {
    /// Of a kernel of so many instructions.
    pub fn new(insts: usize) -> Self {
        Executed {
            more: vec![Times::default(); insts + 1],
        }
    }

    /// A warp executed a run.
    #[inline]
    pub fn add(&mut self, run: &Run) {
        if run.length() == 0 {
            return;
        }
        let lanes = u64::from(run.lanes());
        let first = &mut self.more[run.first as usize];
        first.warps = first.warps.wrapping_add(1);
        first.lanes = first.lanes.wrapping_add(lanes);
        let end = &mut self.more[run.end as usize];
        end.warps = end.warps.wrapping_sub(1);
        end.lanes = end.lanes.wrapping_sub(lanes);
    }

    /// Of each instruction, by place.
    pub fn times(&self) -> impl Iterator<Item = Times> {
        self.more.iter().scan(Times::default(), |sum, more| {
            sum.warps = sum.warps.wrapping_add(more.warps);
            sum.lanes = sum.lanes.wrapping_add(more.lanes);
            Some(*sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOTS: usize = 4;
    const INSTS: u32 = 40;

    /// What happens at a warp slot.
    #[derive(Clone, Debug)]
    enum Event {
        Run { first: u32, end: u32, mask: u32 },
        Warp { program: u8 },
        Close,
    }

    fn events() -> impl Strategy<Value = Vec<(u8, Event)>> {
        let mask = prop_oneof![Just(u32::MAX), Just(0), any::<u32>()];
        let run = (0..INSTS, 1..=INSTS, mask).prop_map(|(first, length, mask)| Event::Run {
            first,
            end: (first + length).min(INSTS),
            mask,
        });
        let warp = (0..2u8).prop_map(|program| Event::Warp { program });
        let event = prop_oneof![40 => run, 4 => warp, 1 => Just(Event::Close)];
        prop::collection::vec((0..SLOTS as u8, event), 1..2000)
    }

    /// What was counted: executions by program, and by warp slot the instructions of each of its warps.
    #[derive(Debug, PartialEq)]
    struct Counts {
        times: [Vec<Times>; 2],
        warps: Vec<Vec<Vec<(u32, u32)>>>,
    }

    impl Counts {
        fn new() -> Self {
            Counts {
                times: [0; 2].map(|_| vec![Times::default(); INSTS as usize + 1]),
                warps: vec![vec![Vec::new()]; SLOTS],
            }
        }

        fn execute(&mut self, warp: u8, place: u32, mask: u32) {
            let warps = &mut self.warps[usize::from(warp)];
            warps.last_mut().unwrap().push((place, mask));
        }
    }

    /// Instruction by instruction. The last run of each slot is broken off in its middle.
    fn one_by_one(events: &[(u8, Event)]) -> (Counts, [Option<u32>; SLOTS]) {
        let mut counts = Counts::new();
        let (mut program, mut broken_off) = ([0; SLOTS], [None; SLOTS]);
        for (at, (warp, event)) in events.iter().enumerate() {
            let slot = usize::from(*warp);
            match *event {
                Event::Run { first, end, mask } => {
                    let mut later = events[at + 1..].iter();
                    // Only the end of the simulation can break a run off.
                    let last = !later.any(|(w, e)| w == warp || matches!(e, Event::Close));
                    let end = if last { first + (end - first) / 2 } else { end };
                    broken_off[slot] = last.then_some(end);
                    for place in first..end {
                        counts.execute(*warp, place, mask);
                        let times = &mut counts.times[usize::from(program[slot])][place as usize];
                        times.warps += 1;
                        times.lanes += u64::from(mask.count_ones());
                    }
                }
                Event::Warp { program: next } => {
                    program[slot] = next;
                    counts.warps[slot].push(Vec::new());
                }
                Event::Close => {}
            }
        }
        (counts, broken_off)
    }

    /// As runs are followed up.
    struct Followed {
        runs: Runs,
        executed: [Executed; 2],
        counts: Counts,
    }

    impl Followed {
        fn follow_up(&mut self) {
            for run in self.runs.follow_up() {
                self.executed[usize::from(run.program)].add(&run);
                if run.another {
                    self.counts.warps[usize::from(run.warp)].push(Vec::new());
                }
                for place in run.first..run.end {
                    self.counts.execute(run.warp, place, run.mask);
                }
            }
        }

        fn run(events: &[(u8, Event)], broken_off: [Option<u32>; SLOTS]) -> Counts {
            let mut all = Followed {
                runs: Runs::new(SLOTS),
                executed: [0; 2].map(|_| Executed::new(INSTS as usize)),
                counts: Counts::new(),
            };
            let mut programs = [0; SLOTS];
            for &(warp, ref event) in events {
                let program = &mut programs[usize::from(warp)];
                let full = match *event {
                    Event::Run { first, end, mask } => all.runs.begun(&WarpRun {
                        first,
                        end,
                        mask,
                        warp,
                        program: *program,
                    }),
                    Event::Warp { program: next } => {
                        *program = next;
                        all.runs.warp_started(warp, next);
                        false
                    }
                    Event::Close => {
                        (0..2).for_each(|program| all.runs.close(program));
                        true
                    }
                };
                assert!(full || all.runs.over.len() < NOTED_MAX + SLOTS);
                if full {
                    all.follow_up();
                }
            }
            for (warp, place) in (0..).zip(broken_off) {
                place
                    .into_iter()
                    .for_each(|place| all.runs.broken_off(warp, place));
            }
            all.runs.close_all();
            all.follow_up();
            all.counts.times = all.executed.map(|executed| executed.times().collect());
            all.counts
        }
    }

    proptest! {
        #[test]
        fn runs_are_the_instructions_of_each_warp_in_order(events in events()) {
            let (expected, broken_off) = one_by_one(&events);
            prop_assert_eq!(Followed::run(&events, broken_off), expected);
        }
    }
}
