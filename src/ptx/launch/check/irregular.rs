//! Counting, graphs, scans, and the kernels that measure something.

use super::{Checked, Operands, compare};

/// `h` counts the bytes of `d`.
pub fn histogram(o: &Operands<'_>) -> Checked<()> {
    let width = o.element("d")?.bytes();
    let mut want = o.before("h")?;
    want.resize(256, 0.0);
    for x in o.before("d")? {
        for byte in 0..width {
            let value = (x as u64 >> (8 * byte) & 255) as usize;
            want[value] += 1.0;
        }
    }
    compare("h", &o.after("h")?, &want, 0.0)
}

/// `counter[0]` counts the threads.
pub fn counter(o: &Operands<'_>) -> Checked<()> {
    let (threads, ctas) = o.threads();
    compare(
        "counter",
        &o.after("counter")?,
        &[(threads * ctas) as f64],
        0.0,
    )
}

/// One level of a breadth-first search: `rowptr`, `col`, `dist`, `frontier`, `nf`, `next`,
/// `nnext`, `level`. The order of `next` is free.
pub fn bfs_level(o: &Operands<'_>) -> Checked<()> {
    let (rows, columns) = (o.before("rowptr")?, o.before("col")?);
    let (frontier, level) = (o.before("frontier")?, o.scalar("level")?);
    let mut distance = o.before("dist")?;
    let mut found = Vec::new();
    for &u in frontier.iter().take(o.count("nf")?) {
        let row = |i: usize| rows.get(i).copied().unwrap_or(0.0) as usize;
        for e in row(u as usize)..row(u as usize + 1) {
            let v = columns.get(e).copied().unwrap_or(0.0) as usize;
            if let Some(d) = distance.get_mut(v)
                && *d == -1.0
            {
                *d = level + 1.0;
                found.push(v as f64);
            }
        }
    }
    compare("dist", &o.after("dist")?, &distance, 0.0)?;
    compare("nnext", &o.after("nnext")?, &[found.len() as f64], 0.0)?;
    let mut next = o.after("next")?;
    next.truncate(found.len());
    next.sort_by(f64::total_cmp);
    found.sort_by(f64::total_cmp);
    match found.is_empty() {
        true => Ok(()),
        false => compare("next, sorted", &next, &found, 0.0),
    }
}

/// Lengths of Collatz sequences, with the twist of the kernel.
pub fn collatz(o: &Operands<'_>) -> Checked<()> {
    let one = |x: &f64| {
        let (mut x, mut odd, mut length) = (*x as u64, 0u32, 0u32);
        while x > 1 && length < 1000 {
            if x & 1 == 1 {
                x = x.wrapping_mul(3).wrapping_add(1);
                odd = odd.wrapping_add(1);
            } else {
                x >>= 1;
            }
            length += 1;
        }
        let odd = match length & 7 {
            0 => odd.wrapping_mul(3),
            1 => odd ^ 0x55,
            2 => odd.reverse_bits(),
            3 => odd.leading_zeros(),
            4 => odd / 7,
            5 => odd % 11,
            6 => odd.min(9),
            _ => odd,
        };
        f64::from(odd.wrapping_add(length))
    };
    let want: Vec<f64> = o.before("in")?.iter().map(one).collect();
    compare("out", &o.after("out")?, &want, 0.0)
}

/// `y = A x` with A in compressed rows `rp`, `ci`, `v`.
pub fn spmv(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (rows, columns) = (o.before("rp")?, o.before("ci")?);
    let (v, x) = (o.before("v")?, o.before("x")?);
    let at = |list: &[f64], i: f64| list.get(i as usize).copied().unwrap_or(0.0);
    let mut want = Vec::new();
    for pair in rows.windows(2) {
        let (from, to) = (pair[0] as usize, pair[1] as usize);
        let row = (from..to).map(|e| at(&v, e as f64) * at(&x, at(&columns, e as f64)));
        want.push(row.sum());
    }
    compare("y", &o.after("y")?, &want, tolerance)
}

/// `out` holds the positive numbers of `in`, in any order, and `count` how many.
pub fn compact(o: &Operands<'_>) -> Checked<()> {
    let mut want: Vec<f64> = o.before("in")?.into_iter().filter(|x| *x > 0.0).collect();
    compare("count", &o.after("count")?, &[want.len() as f64], 0.0)?;
    let mut got = o.after("out")?;
    got.truncate(want.len());
    got.sort_by(f64::total_cmp);
    want.sort_by(f64::total_cmp);
    match want.is_empty() {
        true => Ok(()),
        false => compare("out, sorted", &got, &want, 0.0),
    }
}

/// Inclusive sums of `in` within each CTA.
pub fn scan(o: &Operands<'_>) -> Checked<()> {
    let mut want = Vec::new();
    for part in o.before("in")?.chunks(o.block_x().max(1)) {
        let mut sum = 0.0;
        want.extend(part.iter().map(|x| {
            sum += x;
            sum
        }));
    }
    compare("out", &o.after("out")?, &want, 0.0)
}

/// `sink[0]` is the address that `iters` steps from the start of `p` lead to.
pub fn pchase(o: &Operands<'_>) -> Checked<()> {
    let (ring, base) = (o.before("p")?, o.address("p")?);
    let mut at = 0.0;
    for _ in 0..o.count("iters")? {
        at = ring.get((at / 8.0) as usize).copied().unwrap_or(0.0);
    }
    compare("sink", &o.after("sink")?, &[at + base as f64], 0.0)
}

/// A chase through shared memory in steps of `stride` modulo `n`.
pub fn chase_shared(o: &Operands<'_>) -> Checked<()> {
    let (n, stride, iters) = (o.count("n")?, o.count("stride")?, o.count("iters")?);
    let at = (0..iters).fold(0, |at, _| (at + stride) % n.max(1));
    compare("sink", &o.after("sink")?, &[at as f64], 0.0)
}

/// 256 dependent multiply-adds, or, without `b`, 64 sines.
pub fn fma_chain(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let a = o.scalar("a")? as f32;
    let end = match o.scalar("b") {
        Ok(b) => (0..256).fold(a, |x, _| x.mul_add(a, b as f32)),
        Err(_) => (0..64).fold(a, |x, _| f64::from(x).sin() as f32),
    };
    let (threads, _) = o.threads();
    compare(
        "out",
        &o.after("out")?,
        &vec![f64::from(end); threads],
        tolerance,
    )
}

/// Sums of 32 words of shared memory `stride` apart.
pub fn bank_sum(o: &Operands<'_>) -> Checked<()> {
    let stride = o.count("stride")?;
    let (threads, _) = o.threads();
    let one = |t: usize| (0..32).map(|i| ((t * stride + i) % 1024) as f64).sum();
    let want: Vec<f64> = (0..threads).map(one).collect();
    compare("sink", &o.after("sink")?, &want, 0.0)
}
