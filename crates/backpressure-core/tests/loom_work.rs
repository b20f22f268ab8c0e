//! Where the time goes, under every interleaving of those who tell and those who look, through the public API.
#![cfg(backpressure_loom)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backpressure_core::{Activity, AdmissionMeter, BackpressureConfig, Gauge, Recorder, WorkTimes};
use loom::thread;

const SECOND: Duration = Duration::from_secs(1);

static SECONDS: AtomicU64 = AtomicU64::new(0);

/// Stands still while threads run. The models of one process run one after the other.
fn clock() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_secs(SECONDS.load(Ordering::Relaxed))
}

fn a_second_passes() {
    SECONDS.fetch_add(1, Ordering::Relaxed);
}

/// One model at a time: they share the clock.
fn model(run: impl Fn() + Sync + Send + 'static) {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock();
    loom::model(move || {
        SECONDS.store(0, Ordering::Relaxed);
        run();
    });
}

fn part() -> Recorder {
    Recorder::new(&BackpressureConfig::default(), clock, false)
}

fn work(gauge: &Gauge) -> WorkTimes {
    gauge.snapshot().work.expect("it has told, and is timed")
}

/// How the next second is spent, once all threads are done.
fn in_the_next_second(gauge: &Gauge) -> [u64; 3] {
    let before = work(gauge);
    a_second_passes();
    let spent = work(gauge).since(&before);
    [spent.idle, spent.busy, spent.blocked].map(|time| time.as_secs())
}

const IDLE: [u64; 3] = [1, 0, 0];
const BUSY: [u64; 3] = [0, 1, 0];
const BLOCKED: [u64; 3] = [0, 0, 1];

#[test]
fn a_part_that_begins_to_work_as_somebody_begins_to_wait_is_blocked() {
    model(|| {
        let (mut front, behind) = (part(), part());
        let gauge = front.gauge();
        front.works(Activity::IDLE);
        gauge.feeds(&behind.gauge());
        let reporter = behind.reporter();
        let waits = thread::spawn(move || reporter.producer_waits());
        front.works(Activity::BUSY);
        waits.join().unwrap();
        assert_eq!(in_the_next_second(&gauge), BLOCKED);
    });
}

#[test]
fn a_part_is_not_blocked_any_more_once_nobody_waits() {
    model(|| {
        let (mut front, behind) = (part(), part());
        let gauge = front.gauge();
        front.works(Activity::BUSY);
        gauge.feeds(&behind.gauge());
        let waits = [behind.reporter(), behind.reporter()].map(|reporter| {
            thread::spawn(move || {
                reporter.producer_waits();
                reporter.producer_waited();
            })
        });
        waits.into_iter().for_each(|wait| wait.join().unwrap());
        assert_eq!(in_the_next_second(&gauge), BUSY);
    });
}

#[test]
fn a_link_that_comes_as_somebody_begins_to_wait_is_not_missed() {
    model(|| {
        let (mut front, behind) = (part(), part());
        let [gauge, next] = [front.gauge(), behind.gauge()];
        front.works(Activity::BUSY);
        next.time_work();
        let reporter = behind.reporter();
        let waits = thread::spawn(move || reporter.producer_waits());
        gauge.feeds(&next);
        waits.join().unwrap();
        assert_eq!(in_the_next_second(&gauge), BLOCKED);
    });
}

#[test]
fn an_edge_that_comes_as_the_timing_begins_is_made_up_for_by_the_next_look() {
    model(|| {
        let mut recorder = part();
        let gauge = recorder.gauge();
        let timed = gauge.clone();
        let asks = thread::spawn(move || timed.time_work());
        recorder.works(Activity::BUSY);
        asks.join().unwrap();
        assert_eq!(in_the_next_second(&gauge), BUSY);
    });
}

#[test]
fn m2_a_look_amid_an_edge_tells_all_the_time_that_has_passed_once() {
    model(|| {
        let mut recorder = part();
        let gauge = recorder.gauge();
        gauge.time_work();
        recorder.works(Activity::IDLE);
        a_second_passes();
        let edge = thread::spawn(move || recorder.works(Activity::BUSY));
        let seen = work(&gauge);
        assert_eq!((seen.idle, seen.total()), (SECOND, SECOND));
        edge.join().unwrap();
    });
}

#[test]
fn calls_that_come_and_go_at_once_leave_the_part_as_it_is() {
    for kept in [false, true] {
        model(move || {
            let calls = std::sync::Arc::new(AdmissionMeter::new(2, clock));
            let gauge = calls.gauge();
            gauge.time_work();
            let others = std::sync::Arc::clone(&calls);
            let other = thread::spawn(move || {
                assert!(others.try_take().is_some());
                others.give_back();
            });
            assert!(calls.try_take().is_some());
            if !kept {
                calls.give_back();
            }
            other.join().unwrap();
            assert_eq!(in_the_next_second(&gauge), if kept { BUSY } else { IDLE });
        });
    }
}
