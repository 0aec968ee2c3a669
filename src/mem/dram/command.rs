//! The commands of a DRAM device, and the classes under which the timing table names them.

use bincode::{Decode, Encode};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum Kind {
    /// Fetch one burst.
    Read = 0,
    /// Store one burst.
    Write = 1,
}

/// A command on the command bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[repr(u8)]
pub enum Command {
    /// Open a row of one bank.
    Activate = 0,
    /// Close the row of one bank.
    Precharge = 1,
    /// Close the rows of all banks.
    PrechargeAll = 2,
    /// Read one burst from the open row.
    Read = 3,
    /// Write one burst to the open row.
    Write = 4,
    /// Refresh all banks; all must be closed.
    RefreshAll = 5,
    /// Refresh one closed bank.
    RefreshBank = 6,
    /// Read one burst, then close the row.
    ReadAuto = 7,
    /// Write one burst, then close the row.
    WriteAuto = 8,
}

/// Commands in the order of their discriminants.
pub const COMMANDS: [Command; 9] = [
    Command::Activate,
    Command::Precharge,
    Command::PrechargeAll,
    Command::Read,
    Command::Write,
    Command::RefreshAll,
    Command::RefreshBank,
    Command::ReadAuto,
    Command::WriteAuto,
];

/// Number of classes a command can wait in: an auto-precharging access waits exactly as the plain one.
pub const FOLLOW_CLASSES: usize = 8;

impl Command {
    /// The class under which a *following* command is looked up in the timing table.
    #[inline(always)]
    pub const fn follow(self) -> usize {
        match self {
            Command::ReadAuto => Command::Read as usize,
            Command::WriteAuto => Command::Write as usize,
            other => other as usize,
        }
    }

    /// True for commands that move data.
    #[inline(always)]
    pub const fn is_column(self) -> bool {
        matches!(
            self,
            Command::Read | Command::Write | Command::ReadAuto | Command::WriteAuto
        )
    }

    /// True for commands that move data from the controller to the device.
    #[inline(always)]
    pub const fn is_write(self) -> bool {
        matches!(self, Command::Write | Command::WriteAuto)
    }

    /// True for commands that close the row of their bank behind themselves.
    #[inline(always)]
    pub const fn auto_precharges(self) -> bool {
        matches!(self, Command::ReadAuto | Command::WriteAuto)
    }

    /// True for commands that address the whole channel.
    #[inline(always)]
    pub const fn is_all_bank(self) -> bool {
        matches!(self, Command::PrechargeAll | Command::RefreshAll)
    }

    /// The mnemonic in command logs.
    pub const fn mnemonic(self) -> &'static str {
        match self {
            Command::Activate => "ACT",
            Command::Precharge => "PRE",
            Command::PrechargeAll => "PREA",
            Command::Read => "RD",
            Command::Write => "WR",
            Command::RefreshAll => "REF",
            Command::RefreshBank => "REFPB",
            Command::ReadAuto => "RDA",
            Command::WriteAuto => "WRA",
        }
    }
}
