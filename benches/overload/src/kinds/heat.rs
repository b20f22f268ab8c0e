//! The heat map: kind × limiter.

use super::catalogue::Kind;
use super::row::{AIMD, PEERS, Row};
use crate::table::markdown;

const ABOUT: &str = "\
Good answers, as a share of the best that any other limiter has in the same world: a published one, or the best of fourteen
static limits, chosen by hindsight. The mean over the seeds, and the worst of them in parentheses. `!` marks a mean below
0.97, `!!` one below 0.9, `!!!` one below 0.7. Ours is `Fast`, and where clients are told what is late, `Aimd` that rises by
ten a second. The next columns are the best static limits, and what ours refused, on average and at worst; kinds with room
for all are marked `*`. Where the server changes, the seconds from then until it is back for good, after the worst of the
changes: any two later seconds have 0.9 of the good answers that there is room for (`inf`: not before the next change). Where
several clients share it, Jain's index of the good answers that they get, with ours and with `Aimd`.
";

pub fn map(kinds: &[Kind], rows: &[Vec<Row>], about_seeds: &str) -> String {
    let names = PEERS.map(crate::policy::Policy::name);
    let head = ["kind".to_owned(), "ours".into()].into_iter().chain(names);
    let more = ["static", "limits", "refused", "back after", "fairness", "with Aimd"];
    let head: Vec<_> = head.chain(more.map(String::from)).collect();
    let table: Vec<_> = kinds.iter().zip(rows).map(|(kind, rows)| line(kind, rows)).collect();
    let ours = |row: &Row| row.ours.goodput / row.best();
    let means: Vec<f64> = rows.iter().map(|rows| mean(rows, ours)).collect();
    let overall = means.iter().sum::<f64>() / means.len() as f64;
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = rows.iter().flatten().map(ours).fold(f64::INFINITY, f64::min);
    format!(
        "# Kinds of work, simulated\n\n{ABOUT}\n{about_seeds}\n\n{}\nOurs: mean {overall:.3}, worst kind {least:.3}, worst world {worst:.3}\n",
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
    let none = || "–".to_owned();
    let recovery = optional(rows, |row| row.ours.recovery, f64::max);
    cells.push(recovery.map_or_else(none, |(mean, worst)| format!("{mean:.1} ({worst:.1}) s")));
    let fairness: [fn(&Row) -> Option<f64>; 2] = [|row| row.ours.fairness, |row| row.peers[AIMD].fairness];
    cells.extend(
        fairness.map(|of| {
            optional(rows, of, f64::min).map_or_else(none, |(mean, worst)| format!("{mean:.3} ({worst:.3})"))
        }),
    );
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

/// Mean and worst of what not every kind has.
fn optional(rows: &[Row], of: impl Fn(&Row) -> Option<f64>, worse: fn(f64, f64) -> f64) -> Option<(f64, f64)> {
    let values: Vec<f64> = rows.iter().filter_map(of).collect();
    let worst = values.iter().copied().reduce(worse)?;
    Some((values.iter().sum::<f64>() / values.len() as f64, worst))
}

fn mean(rows: &[Row], of: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64
}
