//! What the whole run was like, in a bounded number of samples, and as many columns as there is room for.

use std::time::Duration;

use backpressure::State;

/// The most samples that are kept. Two become one when there would be more, so that the whole run always fits.
const MOST: usize = 2048;

/// How things were over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    /// How long the stretch was.
    pub(crate) lasting: Duration,
    /// The highest utilization and the worst state in it.
    pub(crate) utilization: f64,
    pub(crate) state: State,
    /// Events in it.
    pub(crate) received: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    /// Whether the database did not answer at some time in it.
    pub(crate) stalled: bool,
}

impl Sample {
    fn and(self, other: Self) -> Self {
        Self {
            lasting: self.lasting + other.lasting,
            utilization: self.utilization.max(other.utilization),
            state: self.state.max(other.state),
            received: self.received + other.received,
            delivered: self.delivered + other.delivered,
            lost: self.lost + other.lost,
            stalled: self.stalled || other.stalled,
        }
    }

    /// Events a second, in, out and lost.
    pub(crate) fn rates(&self) -> [f64; 3] {
        let seconds = self.lasting.as_secs_f64();
        [self.received, self.delivered, self.lost]
            .map(|events| if seconds > 0.0 { events as f64 / seconds } else { 0.0 })
    }
}

#[derive(Debug, Default)]
pub(crate) struct History {
    samples: Vec<Sample>,
    /// How many of those that are added make one that is kept, less one.
    merged: u32,
    /// Those that are not yet enough for one, and how many they are.
    pending: Option<(Sample, u32)>,
}

impl History {
    pub(crate) fn add(&mut self, sample: Sample) {
        let (sum, count) = self.pending.take().map_or((sample, 1), |(sum, count)| (sum.and(sample), count + 1));
        if count <= self.merged {
            self.pending = Some((sum, count));
            return;
        }
        self.samples.push(sum);
        if self.samples.len() > MOST {
            self.samples = self.samples.chunks(2).map(merge).collect();
            self.merged = self.merged * 2 + 1;
        }
    }

    /// How long the run is.
    pub(crate) fn lasting(&self) -> Duration {
        self.all().map(|sample| sample.lasting).sum()
    }

    /// The run in at most so many columns of equal time, oldest first. While it is short each sample has a column of its own.
    pub(crate) fn columns(&self, width: usize) -> Vec<Sample> {
        let samples: Vec<_> = self.all().copied().collect();
        let columns = width.min(samples.len());
        let edge = |column: usize| column * samples.len() / columns.max(1);
        (0..columns).map(|column| merge(&samples[edge(column)..edge(column + 1)])).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().chain(self.pending.iter().map(|(sample, _)| sample))
    }
}

/// At least one.
fn merge(samples: &[Sample]) -> Sample {
    samples[1..].iter().fold(samples[0], |sum, sample| sum.and(*sample))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(utilization: f64, state: State, stalled: bool) -> Sample {
        let lasting = Duration::from_millis(100);
        Sample { lasting, utilization, state, received: 10, delivered: 7, lost: 1, stalled }
    }

    #[test]
    fn the_whole_run_fits_whatever_its_length_and_nothing_is_lost_of_it() {
        for length in [1, 7, 80, MOST, MOST + 1, 10 * MOST + 3] {
            let mut history = History::default();
            for n in 0..length {
                history.add(sample(n as f64 / length as f64, State::Normal, n == length / 2));
            }
            assert!(history.samples.len() <= MOST);
            assert_eq!(history.lasting(), Duration::from_millis(100) * length as u32);
            for width in [1, 33, 200] {
                let columns = history.columns(width);
                assert_eq!(columns.len(), width.min(length.min(history.all().count())));
                assert_eq!(columns.iter().map(|column| column.received).sum::<u64>(), 10 * length as u64);
                assert_eq!(columns.iter().filter(|column| column.stalled).count(), 1, "a stall is never averaged away");
                assert!(columns.is_sorted_by(|a, b| a.utilization < b.utilization));
            }
        }
        assert!(History::default().columns(80).is_empty());
    }

    #[test]
    fn a_column_shows_the_worst_of_its_time_and_the_mean_rates() {
        let mut history = History::default();
        history.add(sample(0.2, State::Normal, false));
        history.add(sample(1.0, State::Blocked, true));
        let column = history.columns(1)[0];
        assert_eq!((column.utilization, column.state, column.stalled), (1.0, State::Blocked, true));
        assert_eq!(column.rates(), [100.0, 70.0, 10.0]);
        assert!(history.columns(0).is_empty());
    }
}
