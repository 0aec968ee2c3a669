//! A product as text: its own names for the fields, of which all but the shape are left out while they are usual.

use super::{Gemm, Merge, Raster, STAGES_MAX, Shape, Tile, output_of};
use crate::config::GpuSpec;
use crate::kernels::fields::{Field, Fields, Param};
use crate::kernels::operator::{DataType, EDGE_MAX, Epilogue, Layout, Sums};

const COUNT: usize = 21;

/// The fields of products of `data` (its place among the types), which only that default tells apart.
const fn table(data: u64) -> [Param; COUNT] {
    const fn zero_is_usual(name: &'static str, most: u64, doc: &'static str) -> Param {
        Param::count(name, 0, 0, most, doc).quiet()
    }
    [
        Param::count("m", 1024, 1, EDGE_MAX, "rows of C"),
        Param::count("n", 1024, 1, EDGE_MAX, "columns of C"),
        Param::count("k", 1024, 1, EDGE_MAX, "depth"),
        zero_is_usual(
            "stages",
            STAGES_MAX as u64,
            "stages of tiles in shared memory; 0: the usual number",
        ),
        Param::count("batch", 1, 1, 1 << 24, "products in a batch").quiet(),
        Param {
            default: data,
            ..Param::name("type", DataType::NAMES, "numbers of A and B").quiet()
        },
        Param::name("layout", Layout::NAMES, "how A and B lie in memory").quiet(),
        zero_is_usual("tile_m", 512, "rows of a tile; 0: the usual number"),
        zero_is_usual("tile_n", 512, "columns of a tile; 0: the usual number"),
        zero_is_usual("tile_k", 256, "depth of a stage; 0: the usual number"),
        zero_is_usual("warps_m", 16, "warps along m; 0: the usual number"),
        zero_is_usual("warps_n", 16, "warps along n; 0: the usual number"),
        Param::count(
            "slices",
            1,
            1,
            8,
            "groups of warps that share a tile's depth",
        )
        .quiet(),
        Param::count("split", 1, 1, 65_535, "parts of the depth over the grid").quiet(),
        Param::name("merge", Merge::NAMES, "where these become one").quiet(),
        Param::name("raster", Raster::NAMES, "order of the tiles").quiet(),
        Param::count(
            "swizzle",
            0,
            0,
            3,
            "raster=rows: 2^swizzle columns are taken along",
        )
        .quiet(),
        Param::name("epilogue", Epilogue::NAMES, "what is done to results").quiet(),
        zero_is_usual("beta", 1, "what C held is added to the results: 1"),
        zero_is_usual(
            "pointers",
            1,
            "the matrices of a batch are found by arrays of pointers: 1",
        ),
        Param::name(
            "acc",
            Sums::NAMES,
            "numbers that products of 16-bit floats are added up in",
        )
        .quiet(),
    ]
}

pub(in crate::kernels) const F32_FIELDS: &[Param] = &table(0);
pub(in crate::kernels) const F16_FIELDS: &[Param] = &table(2);

impl Gemm {
    /// Of the values of a family's fields.
    pub(in crate::kernels) fn of(values: &[u64], gpu: &GpuSpec) -> Self {
        let [m, n, k, stages, batch, data, layout] = std::array::from_fn(|at| values[at]);
        let data = DataType::from_value(data);
        let usual = Gemm::new(data, Shape { m, n, k, batch }, gpu);
        let or = |at: usize, usual: u32| match values[at] {
            0 => usual,
            other => other as u32,
        };
        let gemm = Gemm {
            layout: Layout::from_value(layout),
            tile: Tile {
                m: or(7, usual.tile.m),
                n: or(8, usual.tile.n),
                k: or(9, usual.tile.k),
            },
            warps: [or(10, usual.warps[0]), or(11, usual.warps[1])],
            slices: values[12] as u32,
            split: values[13] as u32,
            merge: Merge::from_value(values[14]),
            raster: Raster::from_value(values[15]),
            swizzle: values[16] as u32,
            epilogue: Epilogue::from_value(values[17]),
            beta: values[18] == 1,
            pointers: values[19] == 1,
            accumulator: Sums::from_value(values[20]),
            output: output_of(data),
            ..usual
        };
        Gemm {
            stages: match stages {
                0 => gemm.stages,
                other => other as u32,
            },
            ..gemm
        }
    }
}

impl Fields for Gemm {
    fn fields(&self) -> Vec<(Param, u64)> {
        let Shape { m, n, k, batch } = self.shape;
        let declared = match self.data {
            DataType::F32 => F32_FIELDS,
            _ => F16_FIELDS,
        };
        let values: [u64; COUNT] = [
            m,
            n,
            k,
            self.stages.into(),
            batch,
            self.data.value(),
            self.layout.value(),
            self.tile.m.into(),
            self.tile.n.into(),
            self.tile.k.into(),
            self.warps[0].into(),
            self.warps[1].into(),
            self.slices.into(),
            self.split.into(),
            self.merge.value(),
            self.raster.value(),
            self.swizzle.into(),
            self.epilogue.value(),
            self.beta.into(),
            self.pointers.into(),
            self.accumulator.value(),
        ];
        declared.iter().copied().zip(values).collect()
    }
}
