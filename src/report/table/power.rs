//! Power and clock of each kernel, where clocks follow power.

use super::table;
use super::text::shorten;
use crate::report::Report;
use crate::report::schema::{Kernel, PowerInfo};

/// Kernels that are listed.
const LISTED: usize = 20;
/// Characters of a kernel's name that are shown.
const NAME_WIDTH: usize = 30;

/// One line a kernel, the longest first where they are many; nothing where clocks stay where they are.
pub(super) fn power(report: &Report) -> String {
    let of = |kernel: &'_ Kernel| {
        kernel
            .power
            .clone()
            .map(|power| (kernel.name.clone(), kernel.time_us, power))
    };
    let mut all: Vec<(String, f64, PowerInfo)> = report.kernels.iter().filter_map(of).collect();
    let Some(limit_w) = all.first().map(|(.., power)| power.limit_w) else {
        return String::new();
    };
    if all.len() > LISTED {
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
    }
    let limit = format!("limit {limit_w} W");
    let mut table = table(&["kernel", "W", "MHz", "runs", &limit], 1);
    for (name, _, power) in all.iter().take(LISTED) {
        table.add_row([
            shorten(name, NAME_WIDTH),
            format!("{:.1}", power.average_w),
            format!("{}", f64::from(power.clock_khz) / 1e3),
            power.runs.to_string(),
            remark(power).to_owned(),
        ]);
    }
    let rest = match all.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("{more} shorter kernels are not listed\n"),
    };
    format!("{table}\n{rest}")
}

fn remark(power: &PowerInfo) -> &'static str {
    match (power.above_limit, power.throttled) {
        (true, _) => "ABOVE IT AT THE LOWEST CLOCK",
        (false, true) => "throttled",
        (false, false) => "",
    }
}
