//! Producers that send and reserve: the futures, and what the model says about polling and dropping them.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use backpressure_channel::{SendError, Sender};
use backpressure_core::Strategy;

use crate::item::{Item, answer};
use crate::model::{Answer, Fate, Key, Model, NoSlot, Standing};
use crate::steps::Load;
use crate::support::Wakes;

/// What a task has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent(Answer),
    Refused(Answer),
    /// The permit was let go.
    Released,
}

/// What to do with a permit, once somebody has said so.
type Order = Rc<RefCell<Option<Option<Item>>>>;

#[derive(Debug)]
enum Stage {
    Sending {
        id: usize,
        load: Load,
        asked: bool,
    },
    Reserving,
    /// Holds a permit, with a slot or without.
    Holding {
        slot: bool,
    },
}

pub(crate) struct Task {
    pub(crate) key: Key,
    pub(crate) producer: usize,
    pub(crate) wakes: Wakes,
    future: Pin<Box<dyn Future<Output = Outcome>>>,
    order: Order,
    stage: Stage,
    polled_at: usize,
}

impl Task {
    pub(crate) fn send(key: Key, producer: usize, tx: Rc<Sender<Item>>, item: Item) -> Self {
        let stage = Stage::Sending { id: item.id, load: item.load, asked: false };
        Self::new(key, producer, stage, |_| Box::pin(async move { Outcome::Sent(answer(tx.send(item).await)) }))
    }

    pub(crate) fn reserve(key: Key, producer: usize, tx: Rc<Sender<Item>>) -> Self {
        Self::new(key, producer, Stage::Reserving, |order: Order| {
            Box::pin(async move {
                let permit = match tx.reserve().await {
                    Ok(permit) => permit,
                    Err(error) => return Outcome::Refused(refused(&error)),
                };
                let ordered = std::future::poll_fn(|_| order.take().map_or(Poll::Pending, Poll::Ready)).await;
                ordered.map_or(Outcome::Released, |item| Outcome::Sent(answer(permit.send(item))))
            })
        })
    }

    fn new(
        key: Key,
        producer: usize,
        stage: Stage,
        future: impl FnOnce(Order) -> Pin<Box<dyn Future<Output = Outcome>>>,
    ) -> Self {
        let order = Order::default();
        let future = future(Rc::clone(&order));
        Self { key, producer, wakes: Wakes::default(), future, order, stage, polled_at: 0 }
    }

    pub(crate) const fn holds_permit(&self) -> bool {
        matches!(self.stage, Stage::Holding { .. })
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.count() > self.polled_at
    }

    pub(crate) fn order(&self, item: Option<Item>) {
        self.order.replace(Some(item));
    }

    /// Polls the future and the model; they agree. Answers whether the task is done.
    pub(crate) fn poll(&mut self, model: &mut Model) -> bool {
        self.polled_at = self.wakes.count();
        let ordered = self.order.borrow().as_ref().map(|item| item.as_ref().map(|item| (item.id, item.load)));
        let expected = match self.stage {
            Stage::Sending { id, load, asked } => {
                self.stage = Stage::Sending { id, load, asked: true };
                model.poll_send(self.key, id, load, asked).map(Outcome::Sent)
            }
            Stage::Reserving => match model.poll_reserve(self.key) {
                Poll::Ready(Ok(slot)) => {
                    self.stage = Stage::Holding { slot };
                    Poll::Pending
                }
                Poll::Ready(Err(answer)) => Poll::Ready(Outcome::Refused(answer)),
                Poll::Pending => Poll::Pending,
            },
            Stage::Holding { slot } => match ordered {
                None => Poll::Pending,
                Some(None) => {
                    model.drop_permit(slot);
                    Poll::Ready(Outcome::Released)
                }
                Some(Some((id, load))) => Poll::Ready(Outcome::Sent(model.use_permit(slot, id, load))),
            },
        };
        assert_eq!(self.wakes.poll(self.future.as_mut()), expected, "{:?}", self.stage);
        expected.is_ready()
    }

    /// Drops the future, and says so to the model.
    pub(crate) fn drop(self, model: &mut Model) {
        match self.stage {
            Stage::Sending { id, load, .. } => {
                model.fates[id] = Fate::Cancelled;
                model.leave_line(self.key, load.weight);
            }
            Stage::Reserving => model.leave_line(self.key, 1),
            Stage::Holding { slot } => model.drop_permit(slot),
        }
    }
}

pub(crate) fn refused(error: &SendError<()>) -> Answer {
    match error {
        SendError::Full(()) => Answer::Full,
        SendError::TimedOut(()) => Answer::TimedOut,
        SendError::Closed(()) => Answer::Closed,
        error => panic!("an answer that the model does not know: {error}"),
    }
}

impl Model {
    fn poll_send(&mut self, key: Key, id: usize, load: Load, mut asked: bool) -> Poll<Answer> {
        loop {
            if !asked {
                let answer = self.offer(id, load);
                if answer != Answer::Full || !self.lets_wait(load.weight) {
                    return Poll::Ready(self.reported(id, answer));
                }
            }
            let answer = match self.poll_patiently(key, load.weight, false) {
                Poll::Ready(Ok(())) => self.fill(id, load, load.weight),
                Poll::Ready(Err(NoSlot::Answered(answer))) => answer,
                Poll::Ready(Err(NoSlot::Dismissed)) => {
                    asked = false;
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
            return Poll::Ready(self.reported(id, answer));
        }
    }

    /// Whether there is a slot with the permit, once there is one.
    fn poll_reserve(&mut self, key: Key) -> Poll<Result<bool, Answer>> {
        loop {
            if !self.blocks() && !self.stands(key) {
                return Poll::Ready(if self.closed { Err(Answer::Closed) } else { Ok(false) });
            }
            return match self.poll_patiently(key, 1, true) {
                Poll::Ready(Err(NoSlot::Dismissed)) => continue,
                Poll::Ready(Err(NoSlot::Answered(answer))) => Poll::Ready(Err(answer)),
                slot => slot.map(|_| Ok(true)),
            };
        }
    }

    /// The longest wait is the one of the strategy under which the wait began.
    fn poll_patiently(&mut self, key: Key, weight: usize, is_kept: bool) -> Poll<Result<(), NoSlot>> {
        let slot = self.poll_slot(key, weight, is_kept);
        if slot.is_pending() {
            let impatient = self.rules.strategy == (Strategy::Block { max_wait: Duration::ZERO });
            if *self.impatient.entry(key).or_insert(impatient) {
                self.leave_line(key, weight);
                return Poll::Ready(Err(NoSlot::Answered(Answer::TimedOut)));
            }
        }
        slot
    }

    pub(crate) fn stands(&self, key: Key) -> bool {
        self.line.iter().any(|&(other, ..)| other == key)
    }

    /// A slot for this one, in its turn.
    pub(crate) fn poll_slot(&mut self, key: Key, weight: usize, is_kept: bool) -> Poll<Result<(), NoSlot>> {
        let stands = self.stands(key);
        if self.closed {
            self.leave_line(key, weight);
            return Poll::Ready(Err(NoSlot::Answered(Answer::Closed)));
        }
        if self.line.contains(&(key, weight, Standing::Dismissed)) {
            self.leave_line(key, weight);
            return Poll::Ready(Err(NoSlot::Dismissed));
        }
        if !stands && self.nobody_in_line() && self.fits(weight) {
            self.reserve(weight);
        } else {
            if !stands && !self.lets_wait(weight) {
                return Poll::Ready(Err(NoSlot::Dismissed));
            }
            if !stands {
                self.join_line(key, weight);
            }
            let served = self.line.iter().position(|&(other, _, is)| other == key && is == Standing::Served);
            let Some(place) = served else { return Poll::Pending };
            self.line.remove(place);
        }
        if is_kept {
            self.keep(weight);
        }
        Poll::Ready(Ok(()))
    }

    /// Gives up a place in line, and the slot that may come with it.
    pub(crate) fn leave_line(&mut self, key: Key, weight: usize) {
        let Some(place) = self.line.iter().position(|&(other, ..)| other == key) else { return };
        let (.., standing) = self.line.remove(place);
        if standing == Standing::Served {
            self.release(weight);
        }
        self.settle();
    }

    pub(crate) fn use_permit(&mut self, slot: bool, id: usize, load: Load) -> Answer {
        let answer = if slot {
            self.unkeep(1);
            self.fill(id, load, 1)
        } else {
            self.offer(id, load)
        };
        self.reported(id, answer)
    }

    fn drop_permit(&mut self, slot: bool) {
        if slot {
            self.unkeep(1);
            self.release(1);
        }
    }

    /// An item that did not enter is back with its producer.
    pub(crate) fn reported(&mut self, id: usize, answer: Answer) -> Answer {
        if matches!(answer, Answer::Full | Answer::TimedOut | Answer::Closed) {
            self.fates[id] = Fate::Returned;
        }
        answer
    }
}
