//! A run up to the end of the window whose issues are logged, and the log in Konata's format.

use super::{Args, Window};
use crate::engine::Cycle;
use crate::error::{Error, Result};
use crate::output;
use crate::probe::issue_log::{Issue, IssueLog, IssueWindow};
use crate::session::Session;
use crate::simulation::Options;
use crate::trace::{Code, Workload};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Runs `workload` once more, to the end of the window, and writes the log that was asked for. Where kernels settle at clocks
/// of their own they run to their end: a clock is found by whole kernels.
///
/// # Errors
/// As [`Session::run_with`]; an SM that the machine has not; a file that cannot be written.
pub fn run(args: &Args, session: &Session, workload: &Workload, options: Options) -> Result<()> {
    let Some(file) = &args.kanata else {
        return Ok(());
    };
    let window = args.window;
    let mut options = options;
    if !session.spec().power.throttle {
        let most = options.max_cycles.unwrap_or(Cycle::MAX);
        options.max_cycles = Some(window.to.min(most));
    }
    options.instruments.issues = Some(IssueWindow {
        sm: args.sm_of(session.spec().sms)?,
        from: window.from,
        to: window.to,
    });
    let outcome = session.run_with::<IssueLog>(workload, &options)?;
    let codes: Vec<&Code> = workload.launches().map(|kernel| &*kernel.code).collect();
    let issues = outcome.run.probe.issues();
    if issues.is_empty() {
        output::note(format_args!("note: {}", empty(args, outcome.run.cycles)));
    }
    output::write(file, |out| {
        write(&issues, &codes, window.from, out).map_err(|e| Error::io(file, e))
    })
}

/// Why a log has no instruction, of a run that took `cycles` up to the end of its window.
fn empty(args: &Args, cycles: Cycle) -> String {
    let Window { from, to } = args.window;
    let why = match cycles < from {
        true => format!("the run ends at cycle {cycles}"),
        false => "other SMs or other cycles may have some".to_owned(),
    };
    let sm = args.sm;
    format!(
        "the log is empty, for SM {sm} issues nothing from cycle {from} to {to}: {why} (--window, --sm)"
    )
}

/// A line of the log, with the cycle at which it stands; ties keep their order.
type Line = (Cycle, u8, String);

/// Each instruction is a row: `Wt` from the issue before it of the same warp, `Is` in the cycle of its issue.
fn write(issues: &[Issue], codes: &[&Code], from: Cycle, out: &mut dyn Write) -> io::Result<()> {
    let mut lines: Vec<Line> = Vec::new();
    let mut last: BTreeMap<u8, Cycle> = BTreeMap::new();
    for (id, issue) in issues.iter().enumerate() {
        let begin = last.insert(issue.warp, issue.at + 1).unwrap_or(issue.at);
        let begin = begin.clamp(from, issue.at);
        lines.push((begin, 1, format!("I\t{id}\t{id}\t{}", issue.warp)));
        let name = name_of(codes, issue);
        let lanes = issue.mask.count_ones();
        lines.push((
            begin,
            1,
            format!("L\t{id}\t0\tw{} {:#06x}: {name}", issue.warp, issue.pc),
        ));
        let lost: Vec<String> = issue
            .lost()
            .map(|(label, slots)| format!("{} {slots}", label.name()))
            .collect();
        let lost = match lost.is_empty() {
            true => "none".to_owned(),
            false => lost.join(", "),
        };
        lines.push((
            begin,
            1,
            format!("L\t{id}\t1\t{lanes} lanes; slots lost before it: {lost}"),
        ));
        if begin < issue.at {
            lines.push((begin, 2, format!("S\t{id}\t0\tWt")));
            lines.push((issue.at, 0, format!("E\t{id}\t0\tWt")));
        }
        lines.push((issue.at, 2, format!("S\t{id}\t0\tIs")));
        lines.push((issue.at + 1, 0, format!("E\t{id}\t0\tIs")));
        lines.push((issue.at + 1, 0, format!("R\t{id}\t{id}\t0")));
    }
    lines.sort_by_key(|(at, order, _)| (*at, *order));
    writeln!(out, "Kanata\t0004")?;
    let mut now = lines.first().map_or(from, |(at, ..)| *at);
    writeln!(out, "C=\t{now}")?;
    for (at, _, line) in &lines {
        if *at > now {
            writeln!(out, "C\t{}", at - now)?;
            now = *at;
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The instruction as the trace has it.
fn name_of<'a>(codes: &[&'a Code], issue: &Issue) -> &'a str {
    let code = codes.get(issue.kernel);
    let inst = code.and_then(|code| code.insts.iter().find(|inst| inst.pc == issue.pc));
    match (code, inst) {
        (Some(code), Some(inst)) => &code.mnemonics[usize::from(inst.mnemonic)],
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Label;

    #[test]
    fn an_empty_log_says_why() {
        let args = |from, to| Args {
            kanata: None,
            window: Window { from, to },
            sm: 3,
        };
        assert!(empty(&args(2000, 3000), 1999).contains("SM 3 issues nothing"));
        assert!(empty(&args(2000, 3000), 1999).contains("ends at cycle 1999"));
        assert!(empty(&args(2000, 3000), 2000).contains("other SMs"));
    }

    /// The log of `input` on a V100 with `sets`, and the clock that its kernel settled at.
    fn log(input: &str, sets: &[&str], most: Option<Cycle>) -> (String, Option<u32>) {
        let session = Session::new("v100", sets).unwrap();
        let workload = session.open(&[input]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = Args {
            kanata: Some(file.path().to_owned()),
            window: Window {
                from: 2000,
                to: 4000,
            },
            sm: 0,
        };
        let options = || Options {
            max_cycles: most,
            ..Options::default()
        };
        run(&args, &session, &workload, options()).unwrap();
        let kernel = &session.run(&workload, &options()).unwrap().run.kernels[0];
        let clock = kernel.power.as_ref().map(|power| power.clock_khz);
        (std::fs::read_to_string(file.path()).unwrap(), clock)
    }

    #[test]
    fn the_log_is_of_the_clock_that_the_kernel_settled_at() {
        let input = "synth:copy?bytes=512KiB";
        let (slow, clock) = log(input, &["power.throttle=true", "power.limit_w=80"], None);
        let clock = format!("gpu.core_clock_khz={}", clock.unwrap());
        assert_eq!(slow, log(input, &[&clock], None).0);
        assert_ne!(slow, log(input, &[], None).0);
    }

    #[test]
    fn the_log_ends_where_the_run_was_told_to_end() {
        let input = "synth:ffma?iters=40";
        let lines = |most| log(input, &[], most).0.lines().count();
        assert!((1..lines(None)).contains(&lines(Some(3000))));
    }

    #[test]
    fn a_row_waits_from_the_issue_before_it_and_issues_for_a_cycle() {
        let issue = |at, warp, pc, lost| Issue {
            at,
            warp,
            kernel: 0,
            pc,
            mask: u32::MAX,
            lost,
        };
        let none = [(Label::Misc, 0); 2];
        let waits = [(Label::Wait, 3), (Label::Misc, 0)];
        let issues = [
            issue(10, 0, 0, none),
            issue(11, 1, 0, none),
            issue(15, 0, 16, waits),
        ];
        let mut text = Vec::new();
        write(&issues, &[], 10, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected = "Kanata\t0004\nC=\t10\nI\t0\t0\t0\nL\t0\t0\tw0 0x0000: ?\nL\t0\t1\t32 lanes; slots lost before it: none\n\
            S\t0\t0\tIs\nC\t1\nE\t0\t0\tIs\nR\t0\t0\t0\nI\t1\t1\t1\nL\t1\t0\tw1 0x0000: ?\nL\t1\t1\t32 lanes; slots lost before \
            it: none\nI\t2\t2\t0\nL\t2\t0\tw0 0x0010: ?\nL\t2\t1\t32 lanes; slots lost before it: wait 3\nS\t1\t0\tIs\nS\t2\t0\tWt\n\
            C\t1\nE\t1\t0\tIs\nR\t1\t1\t0\nC\t3\nE\t2\t0\tWt\nS\t2\t0\tIs\nC\t1\nE\t2\t0\tIs\nR\t2\t2\t0\n";
        assert_eq!(text, expected);
    }
}
