//! What the SMs share of address translation: the TLBs of the GPCs, the L2 TLB and the walkers.
//!
//! Events are done in the order of their cycles, those of one cycle by kind, unit and sender, up to the end of the quantum
//! in which they came. An answer to an SM takes `tlb.gpc_latency` at least and a read of the page table
//! `noc.request_latency`, so that neither arrives within the quantum.

use super::Compiled;
use super::level::{Level, Lookup};
use super::page::{Page, PageTable};
use super::sm::Ask;
use super::walk::{Step, TableRead, Walkers};
use crate::config::GpuSpec;
use crate::engine::{Cycle, Port};
use crate::ids::{GpcId, SliceId, SmId};
use crate::mem::{Reply, ReplyTo, Request, RequestKind, SectorMask, noc_port};
use crate::stats::tlb::TlbStats;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Kinds of events, in their order within a cycle: what comes, then what is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Walker `from` has its entry.
    EntryCame,
    /// The L2 TLB answers GPC `unit`.
    GpcFill,
    /// A miss of GPC `from` comes to the L2 TLB.
    AskL2,
    /// Its turn.
    LookL2,
    /// A miss of SM `from` comes to GPC `unit`.
    AskGpc,
    /// Its turn.
    LookGpc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Cycle,
    kind: Kind,
    unit: u16,
    from: u16,
    /// Events of one sender keep their order.
    number: u64,
    page: Page,
}

/// The shared part of address translation.
#[derive(Clone, Debug)]
pub struct Mmu {
    table: PageTable,
    gpcs: Vec<Level>,
    l2: Level,
    walkers: Walkers,
    /// To the crossbar, as wide as that of an SM.
    port: Port,
    header_bytes: u64,
    gpc_latency: Cycle,
    l2_latency: Cycle,
    request_latency: Cycle,
    reply_latency: Cycle,
    events: BinaryHeap<Reverse<Event>>,
    numbers: u64,
    /// Answers to SMs, in no particular order; the chip takes them.
    pub answers: Vec<Reply>,
    /// Reads of the page table, which arrive at their slices at `at`; the chip takes them and names the slice.
    pub reads: Vec<Request>,
}

impl Mmu {
    /// The MMU of `spec`; none where addresses are not translated.
    pub fn new(spec: &GpuSpec) -> Option<Self> {
        let tlb = &spec.tlb;
        let gpc = || {
            Level::new(
                tlb.gpc_entries,
                tlb.gpc_ways,
                tlb.gpc_mshrs,
                tlb.gpc_interval,
            )
        };
        tlb.enabled.then(|| Mmu {
            table: PageTable::new(tlb.page),
            gpcs: (0..spec.gpcs).map(|_| gpc()).collect(),
            l2: Level::new(tlb.l2_entries, tlb.l2_ways, tlb.l2_mshrs, tlb.l2_interval),
            walkers: Walkers::new(tlb),
            port: noc_port(&spec.noc, spec.noc.sm_request_bytes_per_cycle),
            header_bytes: u64::from(spec.noc.header_bytes),
            gpc_latency: Cycle::from(tlb.gpc_latency),
            l2_latency: Cycle::from(tlb.l2_latency),
            request_latency: Cycle::from(spec.noc.request_latency),
            reply_latency: Cycle::from(spec.noc.reply_latency),
            events: BinaryHeap::new(),
            numbers: 0,
            answers: Vec::new(),
            reads: Vec::new(),
        })
    }

    fn event(&mut self, at: Cycle, kind: Kind, unit: u16, from: u16, page: Page) {
        self.numbers += 1;
        self.events.push(Reverse(Event {
            at,
            kind,
            unit,
            from,
            number: self.numbers,
            page,
        }));
    }

    /// SM `sm` of `gpc` asks for a page.
    pub fn ask(&mut self, gpc: GpcId, sm: SmId, ask: Ask) {
        self.event(ask.at, Kind::AskGpc, gpc.0, sm.0, ask.page);
    }

    /// The entry that `walker` reads left its slice at `at`.
    pub fn entry_sent(&mut self, walker: u16, at: Cycle) {
        let at = at + self.reply_latency;
        self.event(at, Kind::EntryCame, 0, walker, Page::default());
    }

    /// Does everything that happens before `end`.
    pub fn run(&mut self, end: Cycle) {
        while let Some(&Reverse(event)) = self.events.peek()
            && event.at < end
        {
            self.events.pop();
            let Event {
                at,
                unit,
                from,
                page,
                ..
            } = event;
            match event.kind {
                Kind::EntryCame => self.entry_came(from, at),
                Kind::GpcFill => self.gpc_fill(unit, page, at),
                Kind::AskL2 => {
                    let turn = self.l2.turn(at);
                    self.event(turn, Kind::LookL2, 0, from, page);
                }
                Kind::LookL2 => {
                    let found = self.l2.look(page, from);
                    self.l2_settled(page, from, found, at);
                }
                Kind::AskGpc => {
                    let turn = self.gpcs[usize::from(unit)].turn(at);
                    self.event(turn, Kind::LookGpc, unit, from, page);
                }
                Kind::LookGpc => {
                    let found = self.gpcs[usize::from(unit)].look(page, from);
                    self.gpc_settled(unit, page, from, found, at);
                }
            }
        }
    }

    fn gpc_settled(&mut self, gpc: u16, page: Page, sm: u16, found: Lookup, at: Cycle) {
        match found {
            Lookup::Hit => {
                let at = at + self.gpc_latency;
                self.answers.push(answer(&self.table, page, sm, at));
            }
            Lookup::Ask => self.event(at, Kind::AskL2, 0, gpc, page),
            Lookup::Waits => {}
        }
    }

    fn gpc_fill(&mut self, gpc: u16, page: Page, at: Cycle) {
        let (table, answers) = (&self.table, &mut self.answers);
        let there = at + self.gpc_latency;
        let level = &mut self.gpcs[usize::from(gpc)];
        level.fill(page, |sm| answers.push(answer(table, page, sm, there)));
        while let Some((page, sm, found)) = self.gpcs[usize::from(gpc)].unpark() {
            self.gpc_settled(gpc, page, sm, found, at);
        }
    }

    fn l2_settled(&mut self, page: Page, gpc: u16, found: Lookup, at: Cycle) {
        match found {
            Lookup::Hit => self.event(at + self.l2_latency, Kind::GpcFill, gpc, 0, page),
            Lookup::Ask => {
                let read = self.walkers.request(page, at);
                self.read(read, at);
            }
            Lookup::Waits => {}
        }
    }

    fn entry_came(&mut self, walker: u16, at: Cycle) {
        let page = match self.walkers.came(walker, at) {
            Step::Read(read) => return self.read(Some(read), at),
            Step::Done(page) => page,
        };
        let mut waited = Vec::new();
        self.l2.fill(page, |gpc| waited.push(gpc));
        for gpc in waited {
            self.event(at + self.l2_latency, Kind::GpcFill, gpc, 0, page);
        }
        let next = self.walkers.begin(at);
        self.read(next, at);
        while let Some((page, gpc, found)) = self.l2.unpark() {
            self.l2_settled(page, gpc, found, at);
        }
    }

    /// Sends a read of the page table, if there is one, at `now`.
    fn read(&mut self, read: Option<TableRead>, now: Cycle) {
        let Some(read) = read else { return };
        let to = ReplyTo::Walk(Compiled, read.walker);
        let at = self.port.send(now, self.header_bytes) + self.request_latency;
        self.reads.push(Request {
            at,
            ..Request::new(RequestKind::Read, read.line, read.sectors, to)
        });
    }

    /// Counters, but for those of the L1 TLBs.
    pub fn stats(&self) -> TlbStats {
        let mut stats = TlbStats {
            l2: self.l2.stats,
            walk: self.walkers.stats,
            ..TlbStats::default()
        };
        for gpc in &self.gpcs {
            stats.gpc += &gpc.stats;
        }
        stats
    }

    /// For the wait-for graph.
    pub fn describe(&self, out: &mut Vec<String>) {
        let levels = self.gpcs.iter().enumerate();
        let gpcs = levels.map(|(gpc, level)| (format!("TLB of GPC {gpc}"), level));
        for (name, level) in gpcs.chain([("L2 TLB".to_owned(), &self.l2)]) {
            let (pages, parked) = level.waiting();
            if pages + parked > 0 {
                out.push(format!(
                    "{name}: waits for {pages} pages, {parked} lookups wait for a free entry"
                ));
            }
        }
        let (busy, queue) = self.walkers.busy();
        if busy > 0 {
            out.push(format!(
                "page walkers: {busy} at work, {queue} pages wait for one"
            ));
        }
    }
}

/// Who sends answers, among the slices.
const SENDER: SliceId = SliceId(u16::MAX);

fn answer(table: &PageTable, page: Page, sm: u16, at: Cycle) -> Reply {
    Reply {
        at,
        line: table.line(page),
        to: ReplyTo::Translation(Compiled),
        sm: SmId(sm),
        slice: SENDER,
        kind: RequestKind::ReadInst,
        sectors: SectorMask::NONE,
    }
}
