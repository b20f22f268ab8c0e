//! The queues of a fair buffer: which key has which, whose turn it is, and which is the longest.

mod keys;

use crate::buffer::links::Links;
use keys::Keys;

/// Deficit round robin over the queues that hold items, and lists of the queues that are equally long.
#[derive(Debug)]
pub(super) struct Queues {
    slots: Vec<Queue>,
    vacant: Vec<usize>,
    keys: Keys,
    most_keys: usize,
    /// The queue of all keys that have none, while it holds items. So no key has items in two queues.
    shared: Option<usize>,
    ring: Links,
    /// Whose turn it is.
    turn: Option<usize>,
    /// What a turn is worth: as much as the heaviest item since there was none.
    quantum: usize,
    weighed: bool,
    peers: Links,
    /// The queues by their length.
    by_length: Vec<Option<usize>>,
    longest: usize,
}

#[derive(Debug, Default)]
struct Queue {
    key: u32,
    items: usize,
    weight: usize,
    /// Where it is in the lists by length; 0 while it is in none.
    length: usize,
    head: usize,
    head_weight: usize,
    tail: usize,
    /// What is left of its turns.
    credit: usize,
}

impl Queue {
    const fn affords_its_head(&self) -> bool {
        self.credit >= cost(self.head_weight)
    }
}

impl Queues {
    pub(super) fn new(most_keys: usize, weighed: bool) -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            keys: Keys::new(),
            most_keys,
            shared: None,
            ring: Links::default(),
            turn: None,
            quantum: 1,
            weighed,
            peers: Links::default(),
            by_length: Vec::new(),
            longest: 0,
        }
    }

    /// The queue for an item of this key. If it is a new one, its turn comes after all others.
    #[inline]
    pub(super) fn of(&mut self, key: u32) -> usize {
        self.find(key).unwrap_or_else(|| self.open(key))
    }

    #[inline(always)]
    fn find(&mut self, key: u32) -> Option<usize> {
        let hint = self.keys.hint(key);
        let is_right = self.slots.get(hint).is_some_and(|queue| queue.key == key && queue.items > 0);
        if is_right { Some(hint) } else { self.keys.find(key).or(self.shared) }
    }

    fn open(&mut self, key: u32) -> usize {
        let slot = self.vacant.pop().unwrap_or(self.slots.len());
        let queue = Queue { key, ..Queue::default() };
        match self.slots.get_mut(slot) {
            Some(vacant) => *vacant = queue,
            None => self.slots.push(queue),
        }
        if self.keys.len() < self.most_keys {
            self.keys.insert(key, slot);
        } else {
            self.shared = Some(slot);
        }
        self.ring.append(&mut self.turn, slot);
        slot
    }

    /// Appends an entry to a queue. Returns the one before it.
    #[inline]
    pub(super) fn push(&mut self, slot: usize, entry: usize, weight: usize) -> Option<usize> {
        self.quantum = self.quantum.max(cost(weight));
        let queue = &mut self.slots[slot];
        let last = (queue.items > 0).then_some(queue.tail);
        if last.is_none() {
            (queue.head, queue.head_weight) = (entry, weight);
            if self.turn == Some(slot) {
                queue.credit = self.quantum;
            }
        }
        queue.tail = entry;
        queue.items += 1;
        queue.weight = queue.weight.saturating_add(weight);
        self.arrange(slot);
        last
    }

    /// Takes the first entry, which weighs so much, out of a queue. The `next` one is of no account if it was the last.
    #[inline]
    pub(super) fn shift(&mut self, slot: usize, weight: usize, next: usize, next_weight: usize) {
        let queue = &mut self.slots[slot];
        queue.items -= 1;
        queue.weight = queue.weight.saturating_sub(weight);
        (queue.head, queue.head_weight) = (next, next_weight);
        self.arrange(slot);
        if self.slots[slot].items == 0 {
            self.close(slot);
        }
    }

    /// Makes the first entry of a queue of items without weight its last. The `next` one is of no account if it is alone.
    /// Returns the one that was the last.
    #[inline]
    pub(super) fn rotate(&mut self, slot: usize, next: usize) -> Option<usize> {
        let queue = &mut self.slots[slot];
        if queue.items == 1 {
            return None;
        }
        let first = std::mem::replace(&mut queue.head, next);
        Some(std::mem::replace(&mut queue.tail, first))
    }

    fn close(&mut self, slot: usize) {
        let had_its_turn = self.turn == Some(slot);
        self.ring.remove(&mut self.turn, slot);
        match self.turn {
            None => self.quantum = 1,
            Some(next) if had_its_turn => self.credit(next),
            Some(_) => {}
        }
        if self.shared == Some(slot) {
            self.shared = None;
        } else {
            self.keys.remove(self.slots[slot].key);
        }
        self.vacant.push(slot);
    }

    /// The first entry of a queue.
    #[inline]
    pub(super) fn head(&self, slot: usize) -> usize {
        self.slots[slot].head
    }

    /// The queue that is to be served.
    pub(super) fn next(&self) -> Option<usize> {
        let turn = self.turn?;
        Some(if self.slots[turn].affords_its_head() { turn } else { self.ring.after(turn) })
    }

    /// The queue that is served: its first entry is paid for.
    pub(super) fn serve(&mut self) -> Option<usize> {
        let slot = self.next()?;
        if !self.slots[slot].affords_its_head() || self.turn != Some(slot) {
            self.turn = Some(slot);
            self.credit(slot);
        }
        let queue = &mut self.slots[slot];
        queue.credit = queue.credit.saturating_sub(cost(queue.head_weight));
        Some(slot)
    }

    fn credit(&mut self, slot: usize) {
        let queue = &mut self.slots[slot];
        queue.credit = queue.credit.saturating_add(self.quantum);
    }

    /// The longest queue; that of `key` if none is longer.
    #[inline]
    pub(super) fn longest(&mut self, key: u32) -> Option<usize> {
        self.longest_of(key).or_else(|| *self.by_length.get(self.longest)?)
    }

    /// The queue of `key` if none is longer.
    #[inline]
    pub(super) fn longest_of(&mut self, key: u32) -> Option<usize> {
        self.find(key).filter(|&slot| self.slots[slot].length == self.longest)
    }

    /// Puts a queue among those that are as long as it is now.
    ///
    /// By items that is the very length, which changes by one. By weight it is the number of binary digits: 64 lists.
    #[inline]
    fn arrange(&mut self, slot: usize) {
        let queue = &mut self.slots[slot];
        let length = match (queue.items, self.weighed) {
            (0, _) => 0,
            (items, false) => items,
            (_, true) => 1 + (usize::BITS - queue.weight.leading_zeros()) as usize,
        };
        let before = std::mem::replace(&mut queue.length, length);
        if before == length {
            return;
        }
        if before > 0 {
            self.peers.remove(&mut self.by_length[before], slot);
        }
        if length > 0 {
            if self.by_length.len() <= length {
                self.by_length.resize(length + 1, None);
            }
            self.peers.append(&mut self.by_length[length], slot);
        }
        self.longest = self.longest.max(length);
        while self.longest > 0 && self.by_length[self.longest].is_none() {
            self.longest -= 1;
        }
    }
}

/// What an item takes of a turn.
const fn cost(weight: usize) -> usize {
    if weight == 0 { 1 } else { weight }
}
