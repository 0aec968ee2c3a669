//! Which points of a curve are run: those of the reference where there is one, thinned; else a grid
//! that shows plateaus and knees of the GPU.

use super::definition::Definition;
use super::reference::Reference;
use crate::config::GpuSpec;

/// The points of `definition`, about `count` of them; one empty point when it has none.
pub fn choose(
    definition: &Definition,
    reference: &Reference,
    gpu: &GpuSpec,
    count: usize,
) -> Vec<String> {
    if let Some(curve) = reference.curve(&definition.name) {
        let points: Vec<String> = curve.points.iter().map(|(p, _)| p.clone()).collect();
        return thin(&points, count);
    }
    if !definition.points.is_empty() {
        return thin(
            &definition.points,
            count.max(definition.points.len().min(12)),
        );
    }
    match definition.curve.as_deref() {
        Some("working_set") => working_sets(gpu, count),
        Some("cache_sweep") => sweeps(gpu, count),
        Some("l2_chunks") => l2_sets(gpu, count),
        Some("occupancy") => thin(&occupancies(gpu), count),
        _ => vec![String::new()],
    }
}

/// `count` of `points`, evenly by number, ends included.
pub fn thin(points: &[String], count: usize) -> Vec<String> {
    let count = count.max(2);
    if points.len() <= count {
        return points.to_vec();
    }
    let at = |n: usize| n * (points.len() - 1) / (count - 1);
    (0..count).map(|n| points[at(n)].clone()).collect()
}

/// `count` sizes in KiB from `low` to `high`, by equal factors.
fn spread(low: f64, high: f64, count: usize) -> Vec<String> {
    let steps = count.max(2) - 1;
    let size = |n: usize| low * (high / low).powf(n as f64 / steps as f64);
    (0..=steps).map(|n| format!("{:.0}", size(n))).collect()
}

fn l1_kib(gpu: &GpuSpec) -> f64 {
    f64::from(gpu.l1.unified_bytes) / 1024.0
}

fn l2_kib(gpu: &GpuSpec) -> f64 {
    gpu.l2.bytes as f64 / 1024.0
}

/// Half the points on each side of the first level's capacity.
fn working_sets(gpu: &GpuSpec, count: usize) -> Vec<String> {
    let quarter = (count / 4).max(2);
    let (l1, l2) = (l1_kib(gpu), l2_kib(gpu));
    let mut out = spread(8.0, 0.75 * l1, quarter);
    let rest = count.saturating_sub(2 * quarter).max(3);
    out.extend(spread(1.5 * l1, 0.9 * l2, rest));
    out.extend(spread(1.5 * l2, 8.0 * l2, quarter));
    out
}

fn sweeps(gpu: &GpuSpec, count: usize) -> Vec<String> {
    let half = (count / 2).max(2);
    let mut out = spread(8.0, 0.6 * l1_kib(gpu), half);
    let rest = count.saturating_sub(half).max(2);
    out.extend(spread(3.0 * l1_kib(gpu), 0.9 * l2_kib(gpu), rest));
    out
}

/// Whole chunks of 512 KiB.
fn l2_sets(gpu: &GpuSpec, count: usize) -> Vec<String> {
    let mut out = Vec::new();
    for size in spread(2048.0, 3.0 * l2_kib(gpu), count) {
        let kib: f64 = size.parse().unwrap_or(2048.0);
        let whole = ((kib / 512.0).round().max(3.0) * 512.0).to_string();
        if out.last() != Some(&whole) {
            out.push(whole);
        }
    }
    out
}

/// Threads of a CTA and CTAs on an SM.
fn occupancies(gpu: &GpuSpec) -> Vec<String> {
    let most = u32::from(gpu.sm.warps_max) * 32;
    let rows = [
        (32, 1),
        (64, 1),
        (96, 1),
        (64, 2),
        (96, 2),
        (128, 2),
        (192, 2),
        (256, 2),
        (320, 2),
        (384, 2),
        (512, 2),
        (640, 2),
        (768, 2),
        (1024, 2),
    ];
    let fits = rows.iter().filter(|(block, ctas)| block * ctas <= most);
    fits.map(|(block, ctas)| format!("{block}x{ctas}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_ends() {
        let points: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let thinned = thin(&points, 12);
        assert_eq!(thinned.len(), 12);
        assert_eq!((thinned[0].as_str(), thinned[11].as_str()), ("0", "99"));
    }

    #[test]
    fn grids_rise() {
        let spec = crate::config::load("h200", &[]).unwrap().spec;
        for grid in [
            working_sets(&spec, 12),
            sweeps(&spec, 12),
            l2_sets(&spec, 12),
        ] {
            let sizes: Vec<f64> = grid.iter().map(|p| p.parse().unwrap()).collect();
            assert!(sizes.windows(2).all(|w| w[0] < w[1]), "{sizes:?}");
        }
    }
}
