//! What the strategy says, for those who ask without the lock.

use std::time::Duration;

use backpressure_core::{BackpressureConfig, Hooks, Strategy};
use backpressure_rt::sync::{AtomicU64, AtomicUsize, Ordering, fence};

/// Set while a full channel discards what is offered; otherwise it hands it back.
const DISCARDS: usize = 1;
/// Set while there are hooks that want to know what a full channel answers by itself.
const TELLS: usize = 1 << 1;
/// Set while an offer to a full channel is for the buffer to answer.
const ASKS: usize = 1 << 2;
/// Set while producers are made to wait.
const WAITS: usize = 1 << 3;
/// The bits below count nothing; those from here on count the changes.
const CHANGE: usize = 1 << 4;

#[derive(Debug)]
pub(crate) struct Rules {
    /// What comes of an offer to a full channel, whether producers wait, and how often that has changed.
    word: AtomicUsize,
    /// In nanoseconds. Whoever does not wait reads it as endless.
    max_wait: AtomicU64,
    /// Whether items expire: room may come without anybody who says so, so the buffer has to be asked.
    expires: bool,
}

/// The word as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(usize);

impl Seen {
    /// Whether an offer to a full channel is for the buffer to answer.
    #[inline]
    pub(crate) const fn asks(self) -> bool {
        self.0 & ASKS != 0
    }

    /// Whether there are hooks that want to know of that.
    #[inline]
    pub(crate) const fn tells(self) -> bool {
        self.0 & TELLS != 0
    }

    /// Whether a full channel discards what is offered, and does not hand it back.
    #[inline]
    pub(crate) const fn discards(self) -> bool {
        self.0 & DISCARDS != 0
    }
}

impl Rules {
    pub(crate) fn new<T>(config: &BackpressureConfig, hooks: &Hooks<T>, expires: bool) -> Self {
        let word = AtomicUsize::new(bits(config, hooks, expires));
        Self { word, max_wait: AtomicU64::new(longest(config.strategy())), expires }
    }

    #[inline]
    pub(crate) fn look(&self) -> Seen {
        // Acquire: pairs with the last store in `replace`. Who sees the rules sees the bounds that go with them.
        Seen(self.word.load(Ordering::Acquire))
    }

    /// Whether these were the rules all the time since they were seen, and the bounds those that go with them.
    #[inline]
    pub(crate) fn are_still(&self, seen: Seen) -> bool {
        // Acquire: pairs with the fence in `replace`. Who saw one of the new bounds sees that the rules change.
        fence(Ordering::Acquire);
        self.word.load(Ordering::Relaxed) == seen.0
    }

    /// Whether producers are made to wait.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WAITS != 0
    }

    pub(crate) fn max_wait(&self) -> Duration {
        match self.max_wait.load(Ordering::Relaxed) {
            u64::MAX => Duration::MAX,
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Changes the rules, and the bounds by what `publish` does. Whoever looks meanwhile has to ask the buffer. One at a time.
    pub(crate) fn replace<T, R>(
        &self,
        config: &BackpressureConfig,
        hooks: &Hooks<T>,
        publish: impl FnOnce() -> R,
    ) -> R {
        let changes = self.word.load(Ordering::Relaxed) & !(CHANGE - 1);
        self.word.store(changes.wrapping_add(CHANGE) | ASKS, Ordering::Relaxed);
        // Release: pairs with the fence in `are_still`.
        fence(Ordering::Release);
        let published = publish();
        self.max_wait.store(longest(config.strategy()), Ordering::Relaxed);
        // Release: pairs with the load in `look`.
        self.word.store(changes.wrapping_add(2 * CHANGE) | bits(config, hooks, self.expires), Ordering::Release);
        published
    }
}

/// Where the capacity follows the time the buffer is asked, too: what is held and how much may be are read one after the other, and
/// a channel that was never full could look so.
fn bits<T>(config: &BackpressureConfig, hooks: &Hooks<T>, expires: bool) -> usize {
    let (strategy, asks) = (config.strategy(), expires || config.capacity_within().is_some());
    let tells = if hooks.is_empty() { 0 } else { TELLS };
    let waits = if matches!(strategy, Strategy::Block { .. }) { WAITS } else { 0 };
    waits
        | match strategy {
            _ if asks => ASKS,
            Strategy::Block { .. } | Strategy::Reject => tells,
            Strategy::DropNewest => DISCARDS | tells,
            _ => ASKS,
        }
}

fn longest(strategy: Strategy) -> u64 {
    match strategy {
        Strategy::Block { max_wait } => u64::try_from(max_wait.as_nanos()).unwrap_or(u64::MAX),
        _ => u64::MAX,
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use backpressure_core::Capacity;

    use super::*;

    #[test]
    fn c1_whether_a_channel_is_full_is_asked_where_its_capacity_moves() {
        let fixed = BackpressureConfig::builder().batch_items(1).strategy(Strategy::Reject);
        let moving = fixed.clone().capacity_within(Capacity::within(Duration::from_millis(100))).build().unwrap();
        let fixed = fixed.capacity(10).build().unwrap();
        let hooks = Hooks::<u32>::NONE;
        let rules = Rules::new(&fixed, &hooks, false);
        assert!(!rules.look().asks());
        rules.replace(&moving, &hooks, || ());
        assert!(rules.look().asks());
        rules.replace(&fixed, &hooks, || ());
        assert!(!rules.look().asks());
        assert!(Rules::new(&moving, &hooks, false).look().asks() && Rules::new(&fixed, &hooks, true).look().asks());
    }
}
