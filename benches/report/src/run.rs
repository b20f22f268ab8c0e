//! The numbers of one run, as they are saved.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::paths;
use crate::stats::median;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was typed.
    pub command: String,
    /// Only these were measured.
    pub filter: Option<String>,
    pub machine: Machine,
    pub rows: Vec<Row>,
}

/// One function that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `function/case/row`.
    pub id: String,
    /// The median of each round, in nanoseconds for one operation. Never empty.
    pub rounds: Vec<f64>,
}

impl Row {
    /// The median of the rounds.
    pub fn nanos(&self) -> f64 {
        median(self.rounds.iter().copied())
    }

    /// How many times as long this takes as `other`: the median of what each round says, since what is measured within
    /// seconds is measured on the same machine.
    pub fn by(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(ours, theirs)| ours / theirs))
    }

    /// The fastest round.
    pub fn low(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The slowest round.
    pub fn high(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

impl Run {
    /// How many rounds there were.
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or_default()
    }

    pub fn save(&self, name: &str) -> Result<()> {
        let path = paths::saved(name);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, serde_json::to_string_pretty(self)?)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn load(name: &str) -> Result<Self> {
        let json =
            fs::read_to_string(paths::saved(name)).with_context(|| format!("there is no run saved as `{name}`"))?;
        serde_json::from_str(&json).with_context(|| format!("the run saved as `{name}` is not one"))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run with these rows on a made-up machine.
    pub fn made_up(rows: &[(&str, &[f64])]) -> Run {
        let rows = rows.iter().map(|&(id, rounds)| Row { id: id.into(), rounds: rounds.into() }).collect();
        Run { command: "cargo xtask bench".into(), filter: None, machine: Machine::made_up(), rows }
    }

    #[test]
    fn a_row_is_its_median_between_its_extremes() {
        let row = Row { id: "a/b/c".into(), rounds: vec![12.0, 10.0, 90.0] };
        assert_eq!((row.nanos(), row.low(), row.high()), (12.0, 10.0, 90.0));
    }

    #[test]
    fn rows_are_compared_round_by_round() {
        let row = |rounds: &[f64]| Row { id: String::new(), rounds: rounds.into() };
        let (ours, theirs) = (row(&[10.0, 30.0, 10.0]), row(&[20.0, 60.0, 60.0]));
        assert_eq!(ours.by(&theirs), 0.5, "the machine was slower in the second round, for both");
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let run = made_up(&[("a/b/c", &[1.5, 2.0]), ("a/b/d", &[3.0, 4.0])]);
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&json).unwrap(), run);
        assert_eq!(run.rounds(), 2);
    }

    #[test]
    fn a_run_that_is_not_there_is_named() {
        assert!(Run::load("no-such-run").unwrap_err().to_string().contains("`no-such-run`"));
    }
}
