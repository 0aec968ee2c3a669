//! How the threads of a warp or CTA combine their values.

use super::program::{Place, Script, SharedPlace, Who};
use super::script::{Names, list};
use crate::kernels::builder::KernelBuilder;

/// What two values become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// The greater, as a comparison and a choice, which passes no-numbers on.
    Max,
}

impl Combine {
    /// a = a with b.
    pub fn text(self) -> &'static str {
        match self {
            Combine::Sum => "FADD a = a b",
            Combine::Max => "FSETP.GT.AND p = a b; FSEL a = a b p",
        }
    }

    fn append(self, code: &mut KernelBuilder, a: u16, b: u16) {
        list(code, self.text(), &[("a", a), ("b", b), ("p", 0)]);
    }
}

/// Combines register `a` of `count` lanes over the warp, by butterfly; `b` is for its own use.
pub fn butterfly(code: &mut KernelBuilder, how: Combine, lanes: u64, a: u16, b: u16) {
    for _ in 0..lanes.ilog2() {
        list(code, "SHFL.BFLY b = a", &[("a", a), ("b", b)]);
        how.append(code, a, b);
    }
}

const fn words(base: u64, lane: u64, warp: u64) -> Place {
    Place::Shared(SharedPlace { base, lane, warp })
}

/// Shared memory read by one instruction of all lanes at one address.
pub const BROADCAST: Place = words(0, 0, 0);

/// Combines register `a` over the `threads` of a CTA, as PyTorch up to 2.1 does for softmax: through shared memory of 4
/// bytes a thread, a lane of the first warp for each warp, then one thread for these; all have the result in `result`.
/// Registers from `own` on are for its own use, 16 of them.
pub fn serial(script: &mut Script<'_>, how: Combine, threads: u64, [a, result, own]: [u16; 3]) {
    let warps = threads / 32;
    let barrier = script.code.barrier_text();
    let names: Names<'_> = &[("a", a), ("s", own), ("r", result)];
    script.once(Who::All, vec![words(0, 4, 128)], |code| {
        list(
            code,
            &format!("{barrier}; STS s a; {barrier}; BRA p1"),
            names,
        );
    });
    // A lane for each warp's 32 words.
    let first = Who::Lanes {
        warps: (0, 1),
        lanes: warps,
    };
    let mut places: Vec<_> = (0..8).map(|n| words(16 * n, 128, 0)).collect();
    places.push(words(0, 4, 0));
    script.once(first, places, |code| {
        serial_reads(code, how, 32, [a, own]);
        list(code, "STS s a", names);
    });
    script.once(Who::All, vec![], |code| {
        list(
            code,
            &format!("BSYNC; {barrier}; ISETP.NE.AND p1 = r2; BSSY; BRA p1"),
            names,
        );
    });
    let mut places: Vec<_> = (0..warps.div_ceil(4))
        .map(|n| words(16 * n, 0, 0))
        .collect();
    places.push(BROADCAST);
    script.once(Who::FIRST, places, |code| {
        serial_reads(code, how, warps, [a, own]);
        list(code, "STS s a", names);
    });
    script.once(Who::All, vec![BROADCAST], |code| {
        list(code, &format!("BSYNC; {barrier}; LDS r = s"), names);
    });
}

/// Combines `count` words from shared memory one after the other into `a`, read four at a time.
fn serial_reads(code: &mut KernelBuilder, how: Combine, count: u64, [a, own]: [u16; 2]) {
    let load = code.shared_load_128();
    // Three groups of four registers take turns, so that loads run ahead.
    for group in 0..count.div_ceil(4) as u16 {
        let data = (own + 4).next_multiple_of(4) + group % 3 * 4;
        list(code, &format!("{load} d = s"), &[("d", data), ("s", own)]);
        for word in 0..4.min(count as u16 - 4 * group) {
            how.append(code, a, data + word);
        }
    }
}

/// Combines register `a` over the `threads` of a CTA by butterflies: within warps, then over the warps' results; all
/// have the result in `result`. `own` is for its own use.
pub fn shuffled(script: &mut Script<'_>, how: Combine, threads: u64, [a, result, own]: [u16; 3]) {
    let warps = threads.div_ceil(32);
    let barrier = script.code.barrier_text();
    let names: Names<'_> = &[("a", a), ("s", own), ("r", result)];
    script.once(Who::All, vec![], |code| {
        butterfly(code, how, 32, a, own + 1);
        list(
            code,
            "LOP3.LUT s = r2; SHF s = s; ISETP.NE.AND p1 = s",
            names,
        );
    });
    script.once(Who::LEADERS, vec![words(0, 0, 4)], |code| {
        list(code, "STS s a", names);
    });
    script.once(Who::All, vec![], |code| {
        list(
            code,
            &format!("{barrier}; ISETP.GE.AND p2 = r2; MOV a; BRA p2"),
            names,
        );
    });
    let first = Who::Lanes {
        warps: (0, 1),
        lanes: warps,
    };
    script.once(first, vec![words(0, 4, 0)], |code| {
        list(code, "LDS a = s", names);
    });
    let warp = Who::Lanes {
        warps: (0, 1),
        lanes: 32,
    };
    script.once(warp, vec![], |code| butterfly(code, how, 32, a, own + 1));
    script.once(Who::FIRST, vec![BROADCAST], |code| {
        list(code, "STS s a", names);
    });
    script.once(Who::All, vec![BROADCAST], |code| {
        list(code, &format!("{barrier}; LDS r = s"), names);
    });
}
