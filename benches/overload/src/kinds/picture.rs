//! The heat map as SVG: kind × limiter, in four plain colours with the numbers on them.

use std::fmt::Write;

use super::catalogue::Kind;
use super::row::{PEERS, Row};

const LINE: usize = 22;
const NAMES: usize = 280;
const CELL: usize = 86;

/// From this mean on, a fill, and how it is called.
const COLOURS: [(f64, &str, &str); 4] = [
    (0.97, "#b7dfb9", "0.97 or more"),
    (0.9, "#f3eeb0", "0.9 or more"),
    (0.7, "#f6c58f", "0.7 or more"),
    (f64::MIN, "#eb9a93", "less"),
];

/// Good answers as a share of the best of all others, the mean over the worlds of each kind.
pub fn heat_map(kinds: &[Kind], rows: &[Vec<Row>]) -> String {
    let peers = PEERS.map(crate::policy::Policy::name);
    let limiters: Vec<String> = ["ours".into()].into_iter().chain(peers).chain(["best static".into()]).collect();
    let (width, height) = (NAMES + CELL * limiters.len() + 10, LINE * (kinds.len() + 3));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (column, name) in limiters.iter().enumerate() {
        text(&mut svg, NAMES + column * CELL + CELL / 2, 16, "middle", name);
    }
    for (line, (kind, rows)) in kinds.iter().zip(rows).enumerate() {
        let top = LINE * (line + 1);
        text(&mut svg, NAMES - 8, top + 16, "end", &format!("{}{}", kind.name, if kind.has_room { " *" } else { "" }));
        for (column, mean) in means(rows).into_iter().enumerate() {
            let left = NAMES + column * CELL;
            cell(&mut svg, left, top, CELL, colour(mean));
            text(&mut svg, left + CELL / 2, top + 16, "middle", &format!("{mean:.2}"));
        }
    }
    let top = LINE * (kinds.len() + 1) + LINE / 2;
    for (n, (_, fill, name)) in COLOURS.iter().enumerate() {
        let left = 10 + n * 130;
        cell(&mut svg, left, top, LINE, fill);
        text(&mut svg, left + LINE + 6, top + 16, "start", name);
    }
    svg + "</svg>\n"
}

/// Ours, the peers' and that of the best static limit.
fn means(rows: &[Row]) -> Vec<f64> {
    let mean =
        |of: &dyn Fn(&Row) -> f64| rows.iter().map(|row| of(row) / row.best()).sum::<f64>() / rows.len().max(1) as f64;
    let peers = (0..PEERS.len()).map(|peer| mean(&|row| row.peers[peer].goodput));
    [mean(&|row| row.ours.goodput)].into_iter().chain(peers).chain([mean(&|row| row.fixed.goodput)]).collect()
}

fn colour(mean: f64) -> &'static str {
    COLOURS.iter().find(|(from, ..)| mean >= *from).map_or("#dddddd", |(_, fill, _)| fill)
}

fn cell(svg: &mut String, left: usize, top: usize, width: usize, fill: &str) {
    let (width, height) = (width - 2, LINE - 2);
    // Writing into a string cannot fail.
    let _ = writeln!(svg, "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>");
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"#222222\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::KINDS;
    use super::super::simulation::Tally;
    use super::*;

    fn row(goodput: f64) -> Row {
        let of = |goodput| Tally { goodput, ..Tally::default() };
        Row { ours: of(goodput), peers: [of(50.0), of(80.0), of(100.0)], limit: 8, fixed: of(95.0) }
    }

    #[test]
    fn each_mean_has_its_number_and_its_colour() {
        let map = heat_map(&KINDS[..2], &[vec![row(120.0), row(80.0)], vec![row(60.0)]]);
        let cells = |fill: &str| map.matches(&format!("height=\"20\" fill=\"{fill}\"")).count();
        // Twice four of others, ours 1.00 and 0.60, and the legend.
        assert_eq!(COLOURS.map(|(_, fill, _)| cells(fill)), [1 + 3, 1 + 2, 1 + 2, 1 + 3]);
        for number in ["1.00", "0.60", "0.50", "0.80", "0.95"] {
            assert!(map.contains(&format!(">{number}</text>")), "{number}");
        }
        assert_eq!(colour(f64::NAN), "#dddddd", "a kind without worlds");
        assert_eq!(map.matches("<text").count(), 5 + 2 * 6 + 4);
    }
}
