//! What is printed.

use std::time::Duration;

use crate::writer::Totals;

/// A line while it runs.
pub(crate) fn line(elapsed: Duration, waiting: u64, out: usize, rows: u64, killed: u64) {
    println!(
        "{:>5.0} s   waiting at the server {waiting:>8}   with workers {out:>6}   rows {rows:>8}   killed {killed:>4}",
        elapsed.as_secs_f64()
    );
}

/// What came of it. Answers whether there is a row for each record that was published, and no more.
pub(crate) fn summary(published: u64, totals: &Totals, killed: u64) -> bool {
    println!("\n{:<12}{:>10}{:>10}{:>22}{:>14}", "", "rows", "batches", "doubles prevented", "redelivered");
    for worker in &totals.workers {
        let (rows, batches) = (worker.rows, worker.batches);
        println!("{:<12}{rows:>10}{batches:>10}{:>22}{:>14}", worker.name, worker.prevented, worker.redelivered);
    }
    let is_right = published == totals.rows;
    let (sign, verdict) = if is_right { ("=", "nothing lost, nothing twice") } else { ("≠", "THIS IS WRONG") };
    println!("\npublished {published} {sign} rows {}, {killed} workers killed: {verdict}", totals.rows);
    is_right
}

/// How the throughput grew: workers, and rows a second.
pub(crate) fn growth(runs: &[(usize, f64)]) {
    let Some(&(_, first)) = runs.first().filter(|_| runs.len() > 1) else { return };
    println!("\n{:>8}{:>14}{:>10}", "workers", "rows a second", "growth");
    for (workers, rate) in runs {
        println!("{workers:>8}{rate:>14.0}{:>9.2}×", rate / first);
    }
}
