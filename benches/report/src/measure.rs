//! Runs the functions and reads what criterion found.
//!
//! A round is every function once, each in a process of its own. What is compared is measured within seconds, over and
//! over, so that a machine that gets slower meanwhile gets slower for all; every other round goes backwards, so that
//! nobody always comes first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use crate::pace::Pace;
use crate::paths;
use crate::run::Row;
use crate::stats::median;
use crate::suite::{Function, Suite};

/// Measures each function once in every round.
pub fn measure(suite: &Suite, pace: &Pace) -> Result<Vec<Row>> {
    let functions = &suite.functions;
    let mut rows: Vec<_> = functions.iter().map(|it| Row { id: it.id.clone(), rounds: Vec::new() }).collect();
    let bar = bar(functions.len() * pace.rounds);
    say(&bar, &format!("{} functions, about {}", functions.len(), rough(pace.estimate(functions.len()))));
    let start = Instant::now();
    let mut round = 0;
    while pace.goes_on(round, start.elapsed()) {
        say(&bar, &format!("round {} of {}", round + 1, pace.rounds));
        for at in order(functions.len(), round) {
            bar.set_message(functions[at].id.clone());
            let nanos = once(&functions[at], pace).with_context(|| format!("`{}` failed", functions[at].id))?;
            rows[at].rounds.push(nanos);
            bar.inc(1);
        }
        round += 1;
    }
    bar.finish_and_clear();
    Ok(rows)
}

fn order(functions: usize, round: usize) -> Box<dyn Iterator<Item = usize>> {
    if round.is_multiple_of(2) { Box::new(0..functions) } else { Box::new((0..functions).rev()) }
}

fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {eta} left\n{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// Above the bar, or where the bar would be if this were a terminal.
fn say(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() { eprintln!("{line}") } else { bar.println(line) }
}

fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// The median of one run of one function, in nanoseconds for one operation.
fn once(function: &Function, pace: &Pace) -> Result<f64> {
    let home = paths::output().join("criterion");
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    let output = Command::new(&function.program)
        .args(["--bench", "--noplot", "--sample-size", "10", "--nresamples", "1000"])
        .args(["--warm-up-time", &seconds(pace.warm_up), "--measurement-time", &seconds(pace.measurement)])
        .args(["--exact", &function.id])
        .env("CRITERION_HOME", &home)
        .output()
        .with_context(|| format!("cannot start {}", function.program.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {}", output.status, complaint.trim());
    let results = results(&home)?.context("criterion left no result")?;
    let text = |file| fs::read_to_string(results.join(file));
    nanos(&text("benchmark.json")?, &text("sample.json")?)
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// The directory that criterion left its only result in.
fn results(dir: &Path) -> Result<Option<PathBuf>> {
    if dir.ends_with("new") && dir.join("sample.json").exists() {
        return Ok(Some(dir.into()));
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir()
            && let Some(found) = results(&path)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[derive(Debug, Deserialize)]
struct Benchmark {
    throughput: Option<Throughput>,
}

#[derive(Debug, Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: Option<u64>,
}

/// Iterations, and the nanoseconds that they took together.
#[derive(Debug, Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

fn nanos(benchmark: &str, sample: &str) -> Result<f64> {
    let benchmark: Benchmark = serde_json::from_str(benchmark)?;
    let sample: Sample = serde_json::from_str(sample)?;
    let elements = benchmark.throughput.and_then(|throughput| throughput.elements).unwrap_or(1);
    let iteration = median(sample.times.iter().zip(&sample.iters).map(|(time, iters)| time / iters));
    let nanos = iteration / elements as f64;
    ensure!(nanos.is_finite() && nanos > 0.0, "criterion measured {nanos} ns");
    Ok(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"sampling_mode":"Linear","iters":[1.0,2.0,3.0],"times":[900.0,1000.0,1500.0]}"#;

    #[test]
    fn criterions_files_give_the_median_of_one_operation() {
        let each = r#"{"group_id":"a/b","function_id":"c","throughput":{"Elements":100},"full_id":"a/b/c"}"#;
        assert_eq!(nanos(each, SAMPLE).unwrap(), 5.0);
        assert_eq!(nanos(r#"{"throughput":null}"#, SAMPLE).unwrap(), 500.0);
        assert_eq!(nanos(r#"{"throughput":{"Bytes":9}}"#, SAMPLE).unwrap(), 500.0);
    }

    #[test]
    fn a_sample_that_is_empty_or_takes_no_time_is_an_error() {
        for sample in [r#"{"iters":[],"times":[]}"#, r#"{"iters":[1.0],"times":[0.0]}"#, "{}"] {
            assert!(nanos("{}", sample).is_err(), "{sample}");
        }
    }

    #[test]
    fn every_other_round_goes_backwards() {
        assert_eq!(order(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(order(3, 1).collect::<Vec<_>>(), [2, 1, 0]);
    }
}
