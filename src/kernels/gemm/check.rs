//! What there are instruction streams for, and numbers that follow from the fields.

use super::operand::Along;
use super::{Gemm, Merge, Raster, STAGES_MAX, Tile};
use crate::config::GpuSpec;
use crate::kernels::Fault;
use crate::kernels::operator::{DataType, Layout, Sums};
use crate::kernels::work::tensor_rate;
use crate::trace::Dim3;

/// Bytes of a row at most: 32 of them are within reach of a lane's offset.
const PITCH_MAX: u64 = 1 << 26;
/// Bytes of an array at most: arrays lie that far apart.
const ARRAY_MAX: u64 = 1 << 36;
/// CTAs in x, and in y or z.
const GRID_MAX: [u64; 3] = [(1 << 31) - 1, 65_535, 65_535];

impl Gemm {
    /// How A and B lie in memory.
    pub(super) fn along(&self) -> [Along; 2] {
        match self.layout {
            Layout::Nn => [Along::Depth, Along::Edge],
            Layout::Nt => [Along::Depth, Along::Depth],
            Layout::Tn => [Along::Edge, Along::Edge],
            Layout::Tt => [Along::Edge, Along::Depth],
        }
    }

    /// Bytes of a result as it is stored: parts of a split depth stay 32 bits.
    pub(super) fn result_bytes(&self) -> u64 {
        match self.split {
            1 => self.output.bytes(),
            _ => 4,
        }
    }

    /// Bytes of a store of results.
    pub(super) fn result_vector(&self) -> u64 {
        let pitch = self.shape.n * self.result_bytes();
        match self.any_alignment {
            true => self.result_bytes(),
            false => 1 << pitch.trailing_zeros().min(4),
        }
    }

    /// Name of the kernel.
    pub(super) fn title(&self, label: &str, stages: u64, gpu: &GpuSpec) -> String {
        let Tile { m, n, k } = self.tile;
        let slices = match self.slices {
            1 => String::new(),
            slices => format!("_sliced1x{slices}"),
        };
        let split = match self.split {
            1 => String::new(),
            split => format!("_splitk{split}"),
        };
        let layout = Layout::NAMES[self.layout as usize];
        let data = self.data.name();
        let sums = match self.accumulator {
            Sums::Wide => "",
            Sums::Narrow => "_acc16",
        };
        let version = gpu.compute_capability;
        let [wm, wn] = self.warps;
        format!(
            "sm{version}_{label}_{data}{sums}_{m}x{n}x{k}_{stages}_{wm}x{wn}{slices}{split}_{layout}"
        )
    }

    /// Whether there is an instruction stream for these fields on `gpu`.
    pub(in crate::kernels) fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        self.check_type(gpu)?;
        self.check_tile(gpu)?;
        self.check_sizes()
    }

    fn check_type(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let by_tensor = self.data != DataType::F32;
        if by_tensor && tensor_rate(self.data, self.accumulator, gpu) == 0 {
            let what = format!("the tensor cores of {} lack it", gpu.name);
            return Err(Fault::field("type", self.data.name(), what));
        }
        if self.accumulator == Sums::Narrow && (self.data != DataType::F16 || self.slices > 1) {
            let what = "16-bit sums are those of products of f16 whose depth is not sliced";
            return Err(Fault::field("acc", "f16", what));
        }
        let narrow = self.data.bytes() == 1;
        if narrow && self.layout != Layout::Nt {
            let layout = Layout::NAMES[self.layout as usize];
            let what = "8-bit matrices need the depth side by side: nt";
            return Err(Fault::field("layout", layout, what));
        }
        if narrow && self.vectors().iter().any(|&bytes| bytes < 4) {
            let what = "8-bit matrices need a depth that is a multiple of 4";
            return Err(Fault::field("k", self.shape.k, what));
        }
        if self.split > 1 && self.merge == Merge::InPlace && self.output.bytes() != 4 {
            let what = "16-bit results are not added in place";
            return Err(Fault::field("merge", "inplace", what));
        }
        Ok(())
    }

    fn check_tile(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let Tile { m, n, k } = self.tile;
        let [along_m, along_n] = self.warps;
        let fault = |what: &str| Err(Fault::field("tile", self.tile, what));
        if ![m, n, k, along_m, along_n, self.slices]
            .iter()
            .all(|size| size.is_power_of_two())
        {
            return fault("tiles, warps and slices are powers of two");
        }
        if along_m > m || along_n > n {
            return fault("more warps than rows or columns");
        }
        let (part_m, part_n) = (m / along_m, n / along_n);
        let simt = self.data == DataType::F32;
        let volta = gpu.compute_capability < 75;
        let (least_m, least_n, depth, step) = match (simt, volta) {
            (true, _) => (16, 16, 8, 1),
            (false, true) => (32, 32, 32, 4),
            (false, false) => (16, 16, 32, 32 / self.data.bytes() as u32),
        };
        if part_m < least_m || part_n < least_n {
            let what = format!("a warp has {part_m} x {part_n}; at least {least_m} x {least_n}");
            return fault(&what);
        }
        let bytes = k * self.data.bytes() as u32;
        if bytes < depth || bytes > 256 {
            return fault("a stage has 32 to 256 bytes of depth");
        }
        if k / self.slices < 2 * step {
            return fault("a slice has two steps of depth at least");
        }
        let sums = part_m * part_n / 32;
        if simt && !(16..=128).contains(&sums) || sums > 128 {
            return fault(&format!("{sums} results of a thread: 16 to 128"));
        }
        if self.threads() > gpu.sm.threads_per_cta_max {
            return fault("more threads than a CTA may have");
        }
        let most = match gpu.compute_capability >= 80 {
            true => STAGES_MAX,
            false => 2,
        };
        if !(2..=most).contains(&self.stages) {
            let what = match most {
                2 => format!("two stages without cp.async, as on {}", gpu.name),
                most => format!("2 to {most} stages of cp.async"),
            };
            return Err(Fault::field("stages", self.stages, what));
        }
        if self.swizzle > 0 && self.raster == Raster::Columns {
            return Err(Fault::field("swizzle", self.swizzle, "needs raster=rows"));
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), Fault> {
        let super::Shape { m, n, k, batch } = self.shape;
        let rows = [("k", k, m), ("n", n, k), ("n", n, m)];
        let sizes = [self.data.bytes(), self.data.bytes(), 4];
        for ((name, value, other), size) in rows.into_iter().zip(sizes) {
            let bytes = u128::from(value) * u128::from(other) * u128::from(size);
            let parts = if size == 4 { u64::from(self.split) } else { 1 };
            if bytes * u128::from(batch) * u128::from(parts) > u128::from(ARRAY_MAX) {
                let what = "a matrix has more than 64 GiB";
                return Err(Fault::field(name, value, what));
            }
        }
        for (name, value) in [("m", m), ("n", n), ("k", k)] {
            if value * 4 > PITCH_MAX {
                return Err(Fault::field(name, value, "at most 16777216"));
            }
        }
        if u64::from(self.split) > self.depth_tiles() {
            let what = format!("there are {} tiles of depth", self.depth_tiles());
            return Err(Fault::field("split", self.split, what));
        }
        let grid = self.grid();
        let beyond = grid.iter().zip(GRID_MAX).any(|(&edge, most)| edge > most);
        if beyond {
            let what = format!("a grid of {grid:?} CTAs, at most {GRID_MAX:?}");
            return Err(Fault::field("tile", self.tile, what));
        }
        Ok(())
    }

    /// CTAs in x, y and z, as launches have them.
    pub fn launch_grid(&self) -> Dim3 {
        self.grid()
            .map(|edge| u32::try_from(edge).expect("the grid was checked"))
    }
}
