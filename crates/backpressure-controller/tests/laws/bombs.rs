//! Things that panic when they are dropped, and a flush target that takes care of them.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backpressure_controller::{BackpressureController, FlushOutcome};
use futures_util::FutureExt;

pub(crate) type Controller = BackpressureController<Bomb>;
pub(crate) type Answer = Result<FlushOutcome<Bomb, Bomb>, Bomb>;

/// Panics when it is dropped, unless it was defused. Counts those that exist.
pub(crate) struct Bomb {
    pub(crate) number: u32,
    alive: Arc<AtomicUsize>,
    live: bool,
}

impl Bomb {
    pub(crate) fn defuse(mut self) {
        self.live = false;
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        self.alive.fetch_add(1, Ordering::SeqCst);
        Self { number: self.number, alive: Arc::clone(&self.alive), live: self.live }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
        assert!(!self.live, "a careless drop");
    }
}

/// A flush target's own batch, which it takes care of.
pub(crate) struct Batch(pub(crate) Vec<Bomb>);

impl Drop for Batch {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Bomb::defuse);
    }
}

/// Makes bombs, and knows how many exist.
#[derive(Clone, Default)]
pub(crate) struct Arsenal(Arc<AtomicUsize>);

impl Arsenal {
    pub(crate) fn bomb(&self, number: u32) -> Bomb {
        self.0.fetch_add(1, Ordering::SeqCst);
        Bomb { number, alive: Arc::clone(&self.0), live: true }
    }

    pub(crate) fn throw(&self) -> ! {
        panic_any(self.bomb(9))
    }

    pub(crate) fn push(&self, controller: &Controller, items: u32) {
        (0..items)
            .for_each(|number| assert!(controller.try_push(self.bomb(number)).is_ok_and(|sent| sent.is_accepted())));
    }

    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.0.load(Ordering::SeqCst), 0, "each was dropped once");
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Deliver,
    Fail,
    /// The first items failed; with more than there are, some are invented.
    Partial(u32),
    Panic,
    /// It panics with a bomb.
    Throw,
    /// It forgets to defuse an item.
    Careless,
    Never,
}

/// A target that does this with its first batches, and delivers the others.
pub(crate) fn target(arsenal: &Arsenal, acts: impl IntoIterator<Item = Act>) -> impl Flush {
    let (arsenal, mut acts) = (arsenal.clone(), VecDeque::from_iter(acts));
    move |items| perform(acts.pop_front().unwrap_or(Act::Deliver), Batch(items), arsenal.clone()).boxed()
}

pub(crate) trait Flush:
    FnMut(Vec<Bomb>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + 'static
{
}

impl<F> Flush for F where F: FnMut(Vec<Bomb>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + 'static {}

async fn perform(act: Act, mut batch: Batch, arsenal: Arsenal) -> Answer {
    match act {
        Act::Deliver => Ok(FlushOutcome::delivered()),
        Act::Fail => Err(arsenal.bomb(0)),
        Act::Partial(items) => {
            let mut failed: Vec<_> = batch.0.drain(..batch.0.len().min(items as usize)).collect();
            failed.extend((failed.len() as u32..items).map(|number| arsenal.bomb(number)));
            Ok(FlushOutcome::partial(failed.into_iter().map(|item| (item, arsenal.bomb(1))).collect()))
        }
        Act::Panic => panic!("as told"),
        Act::Throw => panic_any(arsenal.bomb(2)),
        Act::Careless => {
            drop(batch.0.pop());
            Ok(FlushOutcome::delivered())
        }
        Act::Never => pending().await,
    }
}
