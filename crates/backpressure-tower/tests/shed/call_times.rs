//! How long calls take, as a limiter's gauge tells it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use backpressure_core::CallTimes;
use backpressure_core::limit::{Fixed, Level, Outcome};
use backpressure_tower::{Limiter, Permit};
use tokio::time::advance;

const MS: Duration = Duration::from_millis(1);

fn admit(limiter: &Limiter) -> Permit {
    limiter.try_admit(Level::default()).expect("there is room")
}

fn times(limiter: &Limiter) -> Option<CallTimes> {
    limiter.gauge().snapshot().calls.map(|calls| *calls)
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_answered_are_timed_from_the_first_look_on() {
    let limiter = Limiter::fixed(10).unwrap();
    admit(&limiter).finish(Outcome::Success);
    assert_eq!(times(&limiter), None, "nobody had looked");
    for outcome in [Outcome::Success, Outcome::Overload, Outcome::Ignored, Outcome::TimedOut] {
        let (mut permit, cancelled) = (admit(&limiter), admit(&limiter));
        advance(4 * MS).await;
        permit.answered(outcome);
        advance(100 * MS).await;
        drop((permit, cancelled));
    }
    let times = times(&limiter).unwrap();
    assert_eq!(times.durations.count(), 4, "a call that is cancelled has no answer");
    assert!(times.durations.sum().abs_diff(16 * MS) < MS / 100, "what is sent after the answer does not count");
    for quantile in [times.p50, times.p99] {
        assert!(quantile.unwrap().abs_diff(4 * MS) <= MS / 4, "{quantile:?}");
    }
    advance(Duration::from_secs(30)).await;
    let later = self::times(&limiter).unwrap();
    assert_eq!((later.p99, later.durations.count()), (None, 4), "the recent past is over");
}

#[test]
fn m3_a_limiter_that_is_looked_at_reads_the_clock_no_more_often() {
    thread_local! {
        static READS: Cell<usize> = const { Cell::new(0) };
        static NOW: Instant = Instant::now();
    }
    fn clock() -> Instant {
        READS.set(READS.get() + 1);
        NOW.with(|&now| now)
    }
    let reads = |limiter: &Limiter| {
        let before = READS.get();
        (0..100).for_each(|_| admit(limiter).finish(Outcome::Success));
        READS.get() - before
    };
    let limiter = || Limiter::builder().limit(Fixed::new(1000).unwrap()).clock(clock).build();
    let (unwatched, watched) = (limiter(), limiter());
    watched.gauge().snapshot();
    let without = reads(&unwatched);
    assert_eq!(reads(&watched), without);
    assert!(without > 0 && watched.gauge().snapshot().calls.is_some());
}
