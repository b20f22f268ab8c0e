//! Tables of words: what they say now is what they said before.

use std::pin::Pin;

use anyhow::{Context, Result};

use crate::page;

pub type Cells = Pin<Box<dyn Future<Output = Result<Vec<String>>>>>;

/// A table of words.
pub struct Table {
    /// Its mark in the page.
    pub mark: &'static str,
    /// The first line, and the rule under it.
    pub head: &'static str,
    pub lines: Vec<Line>,
}

/// A row, and how to measure it.
pub struct Line {
    pub name: &'static str,
    pub measure: fn() -> Cells,
}

impl Table {
    /// Measures the lines whose name contains `only`, in a runtime each.
    pub fn measured(&self, only: &str) -> Result<Vec<String>> {
        let lines = self.lines.iter().filter(|line| line.name.contains(only));
        let text = |line: &Line| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let cells = runtime.block_on((line.measure)()).with_context(|| line.name)?;
            let text = format!("| {} | {} |", line.name, cells.join(" | "));
            println!("{text}");
            Ok(text)
        };
        lines.map(text).collect()
    }

    pub fn keep(&self, lines: &[String]) -> Result<()> {
        page::write(self.mark, &(self.head.to_owned() + &lines.join("\n") + "\n"))
    }

    /// The lines that the kept table does not have.
    pub fn missed(&self, lines: &[String]) -> Result<Vec<String>> {
        let kept = page::read(self.mark)?;
        Ok(lines.iter().filter(|line| !kept.lines().any(|old| old == line.as_str())).cloned().collect())
    }
}
