//! The report of a shutdown.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use backpressure_core::Drained;

use crate::shutdown::{Short, Shutdown};
use crate::signal::Signal;

/// What began a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A signal.
    Signal(Signal),
    /// The trigger of [`GracefulShutdown::when`](crate::GracefulShutdown::when).
    Asked,
    /// The server of this name ended before anybody asked it to.
    Ended(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Asked => f.write_str("on request"),
            Self::Ended(server) => write!(f, "{server} ended"),
        }
    }
}

/// How a stage ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    is_complete: bool,
    text: String,
}

impl End {
    pub(crate) fn of(drained: &impl Drained) -> Self {
        Self { is_complete: drained.is_complete(), text: drained.to_string() }
    }

    pub(crate) fn of_server<E: fmt::Display>(ended: Result<(), E>) -> Self {
        match ended {
            Ok(()) => Self { is_complete: true, text: "ended".to_owned() },
            Err(error) => Self { is_complete: false, text: format!("failed: {error}") },
        }
    }

    pub(crate) fn too_late() -> Self {
        Self { is_complete: false, text: "cut off at the deadline".to_owned() }
    }
}

/// What a [`GracefulShutdown`](crate::GracefulShutdown) came to: a few lines for the log, and an exit code.
///
/// ```text
/// shut down in 1.2 s (SIGTERM), incomplete
///   requests       12 ms  31 finished while draining, 0 abandoned, 0 streams cut off, 0 shed
///   connections   100 ms  ended
///   readings       1.1 s  180 delivered while draining, 0 failed, 2 abandoned
/// ```
#[derive(Debug, Clone)]
#[must_use = "the report says what was not delivered"]
pub struct ShutdownReport {
    cause: Cause,
    stages: Vec<StageReport>,
}

/// What one stage of a shutdown came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether all was done that it had to do.
    pub is_complete: bool,
    /// What its drain reported, in words.
    pub text: String,
}

impl ShutdownReport {
    pub(crate) fn new(cause: Cause, shutdown: &Shutdown, ends: Vec<End>) -> Self {
        let stages = shutdown.stages().zip(ends).map(|((name, took), End { is_complete, text })| StageReport {
            name,
            took,
            is_complete,
            text,
        });
        Self { cause, stages: stages.collect() }
    }

    /// What began it.
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Every stage, in the order in which they ended.
    pub fn stages(&self) -> &[StageReport] {
        &self.stages
    }

    /// How long it took, from its cause on.
    pub fn took(&self) -> Duration {
        self.stages.iter().map(|stage| stage.took).sum()
    }

    /// Whether every stage is: no request, connection or item was abandoned.
    pub fn is_complete(&self) -> bool {
        self.stages.iter().all(|stage| stage.is_complete)
    }

    /// 0 if it is complete, else 2. A process ends with 1 for most other reasons.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(2) }
    }
}

/// A line for the whole, and one for each stage.
impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_complete() { "" } else { ", incomplete" };
        write!(f, "shut down in {} ({}){verdict}", Short(self.took()), self.cause)?;
        let width = self.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or_default();
        for StageReport { name, took, text, .. } in &self.stages {
            write!(f, "\n  {name:<width$}  {:>7}  {text}", Short(*took).to_string())?;
        }
        Ok(())
    }
}
