//! Where an instruction stands: what every row of a list by instruction says of it.

use super::Study;
use super::by_pc::{inst_at, line_of, name_of};
use crate::report::record::record;

record! {
    /// An instruction.
    pub struct Place {
        /// Byte offset from the kernel's first instruction.
        pub pc: u32 = "bytes",
        /// Its mnemonic.
        pub opcode: String,
        /// Line of the source that it comes from; left out where it is not known: only recordings of PTX know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub line: Option<u32> = "line",
        /// That line.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
    }
}

/// Kernels and instructions by their numbers; empty for those that the run or its workload does not have.
impl Study<'_> {
    /// The name of kernel number `kernel` of the report.
    pub(super) fn kernel_name(&self, kernel: usize) -> String {
        let kernel = self.report.kernels.get(kernel);
        kernel.map_or(String::new(), |kernel| kernel.name.clone())
    }

    /// The mnemonic of its instruction at `pc`.
    pub(super) fn opcode(&self, kernel: usize, pc: u32) -> String {
        let kernel = self.request.workload.launches().nth(kernel);
        let name = kernel.and_then(|kernel| {
            let inst = inst_at(&kernel.code, pc)?;
            Some(name_of(&kernel.code, inst).to_owned())
        });
        name.unwrap_or_default()
    }

    /// That instruction.
    pub(super) fn place(&self, kernel: usize, pc: u32) -> Place {
        let (line, source) = line_of(self.request.workload.launches().nth(kernel), pc);
        Place {
            pc,
            opcode: self.opcode(kernel, pc),
            line,
            source,
        }
    }
}
