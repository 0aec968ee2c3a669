//! List scheduling of one region: which of the instructions that could go next does.
//!
//! Time is what one warp sees that is alone: an issue slot a cycle, and results after their latency. Of the
//! instructions that are ready, the one with the longest way to the end goes first; one that would hold more
//! registers than the budget has to wait until others have freed some.

use std::collections::{BTreeMap, BTreeSet};

/// A value in registers: its number, and 32-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub value: u32,
    /// Registers that it takes.
    pub words: u32,
}

/// What is scheduled as one.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Issue slots; 0 for what the machine does not execute.
    pub issue: u32,
    /// Values that it reads.
    pub reads: Vec<Held>,
    /// Values that it writes.
    pub writes: Vec<Held>,
}

/// A region: nodes in an order that is allowed, and what has to come after each.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Nodes; every edge leads to a higher number.
    pub nodes: Vec<Node>,
    /// For each node those that wait for it, with the cycles from issue to issue.
    pub after: Vec<BTreeMap<u32, u32>>,
}

/// What is in registers around a region.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// At its start.
    pub before: Vec<Held>,
    /// Values that are needed behind it.
    pub behind: BTreeSet<u32>,
}

/// Registers that are held, as a region is walked through.
struct Pressure<'a> {
    around: &'a Around,
    live: BTreeSet<u32>,
    words: u32,
    // Reads of each value that are still to come.
    left: BTreeMap<u32, u32>,
}

impl<'a> Pressure<'a> {
    fn new(graph: &Graph, around: &'a Around) -> Self {
        let mut left: BTreeMap<u32, u32> = BTreeMap::new();
        for read in graph.nodes.iter().flat_map(|node| &node.reads) {
            *left.entry(read.value).or_default() += 1;
        }
        Pressure {
            around,
            live: around.before.iter().map(|held| held.value).collect(),
            words: around.before.iter().map(|held| held.words).sum(),
            left,
        }
    }

    fn needed(&self, value: u32, reads: u32) -> bool {
        self.around.behind.contains(&value) || self.left.get(&value).is_some_and(|n| *n > reads)
    }

    /// Words that `node` adds once it has read its operands; negative when it frees more.
    fn growth(&self, node: &Node) -> i64 {
        let mut words = 0;
        for (i, held) in node.reads.iter().enumerate() {
            if node.reads[..i]
                .iter()
                .any(|other| other.value == held.value)
            {
                continue;
            }
            let times = node.reads.iter().filter(|o| o.value == held.value).count();
            let written = node.writes.iter().any(|o| o.value == held.value);
            if self.live.contains(&held.value) && !written && !self.needed(held.value, times as u32)
            {
                words -= i64::from(held.words);
            }
        }
        for held in &node.writes {
            if !self.live.contains(&held.value) {
                words += i64::from(held.words);
            }
        }
        words
    }

    /// Executes `node`; the most words that were held meanwhile.
    fn execute(&mut self, node: &Node) -> u32 {
        for held in &node.reads {
            if let Some(left) = self.left.get_mut(&held.value) {
                *left = left.saturating_sub(1);
            }
        }
        for held in &node.reads {
            let written = node.writes.iter().any(|o| o.value == held.value);
            if !written && !self.needed(held.value, 0) && self.live.remove(&held.value) {
                self.words -= held.words;
            }
        }
        for held in &node.writes {
            if self.live.insert(held.value) {
                self.words += held.words;
            }
        }
        let most = self.words;
        // What nothing reads is free again at once.
        for held in &node.writes {
            if !self.needed(held.value, 0) && self.live.remove(&held.value) {
                self.words -= held.words;
            }
        }
        most
    }
}

/// The most words that are held while `order` is executed.
pub fn peak(graph: &Graph, around: &Around, order: &[u32]) -> u32 {
    let mut pressure = Pressure::new(graph, around);
    let start = pressure.words;
    order
        .iter()
        .map(|&n| pressure.execute(&graph.nodes[n as usize]))
        .fold(start, u32::max)
}

/// Cycles from the first issue to the end of the last, in `order`, for a warp that is alone.
pub fn cycles(graph: &Graph, order: &[u32]) -> u64 {
    let mut earliest = vec![0u64; graph.nodes.len()];
    let mut now = 0;
    for &n in order {
        let node = &graph.nodes[n as usize];
        let at = match node.issue {
            0 => earliest[n as usize],
            _ => now.max(earliest[n as usize]),
        };
        for (&next, &latency) in &graph.after[n as usize] {
            let slot = &mut earliest[next as usize];
            *slot = (*slot).max(at + u64::from(latency));
        }
        if node.issue > 0 {
            now = at + u64::from(node.issue);
        }
    }
    now
}

/// An order of the nodes of `graph` that holds `budget` words at most, or as many as the order in which they
/// are given, and takes no longer than that order does.
pub fn schedule(graph: &Graph, around: &Around, budget: u32) -> Vec<u32> {
    let given: Vec<u32> = (0..graph.nodes.len() as u32).collect();
    let most = budget.max(peak(graph, around, &given));
    let slowest = cycles(graph, &given);
    // Where every way on holds more than the limit, it is passed: then a lower one may keep below the budget.
    let limits = [0, 4, 8, 16].map(|less| most.saturating_sub(less));
    limits
        .into_iter()
        .map(|limit| list(graph, around, limit))
        .find(|order| peak(graph, around, order) <= most && cycles(graph, order) <= slowest)
        .unwrap_or(given)
}

/// Longest way from each node to the end, cycles.
fn heights(graph: &Graph) -> Vec<u64> {
    let mut heights = vec![0u64; graph.nodes.len()];
    for n in (0..graph.nodes.len()).rev() {
        let ways = graph.after[n]
            .iter()
            .map(|(&next, &latency)| heights[next as usize] + u64::from(latency));
        heights[n] = ways.max().unwrap_or(0).max(u64::from(graph.nodes[n].issue));
    }
    heights
}

/// State of one pass.
struct List<'a> {
    graph: &'a Graph,
    heights: Vec<u64>,
    waits: Vec<u32>,
    earliest: Vec<u64>,
    ready: BTreeSet<u32>,
    pressure: Pressure<'a>,
    now: u64,
}

fn list(graph: &Graph, around: &Around, limit: u32) -> Vec<u32> {
    let mut waits = vec![0u32; graph.nodes.len()];
    for next in graph.after.iter().flat_map(BTreeMap::keys) {
        waits[*next as usize] += 1;
    }
    let ready = (0..graph.nodes.len() as u32)
        .filter(|&n| waits[n as usize] == 0)
        .collect();
    let mut list = List {
        graph,
        heights: heights(graph),
        waits,
        earliest: vec![0; graph.nodes.len()],
        ready,
        pressure: Pressure::new(graph, around),
        now: 0,
    };
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some(n) = list.next(limit) {
        list.take(n);
        order.push(n);
    }
    order
}

impl List<'_> {
    fn next(&self, limit: u32) -> Option<u32> {
        let free = |n: &&u32| self.graph.nodes[**n as usize].issue == 0;
        if let Some(&n) = self.ready.iter().find(free) {
            return Some(n);
        }
        // The soonest; of those that can go now, the one with the longest way to the end.
        let key = |n: &&u32| {
            let at = self.earliest[**n as usize].max(self.now);
            (at, std::cmp::Reverse(self.heights[**n as usize]), **n)
        };
        let growth = |n: u32| self.pressure.growth(&self.graph.nodes[n as usize]);
        let room = i64::from(limit) - i64::from(self.pressure.words);
        let first = self.ready.iter().min_by_key(key).copied()?;
        let least = growth(first);
        if least <= 0 || least <= room {
            return Some(first);
        }
        // Room is made for it, and not given to what is less urgent: else a wide load would wait for all narrow
        // ones.
        let frees = |n: &&u32| growth(**n) <= 0;
        let best = self.ready.iter().filter(frees).min_by_key(key);
        best.or(self.ready.first()).copied()
    }

    fn take(&mut self, n: u32) {
        let node = &self.graph.nodes[n as usize];
        let at = match node.issue {
            0 => self.earliest[n as usize],
            issue => {
                let at = self.now.max(self.earliest[n as usize]);
                self.now = at + u64::from(issue);
                at
            }
        };
        self.ready.remove(&n);
        self.pressure.execute(node);
        for (&next, &latency) in &self.graph.after[n as usize] {
            let next = next as usize;
            self.earliest[next] = self.earliest[next].max(at + u64::from(latency));
            self.waits[next] -= 1;
            if self.waits[next] == 0 {
                self.ready.insert(next as u32);
            }
        }
    }
}
