//! The keys that are in use.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::key::Key;
use super::waiting::Lane;

/// A key that is held, as long as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(usize);

pub(super) struct Keys {
    ids: HashMap<Key, usize, BuildHasherDefault<AsItIs>>,
    slots: Vec<Option<Held>>,
    vacant: Vec<usize>,
}

pub(super) struct Held {
    key: Key,
    /// How many of its items are in batches and not settled.
    pub(super) out: usize,
    /// The number of the batch that they went into.
    pub(super) batch: u64,
    pub(super) lane: Lane,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { ids: HashMap::default(), slots: Vec::new(), vacant: Vec::new() }
    }

    /// The key's place, which is made if it has none.
    pub(super) fn enter(&mut self, key: Key) -> KeyId {
        let (slots, vacant) = (&mut self.slots, &mut self.vacant);
        KeyId(*self.ids.entry(key).or_insert_with(|| {
            let held = Some(Held { key, out: 0, batch: 0, lane: Lane::default() });
            match vacant.pop() {
                Some(place) => {
                    slots[place] = held;
                    place
                }
                None => {
                    slots.push(held);
                    slots.len() - 1
                }
            }
        }))
    }

    pub(super) fn find(&self, key: Key) -> Option<KeyId> {
        self.ids.get(&key).map(|&place| KeyId(place))
    }

    pub(super) fn find_mut(&mut self, id: KeyId) -> Option<&mut Held> {
        self.slots.get_mut(id.0)?.as_mut()
    }

    /// Of a key that has just entered, or whose items are set aside.
    pub(super) fn get_mut(&mut self, id: KeyId) -> &mut Held {
        self.find_mut(id).expect("a key stays as long as something of it is held")
    }

    pub(super) fn leave(&mut self, id: KeyId) {
        if let Some(held) = self.slots.get_mut(id.0).and_then(Option::take) {
            self.ids.remove(&held.key);
            self.vacant.push(id.0);
        }
    }

    /// Nothing is set aside any more.
    pub(super) fn empty_lanes(&mut self) {
        for place in 0..self.slots.len() {
            let Some(held) = &mut self.slots[place] else { continue };
            held.lane = Lane::default();
            if held.out == 0 {
                self.leave(KeyId(place));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
