//! Dense linear algebra, neural network layers, stencils.

use super::{Checked, Operands, compare};

/// `c = a + b`, the first `n` elements where `n` is given.
pub fn vecadd(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (a, b) = (o.before("a")?, o.before("b")?);
    let n = o.count("n").map_or(a.len(), |n| n.min(a.len()));
    let want: Vec<f64> = a.iter().zip(&b).take(n).map(|(a, b)| a + b).collect();
    compare("c", &o.after("c")?, &want, tolerance)
}

/// `y = a x + y`
pub fn saxpy(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (x, y) = (o.before("x")?, o.before("y")?);
    // A packed pair of halves is given as its bits.
    let a = match o.element("a")? {
        crate::ptx::launch::data::Element::U32 => {
            let bits = o.scalar("a")? as u64;
            crate::ptx::launch::data::Element::F16.number(bits & 0xffff)
        }
        _ => o.scalar("a")?,
    };
    let want: Vec<f64> = x.iter().zip(&y).map(|(x, y)| a * x + y).collect();
    compare("y", &o.after("y")?, &want, tolerance)
}

/// `out[0]` is the sum of `in`.
pub fn sum(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let want: f64 = o.before("in")?.iter().sum();
    compare("out", &o.after("out")?, &[want], tolerance)
}

/// `c = a b` with `m`, `n`, `k`; `bt` instead of `b` is its transpose.
pub fn gemm(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (m, n, k) = (o.count("m")?, o.count("n")?, o.count("k")?);
    let a = o.before("a")?;
    let (b, transposed) = match o.before("bt") {
        Ok(b) => (b, true),
        Err(_) => (o.before("b")?, false),
    };
    if a.len() < m * k || b.len() < k * n {
        return Err("the buffers are smaller than m, n and k say".to_owned());
    }
    let mut want = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            want[i * n + j] = (0..k)
                .map(|l| {
                    a[i * k + l]
                        * if transposed {
                            b[j * k + l]
                        } else {
                            b[l * n + j]
                        }
                })
                .sum();
        }
    }
    compare("c", &o.after("c")?, &want, tolerance)
}

fn rows<'v>(o: &Operands<'_>, x: &'v [f64]) -> Checked<std::slice::Chunks<'v, f64>> {
    let columns = o.count("cols")?;
    if columns == 0 {
        return Err("`cols` is zero".to_owned());
    }
    Ok(x.chunks(columns))
}

/// Softmax of each row of `x`.
pub fn softmax(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let x = o.before("x")?;
    let mut want = Vec::with_capacity(x.len());
    for row in rows(o, &x)? {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|v| (v - most).exp()).sum();
        want.extend(row.iter().map(|v| (v - most).exp() / sum));
    }
    compare("y", &o.after("y")?, &want, tolerance)
}

/// Layer norm of each row of `x` with `g`, `b` and `eps`.
pub fn layernorm(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (x, g, b) = (o.before("x")?, o.before("g")?, o.before("b")?);
    let eps = o.scalar("eps")?;
    let mut want = Vec::with_capacity(x.len());
    for row in rows(o, &x)? {
        let n = row.len() as f64;
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        let scale = 1.0 / (variance + eps).sqrt();
        let scaled = row.iter().zip(&g).zip(&b);
        want.extend(scaled.map(|((v, g), b)| (v - mean) * scale * g + b));
    }
    compare("y", &o.after("y")?, &want, tolerance)
}

/// The error function, by its series and continued fraction.
fn erf(x: f64) -> f64 {
    if x.abs() < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..60).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    let tail = (-x * x).exp() / (x.abs() + fraction) * std::f64::consts::FRAC_2_SQRT_PI / 2.0;
    (1.0 - tail).copysign(x)
}

/// GELU, exact or by the hyperbolic tangent.
pub fn gelu(o: &Operands<'_>, tanh: bool, tolerance: f64) -> Checked<()> {
    let x = o.before("x")?;
    let one = |v: &f64| match tanh {
        true => 0.5 * v * (1.0 + (0.79788456 * (v + 0.044715 * v * v * v)).tanh()),
        false => 0.5 * v * (1.0 + erf(v * std::f64::consts::FRAC_1_SQRT_2)),
    };
    let want: Vec<f64> = x.iter().map(one).collect();
    compare("y", &o.after("y")?, &want, tolerance)
}

/// `out` is the transpose of the `h` x `w` matrix `in`.
pub fn transpose(o: &Operands<'_>) -> Checked<()> {
    let (w, h) = (o.count("w")?, o.count("h")?);
    let x = o.before("in")?;
    let mut want = vec![0.0; w * h];
    for (i, v) in x.iter().take(w * h).enumerate() {
        want[i % w * h + i / w] = *v;
    }
    compare("out", &o.after("out")?, &want, 0.0)
}

/// Five-point stencil with `c0` and `c1`; the border stays.
pub fn stencil(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (nx, ny) = (o.count("nx")?, o.count("ny")?);
    let (c0, c1) = (o.scalar("c0")?, o.scalar("c1")?);
    let x = o.before("in")?;
    let mut want = o.before("out")?;
    if x.len() < nx * ny || want.len() < nx * ny {
        return Err("the buffers are smaller than nx and ny say; `out` needs an init".to_owned());
    }
    for j in 1..ny.saturating_sub(1) {
        for i in 1..nx.saturating_sub(1) {
            let at = j * nx + i;
            want[at] = c0 * x[at] + c1 * (x[at - 1] + x[at + 1] + x[at - nx] + x[at + nx]);
        }
    }
    compare("out", &o.after("out")?, &want, tolerance)
}

/// Convolution with the constant array `coef`.
pub fn conv1d(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (x, coef) = (o.before("in")?, o.variable("coef")?);
    let half = coef.len() / 2;
    let want: Vec<f64> = (0..x.len())
        .map(|i| {
            let taps = coef.iter().enumerate();
            taps.filter_map(|(k, c)| Some(c * x.get((i + k).checked_sub(half)?)?))
                .sum()
        })
        .collect();
    compare("out", &o.after("out")?, &want, tolerance)
}

/// Attention of `q`, `k`, `v` (heads x `seq` x `dim`), causal when `causal` is not zero.
pub fn attention(o: &Operands<'_>, tolerance: f64) -> Checked<()> {
    let (q, k, v) = (o.before("q")?, o.before("k")?, o.before("v")?);
    let seq = o.count("seq")?;
    let dim = o.count("dim").unwrap_or(64);
    let scale = o.scalar("scale").unwrap_or(1.0 / (dim as f64).sqrt());
    let causal = o.scalar("causal").unwrap_or(1.0) != 0.0;
    if seq == 0 || dim == 0 {
        return Err("`seq` and `dim` must be positive".to_owned());
    }
    if !q.len().is_multiple_of(seq * dim) || k.len() < q.len() || v.len() < q.len() {
        return Err(format!(
            "`q`, `k` and `v` are not made of as many heads of {seq} x {dim}"
        ));
    }
    let mut want = vec![0.0; q.len()];
    for head in 0..q.len() / (seq * dim) {
        let base = head * seq * dim;
        for i in 0..seq {
            let last = if causal { i + 1 } else { seq };
            let dot = |j: usize| -> f64 {
                (0..dim)
                    .map(|d| q[base + i * dim + d] * k[base + j * dim + d])
                    .sum::<f64>()
                    * scale
            };
            let scores: Vec<f64> = (0..last).map(dot).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for d in 0..dim {
                let mixed: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(j, w)| w * v[base + j * dim + d])
                    .sum();
                want[base + i * dim + d] = mixed / sum;
            }
        }
    }
    compare("out", &o.after("out")?, &want, tolerance)
}
