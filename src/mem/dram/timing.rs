//! Timing rules as data: rows of (scope, preceding command, following command, gap).
//!
//! One list of rows per standard is built by [`rows`] from the standard's numbers. The channel compiles
//! it into [`Compiled`] (per preceding command, in ticks), `phantom-gpu dram --list-timing` prints it, and
//! the checker reads the rows themselves. A rule that is missing here is missing everywhere, and
//! nowhere else does the model know a gap.
//!
//! Gaps are in CK and are counted between the *last* bus cycles of both commands: an ACT that takes two
//! bus cycles makes everything after it one cycle later, and may itself start one cycle earlier. That shift
//! is applied in [`compile`]; the rows stay as data sheets print them.

use super::command::{COMMANDS, Command, FOLLOW_CLASSES};

/// The timing numbers of a standard, in CK. Names follow the data sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the data-sheet names are the documentation; see the rows that use them"
)]
pub struct Timing {
    pub bl: u32,
    pub cl: u32,
    pub cwl: u32,
    pub rcd_rd: u32,
    pub rcd_wr: u32,
    pub rp: u32,
    pub ras: u32,
    pub rc: u32,
    pub wr: u32,
    pub rtp: u32,
    pub ccd_s: u32,
    pub ccd_l: u32,
    pub rrd_s: u32,
    pub rrd_l: u32,
    pub wtr_s: u32,
    pub wtr_l: u32,
    pub rtw: u32,
    pub faw: u32,
    /// Precharge to precharge of another bank; 0 where the standard has no such rule.
    pub ppd: u32,
    pub refi: u32,
    pub rfc: u32,
    pub refi_pb: u32,
    pub rfc_pb: u32,
    /// Per-bank refresh to a row command of another bank.
    pub rrefd: u32,
}

/// How the commands travel to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandBus {
    /// Row and column commands have a bus each (HBM), so one of both can issue in a CK.
    pub dual: bool,
    /// Bus slots per CK: 2 where row commands may use the falling edge (HBM3), else 1.
    pub ticks_per_ck: u32,
    /// Slots that an ACT occupies.
    pub activate_ticks: u32,
}

/// Where a rule looks for its preceding command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Both commands address the same bank.
    Bank,
    /// Both commands address the same bank group.
    BankGroup,
    /// Both commands are on the same channel (pseudo-channel).
    Channel,
}

/// What the gap of a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// CK after the preceding command.
    After,
    /// CK after the fourth-last command of that kind (tFAW).
    Window4,
    /// Bus slots (ticks), not shifted by command length: the bus itself is busy.
    BusTicks,
}

/// One timing rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which pairs of commands the rule binds.
    pub scope: Scope,
    /// The earlier command.
    pub preceding: Command,
    /// The later command (auto-precharging accesses follow as the plain ones do).
    pub following: Command,
    /// The smallest legal distance.
    pub gap: u32,
    /// How `gap` counts.
    pub count: Count,
    /// The gap in data-sheet terms.
    pub formula: &'static str,
}

/// All rules of a standard.
pub fn rows(t: &Timing, bus: CommandBus) -> Vec<Row> {
    let mut out = Vec::with_capacity(80);
    column_rows(&mut out, t);
    row_rows(&mut out, t);
    refresh_rows(&mut out, t);
    if bus.activate_ticks > 1 {
        use Command::*;
        for following in [Activate, Precharge, PrechargeAll, RefreshAll, RefreshBank] {
            push_as(
                &mut out,
                Scope::Channel,
                &[Activate],
                &[following],
                bus.activate_ticks,
                Count::BusTicks,
                "ACT length",
            );
        }
    }
    out
}

fn push(
    out: &mut Vec<Row>,
    scope: Scope,
    from: &[Command],
    to: &[Command],
    gap: u32,
    formula: &'static str,
) {
    push_as(out, scope, from, to, gap, Count::After, formula);
}

fn push_as(
    out: &mut Vec<Row>,
    scope: Scope,
    from: &[Command],
    to: &[Command],
    gap: u32,
    count: Count,
    formula: &'static str,
) {
    for &preceding in from {
        for &following in to {
            out.push(Row {
                scope,
                preceding,
                following,
                gap,
                count,
                formula,
            });
        }
    }
}

/// Reads and writes among themselves: the data bus, its turnarounds, and column-to-precharge.
fn column_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    use Scope::*;
    const RD: &[Command] = &[Read, ReadAuto];
    const WR: &[Command] = &[Write, WriteAuto];
    push(
        out,
        Channel,
        RD,
        &[Read],
        t.ccd_s.max(t.bl),
        "max(tCCD_S, BL)",
    );
    push(
        out,
        Channel,
        WR,
        &[Write],
        t.ccd_s.max(t.bl),
        "max(tCCD_S, BL)",
    );
    push(out, Channel, RD, &[Write], t.rtw, "tRTW");
    push(
        out,
        Channel,
        WR,
        &[Read],
        t.cwl + t.bl + t.wtr_s,
        "CWL + BL + tWTR_S",
    );
    push(out, BankGroup, RD, &[Read], t.ccd_l, "tCCD_L");
    push(out, BankGroup, WR, &[Write], t.ccd_l, "tCCD_L");
    push(
        out,
        BankGroup,
        WR,
        &[Read],
        t.cwl + t.bl + t.wtr_l,
        "CWL + BL + tWTR_L",
    );
    push(out, Bank, &[Read], &[Precharge], t.rtp, "tRTP");
    push(
        out,
        Bank,
        &[Write],
        &[Precharge],
        t.cwl + t.bl + t.wr,
        "CWL + BL + tWR",
    );
    push(out, Channel, &[Read], &[PrechargeAll], t.rtp, "tRTP");
    push(
        out,
        Channel,
        &[Write],
        &[PrechargeAll],
        t.cwl + t.bl + t.wr,
        "CWL + BL + tWR",
    );
    push(
        out,
        Bank,
        &[ReadAuto],
        &[Activate, RefreshBank],
        t.rtp + t.rp,
        "tRTP + tRP",
    );
    push(
        out,
        Bank,
        &[WriteAuto],
        &[Activate, RefreshBank],
        t.cwl + t.bl + t.wr + t.rp,
        "CWL + BL + tWR + tRP",
    );
}

/// Activates and precharges.
fn row_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    use Scope::*;
    push(out, Channel, &[Activate], &[Activate], t.rrd_s, "tRRD_S");
    push(out, BankGroup, &[Activate], &[Activate], t.rrd_l, "tRRD_L");
    push_as(
        out,
        Channel,
        &[Activate],
        &[Activate],
        t.faw,
        Count::Window4,
        "tFAW",
    );
    push(out, Bank, &[Activate], &[Activate], t.rc, "tRC");
    push(out, Bank, &[Activate], &[Read], t.rcd_rd, "tRCD_RD");
    push(out, Bank, &[Activate], &[Write], t.rcd_wr, "tRCD_WR");
    push(out, Bank, &[Activate], &[Precharge], t.ras, "tRAS");
    push(out, Channel, &[Activate], &[PrechargeAll], t.ras, "tRAS");
    push(out, Bank, &[Precharge], &[Activate], t.rp, "tRP");
    push(out, Channel, &[PrechargeAll], &[Activate], t.rp, "tRP");
    if t.ppd > 1 {
        push(out, Channel, &[Precharge], &[Precharge], t.ppd, "tPPD");
    }
}

/// Refreshes against everything else.
fn refresh_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    use Scope::*;
    push(out, Channel, &[Activate], &[RefreshAll], t.rc, "tRC");
    push(
        out,
        Channel,
        &[Precharge, PrechargeAll],
        &[RefreshAll],
        t.rp,
        "tRP",
    );
    push(
        out,
        Channel,
        &[ReadAuto],
        &[RefreshAll],
        t.rtp + t.rp,
        "tRTP + tRP",
    );
    push(
        out,
        Channel,
        &[WriteAuto],
        &[RefreshAll],
        t.cwl + t.bl + t.wr + t.rp,
        "CWL + BL + tWR + tRP",
    );
    push(
        out,
        Channel,
        &[RefreshAll],
        &[Activate, PrechargeAll, RefreshAll, RefreshBank],
        t.rfc,
        "tRFC",
    );
    push(
        out,
        Bank,
        &[RefreshBank],
        &[Activate, RefreshBank],
        t.rfc_pb,
        "tRFCpb",
    );
    push(
        out,
        Channel,
        &[RefreshBank],
        &[Activate, RefreshBank],
        t.rrefd,
        "tRREFD",
    );
    push(
        out,
        Channel,
        &[RefreshBank],
        &[RefreshAll],
        t.rfc_pb,
        "tRFCpb",
    );
    push(out, Channel, &[Activate], &[RefreshBank], t.rrd_s, "tRRD_S");
    push(out, Bank, &[Activate], &[RefreshBank], t.rc, "tRC");
    push(out, Bank, &[Precharge], &[RefreshBank], t.rp, "tRP");
    push(out, Channel, &[PrechargeAll], &[RefreshBank], t.rp, "tRP");
}

/// One rule in the form in which the channel applies it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Update {
    /// `Command::follow` of the command that has to wait.
    pub following: u8,
    /// Ticks.
    pub gap: u32,
}

/// The rules sorted by the command that starts them.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// Per preceding command: rules within the bank.
    pub bank: [Vec<Update>; COMMANDS.len()],
    /// Per preceding command: rules within the bank group.
    pub group: [Vec<Update>; COMMANDS.len()],
    /// Per preceding command: rules within the channel.
    pub channel: [Vec<Update>; COMMANDS.len()],
    /// tFAW in ticks.
    pub faw: u32,
}

/// Ticks that `command` occupies its bus.
pub const fn command_ticks(command: Command, bus: CommandBus) -> u32 {
    match command {
        Command::Activate => bus.activate_ticks,
        c if c.is_column() => bus.ticks_per_ck,
        _ => 1,
    }
}

/// The gap of `row` in ticks between the first bus slots of both commands.
pub fn gap_ticks(row: &Row, bus: CommandBus) -> u32 {
    if row.count == Count::BusTicks {
        return row.gap;
    }
    let shifted = row.gap * bus.ticks_per_ck + command_ticks(row.preceding, bus);
    shifted.saturating_sub(command_ticks(row.following, bus))
}

/// Sorts `rows` for the channel; of several rules for one pair only the longest is kept.
pub fn compile(rows: &[Row], bus: CommandBus) -> Compiled {
    let mut out = Compiled::default();
    for row in rows {
        let gap = gap_ticks(row, bus);
        if row.count == Count::Window4 {
            out.faw = gap;
            continue;
        }
        let lists = match row.scope {
            Scope::Bank => &mut out.bank,
            Scope::BankGroup => &mut out.group,
            Scope::Channel => &mut out.channel,
        };
        let list = &mut lists[row.preceding as usize];
        let following = row.following.follow() as u8;
        debug_assert!((following as usize) < FOLLOW_CLASSES);
        match list.iter_mut().find(|u| u.following == following) {
            Some(known) => known.gap = known.gap.max(gap),
            None => list.push(Update { following, gap }),
        }
    }
    out
}
