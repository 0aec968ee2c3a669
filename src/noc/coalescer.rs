//! The request coalescer of a GPC: reads of the same sectors by several of its SMs become one.
//!
//! The first read of a line takes an entry and goes on to L2. While its reply is under way, reads of
//! the same sectors by the GPC's SMs join the entry instead of going on, up to a limit. L2 then sends
//! one reply, which becomes one for each behind the GPC's port. A read that finds its set full, or its
//! entry with as many as may join, goes on as if there were no coalescer.

use crate::config::NocSpec;
use crate::config::noc::COALESCER_JOINS_MAX;
use crate::ids::SmId;
use crate::mem::{Line, Reply, ReplyTo, Request, RequestKind, SectorMask};
use bincode::{Decode, Encode};

const JOINED_MAX: usize = COALESCER_JOINS_MAX as usize;

/// A read that waits for another's reply.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
struct Joined {
    sm: SmId,
    sectors: SectorMask,
    to: ReplyTo,
}

/// A read on its way and those that joined it. Free while `sectors` is empty.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
struct Entry {
    line: Line,
    to: ReplyTo,
    sm: SmId,
    sectors: SectorMask,
    count: u8,
    joined: [Joined; JOINED_MAX],
}

/// The coalescer of one GPC.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Coalescer {
    sets: u64,
    ways: usize,
    joined_max: u8,
    entries: Vec<Entry>,
}

impl Coalescer {
    /// An empty one; `None` where the chip has none.
    pub fn new(spec: &NocSpec) -> Option<Self> {
        let ways = usize::from(spec.coalescer_ways);
        let sets = usize::from(spec.coalescer_entries) / ways;
        (sets > 0).then(|| Coalescer {
            sets: sets as u64,
            ways,
            joined_max: spec.coalescer_joins.min(COALESCER_JOINS_MAX) as u8,
            entries: vec![Entry::default(); sets * ways],
        })
    }

    fn set(&mut self, line: Line) -> &mut [Entry] {
        // Digits above are added, so that strides of a multiple of the sets spread too.
        let above = line.0 / self.sets;
        let set = (line.0 + above + above / self.sets) % self.sets;
        let first = set as usize * self.ways;
        &mut self.entries[first..first + self.ways]
    }

    /// Takes `request` if it may join a read that is under way; else it has to go on.
    pub fn join(&mut self, request: &Request) -> bool {
        if request.kind != RequestKind::Read {
            return false;
        }
        let joined_max = self.joined_max;
        let mut free = None;
        for entry in self.set(request.line) {
            if entry.sectors.is_empty() {
                free = Some(entry);
            } else if entry.line == request.line
                && entry.sectors.contains(request.sectors)
                && entry.count < joined_max
            {
                entry.joined[usize::from(entry.count)] = Joined {
                    sm: request.sm,
                    sectors: request.sectors,
                    to: request.to,
                };
                entry.count += 1;
                return true;
            }
        }
        if let Some(entry) = free {
            entry.line = request.line;
            entry.to = request.to;
            entry.sm = request.sm;
            entry.sectors = request.sectors;
            entry.count = 0;
        }
        false
    }

    /// Calls `each` with the replies for the reads that joined the one that `reply` answers.
    pub fn deliver(&mut self, reply: &Reply, mut each: impl FnMut(Reply)) {
        if reply.kind != RequestKind::Read {
            return;
        }
        let answered = |e: &&mut Entry| {
            // Two reads of an SM for different sectors of a line are both for its L1.
            e.sectors == reply.sectors && (e.line, e.sm, e.to) == (reply.line, reply.sm, reply.to)
        };
        let Some(entry) = self.set(reply.line).iter_mut().find(answered) else {
            return;
        };
        entry.sectors = SectorMask::NONE;
        for joined in &entry.joined[..usize::from(entry.count)] {
            each(Reply {
                sm: joined.sm,
                sectors: joined.sectors,
                to: joined.to,
                ..*reply
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::FlightId;

    fn coalescer(entries: u16, joins: u16) -> Coalescer {
        let mut spec = crate::config::load("h100-pcie", &[]).unwrap().spec;
        spec.noc.coalescer_entries = entries;
        spec.noc.coalescer_joins = joins;
        Coalescer::new(&spec.noc).unwrap()
    }

    fn read(sm: u16, line: u64, sectors: u8) -> Request {
        let to = ReplyTo::Flight(FlightId::new(u32::from(sm) + 100));
        Request {
            sm: SmId(sm),
            ..Request::new(RequestKind::Read, Line(line), SectorMask::new(sectors), to)
        }
    }

    fn reply(to: &Request) -> Reply {
        Reply {
            at: 500,
            line: to.line,
            to: to.to,
            sm: to.sm,
            slice: to.slice,
            kind: to.kind,
            sectors: to.sectors,
        }
    }

    fn delivered(coalescer: &mut Coalescer, to: &Request) -> Vec<(u16, u32, SectorMask)> {
        let mut all = Vec::new();
        coalescer.deliver(&reply(to), |r| {
            let ReplyTo::Flight(flight) = r.to else {
                panic!("{r:?} has another target")
            };
            all.push((r.sm.0, flight.number(), r.sectors));
        });
        all
    }

    #[test]
    fn reads_of_a_line_under_way_join_up_to_the_limit() {
        let mut lrc = coalescer(1024, 2);
        let first = read(0, 7, 0b1111);
        let went_on: Vec<bool> = (0..4).map(|sm| !lrc.join(&read(sm, 7, 0b1111))).collect();
        assert_eq!(went_on, [true, false, false, true], "two may join");
        assert_eq!(
            delivered(&mut lrc, &first),
            [
                (1, 101, SectorMask::new(0b1111)),
                (2, 102, SectorMask::new(0b1111))
            ]
        );
        assert_eq!(delivered(&mut lrc, &first), [], "once");
        assert!(lrc.join(&read(4, 7, 0b1111)), "joins the read of SM 3");
        assert_eq!(
            delivered(&mut lrc, &read(3, 7, 0b1111)),
            [(4, 104, SectorMask::new(0b1111))]
        );
        assert!(!lrc.join(&read(5, 7, 0b1111)), "nothing is under way");
    }

    #[test]
    fn only_reads_of_sectors_that_are_under_way_join() {
        let mut lrc = coalescer(1024, 4);
        let first = read(0, 7, 0b0011);
        assert!(!lrc.join(&first));
        assert!(!lrc.join(&read(1, 7, 0b0110)), "one sector more");
        assert!(!lrc.join(&read(2, 8, 0b0011)), "another line");
        let write = Request {
            kind: RequestKind::Write,
            ..read(3, 7, 0b0011)
        };
        assert!(!lrc.join(&write));
        assert!(lrc.join(&read(4, 7, 0b0001)), "a part");
        assert_eq!(
            delivered(&mut lrc, &first),
            [(4, 104, SectorMask::new(0b0001))]
        );
    }

    #[test]
    fn a_full_set_lets_reads_pass() {
        let mut lrc = coalescer(4, 4);
        for line in 0..5 {
            assert!(!lrc.join(&read(0, line, 0b1111)));
        }
        assert!(lrc.join(&read(1, 3, 0b1111)), "the fourth has an entry");
        assert!(!lrc.join(&read(1, 4, 0b1111)), "the fifth found none");
        assert_eq!(delivered(&mut lrc, &read(0, 4, 0b1111)), []);
    }
}
