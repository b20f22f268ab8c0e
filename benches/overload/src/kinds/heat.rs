//! The heat map: kind × limiter.

use super::catalogue::Kind;
use super::row::{PEERS, Row};
use crate::table::markdown;

const ABOUT: &str = "\
Good answers, as a share of the best that any other limiter has in the same world: a published one, or the best of fourteen
static limits, chosen by hindsight. The mean over the seeds, and the worst of them in parentheses. `!` marks a mean below
0.97, `!!` one below 0.9, `!!!` one below 0.7. The last columns are the best static limits, and what the default refused, on
average and at worst; kinds with room for all are marked `*`.
";

pub fn map(kinds: &[Kind], rows: &[Vec<Row>], about_seeds: &str) -> String {
    let names = PEERS.map(crate::policy::Policy::name);
    let head = ["kind".to_owned(), "Fast".into()].into_iter().chain(names);
    let head: Vec<_> = head.chain(["static", "limits", "refused"].map(String::from)).collect();
    let table: Vec<_> = kinds.iter().zip(rows).map(|(kind, rows)| line(kind, rows)).collect();
    let ours = |row: &Row| row.ours.goodput / row.best();
    let means: Vec<f64> = rows.iter().map(|rows| mean(rows, ours)).collect();
    let overall = means.iter().sum::<f64>() / means.len() as f64;
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = rows.iter().flatten().map(ours).fold(f64::INFINITY, f64::min);
    format!(
        "# Kinds of work, simulated\n\n{ABOUT}\n{about_seeds}\n\n{}\nFast: mean {overall:.3}, worst kind {least:.3}, worst world {worst:.3}\n",
        markdown(&head, &table)
    )
}

fn line(kind: &Kind, rows: &[Row]) -> Vec<String> {
    let mut cells = vec![format!("{}{}", kind.name, if kind.has_room { " *" } else { "" })];
    cells.push(cell(rows, |row| row.ours.goodput));
    cells.extend((0..PEERS.len()).map(|peer| cell(rows, |row| row.peers[peer].goodput)));
    cells.push(cell(rows, |row| row.fixed.goodput));
    let limits = rows.iter().map(|row| row.limit);
    cells.push(format!("{}–{}", limits.clone().min().unwrap_or_default(), limits.max().unwrap_or_default()));
    let shed = |row: &Row| 100.0 * row.ours.shed;
    cells.push(format!("{:.2} ({:.2}) %", mean(rows, shed), rows.iter().map(shed).fold(0.0, f64::max)));
    cells
}

fn cell(rows: &[Row], goodput: impl Fn(&Row) -> f64) -> String {
    let share = |row: &Row| goodput(row) / row.best();
    let (mean, worst) = (mean(rows, share), rows.iter().map(share).fold(f64::INFINITY, f64::min));
    let mark = match mean {
        mean if mean < 0.7 => "!!! ",
        mean if mean < 0.9 => "!! ",
        mean if mean < 0.97 => "! ",
        _ => "",
    };
    format!("{mark}{mean:.2} ({worst:.2})")
}

fn mean(rows: &[Row], of: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64
}
