//! What we set out to reach, and how far this run got.

use crate::comparison::{Case, Comparison};
use crate::run::Run;
use crate::stats::{digits, time};

/// What one case is to reach.
#[derive(Debug)]
struct Target {
    function: &'static str,
    case: &'static str,
    bound: Bound,
    /// What stands in the way where the bound is not kept. Empty where it is.
    why: &'static str,
}

/// What ours is held against. Reached if it is no more.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// A time, in nanoseconds.
    Nanos(f64),
    /// So many nanoseconds more than the row of that name takes.
    Over(&'static str, f64),
    /// So many times what the row of that name takes.
    Times(&'static str, f64),
}

/// A target beside what was reached.
#[derive(Debug, PartialEq)]
pub struct Reached {
    pub name: String,
    pub against: String,
    pub target: String,
    pub reached: String,
    pub is_met: bool,
    /// Why not, where it is not met.
    pub why: &'static str,
}

impl Target {
    const fn new(function: &'static str, case: &'static str, bound: Bound) -> Self {
        Self { function, case, bound, why: "" }
    }

    const fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// What a run says of it that has not measured it.
    fn unmeasured(&self) -> Reached {
        Reached {
            name: format!("{}: {}", self.function, self.case),
            against: String::new(),
            target: String::new(),
            reached: "not measured".into(),
            is_met: false,
            why: "",
        }
    }

    /// `None` if the run lacks one of the rows.
    fn look(&self, comparison: &Comparison<'_>) -> Option<Reached> {
        let (_, case) =
            comparison.cases().find(|(function, case)| *function == self.function && case.name == self.case)?;
        let (value, most, show): (f64, f64, fn(f64) -> String) = match self.bound {
            Bound::Nanos(most) => (case.ours()?.row.nanos(), most, time),
            Bound::Over(other, most) => (over(case, other)?, most, time),
            Bound::Times(other, most) => (case.ours()?.row.by(case.named(other)?.row), most, digits),
        };
        let against = match self.bound {
            Bound::Nanos(_) => String::new(),
            Bound::Over(other, _) => format!("more than {other}"),
            Bound::Times(other, _) => format!("times {other}"),
        };
        let is_met = value <= most;
        Some(Reached {
            name: format!("{}: {}", self.function, self.case),
            against,
            target: show(most),
            reached: show(value),
            is_met,
            why: if is_met { "" } else { self.why },
        })
    }
}

/// How much longer ours takes than the row of that name, round by round like every comparison.
fn over(case: &Case<'_>, other: &str) -> Option<f64> {
    let (ours, other) = (case.ours()?.row, case.named(other)?.row);
    Some((ours.by(other) - 1.0) * other.nanos())
}

/// Every target of a run of all benches; of a run of some, those of which it has the rows.
pub fn reached(run: &Run, comparison: &Comparison<'_>) -> Vec<Reached> {
    let unmeasured = |target: &Target| run.filter.is_none().then(|| target.unmeasured());
    TARGETS.iter().filter_map(|target| target.look(comparison).or_else(|| unmeasured(target))).collect()
}

const HAND_WRITTEN: &str = "mpsc and oneshot by hand";
const TOWER: &str = "tower ConcurrencyLimit";
const ACC: &str = "tower-acc";
const RESERVE_MANY: &str = "tokio mpsc reserve_many, recv_many";
const CHUNKS: &str = "tokio-stream chunks_timeout";

const BY_LOCK: &str = "the two locked instructions of a send's lock are half of a send, and the one by which a receive is counted \
                       most of a receive; strategies that evict, weights and priorities need the lock, and who waits for room \
                       needs the count";
const BY_TURN: &str =
    "a producer that finds the channel full stands in line, with a timer and two looks at the clock, and is woken";
const BY_CALL: &str = "eight locked instructions a call (a place, the waker, a lock each for the call and its answer, a share of \
                       the allocation), and those of the runtime, which wakes and runs a task for each answer";
const BY_PAUSE: &str = "the runtime moves callers from thread to thread, and every call that was made on the other one is a few \
                        cache lines to fetch; while one thread makes a batch the other may run out of callers and fall asleep";
const BY_COUNT: &str = "every call takes a slot and gives it back, and shares the layer with its response: four locked \
                        instructions";
const BY_TASK: &str = "the bare service, which lets the others have a turn, takes a third to a half of the peer's time by itself; on \
                       top come the four locked instructions of every call";

const TARGETS: &[Target] = {
    use Bound::{Nanos, Over, Times};
    &[
        Target::new("send and recv", "one thread, 1 to 1, 8 bytes", Times("tokio mpsc", 0.25)).because(BY_LOCK),
        Target::new("send and recv", "two workers, 1 to 1, 8 bytes", Times("tokio mpsc", 0.4)).because(BY_LOCK),
        Target::new("send and recv", "two workers, 4 to 1, 8 bytes", Times("tokio mpsc", 0.4)).because(BY_TURN),
        Target::new("runs of 64", "one thread, 1 to 1", Times(RESERVE_MANY, 0.3)),
        Target::new("runs of 64", "two workers, 1 to 1", Times(RESERVE_MANY, 0.3)),
        Target::new("drop oldest", "no consumer, 1 producer", Times("ring-channel", 0.85))
            .because("the lock is most of it: with nothing but a pop and a push under it, it takes as long"),
        Target::new("drop oldest", "no consumer, 4 producers", Times("ring-channel", 0.85))
            .because("two threads meet at one lock, which takes from 20 to 170 ns then, whatever is done under it"),
        Target::new("drop newest", "no consumer, 1 producer", Nanos(2.0))
            .because("three loads say that it is full, and the refusal is counted, in a lane of this thread; the peer counts \
                      nothing. The same 39 instructions take 2.8 ns or 4.5, as the code happens to lie"),
        Target::new("micro-batch", "always ready", Times(CHUNKS, 0.75))
            .because("both are about what a push costs; how the code happens to lie moves either by a quarter"),
        Target::new("micro-batch", "pending after each item", Over("the bare stream", 8.0))
            .because("batches without a timer cost 2 to 5; the rest is whether the timer has rung, whether it would wake this task, \
                      and for each batch a look at the clock and an allocation"),
        Target::new("micro-batch", "from a channel, one thread", Times("tokio mpsc, chunks_timeout", 0.45))
            .because("it is the cost of the sends, one by one"),
        Target::new("micro-batch", "from a channel, two workers", Times("tokio mpsc, chunks_timeout", 0.45))
            .because("it is the cost of the sends, one by one"),
        Target::new("batched call", "one thread, 64 callers", Times(HAND_WRITTEN, 0.55)).because(BY_CALL),
        Target::new("batched call", "one thread, 1024 callers", Times(HAND_WRITTEN, 0.55)).because(BY_CALL),
        Target::new("batched call", "two workers, 64 callers", Times(HAND_WRITTEN, 0.67)).because(BY_PAUSE),
        Target::new("batched call", "two workers, 1024 callers", Times(HAND_WRITTEN, 0.67)).because(BY_CALL),
        Target::new("batched call", "1000 requests per second, median", Nanos(2000.0))
            .because("the thread has just been woken from its sleep, and how long its caches take to come back is not \
                      ours: a call by hand moves alike"),
        Target::new("concurrency limit", "one task", Times(TOWER, 0.65)).because(BY_COUNT),
        Target::new("concurrency limit", "64 tasks, 64 slots, one thread", Times(TOWER, 0.2)).because(BY_TASK),
        Target::new("concurrency limit", "64 tasks, 64 slots, two workers", Times(TOWER, 0.4)).because(BY_TASK),
        Target::new("adaptive concurrency limit", "one task", Times(ACC, 0.3)).because(BY_COUNT),
        Target::new("adaptive concurrency limit", "64 tasks, one thread", Times(ACC, 0.3)).because(BY_COUNT),
        Target::new("adaptive concurrency limit", "64 tasks, two workers", Times(ACC, 0.3)).because(BY_COUNT),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::made_up;

    #[test]
    fn what_is_missed_says_why_and_what_is_met_does_not() {
        let run = made_up(&[
            ("send/one/backpressure", &[30.0, 20.0, 32.0]),
            ("send/one/tokio", &[60.0, 40.0, 64.0]),
            ("send/one/floor: a lock", &[20.0, 16.0, 20.0]),
        ]);
        let comparison = Comparison::of(&run.rows);
        let look = |bound| Target::new("send", "one", bound).because("a lock").look(&comparison).unwrap();
        let times = look(Bound::Times("tokio", 0.5));
        assert_eq!((times.reached.as_str(), times.is_met, times.why), ("0.50", true, ""));
        let over = look(Bound::Over("a lock", 9.0));
        assert_eq!((over.reached.as_str(), over.is_met, over.why), ("10.0 ns", false, "a lock"));
        let nanos = look(Bound::Nanos(29.0));
        assert_eq!((nanos.target.as_str(), nanos.reached.as_str(), nanos.is_met), ("29.0 ns", "30.0 ns", false));
    }

    #[test]
    fn a_run_of_some_benches_has_their_targets_only() {
        let mut run = made_up(&[("send/one/backpressure", &[30.0])]);
        let comparison = Comparison::of(&run.rows);
        assert_eq!(Target::new("send", "one", Bound::Times("tokio", 0.5)).look(&comparison), None);
        assert_eq!(Target::new("send", "two", Bound::Nanos(1.0)).look(&comparison), None);
        let unmeasured = reached(&run, &comparison);
        assert_eq!(unmeasured.len(), TARGETS.len());
        assert!(unmeasured.iter().all(|it| it.reached == "not measured" && !it.is_met));
        run.filter = Some("send".into());
        assert!(reached(&run, &Comparison::of(&run.rows)).is_empty());
    }
}
