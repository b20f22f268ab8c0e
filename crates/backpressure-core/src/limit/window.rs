//! The window of samples from which a limit learns.

use std::time::{Duration, Instant};

use super::Quantiles;

/// One stretch of traffic, as a [`Limit`](super::Limit) sees it. A [`Sampler`](super::Sampler) makes them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Window {
    /// When it ended.
    pub end: Instant,
    /// How long it was.
    pub length: Duration,
    /// Calls that left in it, answered, failed or cancelled.
    pub departures: u64,
    /// Those of them that ended as an [`Overload`](super::Outcome::Overload) or [`TimedOut`](super::Outcome::TimedOut).
    pub overloads: u64,
    /// Those of them that were cancelled. Nobody knows whether they would ever have been answered, so they are no reason
    /// for a limit to rise.
    pub cancelled: u64,
    /// Calls in flight, averaged over time. It counts a call that is stuck; the latencies below do not.
    pub in_flight: f64,
    /// Most calls in flight at once, as far as was seen.
    pub peak: usize,
    /// Whether the limit was felt: it was reached, or somebody was refused.
    pub saturated: bool,
    /// Mean latency of the calls that were timed.
    pub latency: Option<Duration>,
    /// The shortest of those latencies.
    pub min_latency: Option<Duration>,
    /// How those latencies are spread.
    pub quantiles: Option<Quantiles>,
    /// Mean time from the call to the first poll of the inner future, of the calls that were timed: how late the
    /// runtime is.
    pub delay: Duration,
}

impl Window {
    /// A window in which nothing happened.
    pub const fn new(end: Instant, length: Duration) -> Self {
        Self {
            end,
            length,
            departures: 0,
            overloads: 0,
            cancelled: 0,
            in_flight: 0.0,
            peak: 0,
            saturated: false,
            latency: None,
            min_latency: None,
            quantiles: None,
            delay: Duration::ZERO,
        }
    }

    /// Departures per second; 0 for a window without length.
    pub fn throughput(&self) -> f64 {
        let seconds = self.length.as_secs_f64();
        if seconds > 0.0 { self.departures as f64 / seconds } else { 0.0 }
    }

    /// How long a call is in flight, in seconds, by Little's law: calls in flight over departures per second.
    ///
    /// Unlike the mean of the latencies it needs no call to be timed, and it grows with a call that is stuck. The law
    /// holds for windows that are longer than the calls in them. In a shorter one many calls are in flight at either
    /// end, and the larger of both answers is the better one. `None` if nothing departed.
    ///
    /// J. D. C. Little, *A Proof for the Queuing Formula L = λW*, Operations Research 9(3), 1961.
    pub fn residence(&self) -> Option<f64> {
        let throughput = self.throughput();
        if throughput <= 0.0 {
            return None;
        }
        let little = self.calls_in_flight() / throughput;
        match self.latency {
            Some(latency) if latency > self.length => Some(little.max(latency.as_secs_f64())),
            _ => Some(little),
        }
    }

    /// The share of the departures that were not cancelled; 0 if nothing departed.
    pub(crate) fn answered_share(&self) -> f64 {
        let answered = self.departures.saturating_sub(self.cancelled);
        if self.departures > 0 { answered as f64 / self.departures as f64 } else { 0.0 }
    }

    /// Whether at least half of the `limit` was in use at some time: only then does the window tell about it.
    pub(crate) fn is_half_used(&self, limit: f64) -> bool {
        2.0 * self.peak as f64 >= limit
    }

    /// `in_flight`, whatever the caller has put there.
    pub(crate) fn calls_in_flight(&self) -> f64 {
        if self.in_flight.is_finite() { self.in_flight.max(0.0) } else { self.peak as f64 }
    }
}

/// How a call that has left counts for the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered. An error that is the caller's own (any HTTP 4xx but 408 and 429, say) is an answer.
    Success,
    /// It failed because something is overloaded: a reason for the limit to shrink.
    Overload,
    /// It was cut by a timeout. It counts like an [`Overload`](Self::Overload), and as
    /// [timed out](crate::DropReason::TimedOut) in the books.
    TimedOut,
    /// It says nothing about how long calls take: it was answered without work, or failed by a bug. It counts as a
    /// departure and is not timed.
    Ignored,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(length: Duration, departures: u64, in_flight: f64) -> Window {
        Window { departures, in_flight, ..Window::new(Instant::now(), length) }
    }

    #[test]
    fn ten_in_flight_and_fifty_departures_a_second_are_200_ms_each() {
        let window = window(SECOND / 2, 25, 10.0);
        assert_eq!(window.throughput(), 50.0);
        assert_eq!(window.residence(), Some(0.2));
    }

    #[test]
    fn calls_longer_than_the_window_are_at_least_as_long_as_their_latency() {
        let latency = Some(5 * SECOND);
        let burst = Window { latency, ..window(SECOND, 8, 8.0) };
        assert_eq!(burst.residence(), Some(5.0));
        let long_enough = Window { latency: Some(SECOND), ..window(SECOND, 8, 16.0) };
        assert_eq!(long_enough.residence(), Some(2.0));
    }

    #[test]
    fn d6_nothing_departed_or_no_time_passed_is_no_residence() {
        assert_eq!(window(SECOND, 0, 5.0).residence(), None);
        assert_eq!(window(Duration::ZERO, 5, 5.0).residence(), None);
        assert_eq!(window(Duration::MAX, 1, f64::NAN).residence(), Some(0.0));
    }
}
