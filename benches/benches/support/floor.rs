//! What the parts cost that anything of the kind is made of. A row `floor: …` is measured in the same run as the others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use futures_util::task::AtomicWaker;

use super::{Flavor, Group};

/// One part.
#[derive(Clone, Copy)]
pub(crate) enum Floor {
    /// A read-modify-write of an atomic that nobody else touches.
    Atomic,
    /// A lock that nobody else wants, and its release.
    Lock,
    /// A push and a pop of a `VecDeque`.
    Queue,
    /// A push and a pop of a `VecDeque`, each under a lock that nobody else wants.
    LockedQueue,
    /// A look at the clock.
    Clock,
    /// A task that wakes another, and the poll of that one.
    Wake(Flavor),
}

/// Adds a row for each of `floors`: `ops` operations an iteration.
pub(crate) fn floor(group: &mut Group<'_>, floors: &[Floor], ops: u64) {
    for floor in floors {
        match *floor {
            Floor::Atomic => {
                let atomic = AtomicU64::new(0);
                each(group, "floor: atomic add", ops, |n| atomic.fetch_add(n, Ordering::AcqRel));
            }
            Floor::Lock => {
                let mutex = Mutex::new(0);
                each(group, "floor: lock and unlock", ops, |n| *mutex.lock().expect("never poisoned") += n);
            }
            Floor::Queue => {
                let mut queue = VecDeque::from_iter(0..64);
                each(group, "floor: VecDeque push and pop", ops, |n| {
                    queue.push_back(n);
                    queue.pop_front()
                });
            }
            Floor::LockedQueue => {
                let queue = Mutex::new(VecDeque::from_iter(0..64));
                each(group, "floor: VecDeque push and pop, each under a lock", ops, |n| {
                    queue.lock().expect("never poisoned").push_back(n);
                    queue.lock().expect("never poisoned").pop_front()
                });
            }
            Floor::Clock => each(group, "floor: Instant::now", ops, |_| Instant::now()),
            Floor::Wake(flavor) => wake(group, flavor, ops),
        }
    }
}

fn each<R>(group: &mut Group<'_>, name: &str, ops: u64, mut op: impl FnMut(u64) -> R) {
    group.bench_function(name, |b| {
        b.iter(|| {
            for n in 0..ops {
                black_box(op(black_box(n)));
            }
        });
    });
}

/// Two tasks take turns; each wakes the other.
fn wake(group: &mut Group<'_>, flavor: Flavor, ops: u64) {
    #[derive(Default)]
    struct Table {
        turn: AtomicU64,
        waiting: [AtomicWaker; 2],
    }

    async fn play(table: Arc<Table>, me: u64, ops: u64) {
        for turn in (me..ops).step_by(2) {
            poll_fn(|cx| {
                table.waiting[me as usize].register(cx.waker());
                if table.turn.load(Ordering::Acquire) == turn { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            table.turn.store(turn + 1, Ordering::Release);
            table.waiting[1 - me as usize].wake();
        }
    }

    let runtime = flavor.runtime();
    group.bench_function("floor: a task woken by another", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let table = Arc::new(Table::default());
                let other = tokio::spawn(play(table.clone(), 1, ops));
                tokio::spawn(play(table, 0, ops)).await.expect("no panic");
                other.await.expect("no panic");
            });
        });
    });
}
