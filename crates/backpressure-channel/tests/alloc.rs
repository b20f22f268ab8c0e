//! What the channel allocates once it is warm: nothing.

#[path = "support/mod.rs"]
mod support;

use backpressure_channel::{Builder, Demand, SendError, Sent};
use backpressure_core::{Priority, Strategy};

use support::{READY, STRATEGIES, SinkPolls, Task, Wakes, balanced, blocking, built, config, fill, open};

const ITEMS: u32 = 10_000;

/// Runs it once to warm up, then once more, and answers how often that allocated and what it kept.
fn allocations(mut work: impl FnMut()) -> (u64, i64) {
    work();
    let counted = allocation_counter::measure(&mut work);
    (counted.count_total, counted.bytes_current)
}

#[test]
fn c6_a_million_refused_offers_allocate_nothing_and_keep_nothing() {
    for strategy in [Strategy::block(), Strategy::Reject, Strategy::DropNewest, Strategy::DropLowest] {
        let (tx, rx) = open(1, strategy);
        fill(&tx, [0]);
        let counted = allocation_counter::measure(|| {
            for n in 0..1_000_000 {
                assert!(matches!(tx.try_send(n), Err(SendError::Full(_)) | Ok(Sent::Dropped(_))));
            }
        });
        assert_eq!((counted.count_total, counted.bytes_current), (0, 0), "{strategy}");
        let counts = balanced(&rx.gauge());
        assert_eq!((counts.received, counts.queued), (1_000_001, 1), "{strategy}");
    }
}

#[test]
fn c6_a_million_evictions_allocate_nothing_and_keep_nothing() {
    let (tx, rx) = open(100, Strategy::DropOldest);
    fill(&tx, 0..100);
    let counted = allocation_counter::measure(|| {
        for n in 0..1_000_000 {
            assert!(matches!(tx.try_send(n), Ok(Sent::Evicting(_))));
        }
    });
    assert_eq!((counted.count_total, counted.bytes_current), (0, 0));
    assert_eq!(balanced(&rx.gauge()).evicted(), 1_000_000);
}

#[test]
fn m3_sending_and_receiving_allocate_nothing_per_item() {
    for strategy in STRATEGIES {
        let (tx, mut rx) = open(64, strategy);
        let mut out = Vec::new();
        let spent = allocations(|| {
            for n in 0..ITEMS {
                let _ = tx.try_send(n);
                if n % 3 == 0 {
                    rx.try_recv();
                }
                if n % 60 == 0 {
                    out.clear();
                    rx.try_recv_many(&mut out, 64, usize::MAX);
                }
            }
        });
        assert_eq!(spent, (0, 0), "{strategy}");
    }
}

#[test]
fn m3_runs_allocate_nothing() {
    // A sample, and a rank, have to be asked about each item: what they refuse is gathered.
    for strategy in [Strategy::block_forever(), Strategy::Reject, Strategy::DropOldest, Strategy::DropNewest] {
        let (tx, mut rx) = open(64, strategy);
        let (mut run, mut out) = (Vec::with_capacity(50), Vec::with_capacity(64));
        let spent = allocations(|| {
            for _ in 0..ITEMS / 50 {
                run.clear();
                run.extend(0..50);
                let _ = tx.try_send_many(&mut run);
                out.clear();
                rx.try_recv_many(&mut out, 40, usize::MAX);
            }
        });
        assert_eq!(spent, (0, 0), "{strategy}");
    }
}

#[test]
fn m3_a_weight_and_a_priority_cost_no_allocation_either() {
    let config = built(config(64, Strategy::DropLowest).max_weight(1000));
    let (tx, mut rx) = Builder::new(config)
        .weigh_by(|_: &u32| 20)
        .rank_by(|&n| Priority::new((n % 8) as u8))
        .on_drop(|_, _| {})
        .build();
    let spent = allocations(|| {
        for n in 0..ITEMS {
            let _ = tx.try_send(n);
            if n % 3 == 0 {
                rx.try_recv();
            }
        }
    });
    assert_eq!(spent, (0, 0));
    let counts = balanced(&rx.gauge());
    assert!(counts.evicted() > 0 && counts.dropped() > 0, "{counts:?}");
}

#[test]
fn m3_waiting_allocates_nothing_once_as_many_have_waited_before() {
    let (tx, mut rx) = blocking(1);
    let mut sink = tx.clone();
    let (producer, consumer) = (Wakes::default(), Wakes::default());
    let spent = allocations(|| {
        for n in 0..ITEMS {
            assert_eq!(sink.ready(&producer), READY);
            let mut blocked = std::pin::pin!(tx.send(n));
            assert!(producer.poll(blocked.as_mut()).is_pending());
            assert_eq!(sink.start(n), Ok(()));
            assert!(consumer.run(|cx| rx.poll_recv(cx)).is_ready());
            assert!(producer.poll(blocked.as_mut()).is_ready());
            assert!(consumer.run(|cx| rx.poll_recv(cx)).is_ready());
            assert!(consumer.run(|cx| rx.poll_demand(cx, Demand::ANY)).is_pending());
        }
    });
    assert_eq!(spent, (0, 0));
}

#[test]
fn m3_a_send_that_need_not_wait_sets_no_timer() {
    let (tx, mut rx) = open(1, Strategy::block());
    let wakes = Wakes::default();
    let spent = allocations(|| {
        for n in 0..ITEMS {
            assert!(wakes.poll(std::pin::pin!(tx.send(n))).is_ready());
            assert_eq!(rx.try_recv(), Some(n));
        }
    });
    assert_eq!(spent, (0, 0));
}

#[test]
fn d6_a_huge_capacity_is_not_allocated_ahead() {
    let counted = allocation_counter::measure(|| {
        let (tx, rx) = open::<[u64; 100]>(usize::MAX, Strategy::Reject);
        drop((tx, rx));
    });
    assert!(counted.bytes_max < 64 * 1024, "{counted:?}");
    assert_eq!(counted.bytes_current, 0);
}

#[test]
fn t6_an_ended_channel_has_given_back_all_its_memory() {
    let counted = allocation_counter::measure(|| {
        for strategy in STRATEGIES {
            let (tx, rx) = open(16, strategy);
            (0..20_u32).for_each(|n| support::ignore(tx.try_send(n)));
            let gauge = tx.gauge();
            let mut blocked: Vec<_> = (0..10).map(|n| Task::new(tx.send(n))).collect();
            blocked.iter_mut().for_each(|task| support::ignore(task.poll()));
            drop((rx, blocked, gauge));
        }
    });
    assert_eq!((counted.count_current, counted.bytes_current), (0, 0));
}
