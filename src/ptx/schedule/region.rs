//! The dependences of a region: instructions of a block that may pass each other, and the one that ends them.

use super::list::{Graph, Held, Node};
use super::live::Use;
use super::order::{Access, Kind, kind};
use crate::ptx::flat::Flat;
use crate::ptx::lower::operands::{reads, writes};
use crate::ptx::lower::values::{Value, Values};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is known of the instructions of a kernel, by their number.
pub struct Facts<'a> {
    /// The kernel.
    pub flat: &'a Flat<'a>,
    /// What becomes of its registers.
    pub values: &'a Values,
    /// Values that are read and written.
    pub uses: &'a [Use],
    /// Words that each register takes.
    pub sizes: &'a [u32],
    /// Machine instructions.
    pub issue: &'a [u32],
    /// Cycles from the first of them to a reader.
    pub latency: &'a [u32],
    /// Loads that become one, by the first.
    pub joined: &'a BTreeMap<u32, Vec<u32>>,
}

impl Facts<'_> {
    /// A value with its words.
    pub fn held(&self, value: u32) -> Held {
        Held {
            value,
            words: self.sizes.get(value as usize).copied().unwrap_or(0),
        }
    }
}

/// The carry flag, as a register that no file has.
const CARRY: u32 = u32::MAX;

/// An access before the instruction at hand.
struct Before {
    n: u32,
    // `None`: it keeps its place among all accesses.
    access: Option<Access>,
    version: u32,
}

/// Dependences between the instructions of a region, by their place in it.
struct Edges<'a> {
    facts: &'a Facts<'a>,
    pcs: &'a [u32],
    after: Vec<BTreeMap<u32, u32>>,
    writer: HashMap<u32, u32>,
    readers: HashMap<u32, Vec<u32>>,
    versions: HashMap<u32, u32>,
    accesses: Vec<Before>,
    exchange: Option<u32>,
}

/// The dependences of instructions `pcs`, each with the cycles from issue to issue.
pub fn edges(facts: &Facts<'_>, pcs: &[u32]) -> Vec<BTreeMap<u32, u32>> {
    let mut edges = Edges {
        facts,
        pcs,
        after: vec![BTreeMap::new(); pcs.len()],
        writer: HashMap::new(),
        readers: HashMap::new(),
        versions: HashMap::new(),
        accesses: Vec::new(),
        exchange: None,
    };
    for n in 0..pcs.len() as u32 {
        edges.place(n);
        edges.registers(n);
    }
    edges.after
}

impl Edges<'_> {
    fn add(&mut self, from: u32, to: u32, cycles: u32) {
        if from != to {
            let slot = self.after[from as usize].entry(to).or_default();
            *slot = (*slot).max(cycles);
        }
    }

    /// From `from` to one that must not go before it: a cycle where `from` takes a slot.
    fn keep(&mut self, from: u32, to: u32) {
        let issue = self.facts.issue[self.pcs[from as usize] as usize];
        self.add(from, to, issue);
    }

    fn place(&mut self, n: u32) {
        let facts = self.facts;
        let inst = &facts.flat.insts[self.pcs[n as usize] as usize];
        let access = match kind(facts.flat, facts.values, inst) {
            Kind::Plain => return,
            Kind::Fence => {
                (0..n).for_each(|from| self.keep(from, n));
                return;
            }
            Kind::Exchange => {
                if let Some(from) = self.exchange.replace(n) {
                    self.keep(from, n);
                }
                return;
            }
            Kind::Ordered => None,
            Kind::Memory(access) => Some(access),
        };
        let base = access.and_then(|access| access.base());
        let version = base.map_or(0, |r| self.versions.get(&r).copied().unwrap_or(0));
        let apart = |before: &Before| match (&before.access, &access) {
            (Some(a), Some(b)) => !a.conflicts(b, before.version == version),
            _ => false,
        };
        let earlier: Vec<u32> = self
            .accesses
            .iter()
            .filter(|before| !apart(before))
            .map(|before| before.n)
            .collect();
        earlier.into_iter().for_each(|from| self.keep(from, n));
        self.accesses.push(Before { n, access, version });
    }

    fn registers(&mut self, n: u32) {
        let inst = &self.facts.flat.insts[self.pcs[n as usize] as usize];
        let (mut read, mut written) = (Vec::new(), Vec::new());
        reads(inst, &mut |r| read.push(r));
        writes(inst, &mut |r| written.push(r));
        if matches!(inst.opcode, "addc" | "subc" | "madc") {
            read.push(CARRY);
        }
        if inst.has("cc") {
            written.push(CARRY);
        }
        for r in &read {
            if let Some(&from) = self.writer.get(r) {
                let cycles = self.facts.latency[self.pcs[from as usize] as usize];
                self.add(from, n, cycles);
            }
        }
        for &r in &written {
            self.behind_readers(r, n);
            if let Some(&from) = self.writer.get(&r) {
                self.keep(from, n);
            }
            // Where it is written at once to the register that it is copied to later, whoever reads the old
            // value there has to come first.
            let target = self.facts.values.value.get(r as usize);
            if let Some(&Value::Alias(target)) = target
                && self.facts.values.writer[target as usize].is_none()
            {
                self.behind_readers(target, n);
            }
        }
        for r in written {
            self.writer.insert(r, n);
            self.readers.remove(&r);
            *self.versions.entry(r).or_default() += 1;
        }
        for r in read {
            self.readers.entry(r).or_default().push(n);
        }
    }

    fn behind_readers(&mut self, r: u32, n: u32) {
        for from in self.readers.get(&r).cloned().unwrap_or_default() {
            self.keep(from, n);
        }
    }
}

/// The graph of a region, with the instructions of each of its nodes; loads that become one are one node.
pub fn graph(facts: &Facts<'_>, pcs: &[u32]) -> (Graph, Vec<Vec<u32>>) {
    let edges = edges(facts, pcs);
    let first = pcs.first().copied().unwrap_or(0);
    let inside = |pc: &u32| *pc >= first && ((*pc - first) as usize) < pcs.len();
    let groups: Vec<Vec<u32>> = facts
        .joined
        .values()
        .filter(|group| group.iter().all(inside))
        .map(|group| {
            let mut places: Vec<u32> = group.iter().map(|pc| pc - first).collect();
            places.sort_unstable();
            places
        })
        .filter(|group| !detour(&edges, group))
        .collect();
    contract(facts, pcs, &edges, &groups)
        .or_else(|| contract(facts, pcs, &edges, &[]))
        .expect("edges of single instructions lead forward")
}

/// Whether a way from one of `group` to another leads over an instruction that is not of it.
fn detour(edges: &[BTreeMap<u32, u32>], group: &[u32]) -> bool {
    let last = group.last().copied().unwrap_or(0);
    let next = |n: u32| {
        edges[n as usize]
            .keys()
            .copied()
            .filter(move |&to| to <= last)
    };
    let mut seen = BTreeSet::new();
    let mut stack: Vec<u32> = group
        .iter()
        .flat_map(|&n| next(n))
        .filter(|n| !group.contains(n))
        .collect();
    while let Some(n) = stack.pop() {
        if group.contains(&n) {
            return true;
        }
        if seen.insert(n) {
            stack.extend(next(n));
        }
    }
    false
}

/// Makes a node of each group, and puts nodes into an order that their edges allow. `None` when there is none.
fn contract(
    facts: &Facts<'_>,
    pcs: &[u32],
    edges: &[BTreeMap<u32, u32>],
    groups: &[Vec<u32>],
) -> Option<(Graph, Vec<Vec<u32>>)> {
    let mut leader: Vec<u32> = (0..pcs.len() as u32).collect();
    for group in groups {
        for &member in group {
            leader[member as usize] = group[0];
        }
    }
    let mut after: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); pcs.len()];
    let mut waits = vec![0u32; pcs.len()];
    for (from, next) in edges.iter().enumerate() {
        for (&to, &cycles) in next {
            let (from, to) = (leader[from], leader[to as usize]);
            if from == to {
                continue;
            }
            let slot = after[from as usize].entry(to).or_insert_with(|| {
                waits[to as usize] += 1;
                0
            });
            *slot = (*slot).max(cycles);
        }
    }
    let mut ready: BTreeSet<u32> = (0..pcs.len() as u32)
        .filter(|&n| leader[n as usize] == n && waits[n as usize] == 0)
        .collect();
    let mut order = Vec::new();
    while let Some(n) = ready.pop_first() {
        order.push(n);
        for &to in after[n as usize].keys() {
            waits[to as usize] -= 1;
            if waits[to as usize] == 0 {
                ready.insert(to);
            }
        }
    }
    let nodes = (0..pcs.len() as u32)
        .filter(|&n| leader[n as usize] == n)
        .count();
    (order.len() == nodes).then(|| numbered(facts, pcs, &leader, &after, &order))
}

fn numbered(
    facts: &Facts<'_>,
    pcs: &[u32],
    leader: &[u32],
    after: &[BTreeMap<u32, u32>],
    order: &[u32],
) -> (Graph, Vec<Vec<u32>>) {
    let mut number = vec![0u32; pcs.len()];
    for (i, &n) in order.iter().enumerate() {
        number[n as usize] = i as u32;
    }
    let mut graph = Graph {
        nodes: vec![Node::default(); order.len()],
        after: vec![BTreeMap::new(); order.len()],
    };
    let mut members = vec![Vec::new(); order.len()];
    for (at, &pc) in pcs.iter().enumerate() {
        let n = number[leader[at] as usize] as usize;
        members[n].push(pc);
        let node = &mut graph.nodes[n];
        node.issue += facts.issue[pc as usize];
        let add = |list: &mut Vec<Held>, more: &[Held]| list.extend_from_slice(more);
        add(&mut node.reads, &facts.uses[pc as usize].reads);
        add(&mut node.writes, &facts.uses[pc as usize].writes);
    }
    for &n in order {
        let next = after[n as usize].iter();
        graph.after[number[n as usize] as usize] = next
            .map(|(&to, &cycles)| (number[to as usize], cycles))
            .collect();
    }
    (graph, members)
}
