//! Items that know what became of them.

use std::sync::{Arc, Mutex};

use backpressure_channel::{SendError, Sent};

use crate::model::{Answer, Fate, Id};
use crate::steps::Load;

/// The fates of all items, by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fates(Arc<Mutex<Vec<Fate>>>);

impl Fates {
    pub(crate) fn item(&self, load: Load) -> Item {
        let mut fates = self.0.lock().expect("not poisoned");
        fates.push(Fate::Open);
        Item { id: fates.len() - 1, load, fates: self.clone() }
    }

    pub(crate) fn all(&self) -> Vec<Fate> {
        self.0.lock().expect("not poisoned").clone()
    }

    fn settle(&self, id: Id, fate: Fate) {
        let fates = &mut self.0.lock().expect("not poisoned")[id];
        assert_eq!(*fates, Fate::Open, "item {id} has met a fate before it met {fate:?}");
        *fates = fate;
    }
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: Id,
    pub(crate) load: Load,
    fates: Fates,
}

impl Item {
    pub(crate) fn meets(self, fate: Fate) -> Id {
        self.fates.settle(self.id, fate);
        self.id
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        let mut fates = self.fates.0.lock().expect("not poisoned");
        if fates[self.id] == Fate::Open {
            fates[self.id] = Fate::Cancelled;
        }
    }
}

/// The channel's answer in the words of the model.
pub(crate) fn answer(sent: Result<Sent, SendError<Item>>) -> Answer {
    let error = match sent {
        Ok(Sent::Accepted) => return Answer::Accepted,
        Ok(Sent::Evicting(items)) => return Answer::Evicting(items.get()),
        Ok(Sent::Dropped(reason)) => return Answer::Dropped(reason),
        Ok(sent) => panic!("an answer that the model does not know: {sent:?}"),
        Err(error) => error,
    };
    let answer = match &error {
        SendError::Full(_) => Answer::Full,
        SendError::TimedOut(_) => Answer::TimedOut,
        SendError::Closed(_) => Answer::Closed,
        error => panic!("an answer that the model does not know: {error}"),
    };
    error.into_inner().meets(Fate::Returned);
    answer
}
