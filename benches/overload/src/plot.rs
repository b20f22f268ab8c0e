//! Curves, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 520);
pub const COLOURS: [RGBColor; 8] = [
    RGBColor(120, 120, 120),
    RGBColor(190, 150, 110),
    RGBColor(70, 140, 70),
    RGBColor(230, 140, 30),
    RGBColor(150, 90, 180),
    RGBColor(60, 150, 190),
    RGBColor(210, 100, 150),
    RGBColor(200, 30, 30),
];

#[derive(Debug)]
pub struct Curve {
    pub name: String,
    /// The number of its colour.
    pub colour: usize,
    /// Drawn with a wider pen.
    pub is_ours: bool,
    pub points: Vec<(f64, f64)>,
}

/// Good answers over offered load, which is in multiples of the `capacity`.
pub fn goodput(path: &Path, curves: &[Curve], capacity: f64) -> Result<()> {
    let title = "Good answers per second over offered load (× capacity)";
    let labels = ("offered load", "answers within 100 ms, per second");
    draw(path, title, loads(curves).log_scale(), 0.0..1.1 * capacity, labels, curves)
}

/// The p99 of the answers in milliseconds over offered load.
pub fn p99(path: &Path, curves: &[Curve]) -> Result<()> {
    let title = "p99 of the answers over offered load (× capacity)";
    draw(path, title, loads(curves).log_scale(), (5.0..20_000.0).log_scale(), ("offered load", "ms"), curves)
}

/// Limits over time, in seconds.
pub fn limits(path: &Path, curves: &[Curve], title: &str) -> Result<()> {
    let times = curves.iter().flat_map(|curve| &curve.points).map(|(at, _)| *at);
    let (first, last) = times.fold((f64::MAX, 0.0_f64), |(first, last), at| (first.min(at), last.max(at)));
    draw(path, title, first..last, (4.0..1000.0).log_scale(), ("seconds", "limit"), curves)
}

fn loads(curves: &[Curve]) -> std::ops::Range<f64> {
    let loads = curves.iter().flat_map(|curve| &curve.points).map(|(load, _)| *load);
    loads.fold(f64::MAX, f64::min)..11.0
}

fn draw<X, Y>(path: &Path, title: &str, x: X, y: Y, (x_label, y_label): (&str, &str), curves: &[Curve]) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", path.display());
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|e| failed(&e))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 24))
        .margin(12)
        .x_label_area_size(50)
        .y_label_area_size(75)
        .build_cartesian_2d(x, y)
        .map_err(|e| failed(&e))?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(WHITE).bold_line_style(RGBColor(225, 225, 225)).x_desc(x_label).y_desc(y_label);
    mesh.label_style(("sans-serif", 16)).x_label_formatter(&short).y_label_formatter(&short);
    mesh.draw().map_err(|e| failed(&e))?;
    for curve in curves {
        let style = COLOURS[curve.colour % COLOURS.len()].stroke_width(if curve.is_ours { 4 } else { 2 });
        let points = curve.points.iter().copied();
        let line = chart.draw_series(LineSeries::new(points, style)).map_err(|e| failed(&e))?;
        line.label(&curve.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    let mut legend = chart.configure_series_labels();
    legend
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(200, 200, 200))
        .position(SeriesLabelPosition::UpperLeft);
    legend.draw().map_err(|e| failed(&e))?;
    area.present().map_err(|e| failed(&e))
}

/// A number on an axis.
fn short(number: &f64) -> String {
    format!("{}", (number * 10.0).round() / 10.0)
}
