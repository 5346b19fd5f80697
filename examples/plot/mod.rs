//! Pictures of what the examples compute, as .svg files.
#![allow(dead_code)] // No example draws everything.

use clap::Parser;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// What every example is asked on the command line.
#[derive(Parser)]
struct Arguments {
    /// Where to draw the picture, an .svg file
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_BIN_NAME"), ".svg"))]
    plot: PathBuf,
}

/// The file that the command line names for the picture.
pub fn file() -> PathBuf {
    Arguments::parse().plot
}

/// Colours that colour-blind readers tell apart (Okabe and Ito 2008).
pub const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// Points of one name.
pub struct Series {
    label: String,
    points: Vec<(f64, f64)>,
    /// The other edge of a band.
    upper: Vec<f64>,
    style: Style,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Line,
    Dots,
    Band,
}

impl Series {
    fn new(label: &str, x: &[f64], y: &[f64], style: Style) -> Series {
        let points = x.iter().copied().zip(y.iter().copied()).collect();
        Series { label: label.into(), points, upper: Vec::new(), style }
    }
    /// A line through points.
    pub fn line(label: &str, x: &[f64], y: &[f64]) -> Series {
        Series::new(label, x, y, Style::Line)
    }
    /// Points by themselves.
    pub fn dots(label: &str, x: &[f64], y: &[f64]) -> Series {
        Series::new(label, x, y, Style::Dots)
    }
    /// All between two lines.
    pub fn band(label: &str, x: &[f64], lower: &[f64], upper: &[f64]) -> Series {
        Series { upper: upper.to_vec(), ..Series::new(label, x, lower, Style::Band) }
    }
}

/// A picture of several series over the same axes. An axis whose name ends in "(log)" is logarithmic.
pub struct Chart<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    pub series: &'a [Series],
}

impl Chart<'_> {
    /// Draws it.
    pub fn draw(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::new(path, (720, 440)).into_drawing_area();
        let drawn = self.on(&area).and_then(|()| area.present().map_err(|e| e.to_string()));
        drawn.map_err(|e| format!("{} cannot be drawn: {e}", path.display()))?;
        println!("The picture is in {}.", path.display());
        Ok(())
    }

    fn on(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), String> {
        area.fill(&WHITE).map_err(|e| e.to_string())?;
        let all = || self.series.iter().flat_map(|s| &s.points);
        let upper = self.series.iter().flat_map(|s| &s.upper).copied();
        let (log_x, log_y) = (self.x.ends_with("(log)"), self.y.ends_with("(log)"));
        let x = span(all().map(|p| p.0), log_x);
        let y = span(all().map(|p| p.1).chain(upper), log_y);
        let corner = self.emptiest(|p| (share(p.0, x, log_x), share(p.1, y, log_y)));
        let (xs, ys) = (x.0..x.1, y.0..y.1);
        match (log_x, log_y) {
            (false, false) => self.over(area, corner, xs, ys),
            (false, true) => self.over(area, corner, xs, ys.log_scale()),
            (true, false) => self.over(area, corner, xs.log_scale(), ys),
            (true, true) => self.over(area, corner, xs.log_scale(), ys.log_scale()),
        }
    }

    /// Where the fewest points are: there the labels go.
    fn emptiest(&self, place: impl Fn((f64, f64)) -> (f64, f64)) -> SeriesLabelPosition {
        let lower = self.series.iter().flat_map(|s| s.points.iter().copied());
        let upper = self.series.iter().flat_map(|s| s.points.iter().zip(&s.upper).map(|(p, y)| (p.0, *y)));
        let places: Vec<_> = lower.chain(upper).map(place).collect();
        let count = |right: bool, top: bool| {
            places
                .iter()
                .filter(|(x, y)| (*x > 0.55) == right && (*y > 0.6) == top && (*x - 0.5).abs() > 0.05)
                .count()
        };
        let corners = [
            (count(true, true), SeriesLabelPosition::UpperRight),
            (count(false, true), SeriesLabelPosition::UpperLeft),
            (count(true, false), SeriesLabelPosition::LowerRight),
            (count(false, false), SeriesLabelPosition::LowerLeft),
        ];
        corners.into_iter().min_by_key(|c| c.0).map_or(SeriesLabelPosition::UpperRight, |c| c.1)
    }

    fn over<X, Y>(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        corner: SeriesLabelPosition,
        x: X,
        y: Y,
    ) -> Result<(), String>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let text = |e: &dyn Display| e.to_string();
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 20))
            .margin(15)
            .x_label_area_size(40)
            .y_label_area_size(65)
            .build_cartesian_2d(x, y)
            .map_err(|e| text(&e))?;
        let number = |v: &f64| match v.abs() {
            0.0 => "0".into(),
            size if !(1e-3..1e5).contains(&size) => format!("{v:.0e}"),
            _ => format!("{}", (v * 1e6).round() / 1e6),
        };
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(WHITE).x_desc(self.x).y_desc(self.y);
        mesh.x_label_formatter(&number).y_label_formatter(&number).draw().map_err(|e| text(&e))?;
        for (k, series) in self.series.iter().enumerate() {
            let colour = COLOURS[k % COLOURS.len()];
            let points = series.points.iter().copied();
            let drawn = match series.style {
                Style::Line => chart.draw_series(LineSeries::new(points, colour.stroke_width(2))),
                Style::Dots => chart.draw_series(points.map(|p| Circle::new(p, 3, colour.filled()))),
                Style::Band => {
                    let back = series.points.iter().zip(&series.upper).rev().map(|(p, y)| (p.0, *y));
                    let edge: Vec<_> = points.chain(back).collect();
                    chart.draw_series(std::iter::once(Polygon::new(edge, colour.mix(0.25))))
                }
            };
            let drawn = drawn.map_err(|e| text(&e))?;
            if !series.label.is_empty() {
                drawn.label(&series.label).legend(move |(x, y)| match series.style {
                    Style::Line => Rectangle::new([(x, y - 1), (x + 20, y + 1)], colour.filled()),
                    Style::Dots => Rectangle::new([(x + 7, y - 3), (x + 13, y + 3)], colour.filled()),
                    Style::Band => Rectangle::new([(x, y - 5), (x + 20, y + 5)], colour.mix(0.25).filled()),
                });
            }
        }
        if self.series.iter().all(|s| s.label.is_empty()) {
            return Ok(());
        }
        let mut labels = chart.configure_series_labels();
        labels.position(corner).background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3));
        labels.draw().map_err(|e| text(&e))
    }
}

/// Where between the ends of a range a number is, from 0 to 1.
fn share(v: f64, (low, high): (f64, f64), log: bool) -> f64 {
    if log { (v / low).ln() / (high / low).ln() } else { (v - low) / (high - low) }
}

/// The range of finite numbers, with a margin; on a logarithmic axis, of the positive ones.
fn span(numbers: impl Iterator<Item = f64>, log: bool) -> (f64, f64) {
    let shown = numbers.filter(|v| v.is_finite() && (!log || *v > 0.0));
    let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match (low <= high, log) {
        (false, _) => (0.1, 1.0),
        (true, true) => (low / 1.5, high * 1.5),
        (true, false) => {
            let margin = if high > low { 0.04 * (high - low) } else { 1.0 };
            (low - margin, high + margin)
        }
    }
}
