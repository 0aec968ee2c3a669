//! Where the code of kernels and their constants lie.

use super::{Host, Launched};
use crate::gpu::{ChipStage, Gpu};
use crate::probe::Probe;
use crate::sm::Program;
use crate::trace::{Command, Kernel};

/// Constant banks of launches start at multiples of this many bytes.
const CONSTANT_ALIGNMENT: u64 = 1024;

impl Host<'_> {
    /// Gives a kernel's code and constants their places in memory.
    pub(super) fn upload<P: Probe + Sync, S: ChipStage>(
        &mut self,
        kernel: &Kernel,
        gpu: &Gpu<P, S>,
    ) -> Launched {
        let (code_line, lines, new) = self.code_line(kernel);
        let program = Program::new(&kernel.code, self.spec);
        let constants = self.next_constant;
        let line_bytes = u64::from(self.spec.const_cache.line_bytes);
        let constant_bytes = u64::from(program.const_lines) * line_bytes;
        self.next_constant += constant_bytes.next_multiple_of(CONSTANT_ALIGNMENT);
        if self.spec.l2.memcpy_fills {
            // The driver uploads code once and parameters with every launch, like any host copy.
            if new {
                let line_bytes = u64::from(self.spec.fetch.line_bytes);
                gpu.preload(code_line * line_bytes, lines * line_bytes, true);
            }
            gpu.preload(constants, constant_bytes, true);
        }
        Launched {
            program,
            code_line,
            const_line: constants / line_bytes,
            kernel: kernel.clone(),
        }
    }

    /// The address of a kernel's code: the same code keeps its place from launch to launch.
    /// Returns its first line, its lines, and whether it is new.
    fn code_line(&mut self, kernel: &Kernel) -> (u64, u64, bool) {
        let same = |at: usize| match &self.commands[at] {
            Command::Launch(k) => {
                k.header.name == kernel.header.name && k.code.insts == kernel.code.insts
            }
            Command::MemcpyHtoD { .. } => false,
        };
        if let Some((_, line)) = self.codes.iter().find(|(at, _)| same(*at)) {
            return (*line, 0, false);
        }
        let line = self.next_code_line;
        let end = kernel.code.insts.iter().map(|i| i.pc).max().unwrap_or(0);
        let lines = u64::from(end / self.spec.fetch.line_bytes) + 1;
        self.next_code_line += lines + 1;
        self.codes.push((self.next_command - 1, line));
        (line, lines, true)
    }
}
