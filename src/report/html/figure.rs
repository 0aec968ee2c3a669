//! A chart with what its colours mean: within a page, or as a file by itself.

use super::chart::css;
use super::escape;
use std::fmt::{self, Display};

/// Height of a row of the legend in a file.
const ROW: f64 = 18.0;
/// Width of a letter there, about.
const LETTER: f64 = 6.6;
/// What a page says in its style, for the classes that charts use.
const STYLE: &str = ".grid{stroke:#e7e5e4}.tick{font:11px sans-serif;fill:#78716c}.name,.value{font:12px sans-serif}.heat{fill:#0072b2}";

/// A chart. It is shown as HTML: the legend as a list, then the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Names of the colours, in their order.
    kinds: Vec<String>,
    /// Width and height.
    size: (f64, f64),
    /// The picture, an `svg` element.
    svg: String,
}

impl Chart {
    /// The picture `svg` of `size`; a single kind needs no legend.
    pub(super) fn of<'a>(
        kinds: impl Iterator<Item = &'a str>,
        size: (f64, f64),
        svg: String,
    ) -> Self {
        let kinds: Vec<String> = kinds.map(str::to_owned).collect();
        Chart {
            kinds: if kinds.len() > 1 { kinds } else { Vec::new() },
            size,
            svg,
        }
    }

    /// The picture alone.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// A file of SVG with the legend above the picture, on white, that needs no style from elsewhere.
    pub fn file(&self) -> String {
        let (width, height) = self.size;
        let (legend, top) = self.legend(width);
        let all = height + top;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{all:.0}\" \
             viewBox=\"0 0 {width:.0} {all:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{legend}\
             <g transform=\"translate(0,{top:.0})\">\n{}\n</g>\n</svg>\n",
            self.svg
        )
    }

    /// Names with their colours in rows, and the height of these.
    fn legend(&self, width: f64) -> (String, f64) {
        let mut text = String::new();
        let (mut x, mut y) = (8.0, 4.0);
        for (number, kind) in self.kinds.iter().enumerate() {
            let wide = 24.0 + LETTER * kind.chars().count() as f64;
            if x + wide > width && x > 8.0 {
                (x, y) = (8.0, y + ROW);
            }
            text.push_str(&format!(
                "<rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>\n",
                css(number),
                x + 14.0,
                y + 10.0,
                escape(kind)
            ));
            x += wide;
        }
        match self.kinds.is_empty() {
            true => (text, 0.0),
            false => (text, y + ROW),
        }
    }
}

impl Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kinds.is_empty() {
            write!(f, "<ul class=legend>")?;
            for (number, kind) in self.kinds.iter().enumerate() {
                let colour = css(number);
                let name = escape(kind);
                write!(f, "<li><i style=background:{colour}></i>{name}</li>")?;
            }
            write!(f, "</ul>")?;
        }
        write!(f, "{}", self.svg)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bar, Curve, Field, Scale, bars, curves, heat};
    use super::*;

    /// Elements that are open when `text` ends, of which every attribute must be in quotes: what XML asks for and HTML
    /// does not.
    fn open_elements(text: &str) -> usize {
        let mut open: Vec<&str> = Vec::new();
        for tag in text.split('<').skip(1) {
            let (inside, _) = tag.split_once('>').expect("a tag ends");
            let name = inside.split([' ', '/']).next().unwrap_or("");
            if let Some(closed) = inside.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed.trim()));
                continue;
            }
            for attribute in inside.split('=').skip(1) {
                assert!(attribute.starts_with('"'), "no quotes: {inside}");
            }
            if !inside.ends_with('/') {
                open.push(name);
            }
        }
        open.len()
    }

    #[test]
    fn every_kind_of_chart_is_a_file_of_its_own_with_its_legend() {
        let curve = |name: &str| Curve {
            name: name.into(),
            points: vec![(1.0, 1.0), (2.0, 3.0)],
        };
        let bar = Bar {
            name: "a & b".into(),
            parts: vec![1.0, 2.0],
        };
        let field = Field {
            x: ("us".into(), 0.0, 1.0),
            unit: "warps".into(),
            rows: vec![("SM 0".into(), vec![0.0, 1.0])],
        };
        let two = [curve("first"), curve("second")];
        let charts = [
            curves("x", "y", &two, Scale::Linear, Scale::Linear),
            bars("%", &["first", "second"], &[bar]),
            heat(&field),
        ];
        for (chart, legend) in charts.iter().zip([true, true, false]) {
            let file = chart.file();
            assert_eq!(open_elements(&file), 0, "{file}");
            assert!(file.starts_with("<svg xmlns=") && !file.contains("<ul"));
            assert_eq!(file.contains(">second</text>"), legend);
            assert_eq!(chart.to_string().contains("</i>second</li>"), legend);
        }
    }

    #[test]
    fn a_long_legend_has_rows() {
        let names: Vec<String> = (0..20).map(|n| format!("a rather long name {n}")).collect();
        let chart = Chart::of(
            names.iter().map(String::as_str),
            (640.0, 100.0),
            "<svg></svg>".into(),
        );
        let (text, height) = chart.legend(640.0);
        assert_eq!(text.matches("<rect").count(), 20);
        assert!(height > 4.0 * ROW, "{height}");
    }
}
