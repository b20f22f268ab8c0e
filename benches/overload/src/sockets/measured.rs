//! What a client measured.

use anyhow::Result;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Per second.
    pub(super) sent: f64,
    pub(super) good: f64,
    pub(super) refused: f64,
    pub(super) failed: f64,
    /// Of the answers other than refusals, in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Measured {
    pub(super) fn print(&self) {
        let Self { sent, good, refused, failed, p50, p99 } = self;
        println!("{sent} {good} {refused} {failed} {p50} {p99}");
    }

    pub(super) fn parse(line: &str) -> Result<Self> {
        let numbers = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [sent, good, refused, failed, p50, p99] = numbers[..] else { anyhow::bail!("no measurement: `{line}`") };
        Ok(Self { sent, good, refused, failed, p50, p99 })
    }
}
