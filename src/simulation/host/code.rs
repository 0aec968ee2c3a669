//! Where the code of kernels lies.

use super::Host;
use crate::trace::{Command, Kernel};

impl Host<'_> {
    /// The address of a kernel's code: the same code keeps its place from launch to launch.
    /// Returns its first line, its lines, and whether it is new.
    pub(super) fn code_line(&mut self, kernel: &Kernel) -> (u64, u64, bool) {
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
