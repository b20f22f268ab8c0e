//! The deadline and its stages.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::share::share;

/// A shutdown in stages, with one deadline for all of them.
///
/// The time runs from [`new`](Self::new). Half of it is for whoever needs it first; the other half is kept for the stages in
/// equal shares. With 6 s for three stages the first may use 4 s, and the second 5 s if the first was done at once. The last one
/// may use all that is left.
///
/// A stage is told how much time it has. It is not cut off: what drains with a deadline ends by itself and has something to
/// report, and for the rest there is [`tokio::time::timeout`].
#[derive(Debug)]
pub struct Shutdown {
    began: Instant,
    total: Duration,
    stages: Vec<&'static str>,
    /// How long each of those that are over took.
    took: Vec<Duration>,
}

impl Shutdown {
    /// A shutdown that begins now and is over after `patience`, in these stages.
    ///
    /// Patience is best a little less than the grace period of whoever kills the process afterwards. For Kubernetes that is 30 s,
    /// unless the pod says otherwise, and some of it is over before the signal comes.
    pub fn new(patience: Duration, stages: impl IntoIterator<Item = &'static str>) -> Self {
        Self { began: Instant::now(), total: patience, stages: stages.into_iter().collect(), took: Vec::new() }
    }

    /// Runs the next stage, which is told how much time it has, and hands on what it answers.
    ///
    /// A stage beyond those that were named may use all the time that is left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stage in the middle. It is not over then: the next one has its share and its name.
    pub async fn stage<F: Future>(&mut self, run: impl FnOnce(Duration) -> F) -> F::Output {
        let before = self.began.elapsed();
        let later = self.stages.len().saturating_sub(self.took.len() + 1);
        let answer = run(share(self.left(), self.total, self.stages.len(), later)).await;
        self.took.push(self.began.elapsed().saturating_sub(before));
        answer
    }

    /// The time that is left for all stages to come. Zero once the deadline has passed.
    pub fn left(&self) -> Duration {
        self.total.saturating_sub(self.began.elapsed())
    }

    /// Every stage that is over and how long it took, in their order.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        let names = self.stages.iter().copied().chain(std::iter::repeat("and more"));
        names.zip(self.took.iter().copied())
    }
}

/// One line for the log: how long it took in all, and for each stage that is over.
impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shut down in {}", Short(self.took.iter().sum()))?;
        for (n, (stage, took)) in self.stages().enumerate() {
            write!(f, "{} {stage} {}", if n == 0 { ":" } else { "," }, Short(took))?;
        }
        Ok(())
    }
}

/// A duration in whole milliseconds, or in tenths of a second from one second on.
pub(crate) struct Short(pub(crate) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis @ 0..1000 => write!(f, "{millis} ms"),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}
