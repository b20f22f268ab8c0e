//! Senders used as sinks, and what the model says about them.

use std::task::{Poll, ready};

use backpressure_channel::{Sender, SinkError};
use backpressure_core::DropReason;

use crate::item::Item;
use crate::model::{Answer, Fate, Id, Key, Model, NoSlot};
use crate::steps::Load;
use crate::support::{SinkPolls, Wakes};

/// A sink's answer: nothing, or why not and which item came back.
type Said = Result<(), (Answer, Option<Id>)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// None, or in line for one.
    None,
    Held,
    /// The sink is closed.
    Closed,
}

pub(crate) struct Sink {
    tx: Sender<Item>,
    pub(crate) key: Key,
    pub(crate) wakes: Wakes,
    slot: Slot,
    /// An item that has to wait outside.
    heavy: Option<(Id, Load)>,
    polled_at: usize,
}

impl Sink {
    pub(crate) fn new(key: Key, tx: Sender<Item>) -> Self {
        Self { tx, key, wakes: Wakes::default(), slot: Slot::None, heavy: None, polled_at: 0 }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.count() > self.polled_at
    }

    pub(crate) fn ready(&mut self, model: &mut Model) {
        self.polled_at = self.wakes.count();
        let expected = self.model_ready(model);
        assert_eq!(said(self.tx.ready(&self.wakes)), expected);
    }

    pub(crate) fn flush(&mut self, model: &mut Model) {
        self.polled_at = self.wakes.count();
        let expected = self.model_heavy(model);
        assert_eq!(said(self.tx.flush(&self.wakes)), expected);
    }

    pub(crate) fn close(&mut self, model: &mut Model) {
        self.polled_at = self.wakes.count();
        let mut expected = self.model_heavy(model);
        if expected == Poll::Ready(Ok(())) {
            self.model_leave(model);
            expected = Poll::Ready(Ok(()));
        }
        assert_eq!(said(self.tx.close(&self.wakes)), expected);
    }

    pub(crate) fn send(&mut self, model: &mut Model, item: Item) {
        let expected = self.model_send(model, item.id, item.load);
        assert_eq!(said(Poll::Ready(self.tx.start(item))), Poll::Ready(expected));
    }

    pub(crate) fn drop(mut self, model: &mut Model) {
        if let Some((id, _)) = self.heavy {
            model.fates[id] = Fate::Lost(DropReason::Closed);
        }
        self.model_leave(model);
    }

    fn model_ready(&mut self, model: &mut Model) -> Poll<Said> {
        ready!(self.model_heavy(model))?;
        while model.blocks() || model.stands(self.key) {
            if ready!(self.model_slot(model, 0))? {
                return Poll::Ready(Ok(()));
            }
        }
        let closed = model.closed || self.slot == Slot::Closed;
        Poll::Ready(if closed { Err((Answer::Closed, None)) } else { Ok(()) })
    }

    /// A slot, unless there is one already; `false` if it is not to wait for one.
    fn model_slot(&mut self, model: &mut Model, weight: usize) -> Poll<Result<bool, (Answer, Option<Id>)>> {
        match self.slot {
            Slot::Held => Poll::Ready(Ok(true)),
            Slot::Closed => Poll::Ready(Err((Answer::Closed, None))),
            Slot::None => model.poll_slot(self.key, weight, self.heavy.is_none()).map(|slot| match slot {
                Ok(()) => {
                    self.slot = Slot::Held;
                    Ok(true)
                }
                Err(NoSlot::Dismissed) => Ok(false),
                Err(NoSlot::Answered(answer)) => {
                    let back = self.heavy.take().map(|(id, _)| id);
                    back.map(|id| model.reported(id, answer));
                    Err((answer, back))
                }
            }),
        }
    }

    /// Brings the heavy item in.
    fn model_heavy(&mut self, model: &mut Model) -> Poll<Said> {
        while let Some((id, load)) = self.heavy {
            let has_slot = ready!(self.model_slot(model, load.weight))?;
            (self.slot, self.heavy) = (Slot::None, None);
            if has_slot {
                assert_eq!(model.fill(id, load, load.weight), Answer::Accepted, "room was kept for it");
                continue;
            }
            match model.offer(id, load) {
                Answer::Full if model.lets_wait(load.weight) => self.heavy = Some((id, load)),
                answer @ (Answer::Full | Answer::Closed) => {
                    return Poll::Ready(Err((model.reported(id, answer), Some(id))));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    fn model_send(&mut self, model: &mut Model, id: Id, load: Load) -> Said {
        let answer = match (self.slot, self.heavy) {
            (Slot::Closed, _) => Answer::Closed,
            (_, Some(_)) => Answer::Full,
            (Slot::None, None) => model.offer(id, load),
            (Slot::Held, None) => {
                self.slot = Slot::None;
                model.unkeep(0);
                let answer = model.fill(id, load, 0);
                if answer == Answer::Full && model.admits(load.weight) {
                    self.heavy = Some((id, load));
                    return Ok(());
                }
                answer
            }
        };
        match model.reported(id, answer) {
            Answer::Full | Answer::Closed => Err((answer, Some(id))),
            _ => Ok(()),
        }
    }

    fn model_leave(&mut self, model: &mut Model) {
        match std::mem::replace(&mut self.slot, Slot::Closed) {
            Slot::None => model.leave_line(self.key, self.heavy.map_or(0, |(_, load)| load.weight)),
            Slot::Held => {
                model.unkeep(0);
                model.release(0);
            }
            Slot::Closed => return,
        }
        model.sender_leaves();
    }
}

fn said(polled: Poll<Result<(), SinkError<Item>>>) -> Poll<Said> {
    polled.map_err(|error| {
        let answer = if matches!(error, SinkError::Full(_)) { Answer::Full } else { Answer::Closed };
        (answer, error.into_inner().map(|item| item.meets(Fate::Returned)))
    })
}
