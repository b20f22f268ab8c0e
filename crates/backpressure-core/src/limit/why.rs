//! The explanation of a limit, in words and numbers.

use std::fmt;

/// What made a limit what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Start,
    Room,
    Queue,
    Idle,
    LateRuntime,
    Failures,
    Probe,
    Trial,
}

/// What was seen in the last window that taught something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    pub(super) in_flight: f64,
    pub(super) throughput: f64,
    /// Calls that wait, by how much later they are, and how long they usually take, in seconds.
    pub(super) queue: f64,
    pub(super) delay: f64,
    pub(super) usual: f64,
    pub(super) is_felt: bool,
}

/// The last change and the last evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Why {
    pub(super) reason: Reason,
    change: Option<(usize, Reason)>,
    pub(super) evidence: Option<Evidence>,
}

impl Why {
    pub(super) const fn new() -> Self {
        Self { reason: Reason::Start, change: None, evidence: None }
    }

    /// Takes note of the limit before and after a window.
    pub(super) fn changed(&mut self, before: usize, after: usize) {
        if before != after {
            self.change = Some((before, self.reason));
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            None => f.write_str("where it started")?,
            Some((before, reason)) => write!(f, "it was {before} before, and {reason}")?,
        }
        let Some(seen) = self.evidence else { return f.write_str("; nothing has been answered yet") };
        let felt = if seen.is_felt { "is felt" } else { "is not felt" };
        let ms = |seconds: f64| 1000.0 * seconds;
        write!(
            f,
            "; in the last window the limit {felt}, {:.1} calls are in flight and {:.0} a second answered, calls usually take {:.1} ms \
             and are {:.1} ms later than that, so {:.1} of them wait",
            seen.in_flight,
            seen.throughput,
            ms(seen.usual),
            ms(seen.delay.max(0.0)),
            seen.queue.max(0.0),
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "nothing was known",
            Self::Room => "it was felt with less of a queue than is welcome",
            Self::Queue => "more calls waited than are welcome",
            Self::Idle => "it was hardly used",
            Self::LateRuntime => "the runtime was late to begin the work",
            Self::Failures => "too many calls failed",
            Self::Probe => "a probe lowers it for a moment to see how long calls take when none waits",
            Self::Trial => "a trial raises it to see whether calls are just longer than they were",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{Bounds, Fast, Fixed, Limit, Window};

    #[test]
    fn the_last_change_its_reason_and_the_evidence_are_told() {
        let mut fast = Fast::new(Bounds::new(2, 1000).unwrap().start(40).unwrap());
        assert_eq!(fast.explain(), "the limit is 40: where it started; nothing has been answered yet");
        let length = Duration::from_millis(100);
        let window = Window { departures: 100, in_flight: 15.0, peak: 15, ..Window::new(Instant::now(), length) };
        fast.update(&window);
        fast.update(&Window { in_flight: 80.0, peak: 80, saturated: true, ..window });
        let why = fast.explain();
        assert!(why.contains("it was 40 before, and more calls waited than are welcome"), "{why}");
        assert!(
            why.ends_with("calls usually take 15.0 ms and are 65.0 ms later than that, so 65.0 of them wait"),
            "{why}"
        );
        assert_eq!(Box::new(Fixed::new(7).unwrap()).explain(), "the limit is 7");
    }
}
