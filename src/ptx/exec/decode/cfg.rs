//! Immediate post-dominators: where the paths of a branch meet again.

use super::super::op::Op;
use super::super::program::{Inst, NOWHERE};
use crate::ptx::flat::Flat;

/// Basic blocks of one function: first instruction of each, ascending, and edges.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// First instruction of each block.
    pub starts: Vec<u32>,
    /// One past the last instruction of the function.
    pub end: u32,
    /// Successors by number; none where the function ends.
    pub successors: Vec<Vec<usize>>,
}

impl Blocks {
    /// The block that holds instruction `pc`.
    pub fn of(&self, pc: u32) -> usize {
        self.starts.partition_point(|&s| s <= pc).saturating_sub(1)
    }

    /// One past the last instruction of block `b`.
    pub fn end_of(&self, b: usize) -> u32 {
        self.starts.get(b + 1).copied().unwrap_or(self.end)
    }
}

/// The blocks of instructions `start..end`.
pub fn blocks(insts: &[Inst], targets: &[Vec<u32>], start: u32, end: u32) -> Blocks {
    let inside = |pc: u32| pc >= start && pc < end;
    let mut starts = vec![start];
    for pc in start..end {
        let Some(inst) = insts.get(pc as usize) else {
            continue;
        };
        match inst.op {
            Op::Bra { target } => starts.extend([target, pc + 1]),
            Op::Brx { targets: list, .. } => {
                starts.extend(targets.get(list as usize).into_iter().flatten());
                starts.push(pc + 1);
            }
            Op::Ret | Op::Exit | Op::Trap => starts.push(pc + 1),
            _ => {}
        }
    }
    starts.retain(|&pc| inside(pc));
    starts.sort_unstable();
    starts.dedup();
    let mut blocks = Blocks {
        starts,
        end,
        successors: Vec::new(),
    };
    for b in 0..blocks.starts.len() {
        let last = blocks.end_of(b) - 1;
        let mut next = Vec::new();
        let Some(inst) = insts.get(last as usize) else {
            continue;
        };
        let mut falls = true;
        match inst.op {
            Op::Bra { target } => {
                next.push(target);
                falls = inst.guard.is_some();
            }
            Op::Brx { targets: list, .. } => {
                next.extend(targets.get(list as usize).into_iter().flatten());
                falls = inst.guard.is_some();
            }
            // Lanes that leave need not be met again: a guarded exit only goes on.
            Op::Ret | Op::Exit | Op::Trap => falls = inst.guard.is_some(),
            _ => {}
        }
        if falls {
            next.push(last + 1);
        }
        let mut next: Vec<usize> = next
            .into_iter()
            .filter(|&pc| inside(pc))
            .map(|pc| blocks.of(pc))
            .collect();
        next.sort_unstable();
        next.dedup();
        blocks.successors.push(next);
    }
    blocks
}

/// For each instruction the place where a divergent branch there meets.
pub fn meeting_points(flat: &Flat<'_>, insts: &[Inst], targets: &[Vec<u32>]) -> Vec<u32> {
    let mut meet = vec![NOWHERE; insts.len()];
    for function in &flat.functions {
        let Some(start) = function.start else {
            continue;
        };
        let blocks = blocks(insts, targets, start, function.end);
        let after = post_dominators(&blocks);
        for b in 0..blocks.starts.len() {
            let last = blocks.end_of(b) - 1;
            let point = after.get(b).copied().flatten();
            if let (Some(slot), Some(point)) = (meet.get_mut(last as usize), point) {
                *slot = blocks.starts.get(point).copied().unwrap_or(NOWHERE);
            }
        }
    }
    meet
}

/// Immediate post-dominator of each block; `None` is the end of the function. The usual iteration
/// over the reversed graph in post-order.
pub fn post_dominators(blocks: &Blocks) -> Vec<Option<usize>> {
    let count = blocks.starts.len();
    // Number `count` is the virtual exit.
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); count + 1];
    for (b, next) in blocks.successors.iter().enumerate() {
        if next.is_empty() {
            before[count].push(b);
        }
        for &n in next {
            before[n].push(b);
        }
    }
    let order = post_order(&before, count);
    let mut rank = vec![usize::MAX; count + 1];
    for (i, &b) in order.iter().enumerate() {
        rank[b] = i;
    }
    let mut parent = vec![usize::MAX; count + 1];
    parent[count] = count;
    let mut changed = true;
    while changed {
        changed = false;
        for &b in order.iter().rev().filter(|&&b| b != count) {
            let exits = blocks.successors[b].is_empty();
            let next = blocks.successors[b]
                .iter()
                .copied()
                .chain(exits.then_some(count));
            let mut new = usize::MAX;
            for n in next.filter(|&n| parent[n] != usize::MAX) {
                new = match new {
                    usize::MAX => n,
                    _ => common(&parent, &rank, n, new),
                };
            }
            if new != parent[b] {
                parent[b] = new;
                changed = true;
            }
        }
    }
    (0..count)
        .map(|b| Some(parent[b]).filter(|&p| p < count))
        .collect()
}

fn common(parent: &[usize], rank: &[usize], mut a: usize, mut b: usize) -> usize {
    while a != b {
        while rank[a] < rank[b] {
            a = parent[a];
        }
        while rank[b] < rank[a] {
            b = parent[b];
        }
    }
    a
}

fn post_order(edges: &[Vec<usize>], root: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(edges.len());
    let mut seen = vec![false; edges.len()];
    let mut stack = vec![(root, 0)];
    seen[root] = true;
    while let Some((node, at)) = stack.last_mut() {
        match edges[*node].get(*at) {
            Some(&next) => {
                *at += 1;
                if !seen[next] {
                    seen[next] = true;
                    stack.push((next, 0));
                }
            }
            None => {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order
}
