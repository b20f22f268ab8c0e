//! Virtual time: a queue of what happens next, and a clock that shows when that is.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Nanoseconds since the start of a run.
pub type Nanos = u64;

pub const MS: Nanos = 1_000_000;
pub const SECOND: Nanos = 1000 * MS;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static NOW: Cell<Nanos> = const { Cell::new(0) };
}

/// The time of the run on this thread: the [`Clock`](backpressure_core::Clock) of its limiter.
pub fn now() -> Instant {
    *EPOCH + Duration::from_nanos(NOW.get())
}

/// The nanoseconds of an instant that [`now`] has answered, or will.
pub fn nanos(instant: Instant) -> Nanos {
    instant.saturating_duration_since(*EPOCH).as_nanos() as Nanos
}

/// Events in order of their time, and those of one time in the order in which they were scheduled. It sets the clock of its
/// thread, so there is one of them in a thread at a time.
#[derive(Debug)]
pub struct Agenda<E> {
    sequence: u64,
    events: BinaryHeap<Reverse<(Nanos, u64, E)>>,
}

impl<E: Ord> Agenda<E> {
    pub fn new() -> Self {
        NOW.set(0);
        Self { sequence: 0, events: BinaryHeap::new() }
    }

    pub fn now(&self) -> Nanos {
        NOW.get()
    }

    pub fn at(&mut self, time: Nanos, event: E) {
        self.sequence += 1;
        self.events.push(Reverse((time.max(self.now()), self.sequence, event)));
    }

    pub fn after(&mut self, delay: Nanos, event: E) {
        self.at(self.now().saturating_add(delay), event);
    }

    /// Goes on to the next event.
    pub fn next(&mut self) -> Option<E> {
        let Reverse((time, _, event)) = self.events.pop()?;
        NOW.set(time);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_scheduling_and_move_the_clock() {
        let mut agenda = Agenda::new();
        agenda.after(20, 'c');
        agenda.after(10, 'b');
        agenda.at(10, 'a');
        assert_eq!(agenda.next(), Some('b'));
        assert_eq!((agenda.now(), nanos(now())), (10, 10));
        agenda.at(5, 'd');
        assert_eq!([agenda.next(), agenda.next(), agenda.next()], [Some('a'), Some('d'), Some('c')]);
        assert_eq!(agenda.next(), None);
    }
}
