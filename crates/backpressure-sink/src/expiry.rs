//! Items that expire before the inner sink takes them.

use std::time::Instant;

use backpressure_core::Moved;

use crate::expired::Expired;
use crate::queue::Queue;

impl<T> Queue<T> {
    /// Heeds the deadlines that items have from now on.
    pub(crate) fn expires_by<D>(&mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static)
    where
        D: Into<Option<Instant>>,
    {
        self.dated();
        self.hooks.expires_by(deadline);
    }

    /// Takes out what has expired, if it is time to look at the clock before the next item goes.
    #[inline]
    pub(crate) fn look_before_next(&mut self) -> Expired<T> {
        match &mut self.looks {
            None => Expired::NOTHING,
            Some(looks) if looks.takes > 0 && !self.buffer.is_dated() => {
                looks.takes -= 1;
                Expired::NOTHING
            }
            Some(_) => self.look_to_take(),
        }
    }

    /// The same before an item comes.
    pub(crate) fn look_before_offer(&mut self, weight: usize) -> Expired<T> {
        let minds = self.looks.is_some() && (self.buffer.is_due() || !self.buffer.has_room(weight));
        if minds { self.look() } else { Expired::NOTHING }
    }

    /// The same before a producer is told to wait.
    pub(crate) fn look_before_wait(&mut self) -> Expired<T> {
        if self.is_open() { Expired::NOTHING } else { self.look() }
    }

    /// Looks at the next item, come what may.
    #[inline]
    pub(crate) fn look_next(&mut self) {
        if let Some(looks) = &mut self.looks {
            looks.takes = 0;
            self.buffer.open_for(0);
        }
    }

    /// Looks for whoever takes items: those that follow may be taken without a look.
    fn look_to_take(&mut self) -> Expired<T> {
        let expired = self.look();
        if let Some(looks) = &mut self.looks {
            if !self.buffer.expires_within(looks.clock.grain()) {
                looks.takes = looks.clock.quota();
            }
        }
        expired
    }

    #[inline(never)]
    fn look(&mut self) -> Expired<T> {
        let Some(looks) = &mut self.looks else { return Expired::NOTHING };
        let before = looks.clock.quota();
        let gone = before.saturating_sub(looks.takes);
        self.buffer.expire(looks.clock.look(1 + gone + self.buffer.entered(before)));
        if self.buffer.expires_within(looks.clock.grain()) {
            looks.takes = 0;
        }
        self.buffer.open_for(looks.clock.quota());
        let items = self.buffer.take_expired();
        if items.is_empty() {
            return Expired::NOTHING;
        }
        self.admit_heavy();
        let changed = self.publish(Moved::NOTHING.beside_expired(items.len()));
        Expired { items, changed }
    }
}
