//! From issue to the local queue: address decoding, coalescing, address generation.

use super::{NO_FLIGHT, Space};
use crate::isa::{MemKind, MemOp, MemSpace};
use crate::probe::Probe;
use crate::sm::cores::warp::{Local, PENDING, Queued, raw};
use crate::sm::memory::banks::{Banks, Passes, Service, bank_passes};
use crate::sm::memory::coalesce::{
    LINES_MAX, Lines, atomic_weight, coalesce, is_atomic, local_lines,
};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Op, OpKind, Pipe, flag};
use crate::sm::{Cx, Sm};
use crate::trace::{Addresses, KernelHeader};

fn new_entry() -> Box<Queued> {
    Box::new(Queued {
        ready: 0,
        warp: 0,
        program: 0,
        next_line: 0,
        misses: 0,
        passes: 1,
        least_passes: 1,
        op: 0,
        flight: NO_FLIGHT,
        space: Space::Global,
        atomic_weight: [1; LINES_MAX],
        lines: Lines::default(),
    })
}

impl<S: Stage> Sm<S> {
    /// Puts a memory instruction or shuffle that issues at `now` into its sub-core's queue.
    pub(in crate::sm) fn enqueue<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        op: &Op,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let mut entry = self.cores.subs[k].spare.pop().unwrap_or_else(new_entry);
        let warp = &mut self.cores.warps[slot];
        entry.warp = slot as u8;
        entry.program = warp.program;
        entry.op = warp.op;
        entry.next_line = 0;
        entry.misses = 0;
        entry.flight = NO_FLIGHT;
        (entry.passes, entry.least_passes) = (1, 1);
        warp.queued += 1;
        warp.pending += 1;
        let mut uniform = false;
        if op.kind == OpKind::Shuffle {
            entry.space = Space::Shuffle;
        } else {
            let mem = cx.programs[usize::from(warp.program)].program.mems[usize::from(op.mem)];
            uniform = mem.uniform_address;
            let mask = warp.mask;
            cx.probe
                .memory_queued(self.epoch + u64::from(now), slot as u8, mask);
            self.addresses(slot, &mem, &mut entry, cx);
        }
        self.begin_wait(slot, op, cx);
        let interval = if uniform {
            cx.spec.lsu.agu_interval_uniform
        } else {
            cx.spec.lsu.agu_interval
        };
        let sub = &mut self.cores.subs[k];
        entry.ready = (now + self.memory.lsu.frontend).max(sub.agu_free);
        sub.agu_free = entry.ready + Local::from(interval);
        self.memory.lsu.next = match self.memory.lsu.stuck {
            Some(_) => self.memory.lsu.next,
            None => self
                .memory
                .lsu
                .next
                .min(entry.ready.max(self.memory.lsu.free)),
        };
        sub.queue.push_back(entry);
        if sub.queue.len() >= self.memory.lsu.queue_entries {
            sub.pipe_free[Pipe::Lsu as usize] = PENDING;
        }
    }

    /// Marks what the instruction will deliver as pending.
    pub(in crate::sm) fn begin_wait<P: Probe>(&mut self, slot: usize, op: &Op, cx: &Cx<P>) {
        if op.flags & flag::CONTROL != 0 {
            let warp = &mut self.cores.warps[slot];
            for barrier in [op.control.write_barrier, op.control.read_barrier] {
                if let Some(pending) = warp.sb_pending.get_mut(usize::from(barrier)) {
                    *pending += 1;
                    let ready = &mut warp.sb_ready[usize::from(barrier)];
                    *ready = *ready & !3 | u32::from(op.source);
                }
            }
        } else {
            self.write_registers(slot, op, raw(PENDING, op.source), cx);
        }
    }

    /// Decodes the next access of the warp's stream into `entry`.
    pub(in crate::sm) fn addresses<P: Probe>(
        &mut self,
        slot: usize,
        mem: &MemOp,
        entry: &mut Queued,
        cx: &Cx<P>,
    ) {
        let warp = &self.cores.warps[slot];
        let launched = &cx.programs[usize::from(warp.program)];
        let mut list = [0u64; 32];
        let access = self.cores.streams[slot].next_access(warp.op, warp.mask, &mut list);
        let header = &launched.kernel.header;
        let (mut base, mut count) = (list[0], usize::from(warp.mask.count_ones() as u8));
        let pattern = match access {
            Addresses::Pattern { base: at, pattern } => {
                base = at;
                Some(pattern)
            }
            Addresses::List { count: lanes } => {
                count = usize::from(lanes);
                None
            }
        };
        let atomic = is_atomic(mem);
        entry.space = space_of(mem, base, header);
        let service = match (mem.kind, entry.space) {
            _ if atomic => Service::Atomic,
            (MemKind::Load, Space::Shared) => Service::SharedLoad,
            _ => Service::Other,
        };
        let width = u64::from(mem.width_bytes);
        let patterns = &launched.program.patterns;
        if let Some(pattern) = pattern {
            let info = patterns.info(pattern);
            let passes = info.passes(service);
            match entry.space {
                Space::Global if !atomic && patterns.lines_at(pattern, base, &mut entry.lines) => {
                    return set_passes(entry, passes);
                }
                Space::Shared if base.is_multiple_of(u64::from(cx.spec.smem.bank_bytes)) => {
                    return set_passes(entry, passes);
                }
                _ => {}
            }
            let offsets = &launched.kernel.code.patterns[pattern as usize].offsets;
            count = offsets.len().min(32);
            for (address, &offset) in list.iter_mut().zip(offsets) {
                *address = base.wrapping_add_signed(i64::from(offset));
            }
        }
        let lanes = &list[..count];
        if entry.space == Space::Shared {
            let banks = Banks::new(&cx.spec.smem);
            set_passes(entry, bank_passes(lanes, warp.mask, width, banks, service));
            return;
        }
        if entry.space == Space::Local {
            return self.local_access(slot, &mut list[..count], width, entry, cx);
        }
        coalesce(lanes, width, &mut entry.lines);
        if mem.kind == MemKind::Load {
            let banks = Banks::new(&cx.spec.smem);
            set_passes(entry, bank_passes(lanes, warp.mask, width, banks, service));
        }
        if atomic {
            for (weight, line) in entry.atomic_weight.iter_mut().zip(entry.lines.as_slice()) {
                *weight = atomic_weight(lanes, line.line);
            }
        }
    }

    /// The lines and passes of an access of `width` bytes to the thread's own memory at `lanes`.
    fn local_access<P: Probe>(
        &self,
        slot: usize,
        lanes: &mut [u64],
        width: u64,
        entry: &mut Queued,
        cx: &Cx<P>,
    ) {
        let warp = &self.cores.warps[slot];
        let header = &cx.programs[usize::from(warp.program)].kernel.header;
        let words = width.div_ceil(4).clamp(1, 4) as u8;
        entry.passes = words;
        entry.least_passes = words;
        for address in &mut *lanes {
            *address = local_offset(*address, header.local_base);
        }
        let warps = u64::from(cx.spec.sm.warps_max);
        let place = u64::from(self.id.0) * warps + slot as u64;
        let places = u64::from(cx.spec.sms) * warps;
        local_lines(lanes, warp.mask, width, place, places, &mut entry.lines);
    }
}

/// Where an access goes whose first lane has address `base`. No atomic works on local memory; one that a damaged
/// trace sends there is taken as global.
#[inline(always)]
fn space_of(mem: &MemOp, base: u64, header: &KernelHeader) -> Space {
    let atomic = is_atomic(mem);
    match mem.space {
        MemSpace::Shared => Space::Shared,
        MemSpace::Generic if in_window(base, header.shared_base) => Space::Shared,
        MemSpace::Local if !atomic => Space::Local,
        MemSpace::Generic if !atomic && in_window(base, header.local_base) => Space::Local,
        _ => Space::Global,
    }
}

/// Bytes of the windows that shared and local memory have in the generic address space.
const WINDOW: u64 = 1 << 24;

fn in_window(address: u64, base: u64) -> bool {
    base != 0 && address.wrapping_sub(base) < WINDOW
}

/// The place in a thread's local memory that `address`, generic or an offset already, names.
fn local_offset(address: u64, base: u64) -> u64 {
    match in_window(address, base) {
        true => address - base,
        false => address % WINDOW,
    }
}

fn set_passes(entry: &mut Queued, passes: Passes) {
    entry.passes = passes.passes.max(1);
    entry.least_passes = passes.least.max(1);
}
