//! What watching costs those who are watched.

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Instant;

use backpressure_core::{Activity, BackpressureConfig, BoundedBuffer, Moved, Recorder, Tag};
use backpressure_metrics::Registry;

thread_local! {
    static READS: Cell<usize> = const { Cell::new(0) };
}

fn clock() -> Instant {
    READS.set(READS.get() + 1);
    Instant::now()
}

fn reads(act: impl FnOnce()) -> usize {
    let before = READS.get();
    act();
    READS.get() - before
}

#[test]
fn m3_a_registered_part_reads_no_clock_per_item_and_an_observation_one_for_each_part() {
    let config = BackpressureConfig::builder().capacity(100).build().unwrap();
    let mut buffer = BoundedBuffer::new(&config);
    let mut recorder = Recorder::new(&config, clock, false);
    let registry = Registry::new();
    registry.add("queue", recorder.gauge()).unwrap();
    registry.observe(Instant::now());
    let per_item = reads(|| {
        for _ in 0..1000 {
            assert!(buffer.push(()).is_ok());
            assert!(!recorder.pushed(&buffer));
            recorder.works(Activity::BUSY);
            assert!(buffer.pop().is_some());
            assert!(!recorder.popped(&buffer));
        }
    });
    assert_eq!(per_item, 1, "the one edge: from nothing to busy");
    assert_eq!(reads(|| drop(registry.observe(Instant::now()))), 1);
}

#[test]
fn a_scrape_goes_on_while_somebody_holds_the_lock_of_a_part() {
    let config = BackpressureConfig::builder().capacity(100).build().unwrap();
    let recorder = Recorder::new(&config, Instant::now, false);
    let registry = Registry::new();
    registry.add("queue", recorder.gauge()).unwrap();
    let part = Mutex::new((BoundedBuffer::new(&config), recorder));
    let mut held = part.lock().unwrap();
    let scrape = || registry.observe(Instant::now()).part("queue").unwrap().counts().unwrap().queued;
    let queued = std::thread::scope(|scope| {
        let (buffer, recorder) = &mut *held;
        assert!(buffer.offer((), Tag::default()).is_accepted());
        let _ = recorder.update(buffer, Moved::NOTHING);
        scope.spawn(scrape).join().unwrap()
    });
    assert_eq!(queued, 1);
    drop(held);
}
