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
        bus_rows(&mut out, bus.activate_ticks);
    }
    out
}

/// Appends a row for each pair of a preceding and a following command; a gap of 0 is no rule.
macro_rules! table {
    ($out:ident; $($scope:ident $count:ident: $from:expr => $to:expr, $gap:expr, $formula:literal;)*) => {
        $(for &preceding in $from {
            for &following in $to {
                let (scope, count, gap) = (Scope::$scope, Count::$count, $gap);
                if gap > 0 {
                    $out.push(Row { scope, preceding, following, gap, count, formula: $formula });
                }
            }
        })*
    };
}

/// Reads and writes among themselves: the data bus, its turnarounds, and column-to-precharge.
fn column_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    const RD: &[Command] = &[Read, ReadAuto];
    const WR: &[Command] = &[Write, WriteAuto];
    let written = t.cwl + t.bl;
    table! { out;
        Channel   After: RD           => &[Read],         t.ccd_s.max(t.bl),        "max(tCCD_S, BL)";
        Channel   After: WR           => &[Write],        t.ccd_s.max(t.bl),        "max(tCCD_S, BL)";
        Channel   After: RD           => &[Write],        t.rtw,                    "tRTW";
        Channel   After: WR           => &[Read],         written + t.wtr_s,        "CWL + BL + tWTR_S";
        BankGroup After: RD           => &[Read],         t.ccd_l,                  "tCCD_L";
        BankGroup After: WR           => &[Write],        t.ccd_l,                  "tCCD_L";
        BankGroup After: WR           => &[Read],         written + t.wtr_l,        "CWL + BL + tWTR_L";
        Bank      After: &[Read]      => &[Precharge],    t.rtp,                    "tRTP";
        Bank      After: &[Write]     => &[Precharge],    written + t.wr,           "CWL + BL + tWR";
        Channel   After: &[Read]      => &[PrechargeAll], t.rtp,                    "tRTP";
        Channel   After: &[Write]     => &[PrechargeAll], written + t.wr,           "CWL + BL + tWR";
        Bank      After: &[ReadAuto]  => &[Activate, RefreshBank], t.rtp + t.rp,    "tRTP + tRP";
        Bank      After: &[WriteAuto] => &[Activate, RefreshBank], written + t.wr + t.rp, "CWL + BL + tWR + tRP";
    }
}

/// Activates and precharges.
fn row_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    table! { out;
        Channel   After:   &[Activate]     => &[Activate],     t.rrd_s,  "tRRD_S";
        BankGroup After:   &[Activate]     => &[Activate],     t.rrd_l,  "tRRD_L";
        Channel   Window4: &[Activate]     => &[Activate],     t.faw,    "tFAW";
        Bank      After:   &[Activate]     => &[Activate],     t.rc,     "tRC";
        Bank      After:   &[Activate]     => &[Read],         t.rcd_rd, "tRCD_RD";
        Bank      After:   &[Activate]     => &[Write],        t.rcd_wr, "tRCD_WR";
        Bank      After:   &[Activate]     => &[Precharge],    t.ras,    "tRAS";
        Channel   After:   &[Activate]     => &[PrechargeAll], t.ras,    "tRAS";
        Bank      After:   &[Precharge]    => &[Activate],     t.rp,     "tRP";
        Channel   After:   &[PrechargeAll] => &[Activate],     t.rp,     "tRP";
        Channel   After:   &[Precharge]    => &[Precharge],    t.ppd,    "tPPD";
    }
}

/// Refreshes against everything else.
fn refresh_rows(out: &mut Vec<Row>, t: &Timing) {
    use Command::*;
    const PRE: &[Command] = &[Precharge, PrechargeAll];
    const AFTER_REF: &[Command] = &[Activate, PrechargeAll, RefreshAll, RefreshBank];
    let written = t.cwl + t.bl + t.wr + t.rp;
    table! { out;
        Channel After: &[Activate]     => &[RefreshAll],            t.rc,         "tRC";
        Channel After: PRE             => &[RefreshAll],            t.rp,         "tRP";
        Channel After: &[ReadAuto]     => &[RefreshAll],            t.rtp + t.rp, "tRTP + tRP";
        Channel After: &[WriteAuto]    => &[RefreshAll],            written,      "CWL + BL + tWR + tRP";
        Channel After: &[RefreshAll]   => AFTER_REF,                t.rfc,        "tRFC";
        Bank    After: &[RefreshBank]  => &[Activate, RefreshBank], t.rfc_pb,     "tRFCpb";
        Channel After: &[RefreshBank]  => &[Activate, RefreshBank], t.rrefd,      "tRREFD";
        Channel After: &[RefreshBank]  => &[RefreshAll],            t.rfc_pb,     "tRFCpb";
        Channel After: &[Activate]     => &[RefreshBank],           t.rrd_s,      "tRRD_S";
        Bank    After: &[Activate]     => &[RefreshBank],           t.rc,         "tRC";
        Bank    After: &[Precharge]    => &[RefreshBank],           t.rp,         "tRP";
        Channel After: &[PrechargeAll] => &[RefreshBank],           t.rp,         "tRP";
    }
}

/// An ACT of several slots keeps the row bus busy.
fn bus_rows(out: &mut Vec<Row>, slots: u32) {
    use Command::*;
    const ROW: &[Command] = &[Activate, Precharge, PrechargeAll, RefreshAll, RefreshBank];
    table! { out;
        Channel BusTicks: &[Activate] => ROW, slots, "ACT length";
    }
}

/// One rule in the form in which the channel applies it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Update {
    /// `Command::follow` of the command that has to wait.
    pub following: u8,
    /// Ticks.
    pub gap: u64,
}

/// Most rules that a command starts within its bank: the two column commands, row commands and refresh after ACT.
const BANK_RULES: usize = 5;
/// Most rules that a command starts within its bank group: both column commands after a write.
const GROUP_RULES: usize = 2;

/// The rules sorted by the command that starts them. A gap of 0 is no rule.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// Per preceding command: rules within the bank.
    pub bank: [[Update; BANK_RULES]; COMMANDS.len()],
    /// Per preceding command: rules within the bank group that no rule of the channel implies.
    pub group: [[Update; GROUP_RULES]; COMMANDS.len()],
    /// Per preceding and `Command::follow` of the following command: gap within the channel in ticks.
    pub channel: [[u64; FOLLOW_CLASSES]; COMMANDS.len()],
    /// tFAW in ticks.
    pub faw: u64,
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
        let gap = u64::from(gap_ticks(row, bus));
        if row.count == Count::Window4 {
            out.faw = gap;
            continue;
        }
        let (preceding, following) = (row.preceding as usize, row.following.follow() as u8);
        match row.scope {
            Scope::Bank => add(&mut out.bank[preceding], following, gap),
            Scope::BankGroup => add(&mut out.group[preceding], following, gap),
            Scope::Channel => {
                let known = &mut out.channel[preceding][usize::from(following)];
                *known = gap.max(*known);
            }
        };
    }
    for (group, channel) in out.group.iter_mut().zip(&out.channel) {
        for u in group {
            if channel[usize::from(u.following)] >= u.gap {
                *u = Update::default();
            }
        }
    }
    out
}

/// Adds a rule; of several for one pair the longest stays.
fn add(list: &mut [Update], following: u8, gap: u64) {
    let same = list
        .iter_mut()
        .find(|u| u.gap == 0 || u.following == following)
        .expect("BANK_RULES and GROUP_RULES count the rules of a command");
    let gap = gap.max(same.gap);
    *same = Update { following, gap };
}
