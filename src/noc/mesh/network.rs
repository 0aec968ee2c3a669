//! One network of the mesh: routers, links, and the messages between them.

use crate::engine::{Cycle, Timed};
use bincode::{Decode, Encode};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Directions of a router's links.
const LINKS: usize = 4;

/// A message on its way.
#[derive(Clone, Copy, Debug)]
struct Moving<M> {
    message: M,
    router: u32,
    to: u32,
    /// Cycles that it takes a link.
    length: Cycle,
}

/// The head of a message reaches its router: cycle, source, number among all messages, place in the list of messages.
/// Heads come in this order, and it does not depend on quanta: a source numbers its messages in the order of its own.
type Head = Reverse<(Cycle, u32, u64, u32)>;

/// What the links did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Use {
    /// Links that messages passed.
    pub(super) hops: u64,
    /// Cycles that links were taken.
    pub(super) busy: u64,
    /// Cycles that messages waited for links.
    pub(super) waits: u64,
}

/// A message whose head is in its last router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landed<M> {
    pub(super) message: M,
    pub(super) at: Cycle,
    /// Cycles from its head to its tail.
    pub(super) length: Cycle,
}

/// Routers and links that carry messages `M`.
#[derive(Clone, Debug)]
pub(super) struct Network<M> {
    columns: u32,
    link_bytes: u64,
    hop: Cycle,
    /// When each link of each router is free: to the east, west, south and north.
    free: Vec<[Cycle; LINKS]>,
    heads: BinaryHeap<Head>,
    moving: Vec<Moving<M>>,
    unused: Vec<u32>,
    sent: u64,
    pub(super) used: Use,
}

// Without messages all links are free.
crate::engine::state! {
    Network<M> where [M: Timed] {
        units: [],
        values: [used],
        left: [columns, link_bytes, hop, free, heads, moving, unused, sent],
    }
}

impl<M: Timed> Network<M> {
    /// `routers` in rows of `columns`.
    pub(super) fn new(routers: u32, columns: u32, link_bytes: u16, hop: u16) -> Self {
        Network {
            columns,
            link_bytes: u64::from(link_bytes),
            hop: Cycle::from(hop),
            free: vec![[0; LINKS]; routers as usize],
            heads: BinaryHeap::new(),
            moving: Vec::new(),
            unused: Vec::new(),
            sent: 0,
            used: Use::default(),
        }
    }

    /// `message` of `bytes` enters router `from` at its time and goes to `to`. Messages of one source come in the order
    /// in which it sent them.
    pub(super) fn send(&mut self, message: M, bytes: u64, from: u32, to: u32) {
        let moving = Moving {
            message,
            router: from,
            to,
            length: bytes.div_ceil(self.link_bytes),
        };
        let place = match self.unused.pop() {
            Some(place) => {
                self.moving[place as usize] = moving;
                place
            }
            None => {
                self.moving.push(moving);
                self.moving.len() as u32 - 1
            }
        };
        self.sent += 1;
        let head = (message.at(), message.rank(), self.sent, place);
        self.heads.push(Reverse(head));
    }

    /// The next message whose head is in its last router before cycle `end`.
    pub(super) fn landed(&mut self, end: Cycle) -> Option<Landed<M>> {
        while let Some(&Reverse((at, source, number, place))) = self.heads.peek() {
            if at >= end {
                break;
            }
            self.heads.pop();
            let moving = &mut self.moving[place as usize];
            if moving.router == moving.to {
                self.unused.push(place);
                return Some(Landed {
                    message: moving.message,
                    at,
                    length: moving.length,
                });
            }
            let (link, next) = step(moving.router, moving.to, self.columns);
            let free = &mut self.free[moving.router as usize][link];
            let start = at.max(*free);
            *free = start + moving.length;
            moving.router = next;
            self.used.hops += 1;
            self.used.busy += moving.length;
            self.used.waits += start - at;
            self.heads
                .push(Reverse((start + self.hop, source, number, place)));
        }
        None
    }

    /// Nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

/// The link by which a message in router `at` goes on to `to`, another one, and the router at its end.
fn step(at: u32, to: u32, columns: u32) -> (usize, u32) {
    let (x, to_x) = (at % columns, to % columns);
    match (x.cmp(&to_x), at < to) {
        (std::cmp::Ordering::Less, _) => (0, at + 1),
        (std::cmp::Ordering::Greater, _) => (1, at - 1),
        (_, true) => (2, at + columns),
        (_, false) => (3, at - columns),
    }
}

/// Links between routers `from` and `to`.
#[cfg(test)]
pub(super) fn distance(from: u32, to: u32, columns: u32) -> u32 {
    (from % columns).abs_diff(to % columns) + (from / columns).abs_diff(to / columns)
}
