//! Which key has which queue.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const HINTS: usize = 128;

/// A map from keys to the slots of their queues. In front of it, the slot that was last found for keys like this one: with few
/// keys it is nearly always the right one, and checking it is cheaper than looking into the map.
#[derive(Debug)]
pub(super) struct Keys {
    slots: HashMap<u32, usize, BuildHasherDefault<Spread>>,
    hints: [u32; HINTS],
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { slots: HashMap::default(), hints: [0; HINTS] }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The slot that the queue of this key may be in. It may as well be that of another key, or no longer in use.
    #[inline(always)]
    pub(super) const fn hint(&self, key: u32) -> usize {
        self.hints[place(key)] as usize
    }

    /// The slot of the queue of this key, if it has one.
    #[inline(never)]
    pub(super) fn find(&mut self, key: u32) -> Option<usize> {
        let slot = *self.slots.get(&key)?;
        self.hints[place(key)] = slot as u32;
        Some(slot)
    }

    pub(super) fn insert(&mut self, key: u32, slot: usize) {
        self.slots.insert(key, slot);
    }

    pub(super) fn remove(&mut self, key: u32) {
        self.slots.remove(&key);
    }
}

#[inline(always)]
const fn place(key: u32) -> usize {
    (key.wrapping_mul(0x9E37_79B9) >> 25) as usize
}

/// Keys are hashes already; a map wants their high bits to differ, too.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    #[inline]
    fn write_u32(&mut self, key: u32) {
        self.0 = (self.0 ^ u64::from(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
