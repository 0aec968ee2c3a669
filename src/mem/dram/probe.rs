//! What a channel tells an observer. Methods are generic over the probe, structs are not; the empty defaults
//! compile to nothing.

use super::command::{Command, Kind};

/// How a request found its bank when its first command issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RowOutcome {
    /// The row was open.
    Hit = 0,
    /// The bank was closed.
    Miss = 1,
    /// Another row was open.
    Conflict = 2,
}

/// One issued command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Bus slot: CK × slots per CK (only HBM3 has two), first slot of the command.
    pub tick: u64,
    /// Command.
    pub command: Command,
    /// Flat bank; 0 for commands to all banks.
    pub bank: u8,
    /// Row that the command opens, accesses or (for a precharge on demand) makes room for.
    pub row: u32,
    /// Burst within the row, for accesses.
    pub column: u32,
    /// The request that wanted it; `u32::MAX` for refreshes and idle precharges.
    pub tag: u32,
}

/// One finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Read or write.
    pub kind: Kind,
    /// Flat bank.
    pub bank: u8,
    /// Row.
    pub row: u32,
    /// Request.
    pub tag: u32,
    /// CK of acceptance.
    pub accepted: u64,
    /// CK of the last data beat (reads), of the write command (writes).
    pub done: u64,
    /// State of the bank when the first command for it issued.
    pub outcome: RowOutcome,
}

/// Observer of one channel. Probes watch and never steer.
pub trait DramProbe {
    /// It needs every single command, so that none may be passed over.
    const EVERY_COMMAND: bool = false;

    /// A command was put on the bus.
    #[inline(always)]
    fn command_issued(&mut self, _issued: &Issued) {}
    /// So many refreshes of an idle channel were not simulated one by one.
    #[inline(always)]
    fn commands_passed_over(&mut self, _command: Command, _count: u64) {}
    /// A request's column command was issued; its data follow at `served.done`.
    #[inline(always)]
    fn request_served(&mut self, _served: &Served) {}
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDramProbe;

impl DramProbe for NoDramProbe {}

impl<P: DramProbe> DramProbe for &mut P {
    const EVERY_COMMAND: bool = P::EVERY_COMMAND;

    #[inline(always)]
    fn command_issued(&mut self, issued: &Issued) {
        (**self).command_issued(issued);
    }
    #[inline(always)]
    fn commands_passed_over(&mut self, command: Command, count: u64) {
        (**self).commands_passed_over(command, count);
    }
    #[inline(always)]
    fn request_served(&mut self, served: &Served) {
        (**self).request_served(served);
    }
}

impl<A: DramProbe, B: DramProbe> DramProbe for (A, B) {
    const EVERY_COMMAND: bool = A::EVERY_COMMAND || B::EVERY_COMMAND;

    #[inline(always)]
    fn command_issued(&mut self, issued: &Issued) {
        self.0.command_issued(issued);
        self.1.command_issued(issued);
    }
    #[inline(always)]
    fn commands_passed_over(&mut self, command: Command, count: u64) {
        self.0.commands_passed_over(command, count);
        self.1.commands_passed_over(command, count);
    }
    #[inline(always)]
    fn request_served(&mut self, served: &Served) {
        self.0.request_served(served);
        self.1.request_served(served);
    }
}
