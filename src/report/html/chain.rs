//! A chart of stages in a row, with what moves between neighbours: the levels of a memory.

use super::Chart;
use super::escape;
use std::fmt::Write;

/// Width of a stage.
const STAGE: f64 = 96.0;
/// Height of a stage.
const HIGH: f64 = 64.0;
/// Room between two stages.
const GAP: f64 = 84.0;
/// Room around all of it.
const MARGIN: f64 = 4.0;

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is.
    pub name: String,
    /// A few words on it; may be empty.
    pub note: String,
}

/// What moves between a stage and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// To the left.
    pub back: String,
    /// To the right.
    pub forth: String,
}

/// `stages` from the left to the right, and the `links` between them, one fewer.
pub fn chain(stages: &[Stage], links: &[Link]) -> Chart {
    let width = 2.0 * MARGIN + stages.len() as f64 * (STAGE + GAP) - GAP;
    let height = HIGH + 2.0 * MARGIN;
    let left = |stage: usize| MARGIN + stage as f64 * (STAGE + GAP);
    let mut svg = format!(
        "<svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">"
    );
    for (number, stage) in stages.iter().enumerate() {
        let (x, middle) = (left(number), left(number) + STAGE / 2.0);
        let _ = write!(
            svg,
            "<rect class=\"stage\" x=\"{x:.0}\" y=\"{MARGIN}\" width=\"{STAGE}\" height=\"{HIGH}\" rx=\"4\" fill=\"none\" \
             stroke=\"#000000\"/>\
             <text class=\"value\" x=\"{middle:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
             <text class=\"tick\" x=\"{middle:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            MARGIN + 28.0,
            escape(&stage.name),
            MARGIN + 48.0,
            escape(&stage.note)
        );
    }
    for (number, link) in links.iter().enumerate() {
        let (from, to) = (left(number) + STAGE + 5.0, left(number + 1) - 5.0);
        arrow(&mut svg, (to, from), MARGIN + 22.0, &link.back, -6.0);
        arrow(&mut svg, (from, to), MARGIN + 42.0, &link.forth, 16.0);
    }
    Chart::of(std::iter::empty(), (width, height), svg + "</svg>")
}

/// An arrow at height `y` with a label, so much below it.
fn arrow(svg: &mut String, (from, to): (f64, f64), y: f64, label: &str, below: f64) {
    let back = 6.0 * (from - to).signum();
    let _ = write!(
        svg,
        "<path stroke=\"#000000\" fill=\"none\" d=\"M{from:.0} {y:.0}H{to:.0}m{back:.0} -4l{:.0} 4l{back:.0} 4\"/>\
         <text class=\"tick\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
        -back,
        (from + to) / 2.0,
        y + below,
        escape(label)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_stages_are_two_arrows_with_their_labels() {
        let stage = |name: &str| Stage {
            name: name.into(),
            note: String::new(),
        };
        let link = |back: &str, forth: &str| Link {
            back: back.into(),
            forth: forth.into(),
        };
        let stages = ["cores", "L1 < L2", "DRAM"].map(stage);
        let links = [link("1 MB", "2 MB"), link("3 MB", "4 MB")];
        let chart = chain(&stages, &links);
        let svg = chart.svg();
        assert_eq!(svg.matches("<rect").count(), 3);
        assert_eq!(svg.matches("<path").count(), 4);
        for text in [">L1 &lt; L2<", ">1 MB<", ">2 MB<", ">3 MB<", ">4 MB<"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}");
        }
    }
}
