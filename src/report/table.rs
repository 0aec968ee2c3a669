//! The report for people.

use super::Report;

/// The whole report as text.
pub fn render(report: &Report) -> String {
    report
        .kernels
        .iter()
        .map(|k| {
            format!(
                "{} {} cycles {} warp instructions\n",
                k.name, k.cycles, k.warp_instructions
            )
        })
        .collect()
}
