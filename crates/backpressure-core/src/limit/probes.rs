//! Probes of the baseline of [`Fast`](super::Fast), and when they are due.

use std::time::{Duration, Instant};

use super::Window;

/// Often as long as a baseline is in doubt, seldom once it has stood the test twice in a row.
#[derive(Debug, Clone)]
pub(super) struct Probes {
    /// From when on there is to be one; `None` before the first window.
    due: Option<Instant>,
    /// When the last one ended.
    ended: Option<Instant>,
    /// Whether that found what was known.
    has_agreed: bool,
    /// The throughput of the part when the baseline was last confirmed; `None` while it is in doubt.
    trusted_at: Option<f64>,
}

impl Probes {
    /// The first one, the second opinion, and at least this from one to the next.
    const SOON: Duration = Duration::from_secs(1);
    const USUAL: Duration = Duration::from_secs(10);
    const SELDOM: Duration = Duration::from_secs(60);

    pub(super) const fn new() -> Self {
        Self { due: None, ended: None, has_agreed: false, trusted_at: None }
    }

    pub(super) fn are_due(&mut self, window: &Window) -> bool {
        let due = *self.due.get_or_insert_with(|| later(window, Self::SOON));
        window.end >= due
    }

    /// Whether the last one is long enough ago for one out of turn.
    pub(super) fn are_rested(&self, window: &Window) -> bool {
        self.ended.is_none_or(|ended| window.end.saturating_duration_since(ended) >= Self::SOON)
    }

    /// The baseline was learned without a probe.
    pub(super) fn spared(&mut self, window: &Window) {
        self.doubt(window, Self::USUAL);
    }

    /// A probe has found what was known, in a part that has this throughput.
    pub(super) fn agreed(&mut self, window: &Window, throughput: f64) {
        self.ended = Some(window.end);
        let is_confirmed = std::mem::replace(&mut self.has_agreed, true);
        self.trusted_at = is_confirmed.then_some(throughput);
        self.due = Some(later(window, if is_confirmed { Self::SELDOM } else { Self::SOON }));
    }

    /// A probe has found something else.
    pub(super) fn disagreed(&mut self, window: &Window) {
        self.ended = Some(window.end);
        self.doubt(window, Self::USUAL);
    }

    /// What was confirmed holds for the part as it was: one that does a tenth more or less, and by more than noise, is
    /// another one. `noise` is the share by which its throughput is off in any window.
    pub(super) fn look_at(&mut self, window: &Window, throughput: f64, noise: f64) {
        let is_another = |then: f64| (throughput - then).abs() > (4.0 * noise).max(0.1) * then;
        if self.trusted_at.is_some_and(is_another) {
            self.doubt(window, Self::SOON);
        }
    }

    fn doubt(&mut self, window: &Window, next: Duration) {
        (self.has_agreed, self.trusted_at) = (false, None);
        self.due = Some(later(window, next));
    }
}

/// So long after a window, and at least ten windows after it.
fn later(window: &Window, by: Duration) -> Instant {
    window.end.checked_add(by.max(window.length.saturating_mul(10))).unwrap_or(window.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(start: Instant, seconds: u32) -> Window {
        Window::new(start + seconds * SECOND, SECOND / 10)
    }

    #[test]
    fn two_that_agree_are_trusted_for_a_minute_and_one_that_does_not_is_followed_in_ten_seconds() {
        let (mut probes, start) = (Probes::new(), Instant::now());
        let due = |probes: &mut Probes, from: u32| (from..200).find(|&at| probes.are_due(&window(start, at)));
        assert_eq!(due(&mut probes, 0), Some(1));
        for (at, next) in [(1, 2), (2, 62), (62, 122)] {
            probes.agreed(&window(start, at), 100.0);
            assert_eq!(due(&mut probes, at), Some(next));
        }
        probes.disagreed(&window(start, 122));
        assert_eq!(due(&mut probes, 122), Some(132));
        probes.agreed(&window(start, 132), 100.0);
        assert_eq!(due(&mut probes, 132), Some(133), "trust begins anew");
        probes.spared(&window(start, 133));
        assert_eq!(due(&mut probes, 133), Some(143));
        assert!(!probes.are_rested(&window(start, 132)) && probes.are_rested(&window(start, 133)));
    }

    #[test]
    fn a_part_that_does_more_or_less_than_when_it_was_trusted_is_probed_again() {
        let start = Instant::now();
        for (throughput, noise, due) in
            [(91.0, 0.0, 60), (89.0, 0.0, 11), (111.0, 0.0, 11), (70.0, 0.1, 60), (50.0, 0.1, 11)]
        {
            let mut probes = Probes::new();
            (0..2).for_each(|_| probes.agreed(&window(start, 0), 100.0));
            (10..20).for_each(|at| probes.look_at(&window(start, at), throughput, noise));
            assert_eq!((0..90).find(|&at| probes.are_due(&window(start, at))), Some(due), "{throughput} {noise}");
        }
    }

    #[test]
    fn d6_windows_that_are_longer_than_the_time_between_probes_make_it_longer() {
        let (mut probes, start) = (Probes::new(), Instant::now());
        let long = |at: u32| Window::new(start + at * SECOND, 20 * SECOND);
        assert!(!probes.are_due(&long(20)) && !probes.are_due(&long(219)) && probes.are_due(&long(220)));
        probes.agreed(&Window::new(start, Duration::MAX), f64::NAN);
        assert!(probes.are_due(&window(start, 0)), "the end of time is not waited for");
    }
}
