//! A second, independent reading of the timing rules: proves every gap of a command log legal.
//!
//! It shares the *rows* of the standard with the channel and nothing else: no compiled table, no earliest times,
//! no bank state machine of the channel. For each command it scans the history backwards, pair by pair, and
//! applies every row whose scope, preceding and following commands match: slow and obvious. It is complete because
//! (a) each row is tested against every earlier command that is close enough to matter, not against the last
//! one only; (b) the window rule counts commands in the log itself; (c) the row state of each bank is
//! replayed from the log, so that an access to a closed bank or a wrong row, an activate of an open bank and
//! a refresh over open rows are caught too; (d) two commands in one slot of a bus are caught by the bus rule.

use std::fmt;

use super::command::Command;
use super::probe::Issued;
use super::spec::StandardSpec;
use super::timing::{self, CommandBus, Count, Row, Scope};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Index of the later command in the log.
    pub index: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command {}: {}", self.index, self.what)
    }
}

/// Violations of `standard` in `log` (at most [`MOST`]).
pub fn check(standard: &StandardSpec, log: &[Issued]) -> Vec<Violation> {
    let bus = standard.family.bus();
    check_rows(standard, &timing::rows(&standard.timing, bus), log)
}

/// Violations that are listed; more of them say nothing new.
pub const MOST: usize = 100;

/// As [`check`], against the given rules.
pub fn check_rows(standard: &StandardSpec, rows: &[Row], log: &[Issued]) -> Vec<Violation> {
    let bus = standard.family.bus();
    let reach = rows.iter().map(|r| needed(r, bus)).max().unwrap_or(0);
    let per_group = standard.org.banks_per_group;
    let mut open: Vec<Option<u32>> = vec![None; standard.org.banks() as usize];
    let mut out = Vec::new();
    for (index, later) in log.iter().enumerate() {
        let mut fault = |what: String| out.push(Violation { index, what });
        if let Some(what) = wrong_state(later, &open) {
            fault(what);
        }
        for row in rows.iter().filter(|r| binds(r.following, later.command)) {
            if let Some(what) = broken(row, bus, per_group, &log[..index], later, reach) {
                fault(what);
            }
        }
        if let Some(what) = bus_conflict(bus, &log[..index], later) {
            fault(what);
        }
        follow_state(later, &mut open);
        if out.len() >= MOST {
            break;
        }
    }
    out
}

/// All-bank refreshes that `log` owes: at no command may more than `postpone` + 1 of those that fell due be
/// outstanding. The one is under way: it waits for opened requests, precharge and tRP.
pub fn check_refresh(standard: &StandardSpec, log: &[Issued], postpone: u32) -> Vec<Violation> {
    let interval = u64::from(standard.timing.refi * standard.family.bus().ticks_per_ck);
    let mut issued = 0u64;
    let mut out = Vec::new();
    for (index, c) in log.iter().enumerate() {
        issued += u64::from(c.command == Command::RefreshAll);
        let due = c.tick / interval;
        if due > issued + u64::from(postpone) + 1 && out.len() < MOST {
            let what = format!(
                "slot {}: {due} refreshes fell due, {issued} were issued",
                c.tick
            );
            out.push(Violation { index, what });
        }
    }
    out
}

/// An auto-precharging access waits as the plain one does.
fn binds(rule: Command, command: Command) -> bool {
    rule == command
        || (rule == Command::Read && command == Command::ReadAuto)
        || (rule == Command::Write && command == Command::WriteAuto)
}

/// Slots from the first slot of the earlier command to the first of the later one.
fn needed(row: &Row, bus: CommandBus) -> u64 {
    if row.count == Count::BusTicks {
        return u64::from(row.gap);
    }
    let length = |c: Command| -> i64 {
        if c == Command::Activate {
            i64::from(bus.activate_ticks)
        } else if c.is_column() {
            i64::from(bus.ticks_per_ck)
        } else {
            1
        }
    };
    // From the end of one command to the end of the other.
    let gap = i64::from(row.gap * bus.ticks_per_ck) + length(row.preceding) - length(row.following);
    gap.max(0) as u64
}

/// Tests one rule for `later` against the whole history that is close enough to matter.
fn broken(
    row: &Row,
    bus: CommandBus,
    per_group: u32,
    history: &[Issued],
    later: &Issued,
    reach: u64,
) -> Option<String> {
    let need = needed(row, bus);
    let group = |bank: u8| u32::from(bank) / per_group;
    let mut seen = 0;
    for earlier in history.iter().rev() {
        let distance = later.tick - earlier.tick;
        if distance >= reach {
            return None;
        }
        let same_place = match row.scope {
            Scope::Channel => true,
            Scope::BankGroup => group(earlier.bank) == group(later.bank),
            Scope::Bank => earlier.bank == later.bank,
        };
        if earlier.command != row.preceding || !same_place {
            continue;
        }
        seen += 1;
        let counts = if row.count == Count::Window4 {
            seen == 4
        } else {
            true
        };
        if counts && distance < need {
            return Some(format!(
                "{} at slot {} comes {distance} slots after {} at slot {} (bank {}), {} ({:?}) asks for {need}",
                later.command.mnemonic(),
                later.tick,
                earlier.command.mnemonic(),
                earlier.tick,
                earlier.bank,
                row.formula,
                row.scope
            ));
        }
    }
    None
}

/// Two commands in the same slot of the same bus, or a command on an edge that it may not use.
fn bus_conflict(bus: CommandBus, history: &[Issued], later: &Issued) -> Option<String> {
    let is_precharge = matches!(later.command, Command::Precharge | Command::PrechargeAll);
    if bus.ticks_per_ck == 2 && later.tick.is_multiple_of(2) && !is_precharge {
        return Some(format!(
            "{} on a falling edge (slot {})",
            later.command.mnemonic(),
            later.tick
        ));
    }
    let same_bus = |c: Command| !bus.dual || c.is_column() == later.command.is_column();
    for earlier in history.iter().rev() {
        if earlier.tick > later.tick {
            return Some(format!(
                "slot {} comes after slot {}",
                later.tick, earlier.tick
            ));
        }
        if earlier.tick < later.tick {
            return None;
        }
        if same_bus(earlier.command) {
            return Some(format!("second command on one bus in slot {}", later.tick));
        }
    }
    None
}

/// A command that the state of its bank forbids.
fn wrong_state(c: &Issued, open: &[Option<u32>]) -> Option<String> {
    let bank = open[c.bank as usize];
    match c.command {
        Command::Activate if bank.is_some() => Some(format!("ACT of open bank {}", c.bank)),
        Command::RefreshBank if bank.is_some() => Some(format!("REFPB of open bank {}", c.bank)),
        Command::RefreshAll if open.iter().any(Option::is_some) => {
            Some("REF over open rows".to_owned())
        }
        column if column.is_column() && bank != Some(c.row) => Some(format!(
            "{} of row {} in bank {} with {bank:?} open",
            column.mnemonic(),
            c.row,
            c.bank
        )),
        _ => None,
    }
}

fn follow_state(c: &Issued, open: &mut [Option<u32>]) {
    match c.command {
        Command::Activate => open[c.bank as usize] = Some(c.row),
        Command::PrechargeAll => open.fill(None),
        Command::Precharge | Command::ReadAuto | Command::WriteAuto => open[c.bank as usize] = None,
        _ => {}
    }
}
