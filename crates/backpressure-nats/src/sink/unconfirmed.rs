//! The decisions of a sink: what is out, what was refused, and when to try again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a sink did, since it began. Every message that it took is counted once among [`unconfirmed`](Self::unconfirmed),
/// [`confirmed`](Self::confirmed) and [`failed`](Self::failed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SinkCounts {
    /// Messages taken.
    pub taken: u64,
    /// Messages that the server has stored.
    pub confirmed: u64,
    /// Of those, how many it had already.
    pub duplicates: u64,
    /// Messages handed back with an error.
    pub failed: u64,
    /// Messages without an answer, those included that wait to be published again.
    pub unconfirmed: u64,
    /// How often the stream refused a message because it is full.
    pub refusals: u64,
    /// How often a message was not confirmed in time.
    pub unanswered: u64,
    /// Messages that the stream has thrown away to make room for newer ones, since the sink began, whoever published them. Known only
    /// of a stream with `discard: old` and limits, as of the last look.
    pub discarded: u64,
}

impl SinkCounts {
    /// Whether every message that was taken has one fate, or is unconfirmed.
    pub const fn balances(&self) -> bool {
        self.taken == self.confirmed + self.failed + self.unconfirmed
    }
}

/// What an answer says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is stored; `true` if it was already.
    Stored(bool),
    /// The stream is full.
    Full,
    /// Nobody answered.
    Unanswered,
    /// It will never be stored.
    Refused,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What was published and is not confirmed, bounded.
#[derive(Debug)]
pub(super) struct Unconfirmed<M> {
    most: usize,
    patience: Duration,
    out: usize,
    /// What is to be published again, in the order in which that became known.
    back: VecDeque<M>,
    pause: Duration,
    /// When the first of those is tried; the others wait for what becomes of it.
    retry_at: Option<Instant>,
    is_probing: bool,
    /// Since when nothing was stored although something was tried.
    stuck_since: Option<Instant>,
    counts: SinkCounts,
}

impl<M> Unconfirmed<M> {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        Self {
            most,
            patience,
            out: 0,
            back: VecDeque::new(),
            pause: SHORTEST_PAUSE,
            retry_at: None,
            is_probing: false,
            stuck_since: None,
            counts: SinkCounts::default(),
        }
    }

    /// Whether there is room for another message. While some were refused there is not: they go first.
    pub(super) fn has_room(&self) -> bool {
        !self.is_blocked() && self.out < self.most
    }

    /// Whether the stream takes nothing.
    pub(super) fn is_blocked(&self) -> bool {
        !self.back.is_empty() || self.is_probing
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out == 0 && self.back.is_empty()
    }

    /// A new message goes out.
    pub(super) const fn sent(&mut self) {
        self.counts.taken += 1;
        self.out += 1;
    }

    /// What became of a message that was out. Hands it back if it has failed for good.
    pub(super) fn answered(&mut self, now: Instant, message: M, answer: Answer) -> Option<M> {
        self.out -= 1;
        self.is_probing = false;
        let has_failed = match answer {
            Answer::Stored(again) => {
                self.counts.confirmed += 1;
                self.counts.duplicates += u64::from(again);
                self.pause = SHORTEST_PAUSE;
                self.stuck_since = None;
                self.retry_at = (!self.back.is_empty()).then_some(now);
                return None;
            }
            Answer::Full => {
                self.counts.refusals += 1;
                false
            }
            Answer::Unanswered => {
                self.counts.unanswered += 1;
                let since = *self.stuck_since.get_or_insert(now);
                now.saturating_duration_since(since) >= self.patience
            }
            Answer::Refused => true,
        };
        let failed = if has_failed {
            self.counts.failed += 1;
            Some(message)
        } else {
            self.back.push_back(message);
            None
        };
        // Those that wait are tried next, even if the one that was tried before them is gone.
        if !self.back.is_empty() {
            self.retry_at.get_or_insert(now + self.pause);
        }
        failed
    }

    /// The next message that is to be published again now. One at a time, until one is stored.
    pub(super) fn again(&mut self, now: Instant) -> Option<M> {
        if self.is_probing || self.retry_at.is_none_or(|at| now < at) {
            return None;
        }
        let message = self.back.pop_front();
        self.retry_at = None;
        if message.is_some() {
            self.is_probing = true;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            self.out += 1;
        }
        message
    }

    pub(super) const fn timeout(&self) -> Option<Instant> {
        if self.is_probing { None } else { self.retry_at }
    }

    pub(super) const fn discarded(&mut self, messages: u64) {
        self.counts.discarded = messages;
    }

    pub(super) fn counts(&self) -> SinkCounts {
        SinkCounts { unconfirmed: (self.out + self.back.len()) as u64, ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_full_stream_is_probed_with_one_message_and_longer_and_longer_pauses() {
        let (mut sink, mut now) = (Unconfirmed::new(3, Duration::MAX), Instant::now());
        (0..3).for_each(|_| sink.sent());
        for message in 0..3 {
            assert_eq!(sink.answered(now, message, Answer::Full), None);
        }
        assert!(sink.is_blocked() && !sink.has_room());
        for pause in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            assert_eq!(sink.again(now + (pause - 1) * MS), None, "before {pause} ms");
            now += pause * MS;
            let probe = sink.again(now).expect("one probe");
            assert_eq!((sink.again(now), sink.timeout()), (None, None), "one at a time");
            assert_eq!(sink.answered(now, probe, Answer::Full), None);
        }
        let probe = sink.again(now + 1_000 * MS).expect("a probe");
        assert_eq!(sink.answered(now, probe, Answer::Stored(false)), None);
        assert!(sink.again(now).is_some(), "the next goes at once");
    }

    #[test]
    fn a_message_that_nobody_answers_comes_back_when_patience_is_over() {
        let (mut sink, now) = (Unconfirmed::new(3, 500 * MS), Instant::now());
        sink.sent();
        assert_eq!(sink.answered(now, 'a', Answer::Unanswered), None);
        assert_eq!(sink.again(now + 20 * MS), Some('a'));
        assert_eq!(sink.answered(now + 499 * MS, 'a', Answer::Unanswered), None);
        assert_eq!(sink.again(now + 600 * MS), Some('a'));
        assert_eq!(sink.answered(now + 600 * MS, 'a', Answer::Unanswered), Some('a'));
        assert!(sink.is_empty() && sink.counts().balances());
        sink.sent();
        assert_eq!(sink.answered(now, 'b', Answer::Refused), Some('b'), "at once");
    }

    #[test]
    fn w3_the_others_are_tried_after_one_that_is_handed_back() {
        for answer in [Answer::Refused, Answer::Unanswered] {
            let (mut sink, mut now) = (Unconfirmed::new(3, 500 * MS), Instant::now());
            (0..3).for_each(|_| sink.sent());
            (0..3).for_each(|message| assert_eq!(sink.answered(now, message, Answer::Unanswered), None));
            now += 500 * MS;
            let mut failed = Vec::new();
            while !sink.is_empty() {
                let at = sink.timeout().expect("what waits is tried again");
                now = now.max(at);
                let probe = sink.again(now).expect("it is time");
                failed.extend(sink.answered(now, probe, answer));
            }
            assert_eq!(failed, [0, 1, 2], "{answer:?}");
            assert!(sink.has_room() && sink.counts().balances());
        }
    }

    proptest! {
        #[test]
        fn c1_d3_messages_are_bounded_and_each_has_one_fate(most in 1..9_usize, steps in proptest::collection::vec((0..9_u8, 0..60_u32), 1..200)) {
            let (mut sink, mut now) = (Unconfirmed::new(most, 300 * MS), Instant::now());
            let (mut out, mut next, mut ended) = (VecDeque::new(), 0, Vec::new());
            let drain = steps.iter().map(|_| (0, 2_000)).cycle().take(steps.len() * 20);
            for (step, (act, ms)) in steps.iter().copied().chain(drain).enumerate() {
                now += ms * MS;
                out.extend(sink.again(now));
                if step < steps.len() && sink.has_room() {
                    sink.sent();
                    out.push_back(next);
                    next += 1;
                }
                prop_assert!(out.len() <= most && sink.counts().unconfirmed <= most as u64);
                let answers = [Answer::Stored(false), Answer::Full, Answer::Unanswered, Answer::Refused, Answer::Stored(true)];
                // While some are sent none is answered, so that several are out.
                let message = if act < 5 || step >= steps.len() { out.pop_front() } else { None };
                if let Some(message) = message {
                    let answer = answers[act as usize];
                    let back = sink.answered(now, message, answer);
                    ended.extend(matches!(answer, Answer::Stored(_)).then_some(message).or(back));
                }
                prop_assert!(sink.counts().balances(), "{:?}", sink.counts());
            }
            ended.sort_unstable();
            prop_assert!(sink.is_empty(), "{sink:?}");
            prop_assert_eq!(ended, (0..next).collect::<Vec<_>>());
        }
    }
}
