//! Charts of blocks: bars of parts, and fields of shades. They are drawn here, since each name has to find room.

use super::chart::{css, number};
use super::{Chart, escape};
use std::fmt::Write;

/// Width of a chart.
const WIDTH: f64 = 640.0;
/// Room for names at the left.
const NAMES: f64 = 250.0;
/// Letters that fit there.
const LETTERS: usize = 32;
/// Room for a value at the right.
const VALUES: f64 = 60.0;
/// Height of a bar with the gap behind it.
const BAR: f64 = 20.0;
/// Height of the axis.
const AXIS: f64 = 26.0;
/// Room above a field for half a label.
const TOP: f64 = 8.0;
/// Height of the scale of shades.
const SCALE: f64 = 18.0;
/// Shades of a field.
const SHADES: usize = 12;

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// Its parts, in the order of the kinds.
    pub parts: Vec<f64>,
}

/// Bars one below the other, each with a part of every kind in `kinds`; parts are not below zero.
pub fn bars(unit: &str, kinds: &[&str], bars: &[Bar]) -> Chart {
    let total = |bar: &Bar| bar.parts.iter().sum::<f64>();
    let most = bars.iter().map(total).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - NAMES - VALUES) / most;
    let height = bars.len() as f64 * BAR + AXIS;
    let mut svg = open(height);
    let floor = bars.len() as f64 * BAR;
    let step = round_step(most / 4.0);
    let ticks = (0..)
        .map(|n| f64::from(n) * step)
        .take_while(|v| *v <= most * 1.001);
    for value in ticks {
        let x = NAMES + value * scale;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{floor:.0}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\" \
             text-anchor=\"middle\">{} {}</text>",
            floor + 15.0,
            number(value),
            escape(unit)
        );
    }
    for (at, bar) in bars.iter().enumerate() {
        let top = at as f64 * BAR;
        name(&mut svg, &bar.name, top + 13.0);
        let mut x = NAMES;
        for (kind, part) in bar
            .parts
            .iter()
            .enumerate()
            .filter(|(_, part)| **part > 0.0)
        {
            let width = part * scale;
            let what = kinds.get(kind).map_or("", |k| k);
            let _ = write!(
                svg,
                "<rect class=\"part\" x=\"{x:.2}\" y=\"{:.0}\" width=\"{width:.2}\" height=\"16\" fill=\"{}\"><title>{}: {what} {} {}\
                 </title></rect>",
                top + 1.0,
                css(kind),
                escape(&bar.name),
                number(*part),
                escape(unit)
            );
            x += width;
        }
        let _ = write!(
            svg,
            "<text class=\"value\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            x + 5.0,
            top + 13.0,
            number(total(bar))
        );
    }
    Chart::of(kinds.iter().copied(), (WIDTH, height), svg + "</svg>")
}

/// A field of values: a row for each name, from the left to the right over `x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What the columns are, with both ends.
    pub x: (String, f64, f64),
    /// Unit of the values.
    pub unit: String,
    /// Names of the rows, and their values, as many in each.
    pub rows: Vec<(String, Vec<f64>)>,
}

/// The field, darker or brighter where values are higher; its highest value has the full colour.
pub fn heat(field: &Field) -> Chart {
    let columns = field
        .rows
        .first()
        .map_or(0, |(_, values)| values.len())
        .max(1);
    let all = || field.rows.iter().flat_map(|(_, values)| values);
    let most = all().copied().fold(f64::MIN_POSITIVE, f64::max);
    let high = (360.0 / field.rows.len().max(1) as f64).clamp(2.0, 16.0);
    let left = 90.0;
    let wide = (WIDTH - left - 20.0) / columns as f64;
    let floor = high * field.rows.len() as f64;
    let height = TOP + floor + AXIS + SCALE;
    let mut svg = open(height);
    for shade in 1..=SHADES {
        let mut path = String::new();
        for (row, (_, values)) in field.rows.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let of = (value / most * SHADES as f64).ceil() as usize;
                if of == shade {
                    let (x, y) = (left + column as f64 * wide, TOP + row as f64 * high);
                    let _ = write!(path, "M{x:.1} {y:.1}h{wide:.2}v{high:.2}h-{wide:.2}z");
                }
            }
        }
        let strength = shade as f64 / SHADES as f64;
        let _ = write!(
            svg,
            "<path class=\"heat\" fill-opacity=\"{strength:.2}\" d=\"{path}\"/>"
        );
    }
    let every = (14.0 / high).ceil() as usize;
    for (row, (name, _)) in field.rows.iter().enumerate().step_by(every) {
        let y = TOP + (row as f64 + 0.5) * high + 4.0;
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.0}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            escape(name)
        );
    }
    let (what, first, last) = &field.x;
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let x = left + share * wide * columns as f64;
        let value = number(first + share * (last - first));
        let label = match share {
            0.5 => format!("{value} {}", escape(what)),
            _ => value,
        };
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{label}</text>",
            TOP + floor + 16.0
        );
    }
    shades(&mut svg, (left, TOP + floor + AXIS), most, &field.unit);
    Chart::of(std::iter::empty(), (WIDTH, height), svg + "</svg>")
}

/// What the shades mean: from nothing to `most`, at `place`.
fn shades(svg: &mut String, place: (f64, f64), most: f64, unit: &str) {
    let (left, top) = place;
    for shade in 1..=SHADES {
        let _ = write!(
            svg,
            "<rect class=\"heat\" x=\"{:.0}\" y=\"{top:.0}\" width=\"10\" height=\"12\" fill-opacity=\"{:.2}\"/>",
            left + 10.0 * (shade - 1) as f64,
            shade as f64 / SHADES as f64
        );
    }
    let _ = write!(
        svg,
        "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">0</text><text class=\"name\" x=\"{:.0}\" y=\"{:.0}\">{} {}</text>",
        left - 6.0,
        top + 10.0,
        left + 10.0 * SHADES as f64 + 6.0,
        top + 10.0,
        number(most),
        escape(unit)
    );
}

fn open(height: f64) -> String {
    format!("<svg width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\">")
}

/// A name at the left, with its middle left out where it is long.
fn name(svg: &mut String, name: &str, y: f64) {
    let letters: Vec<char> = name.chars().collect();
    let short = match letters.len() > LETTERS {
        false => name.to_owned(),
        true => {
            let ends = (LETTERS - 1) / 2;
            let first = letters[..ends].iter().collect::<String>();
            first + "…" + &letters[letters.len() - ends..].iter().collect::<String>()
        }
    };
    let _ = write!(
        svg,
        "<text class=\"name\" x=\"{:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{}<title>{}</title></text>",
        NAMES - 8.0,
        escape(&short),
        escape(name)
    );
}

/// The next of 1, 2, 5, 10 and so on.
pub(super) fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_a_block_for_each_part_and_a_short_name() {
        let long = "x".repeat(30) + &"y".repeat(30);
        let bar = Bar {
            name: long.clone(),
            parts: vec![1.0, 0.0, 3.0],
        };
        let svg = bars("%", &["a", "b", "c"], &[bar]).to_string();
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(svg.matches("<li>").count(), 3);
        assert!(svg.contains(&format!("<title>{long}</title>")));
        assert!(svg.contains(&("x".repeat(15) + "…" + &"y".repeat(15))));
        assert!(svg.contains(">4</text>"), "the whole is said");
    }

    #[test]
    fn a_field_shades_what_is_above_zero() {
        let field = Field {
            x: ("us".into(), 0.0, 10.0),
            unit: "warps".into(),
            rows: vec![
                ("SM 0".into(), vec![0.0, 1.0]),
                ("SM 1".into(), vec![0.5, 0.5]),
            ],
        };
        let svg = heat(&field).to_string();
        let blocks: Vec<usize> = svg
            .split("<path")
            .skip(1)
            .filter_map(|path| path.split_once("/>"))
            .map(|(path, _)| path.matches('M').count())
            .collect();
        assert_eq!(blocks.iter().sum::<usize>(), 3);
        assert_eq!((blocks[SHADES / 2 - 1], blocks[SHADES - 1]), (2, 1));
        assert!(svg.contains("SM 0") && svg.contains("1 warps"));
    }

    #[test]
    fn steps_of_an_axis_are_round() {
        assert_eq!(
            [0.3, 1.0, 7.0, 24.0].map(round_step),
            [0.5, 1.0, 10.0, 50.0]
        );
    }
}
