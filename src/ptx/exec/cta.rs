//! One CTA: its warps in turn, its barriers.

use super::fault::Fault;
use super::memory::Global;
use super::observe::Observer;
use super::program::Program;
use super::regs::{LANES, Lanes};
use super::shared::Shared;
use super::warp::{Cx, Warp};
use crate::ptx::flat::{Mask, Special};

/// Instructions that a warp runs before the next one has its turn.
const TURN: u64 = 8192;

/// A barrier.
#[derive(Clone, Copy, Debug, Default)]
pub struct Barrier {
    /// Threads that have arrived.
    pub arrived: u32,
    /// Threads that the instruction names; without, all that live.
    pub expected: Option<u32>,
    /// Arrived threads whose predicate was true.
    pub truths: u32,
}

/// The barriers of a CTA.
#[derive(Clone, Debug, Default)]
pub struct Barriers([Barrier; 16]);

impl Barriers {
    /// Barrier `number`.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Barrier> {
        self.0.get_mut(number as usize)
    }
}

/// What a launch says of the grid.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// CTAs.
    pub grid: [u32; 3],
    /// Threads of a CTA.
    pub block: [u32; 3],
}

impl Shape {
    /// Threads of a CTA.
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    /// CTA number `n`, x fastest.
    pub fn cta(&self, n: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(|d| u64::from(d.max(1)));
        [(n % x) as u32, (n / x % y) as u32, (n / (x * y)) as u32]
    }
}

/// Runs CTAs one after the other, with memory that is used again.
#[derive(Debug)]
pub struct Runner {
    warps: Vec<Warp>,
    shared: Shared,
    barriers: Barriers,
    /// Warp instructions so far.
    pub executed: u64,
    /// Warp instructions of one CTA after which it is given up.
    pub limit: u64,
    /// Whether the last CTA was given up.
    pub given_up: bool,
}

/// A quarter of a minute of emulation and more: a kernel that an endless loop holds, or that waits for a later
/// CTA, ends with an error instead of never.
const CTA_INSTRUCTIONS_MAX: u64 = 300_000_000;

impl Default for Runner {
    fn default() -> Self {
        Runner {
            warps: Vec::new(),
            shared: Shared::default(),
            barriers: Barriers::default(),
            executed: 0,
            limit: CTA_INSTRUCTIONS_MAX,
            given_up: false,
        }
    }
}

impl Runner {
    /// Runs CTA number `number`.
    ///
    /// # Errors
    /// The first fault of a thread, or a CTA that cannot go on.
    pub fn run<O: Observer>(
        &mut self,
        program: &Program,
        shape: Shape,
        number: u64,
        race_check: bool,
        global: &mut Global,
        observer: &mut O,
    ) -> Result<(), Box<Fault>> {
        let cta = shape.cta(number);
        self.start(program, shape, cta, race_check);
        self.given_up = false;
        let mut cx = Cx {
            program,
            global,
            shared: &mut self.shared,
            observer,
            barriers: &mut self.barriers,
            cta,
            block: shape.block,
        };
        let mut executed = 0;
        loop {
            let before = executed;
            for number in 0..self.warps.len() {
                let warp = &mut self.warps[number];
                let start = warp.executed;
                warp.run(&mut cx, TURN)?;
                executed += warp.executed - start;
                // After each warp: a CTA that runs ahead of its turn has a small limit.
                self.given_up = executed > self.limit;
                if self.given_up {
                    return Err(endless(program, &self.warps, cta, executed));
                }
            }
            let opened = open(&mut self.warps, &mut cx);
            if self.warps.iter().all(Warp::done) {
                self.executed += executed;
                return Ok(());
            }
            if executed == before && !opened {
                return Err(stuck(program, &self.warps, cta));
            }
        }
    }

    fn start(&mut self, program: &Program, shape: Shape, cta: [u32; 3], race_check: bool) {
        let threads = shape.threads();
        let count = threads.div_ceil(LANES as u32) as usize;
        self.warps.resize_with(count, Warp::default);
        self.shared.reset(program.shared_bytes, race_check);
        self.barriers = Barriers::default();
        for (number, warp) in (0u32..).zip(&mut self.warps) {
            let left = threads - number * LANES as u32;
            let lanes = if left >= 32 {
                u32::MAX
            } else {
                (1 << left) - 1
            };
            warp.start(program, number, lanes);
            for &(r, special) in &program.specials {
                let value = special_value(program, shape, cta, number, special);
                warp.regs.w.0[r as usize] = value.map(|v| v as u32);
            }
            for &(r, special) in &program.wide_specials {
                warp.regs.x.0[r as usize] = special_value(program, shape, cta, number, special);
            }
        }
    }
}

/// Opens every barrier at which all have arrived.
fn open<O>(warps: &mut [Warp], cx: &mut Cx<'_, O>) -> bool {
    let alive: u32 = warps.iter().map(|w| w.alive.count_ones()).sum();
    let mut opened = false;
    for number in 0..16 {
        let Some(barrier) = cx.barriers.get_mut(number) else {
            continue;
        };
        let state = *barrier;
        if state.arrived == 0 || state.arrived < state.expected.unwrap_or(alive) {
            continue;
        }
        *barrier = Barrier::default();
        opened = true;
        cx.shared.barrier();
        for warp in warps.iter_mut() {
            warp.release(number, state.truths, state.arrived, cx.program);
        }
    }
    opened
}

fn stuck(program: &Program, warps: &[Warp], cta: [u32; 3]) -> Box<Fault> {
    let waiting = warps.iter().filter(|w| !w.done()).count();
    let what = format!("the CTA cannot go on: {waiting} warps wait for threads that never arrive");
    held(
        program,
        warps,
        cta,
        what,
        "every thread that a barrier counts has to reach it",
    )
}

/// A CTA that has run for too long.
fn endless(program: &Program, warps: &[Warp], cta: [u32; 3], executed: u64) -> Box<Fault> {
    let what = format!("the CTA does not end: {executed} warp instructions so far");
    held(
        program,
        warps,
        cta,
        what,
        "look for a loop without end, or a wait for a later CTA",
    )
}

/// A fault at the place of the first warp that has not ended.
fn held(
    program: &Program,
    warps: &[Warp],
    cta: [u32; 3],
    what: String,
    remedy: &str,
) -> Box<Fault> {
    let waiting = warps.iter().find(|w| !w.done());
    let pc = waiting
        .and_then(|w| w.fragments.first())
        .and_then(|f| f.stack.last())
        .map_or(0, |e| e.pc.saturating_sub(1));
    Box::new(Fault {
        what,
        line: program.insts.get(pc as usize).map_or(0, |i| i.line),
        inst: program.texts.get(pc as usize).cloned().unwrap_or_default(),
        cta,
        thread: [waiting.map_or(0, |w| w.number * 32), 0, 0],
        remedy: remedy.to_owned(),
    })
}

fn special_value(
    program: &Program,
    shape: Shape,
    cta: [u32; 3],
    warp: u32,
    special: Special,
) -> Lanes<u64> {
    let axis = |dims: [u32; 3], axis: u8| dims.get(usize::from(axis)).copied().unwrap_or(0);
    let [bx, by, _] = shape.block.map(|d| d.max(1));
    let uniform = match special {
        Special::Tid(of) => {
            return std::array::from_fn(|lane| {
                let thread = warp * LANES as u32 + lane as u32;
                let tid = [thread % bx, thread / bx % by, thread / (bx * by)];
                u64::from(axis(tid, of))
            });
        }
        Special::Laneid => return std::array::from_fn(|lane| lane as u64),
        Special::LaneMask(mask) => {
            return std::array::from_fn(|lane| {
                let bit = 1u64 << lane;
                let all = u64::from(u32::MAX);
                match mask {
                    Mask::Eq => bit,
                    Mask::Lt => bit - 1,
                    Mask::Le => 2 * bit - 1,
                    Mask::Gt => all & !(2 * bit - 1),
                    Mask::Ge => all & !(bit - 1),
                }
            });
        }
        Special::Ntid(of) => axis(shape.block, of),
        Special::Ctaid(of) => axis(cta, of),
        Special::Nctaid(of) => axis(shape.grid, of),
        Special::Warpid => warp,
        Special::Nwarpid => shape.threads().div_ceil(32),
        Special::Nsmid => 1,
        Special::DynamicSmem => program.dynamic_shared_bytes as u32,
        Special::TotalSmem => program.shared_bytes as u32,
        Special::Fixed(value) => value,
        // Time stands still for what only asks for the date.
        Special::GlobalTimer | Special::GlobalTimerLo => 1_000_000,
        _ => 0,
    };
    [u64::from(uniform); LANES]
}
