//! A stage in front of the miss port that holds requests, inside a whole SM.

use super::bench::{quiet, words};
use crate::engine::Cycle;
use crate::ids::SmId;
use crate::isa::{MemKind, MemSpace, OpClass};
use crate::mem::{Line, Reply, Request, RequestKind, SectorMask};
use crate::probe::NoProbe;
use crate::sm::memory::miss_port::{PassThrough, Passage, Stage};
use crate::sm::{CtaStart, Cx, Launched, Program, Sm};

const QUANTUM: Cycle = 20;
/// From a request to its reply.
const LATENCY: Cycle = 400;

/// Holds everything until it opens, and knows when that is.
struct Gate(Cycle);

impl Stage for Gate {
    const COMPONENTS: bool = false;

    fn pass(&mut self, _: &Request, at: Cycle, _: Option<Passage>) -> Passage {
        match at < self.0 {
            true => Passage::Waits,
            false => Passage::At(at),
        }
    }
    fn wake(&self) -> Cycle {
        self.0
    }
}

/// Lets what comes first go; the others may go when its reply is there, and it does not know when that is.
#[derive(Default)]
struct FirstOnly(Option<Cycle>);

impl Stage for FirstOnly {
    const COMPONENTS: bool = false;

    fn pass(&mut self, _: &Request, at: Cycle, _: Option<Passage>) -> Passage {
        let first = *self.0.get_or_insert(at);
        match at == first || at >= first + LATENCY {
            true => Passage::At(at),
            false => Passage::Waits,
        }
    }
    fn wake(&self) -> Cycle {
        Cycle::MAX
    }
}

/// What left the SM, and when its CTA ended.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    left: Vec<(RequestKind, Line, Cycle)>,
    ended: Cycle,
}

/// Two loads of two lines each, an instruction that needs both, and a store, behind `stage`.
fn run<S: Stage>(stage: S, no_skip: bool) -> Seen {
    let mut bench = quiet(&[]);
    let far: Vec<u64> = words().iter().map(|at| at * 2 + 65536).collect();
    bench.memory(MemKind::Load, MemSpace::Global, Some(4), &[0], &far);
    let next: Vec<u64> = far.iter().map(|at| at + 4096).collect();
    bench.memory(MemKind::Load, MemSpace::Global, Some(5), &[0], &next);
    bench.inst(OpClass::Fp32, Some(6), &[4, 5]);
    bench.memory(MemKind::Store, MemSpace::Global, None, &[0, 6], &words());
    let (spec, kernel) = bench.kernel();
    let programs = [Launched {
        program: Program::new(&kernel.code, &spec),
        kernel,
        code_line: 0,
        const_line: 0,
    }];
    let mut sm = Sm::with_stage(SmId(0), &spec, QUANTUM, stage);
    sm.begin_kernel(0);
    sm.start(CtaStart {
        at: QUANTUM,
        program: 0,
        cta: 0,
    });
    let mut left = Vec::new();
    let mut ended = None;
    for index in 1..1000 {
        sm.begin_quantum();
        let mut cx = Cx {
            spec: &spec,
            programs: &programs,
            probe: &mut NoProbe::default(),
            no_skip,
        };
        sm.run(index, QUANTUM, &mut cx);
        for request in sm.requests().to_vec() {
            left.push((request.kind, request.line, request.at));
            let data = request.kind == RequestKind::Read;
            sm.deliver(Reply {
                at: request.at + LATENCY,
                line: request.line,
                to: request.to,
                sm: request.sm,
                slice: request.slice,
                kind: request.kind,
                sectors: if data {
                    request.sectors
                } else {
                    SectorMask::NONE
                },
            });
        }
        ended = ended.or(sm.done().first().map(|done| done.at));
        if let (Some(ended), true) = (ended, sm.idle()) {
            return Seen { left, ended };
        }
    }
    panic!("the SM still waits; left so far: {left:?}");
}

#[test]
fn held_requests_leave_in_order_when_the_stage_opens() {
    let free = run(PassThrough::<false>, false);
    assert_eq!(free.left.len(), 5, "{free:?}");
    let held = run(Gate(5000), false);
    let order = |seen: &Seen| -> Vec<_> { seen.left.iter().map(|l| (l.0, l.1)).collect() };
    assert_eq!(order(&held), order(&free));
    // The loads leave one after the other from then on; the store needs their data and comes no earlier.
    let width = free.left[1].2 - free.left[0].2;
    for (request, number) in held.left[..4].iter().zip(0..) {
        assert_eq!(request.2, 5000 + number * width, "{held:?}");
    }
    assert!(held.left[4].2 > 5000 + LATENCY, "{held:?}");
    assert!(free.ended < 5000 && held.ended > 5000 + LATENCY, "{held:?}");
    assert_eq!(held, run(Gate(5000), true), "skipping changed something");
    assert_eq!(free, run(Gate(0), false), "an open gate is no gate");
}

#[test]
fn a_reply_lets_go_what_only_a_reply_can() {
    let held = run(FirstOnly::default(), false);
    let first = held.left[0].2;
    // Both lines of the first load come at once; those of the second wait.
    assert_eq!(held.left[2].2, first + LATENCY, "{held:?}");
    assert_eq!(held, run(FirstOnly::default(), true));
}
