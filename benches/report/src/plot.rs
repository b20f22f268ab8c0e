//! A case as a picture: a dot for the median, a line from the fastest round to the slowest, on a logarithmic axis.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::comparison::{Case, Entry};
use crate::id::Role;
use crate::stats::time;

const WIDTH: u32 = 860;
const NAMES: u32 = 310;
const AXIS: u32 = 28;
const LINE: u32 = 26;

const OURS: RGBColor = RGBColor(224, 101, 28);
const PEERS: RGBColor = RGBColor(72, 128, 190);
const FLOORS: RGBColor = RGBColor(140, 140, 140);

/// Stands for the colour of the text around the picture, which is dark or light as the reader likes it.
const TEXT: RGBColor = RGBColor(1, 2, 3);
const TEXT_IN_SVG: &str = "#010203";

/// An `<svg>` element.
pub fn svg(case: &Case<'_>) -> Result<String> {
    let mut svg = String::new();
    let height = LINE * case.rows.len() as u32 + AXIS;
    let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    // Errors of the backend borrow the string that it writes to.
    draw(&root, &case.rows).and_then(|()| root.present()).map_err(|error| anyhow!("{error}"))?;
    drop(root);
    Ok(svg.replace(TEXT_IN_SVG, "currentColor"))
}

fn draw<B>(root: &DrawingArea<B, Shift>, rows: &[Entry<'_>]) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
where
    B: DrawingBackend,
{
    let (names, field) = root.split_horizontally(NAMES);
    let low = rows.iter().map(|entry| entry.row.low()).fold(f64::INFINITY, f64::min);
    let high = rows.iter().map(|entry| entry.row.high()).fold(0.0, f64::max);
    // Room to the right for the number beside the last dot.
    let range = low / 1.3..(high * 1.3).max(high * (high / low).powf(0.2));
    let mut chart = ChartBuilder::on(&field)
        .x_label_area_size(AXIS)
        .margin_right(24)
        .build_cartesian_2d(range.log_scale(), 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(TEXT.mix(0.15))
        .light_line_style(TRANSPARENT)
        .axis_style(TEXT.mix(0.5))
        .x_labels(20)
        .x_label_formatter(&|nanos| time(*nanos))
        .x_label_style(style(12, HPos::Center))
        .draw()?;
    for (place, entry) in rows.iter().enumerate() {
        let line = LINE as i32 * place as i32 + LINE as i32 / 2;
        names.draw(&Text::new(entry.id.label(), (NAMES as i32 - 12, line), style(13, HPos::Right)))?;

        let y = rows.len() as f64 - place as f64 - 0.5;
        let row = entry.row;
        let color = match entry.role {
            Role::Ours => OURS,
            Role::Peer | Role::Other => PEERS,
            Role::Floor => FLOORS,
        };
        // What does something else is hollow.
        let filled = entry.role != Role::Other;
        let dot_style = if filled { color.filled() } else { color.stroke_width(2) };
        chart.draw_series([PathElement::new([(row.low(), y), (row.high(), y)], color.stroke_width(2))])?;
        chart.draw_series([Circle::new((row.nanos(), y), 5, dot_style)])?;
        let number = EmptyElement::at((row.high(), y)) + Text::new(time(row.nanos()), (11, 0), style(12, HPos::Left));
        chart.draw_series([number])?;
    }
    Ok(())
}

fn style(size: u32, anchor: HPos) -> TextStyle<'static> {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&TEXT);
    style.pos(Pos::new(anchor, if matches!(anchor, HPos::Center) { VPos::Top } else { VPos::Center }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::Comparison;
    use crate::run::tests::made_up;

    #[test]
    fn the_picture_names_every_row_and_takes_the_colour_of_the_page() {
        let run = made_up(&[
            ("a/b/backpressure", &[20.0, 25.0]),
            ("a/b/Mutex<VecDeque>", &[2_000.0]),
            ("a/b/floor: an atomic", &[5.0]),
        ]);
        let svg = svg(&Comparison::of(&run.rows).functions[0].cases[0]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for part in ["backpressure", "an atomic", "Mutex&lt;VecDeque&gt;", "22.5 ns", "2.00 µs", "currentColor"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains(TEXT_IN_SVG));
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn rows_that_are_all_the_same_can_be_drawn() {
        let run = made_up(&[("a/b/backpressure", &[1.0]), ("a/b/peer", &[1.0])]);
        assert!(svg(&Comparison::of(&run.rows).functions[0].cases[0]).is_ok());
    }
}
