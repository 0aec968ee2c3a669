//! The command log of a run.

use std::io::{self, Write};

use crate::mem::dram::{DramProbe, Issued};

/// Records every command.
#[derive(Clone, Debug, Default)]
pub struct CommandLog {
    /// Commands in order of issue.
    pub commands: Vec<Issued>,
}

impl DramProbe for CommandLog {
    const EVERY_COMMAND: bool = true;

    fn command_issued(&mut self, issued: &Issued) {
        self.commands.push(*issued);
    }
}

impl CommandLog {
    /// Writes `CK MNEMONIC bank-group bank row column`, a command a line; -1 where a field does not apply.
    pub fn write(
        &self,
        out: &mut dyn Write,
        banks_per_group: u32,
        ticks_per_ck: u32,
    ) -> io::Result<()> {
        for c in &self.commands {
            let ck = c.tick / u64::from(ticks_per_ck);
            let half = if ticks_per_ck == 2 && c.tick % 2 == 1 {
                ".5"
            } else {
                ""
            };
            let name = c.command.mnemonic();
            if c.command.is_all_bank() {
                writeln!(out, "{ck}{half} {name} -1 -1 -1 -1")?;
                continue;
            }
            let (group, bank) = (
                u32::from(c.bank) / banks_per_group,
                u32::from(c.bank) % banks_per_group,
            );
            if c.tag == u32::MAX {
                writeln!(out, "{ck}{half} {name} {group} {bank} -1 -1")?;
            } else {
                writeln!(
                    out,
                    "{ck}{half} {name} {group} {bank} {} {}",
                    c.row, c.column
                )?;
            }
        }
        Ok(())
    }
}
