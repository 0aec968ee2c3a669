//! What was launched, and what keeps further CTAs from an SM.

use crate::config::GpuSpec;
use crate::occupancy::{Demand, Occupancy};
use crate::report::html::Column;
use crate::report::record::record;
use crate::report::schema::Kernel;
use crate::research::Table;
use crate::trace::KernelHeader;
use serde_json::{Value as Json, json};

record! {
    /// A launch.
    pub struct Launch {
        /// CTAs of the grid.
        pub ctas: u64 = "CTAs",
        /// Threads of a CTA.
        pub threads_per_cta: u32 = "threads",
        /// Registers of a thread.
        pub registers: u16 = "registers",
        /// Shared memory of a CTA, bytes.
        pub smem_bytes: u32 = "bytes",
        /// How often the CTAs that fit on the chip at once fit into the grid.
        pub waves: f64 = "waves", by "ctas / (SMs x occupancy.ctas_per_sm)",
        /// CTAs that each resource of an SM has room for; the least of them is `occupancy.ctas_per_sm`.
        pub limits: Vec<Room>,
    }
}

record! {
    /// A resource of an SM.
    pub struct Room {
        /// `warps`, `ctas`, `registers` or `shared_memory`, as in `occupancy.limit`.
        pub resource: &'static str,
        /// CTAs that it has room for; absent where a CTA asks for none of it.
        pub ctas: Option<u32> = "CTAs",
    }
}

impl Launch {
    /// Of `kernel` with `header` on `spec`.
    pub(super) fn of(kernel: &Kernel, header: &KernelHeader, spec: &GpuSpec) -> Self {
        let at_once = u64::from(spec.sms) * u64::from(kernel.occupancy.ctas_per_sm);
        let room = |(limit, ctas): (crate::occupancy::Limit, Option<u32>)| Room {
            resource: limit.name(),
            ctas,
        };
        Launch {
            ctas: header.cta_count(),
            threads_per_cta: header.threads_per_cta(),
            registers: header.registers_per_thread,
            smem_bytes: header.smem_bytes,
            waves: header.cta_count() as f64 / at_once.max(1) as f64,
            limits: Occupancy::room(&Demand::of(header), spec).map(room).into(),
        }
    }

    /// Its row of the table: `kernel` is its name.
    pub(super) fn row(&self, kernel: &str) -> Vec<Json> {
        let mut row = vec![
            json!(kernel),
            json!(self.ctas),
            json!(self.threads_per_cta),
            json!(self.registers),
            json!(self.smem_bytes),
            json!(self.waves),
        ];
        row.extend(self.limits.iter().map(|room| json!(room.ctas)));
        row
    }
}

/// The table of `rows`.
pub(super) fn table(rows: Vec<Vec<Json>>) -> Table {
    let counts = ["CTAs", "threads", "registers", "shared B"].map(|name| Column::number(name, 0));
    let limits = ["warps", "slots", "registers", "shared"];
    let limits = limits.map(|name| Column::number(&format!("fit: {name}"), 0));
    let mut columns = vec![Column::text("kernel")];
    columns.extend(counts);
    columns.push(Column::number("waves", 2));
    columns.extend(limits);
    Table {
        name: "launch",
        caption: "Launches, and CTAs that each resource of an SM has room for".into(),
        columns,
        rows,
    }
}
