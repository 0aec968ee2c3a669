//! One HTML file with a chart for each curve and a table of all numbers: inline SVG, nothing loaded.

use super::results::{Point, Results};
use std::fmt::Write;

/// Colours of the simulated and the reference line.
const COLOURS: [&str; 2] = ["#c2410c", "#1d4ed8"];
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const BOTTOM: f64 = 30.0;

/// The page of some results.
pub fn page(title: &str, all: &[&Results]) -> String {
    let mut out = String::new();
    let title = escape(title);
    let _ = write!(
        out,
        "<!doctype html><meta charset=utf-8><title>{title}</title><style>body{{font:14px/1.4 \
         system-ui,sans-serif;margin:2em;color:#1c1917}}figure{{display:inline-block;margin:0 1em 1em \
         0}}figcaption{{font-weight:600}}table{{border-collapse:collapse}}td,th{{padding:2px 10px;\
         border-bottom:1px solid #ddd;text-align:right}}td:first-child,th:first-child{{text-align:\
         left}}.off{{color:#b91c1c}}.ok{{color:#15803d}}</style><h1>{title}</h1>"
    );
    let _ = write!(
        out,
        "<p><span style=color:{}>&#9632;</span> simulated <span style=color:{}>&#9632;</span> \
         reference</p>",
        COLOURS[0], COLOURS[1]
    );
    for results in all {
        for curve in curves(&results.results) {
            out.push_str(&figure(&curve));
        }
    }
    for results in all {
        out.push_str(&table(results));
    }
    out
}

/// Runs of points of one benchmark with more than two points.
fn curves(points: &[Point]) -> Vec<Vec<&Point>> {
    let mut curves: Vec<Vec<&Point>> = Vec::new();
    for point in points {
        match curves.last_mut() {
            Some(last) if last[0].name == point.name => last.push(point),
            _ => curves.push(vec![point]),
        }
    }
    curves.retain(|c| c.len() > 2);
    curves
}

/// A point's place on the x axis: its number, or its position.
fn places(curve: &[&Point]) -> (Vec<f64>, bool) {
    let numbers: Option<Vec<f64>> = curve.iter().map(|p| p.parameter.parse().ok()).collect();
    match numbers.filter(|n| n.iter().all(|x| *x > 0.0)) {
        Some(numbers) => (numbers, true),
        None => ((1..=curve.len()).map(|n| n as f64).collect(), false),
    }
}

fn figure(curve: &[&Point]) -> String {
    let (x, logarithmic) = places(curve);
    let scale = |v: f64| if logarithmic { v.ln() } else { v };
    let (low, high) = (scale(x[0]), scale(x[x.len() - 1]));
    let values = curve.iter().flat_map(|p| [p.simulated, p.reference]);
    let top = values.flatten().fold(1e-9, f64::max) * 1.05;
    let px = |v: f64| LEFT + (scale(v) - low) / (high - low).max(1e-9) * (WIDTH - LEFT - 12.0);
    let py = |v: f64| HEIGHT - BOTTOM - v / top * (HEIGHT - BOTTOM - 10.0);
    let mut svg = String::new();
    for n in 0..=4 {
        let v = top * f64::from(n) / 4.0;
        let _ = write!(
            svg,
            "<line x1={LEFT} x2={} y1={y:.1} y2={y:.1} stroke=#e7e5e4 /><text x={} y={:.1} \
             font-size=11 text-anchor=end>{}</text>",
            WIDTH - 12.0,
            LEFT - 6.0,
            py(v) + 4.0,
            short(v),
            y = py(v)
        );
    }
    for n in [0, x.len() / 2, x.len() - 1] {
        let _ = write!(
            svg,
            "<text x={:.1} y={} font-size=11 text-anchor=middle>{}</text>",
            px(x[n]),
            HEIGHT - 10.0,
            escape(&curve[n].parameter)
        );
    }
    let of: [fn(&Point) -> Option<f64>; 2] = [|p| p.simulated, |p| p.reference];
    for (value, colour) in of.iter().zip(COLOURS) {
        let mut line = String::new();
        for (point, x) in curve.iter().zip(&x) {
            if let Some(v) = value(point) {
                let _ = write!(line, "{:.1},{:.1} ", px(*x), py(v));
                let _ = write!(
                    svg,
                    "<circle cx={:.1} cy={:.1} r=2.5 fill={colour}><title>{} {}</title></circle>",
                    px(*x),
                    py(v),
                    escape(&point.parameter),
                    short(v)
                );
            }
        }
        let _ = write!(
            svg,
            "<polyline points=\"{line}\" fill=none stroke={colour} stroke-width=1.5 />"
        );
    }
    format!(
        "<figure><figcaption>{} ({})</figcaption><svg width={WIDTH} height={HEIGHT}>{svg}</svg></figure>",
        escape(&curve[0].name),
        escape(&curve[0].unit)
    )
}

fn table(results: &Results) -> String {
    let mut out = format!(
        "<h2>{}</h2><table><tr><th>benchmark<th>point<th>simulated<th>reference<th>unit<th>error<th>\
         verdict<th>source",
        escape(&results.gpu)
    );
    for p in &results.results {
        let error = p.error_rel.map(|e| format!("{:+.1} %", e * 100.0));
        let class = if p.verdict == "ok" { "ok" } else { "off" };
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class={class}>{}<td>{}",
            escape(&p.name),
            escape(&p.parameter),
            p.simulated.map(short).unwrap_or_default(),
            p.reference.map(short).unwrap_or_default(),
            escape(&p.unit),
            error.unwrap_or_default(),
            escape(&p.verdict),
            escape(p.source.as_deref().unwrap_or(""))
        );
    }
    out.push_str("</table>");
    out
}

fn short(v: f64) -> String {
    match v.abs() {
        a if a >= 1000.0 => format!("{v:.0}"),
        a if a >= 10.0 => format!("{v:.1}"),
        _ => format!("{v:.3}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
