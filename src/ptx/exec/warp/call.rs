//! Calls that copy their parameters: recursive functions, and calls through pointers.
//!
//! A lane that calls a recursive function puts that function's registers aside and gets a frame of
//! local memory; its return brings the registers back.

use super::super::bytes::{read, write};
use super::super::fault::{LaneFault, Ran};
use super::super::program::{Frame, NOWHERE, Place, Program, Target};
use super::super::regs::{LANES, Regs};
use super::super::stack::Entry;
use super::super::{CODE_STEP, CODE_WINDOW};
use super::{Cx, Next, Warp, lanes};

/// Calls within calls.
const DEPTH_MAX: u32 = 4096;

/// A call of one lane that has not returned.
#[derive(Clone, Debug, Default)]
pub(super) struct Activation {
    depth: u32,
    site: u32,
    callee: u32,
    // Top of the stack before the call.
    top: u64,
    saved: Vec<u64>,
}

impl Warp {
    pub(super) fn call_site<O>(
        &mut self,
        index: usize,
        pc: u32,
        site: u32,
        exec: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        let program = cx.program;
        let call = &program.sites[site as usize];
        let first = exec.trailing_zeros() as usize;
        let (number, same) = self.callee(&call.target, program, exec)?;
        let callee = &program.callees[number as usize];
        let Some(start) = callee.start else {
            let what = format!("function `{}` has no body in this file", callee.name);
            return Err(Box::new(LaneFault::new(
                first,
                what,
                "link it into the PTX file",
            )));
        };
        let Some(top) = self.fragments[index].stack.last_mut() else {
            return Ok(Next::Stack);
        };
        let (here, depth) = (*top, top.frame + 1);
        top.pc = pc + 1;
        if depth > DEPTH_MAX {
            return Err(too_deep(first));
        }
        if exec != same {
            self.fragments[index].stack.push(Entry {
                pc,
                meet: pc + 1,
                mask: exec & !same,
                ..here
            });
        }
        self.fragments[index].stack.push(Entry {
            pc: start,
            meet: NOWHERE,
            mask: same,
            frame: depth,
        });
        self.calls.resize_with(LANES, Vec::new);
        for lane in lanes(same) {
            self.enter(lane, (site, number), depth, program)?;
        }
        Ok(Next::Stack)
    }

    /// The function that the first lane of `exec` calls, and the lanes that call it too. One callee a time: the
    /// other lanes come back to the instruction.
    fn callee(&self, target: &Target, program: &Program, exec: u32) -> Ran<(u32, u32)> {
        let first = exec.trailing_zeros() as usize;
        match *target {
            Target::Function(number) => Ok((number, exec)),
            Target::Pointer(r) => {
                let pointers = self.regs.x.get(r);
                let same = lanes(exec).fold(0, |m, lane| {
                    m | u32::from(pointers[lane] == pointers[first]) << lane
                });
                Ok((function(program, pointers[first], first)?, same))
            }
        }
    }

    /// `lane` calls function `number` at `site`: parameters are copied, and a frame put on its stack.
    fn enter(
        &mut self,
        lane: usize,
        (site, number): (u32, u32),
        depth: u32,
        program: &Program,
    ) -> Ran<()> {
        let call = &program.sites[site as usize];
        let callee = &program.callees[number as usize];
        let given: Vec<Vec<u8>> = call.params.iter().map(|p| self.fetch(*p, lane)).collect();
        let mut saved = Vec::new();
        let top = program.stack.map_or(0, |r| self.regs.x.get(r)[lane]);
        if let (Some(frame), Some(stack)) = (callee.frame, program.stack) {
            save(&self.regs, &frame, lane, &mut saved);
            if top + frame.bytes > program.local_bytes as u64 {
                return Err(too_deep(lane));
            }
            self.regs.x.0[frame.base as usize][lane] = top.wrapping_sub(frame.start);
            self.regs.x.0[stack as usize][lane] = top + frame.bytes;
        }
        for (place, bytes) in callee.params.iter().zip(&given) {
            self.deliver(*place, lane, bytes);
        }
        self.calls[lane].push(Activation {
            depth,
            site,
            callee: number,
            top,
            saved,
        });
        Ok(())
    }

    /// `alloca`: the address that each lane gets is one of local memory.
    pub(super) fn take_stack(
        &mut self,
        d: u32,
        bytes: u32,
        align: u32,
        mask: u32,
        program: &Program,
    ) -> Ran<()> {
        let Some(stack) = program.stack else {
            return Ok(());
        };
        for lane in lanes(mask) {
            let top = self.regs.x.get(stack)[lane];
            let start = top.next_multiple_of(u64::from(align.max(1)));
            let end = start.checked_add(self.regs.x.get(bytes)[lane]);
            let Some(end) = end.filter(|&end| end <= program.local_bytes as u64) else {
                return Err(too_deep(lane));
            };
            self.regs.x.0[d as usize][lane] = start;
            self.regs.x.0[stack as usize][lane] = end;
        }
        Ok(())
    }

    /// Lanes return from calls of depth `depth`, or end.
    pub(super) fn leave(&mut self, exec: u32, depth: Option<u32>, program: &Program) {
        for lane in lanes(exec) {
            let Some(depth) = depth else {
                self.calls[lane].clear();
                continue;
            };
            let Some(activation) = self.calls[lane].pop_if(|a| a.depth == depth) else {
                continue;
            };
            let callee = &program.callees[activation.callee as usize];
            let given: Vec<Vec<u8>> = callee
                .returns
                .iter()
                .map(|p| self.fetch(*p, lane))
                .collect();
            if let (Some(frame), Some(stack)) = (callee.frame, program.stack) {
                restore(&mut self.regs, &frame, lane, &activation.saved);
                self.regs.x.0[stack as usize][lane] = activation.top;
            }
            let places = &program.sites[activation.site as usize].returns;
            for (place, bytes) in places.iter().zip(&given) {
                self.deliver(*place, lane, bytes);
            }
        }
    }

    /// The bytes of a parameter.
    fn fetch(&self, place: Place, lane: usize) -> Vec<u8> {
        match place {
            Place::Sink => Vec::new(),
            Place::Register(slot) => self.regs.lane(slot, lane).to_le_bytes().to_vec(),
            Place::Local {
                base,
                offset,
                bytes,
            } => {
                let at = self.local_start(base, offset, lane);
                (0..bytes as usize)
                    .map(|i| read(&self.local, at.saturating_add(i), 1) as u8)
                    .collect()
            }
        }
    }

    fn deliver(&mut self, place: Place, lane: usize, given: &[u8]) {
        match place {
            Place::Sink => {}
            Place::Register(slot) => {
                let value = read(given, 0, given.len().min(8));
                self.regs.put_lane(slot, lane, value);
            }
            Place::Local {
                base,
                offset,
                bytes,
            } => {
                let at = self.local_start(base, offset, lane);
                for (i, byte) in given.iter().enumerate().take(bytes as usize) {
                    write(&mut self.local, at.saturating_add(i), 1, u64::from(*byte));
                }
            }
        }
    }

    fn local_start(&self, base: Option<u32>, offset: u64, lane: usize) -> usize {
        let base = base.map_or(0, |r| self.regs.x.get(r)[lane]);
        lane * (self.local.len() / LANES) + base.wrapping_add(offset) as usize
    }
}

/// The function at an address.
fn function(program: &Program, address: u64, lane: usize) -> Ran<u32> {
    let number = address.wrapping_sub(CODE_WINDOW) / CODE_STEP;
    let exact = address.is_multiple_of(CODE_STEP);
    match usize::try_from(number) {
        Ok(n) if exact && n < program.callees.len() => Ok(n as u32),
        _ => Err(Box::new(LaneFault::new(
            lane,
            format!("a call of {address:#x}, where no function is"),
            "check the pointer; functions of other modules are not there",
        ))),
    }
}

fn too_deep(lane: usize) -> Box<LaneFault> {
    Box::new(LaneFault::new(
        lane,
        "calls go too deep, or `alloca` takes too much: the 32 KiB of stack of the thread are full",
        "look for a recursion without end",
    ))
}

fn save(regs: &Regs, frame: &Frame, lane: usize, out: &mut Vec<u64>) {
    let [p, w, x] = frame.files;
    out.extend((p.0..p.1).map(|r| u64::from(regs.p[r as usize] >> lane & 1)));
    out.extend((w.0..w.1).map(|r| u64::from(regs.w.get(r)[lane])));
    out.extend((x.0..x.1).map(|r| regs.x.get(r)[lane]));
    out.push(regs.x.get(frame.base)[lane]);
}

fn restore(regs: &mut Regs, frame: &Frame, lane: usize, saved: &[u64]) {
    let [p, w, x] = frame.files;
    let mut saved = saved.iter().copied();
    for r in p.0..p.1 {
        let bit = saved.next().unwrap_or(0) as u32;
        regs.put_pred(r, 1 << lane, bit << lane);
    }
    for r in w.0..w.1 {
        regs.w.0[r as usize][lane] = saved.next().unwrap_or(0) as u32;
    }
    for r in x.0..x.1 {
        regs.x.0[r as usize][lane] = saved.next().unwrap_or(0);
    }
    regs.x.0[frame.base as usize][lane] = saved.next().unwrap_or(0);
}
