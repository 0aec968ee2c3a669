//! Charts as SVG.

use super::Chart;
use plotters::coord::combinators::{BindKeyPoints, LogCoord, WithKeyPoints};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// What they are.
    pub name: String,
    /// Places.
    pub points: Vec<(f64, f64)>,
}

/// A line through points.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Places, in the order of x.
    pub points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By factors.
    Log,
}

const SIZE: (u32, u32) = (620, 400);
/// Labels of an axis at most.
const LABELS_MAX: usize = 7;
/// Radius of a mark, and of one that stands out.
const RADIUS: (u32, u32) = (3, 5);

/// Colours that people with any sight can tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(117, 112, 179),
    RGBColor(80, 80, 80),
];

fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

/// The colour of kind `number`, for CSS.
pub(super) fn css(number: usize) -> String {
    let RGBColor(red, green, blue) = colour(number);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A picture of the one size, with the names of its colours.
fn with_size<'a>(names: impl Iterator<Item = &'a str>, svg: String) -> Chart {
    Chart::of(names, (f64::from(SIZE.0), f64::from(SIZE.1)), svg)
}

/// What bounds a point from above: a rate for each unit of x, and a rate whatever x is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// y for each unit of x.
    pub slope: f64,
    /// The highest y, where it is known.
    pub top: Option<f64>,
}

/// Points under a roof, both axes by factors. Values that are not above zero are left out.
pub fn roofline(x: &str, y: &str, clouds: &[Cloud], roof: Roof) -> Chart {
    let (x0, x1) = span(clouds, |p| p.0, (f64::MAX, f64::MIN));
    let top = roof.top.unwrap_or(roof.slope * x1).min(roof.slope * x1);
    // The edge of the roof is part of the picture where it is near.
    let edge = top / roof.slope;
    let (x0, x1) = match edge > x0 / 100.0 && edge < x1 * 100.0 {
        true => (x0.min(edge / 4.0), x1.max(edge * 4.0)),
        false => (x0, x1),
    };
    let top = roof.top.unwrap_or(f64::MAX);
    let (y0, y1) = span(clouds, |p| p.1, (f64::MAX, top.min(roof.slope * x1)));
    let low = y0.min(roof.slope * x0);
    let chart = draw(x, y, factors(x0, x1), factors(low, y1), |chart| {
        let at = |x: f64| (x, (roof.slope * x).min(top));
        let line = [at(x0), at((top / roof.slope).clamp(x0, x1)), at(x1)];
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.6).stroke_width(2)))?;
        marks(chart, clouds, visible)
    });
    with_size(clouds.iter().map(|c| c.name.as_str()), chart)
}

/// Measured against predicted values, both axes by factors, with the line of equality and those of `band` around it.
/// Values that are not above zero are left out.
pub fn scatter(x: &str, y: &str, clouds: &[Cloud], band: f64) -> Chart {
    let visible = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite() && p.0 > 0.0 && p.1 > 0.0;
    let all = || clouds.iter().flat_map(|c| c.points.iter().filter(visible));
    let low = all().fold(f64::MAX, |low, p| low.min(p.0).min(p.1));
    let high = all().fold(f64::MIN, |high, p| high.max(p.0).max(p.1));
    let (low, high) = match low < high {
        true => (low / 1.3, high * 1.3),
        false => (0.5, 2.0),
    };
    let chart = draw(x, y, factors(low, high), factors(low, high), |chart| {
        for (factor, strong) in [(1.0, true), (1.0 + band, false), (1.0 - band, false)] {
            let style = if strong {
                BLACK.mix(0.6)
            } else {
                BLACK.mix(0.25)
            };
            let ends = [(low, low * factor), (high, high * factor)];
            chart.draw_series(LineSeries::new(ends, style))?;
        }
        marks(chart, clouds, visible)
    });
    with_size(clouds.iter().map(|c| c.name.as_str()), chart)
}

/// Points, both axes by factors, with a line where y is 1.
pub fn cloud(x: &str, y: &str, clouds: &[Cloud]) -> Chart {
    let (x0, x1) = span(clouds, |p| p.0, (f64::MAX, f64::MIN));
    let (y0, y1) = span(clouds, |p| p.1, (0.7, 1.4));
    let chart = draw(x, y, factors(x0, x1), factors(y0, y1), |chart| {
        chart.draw_series(LineSeries::new([(x0, 1.0), (x1, 1.0)], BLACK.mix(0.6)))?;
        marks(chart, clouds, visible)
    });
    with_size(clouds.iter().map(|c| c.name.as_str()), chart)
}

/// Points, both axes by factors, and nothing else; those of the last cloud stand out.
pub fn plane(x: &str, y: &str, clouds: &[Cloud]) -> Chart {
    let (x0, x1) = span(clouds, |p| p.0, (f64::MAX, f64::MIN));
    let (y0, y1) = span(clouds, |p| p.1, (f64::MAX, f64::MIN));
    let chart = draw(x, y, factors(x0, x1), factors(y0, y1), |chart| {
        let behind = clouds.len().saturating_sub(1);
        marks(chart, &clouds[..behind], visible)?;
        for cloud in &clouds[behind..] {
            let points = cloud.points.iter().filter(visible);
            let style = colour(behind).filled();
            chart.draw_series(points.map(|&point| Circle::new(point, RADIUS.1, style)))?;
        }
        Ok(())
    });
    with_size(clouds.iter().map(|c| c.name.as_str()), chart)
}

/// Whether a point has a place where both axes are by factors.
fn visible(p: &&(f64, f64)) -> bool {
    p.0.is_finite() && p.1.is_finite() && p.0 > 0.0 && p.1 > 0.0
}

/// The ends of an axis by factors on which all points have room, and both of `within`.
fn span(clouds: &[Cloud], of: fn(&(f64, f64)) -> f64, within: (f64, f64)) -> (f64, f64) {
    let all = clouds.iter().flat_map(|c| c.points.iter().filter(visible));
    let (low, high) = all.map(of).fold(within, |(a, b), v| (a.min(v), b.max(v)));
    match low <= high {
        true => (low / 1.2, high * 1.2),
        false => (0.5, 2.0),
    }
}

/// Lines. On an axis by factors, values that are not above zero are left out.
pub fn curves(x: &str, y: &str, lines: &[Curve], x_scale: Scale, y_scale: Scale) -> Chart {
    let fits = |v: f64, scale: Scale| v.is_finite() && (scale == Scale::Linear || v > 0.0);
    let visible = |p: &&(f64, f64)| fits(p.0, x_scale) && fits(p.1, y_scale);
    let all: Vec<(f64, f64)> = lines
        .iter()
        .flat_map(|l| l.points.iter().filter(visible).copied())
        .collect();
    let span = |values: &mut dyn Iterator<Item = f64>, scale: Scale| {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        match (low < high, scale) {
            (true, Scale::Linear) => (low.min(0.0), high + (high - low.min(0.0)) * 0.05),
            (true, Scale::Log) => (low / 1.1, high * 1.1),
            (false, _) if low.is_finite() && low > 0.0 && low < f64::MAX => (low / 2.0, low * 2.0),
            (false, _) => (0.5, 2.0),
        }
    };
    let (x0, x1) = span(&mut all.iter().map(|p| p.0), x_scale);
    let (y0, y1) = span(&mut all.iter().map(|p| p.1), y_scale);
    macro_rules! with {
        ($x:expr, $y:expr) => {
            draw(x, y, $x, $y, |chart| {
                for (number, line) in lines.iter().enumerate() {
                    let points: Vec<(f64, f64)> =
                        line.points.iter().filter(visible).copied().collect();
                    let marks = points.clone();
                    chart.draw_series(LineSeries::new(points, colour(number).stroke_width(2)))?;
                    let style = colour(number).filled();
                    chart.draw_series(marks.into_iter().map(|p| Circle::new(p, 2, style)))?;
                }
                Ok(())
            })
        };
    }
    let chart = match (x_scale, y_scale) {
        (Scale::Linear, Scale::Linear) => with!(x0..x1, y0..y1),
        (Scale::Log, Scale::Linear) => with!(factors(x0, x1), y0..y1),
        (Scale::Linear, Scale::Log) => with!(x0..x1, factors(y0, y1)),
        (Scale::Log, Scale::Log) => with!(factors(x0, x1), factors(y0, y1)),
    };
    with_size(lines.iter().map(|l| l.name.as_str()), chart)
}

/// A mark for each point of `clouds` that is `visible`.
fn marks<'a, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<X, Y>>,
    clouds: &[Cloud],
    visible: impl Fn(&&(f64, f64)) -> bool,
) -> Result<(), Fault<'a>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (number, cloud) in clouds.iter().enumerate() {
        let points = cloud.points.iter().filter(&visible);
        let style = colour(number).mix(0.6).filled();
        chart.draw_series(points.map(|&point| Circle::new(point, RADIUS.0, style)))?;
    }
    Ok(())
}

type Fault<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// A chart with axes, on which `paint` draws.
fn draw<'a, X, Y>(
    x: &str,
    y: &str,
    x_range: X,
    y_range: Y,
    paint: impl FnOnce(
        &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X::CoordDescType, Y::CoordDescType>>,
    ) -> Result<(), Fault<'a>>,
) -> String
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    RangedCoordf64: Ranged<ValueType = f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let painted = (|| {
            let mut chart = ChartBuilder::on(&area)
                .margin(8)
                // Half of the last label.
                .margin_right(30)
                .x_label_area_size(44)
                .y_label_area_size(76)
                .build_cartesian_2d(x_range, y_range)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .label_style(("sans-serif", 13))
                .axis_desc_style(("sans-serif", 14))
                .x_desc(x)
                .y_desc(y)
                .x_label_formatter(&|v| number(*v))
                .y_label_formatter(&|v| number(*v))
                .draw()?;
            paint(&mut chart)
        })();
        // Text has nowhere to fail to; a range that cannot be drawn leaves an empty chart.
        if painted.is_err() || area.present().is_err() {
            return String::from("<svg></svg>");
        }
    }
    svg
}

/// An axis by factors, with labels where they have room.
fn factors(low: f64, high: f64) -> WithKeyPoints<LogCoord<f64>> {
    (low..high).log_scale().with_key_points(ticks(low, high))
}

/// Round values from `low` to `high` for labels of an axis by factors.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = |low: f64| low.log10().floor() as i32..=high.log10().ceil() as i32;
    let within = |v: &f64| (low..=high).contains(v);
    let of = |steps: &'static [f64]| -> Vec<f64> {
        let all = decades(low).flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
        all.filter(within).collect()
    };
    let tens = of(&[1.0]);
    if tens.len() > LABELS_MAX {
        let every = tens.len().div_ceil(LABELS_MAX);
        return tens.into_iter().step_by(every).collect();
    }
    let fine = of(&[1.0, 2.0, 5.0]);
    match fine.len() {
        n if n > LABELS_MAX => tens,
        n if n >= 3 => fine,
        // Within a few times of one value: evenly, as on any axis.
        _ => {
            let step = super::blocks::round_step((high - low) / 6.0);
            let first = (low / step).ceil();
            (0..=LABELS_MAX)
                .map(|n| (first + n as f64) * step)
                .filter(within)
                .collect()
        }
    }
}

/// The clouds with most points, and all others as one, so that each has a colour of its own.
pub fn largest(mut clouds: Vec<Cloud>) -> Vec<Cloud> {
    if clouds.len() <= COLOURS.len() {
        return clouds;
    }
    clouds.sort_by_key(|cloud| std::cmp::Reverse(cloud.points.len()));
    let rest = clouds.split_off(COLOURS.len() - 1);
    clouds.push(Cloud {
        name: format!("{} others", rest.len()),
        points: rest.into_iter().flat_map(|cloud| cloud.points).collect(),
    });
    clouds
}

/// A value as a label.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.0e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_by_factors_has_some_round_labels_and_not_many() {
        assert_eq!(ticks(8.0, 560.0), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(
            ticks(95e3, 315e3),
            [100e3, 150e3, 200e3, 250e3, 300e3],
            "within a decade"
        );
        assert_eq!(ticks(1.0, 1e9).len(), 5);
    }

    #[test]
    fn clouds_beyond_the_colours_share_one() {
        let cloud = |n: usize| Cloud {
            name: n.to_string(),
            points: vec![(1.0, 1.0); n],
        };
        let kept = largest((1..=COLOURS.len() + 2).map(cloud).collect());
        assert_eq!(kept.len(), COLOURS.len());
        let last = &kept[COLOURS.len() - 1];
        assert_eq!((last.name.as_str(), last.points.len()), ("3 others", 6));
    }
}
