//! The user's hooks: the weight of an item, its priority, key and deadline, and what is told about lost items.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use backpressure_rt::Relay;

use crate::buffer::Tag;
use crate::error::ConfigError;
use crate::key_hash::Secret;
use crate::offer::DropReason;
use crate::strategy::Priority;
use crate::weigh::Weigh;

type Rank<T> = Arc<dyn Fn(&T) -> Priority + Send + Sync>;
type KeyOf<T> = Arc<dyn Fn(&T) -> u32 + Send + Sync>;
type Expire<T> = Arc<dyn Fn(&T) -> Option<Instant> + Send + Sync>;
type OnDrop<T> = Arc<dyn Fn(T, DropReason) + Send + Sync>;

/// The closures that a user gives to a shell around a [`BoundedBuffer`](crate::BoundedBuffer). Clones share them.
///
/// They are user code, so a shell calls none of them under a lock: they may call back in, and they may panic.
///
/// ```
/// use std::sync::mpsc;
/// use backpressure_core::{DropReason, Hooks, Priority};
///
/// let (lost, all_lost) = mpsc::channel();
/// let mut hooks = Hooks::NONE;
/// hooks.weigh_bytes();
/// hooks.on_drop(move |item: String, reason| lost.send((item, reason)).unwrap_or_default());
///
/// assert_eq!(hooks.tag(&"four".into()).weight, 4);
/// assert_eq!(hooks.tag(&"four".into()).priority, Priority::NORMAL);
/// hooks.dispose(["late".into()], DropReason::Closed);
/// assert_eq!(all_lost.try_recv(), Ok(("late".into(), DropReason::Closed)));
/// ```
pub struct Hooks<T> {
    weigh: Option<Weigher<T>>,
    rank: Option<Rank<T>>,
    key: Option<KeyOf<T>>,
    expire: Option<Expire<T>>,
    /// Whether there is any of these.
    tags: bool,
    /// Whether there is one of the latter two.
    keys_or_dates: bool,
    on_drop: Option<OnDrop<T>>,
}

/// How items are weighed: by a closure, or by themselves. Clones share the closure.
pub struct Weigher<T>(How<T>);

enum How<T> {
    /// A plain function, so that items may borrow.
    Own(fn(&T) -> usize),
    Given(Arc<dyn Fn(&T) -> usize + Send + Sync>),
}

impl<T> Weigher<T> {
    /// By this closure.
    pub fn by(weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        Self(How::Given(Arc::new(weigh)))
    }

    /// By the item's own [`Weigh`].
    pub const fn own() -> Self
    where
        T: Weigh,
    {
        Self(How::Own(T::weight))
    }

    /// The weight of an item.
    #[inline]
    pub fn weigh(&self, item: &T) -> usize {
        match &self.0 {
            How::Own(weigh) => weigh(item),
            How::Given(weigh) => weigh(item),
        }
    }
}

impl<T> Hooks<T> {
    /// Every item weighs 1 and ranks [`NORMAL`](Priority::NORMAL), and what is lost is dropped.
    pub const NONE: Self =
        Self { weigh: None, rank: None, key: None, expire: None, tags: false, keys_or_dates: false, on_drop: None };

    /// Weighs items by this closure.
    pub fn weigh_by(&mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) {
        self.weigh = Some(Weigher::by(weigh));
        self.tags = true;
    }

    /// Weighs items by their own [`Weigh`].
    pub fn weigh_bytes(&mut self)
    where
        T: Weigh,
    {
        self.weigh = Some(Weigher::own());
        self.tags = true;
    }

    /// Ranks items by this closure.
    pub fn rank_by(&mut self, rank: impl Fn(&T) -> Priority + Send + Sync + 'static) {
        self.rank = Some(Arc::new(rank));
        self.tags = true;
    }

    /// Says by this closure which items belong together, for a buffer that is [fair](crate::BoundedBuffer::fair). The key is
    /// hashed, with a secret of its own, and not kept. Two keys with the same 32 bits of that are one key to the buffer: among
    /// a hundred keys that happens with a probability of one in a million.
    ///
    /// The hash is a fast one. Whoever does not know the secret cannot choose keys that collide; but it is not cryptographic, and
    /// who can watch for long which keys share their turns may find some that do.
    pub fn fair_by<K: Hash>(&mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) {
        let secret = Secret::new();
        self.key = Some(Arc::new(move |item| secret.hash(&key(item))));
        self.tags = true;
        self.keys_or_dates = true;
    }

    /// Gives each item the deadline that this closure says: an [`Instant`], or `None` if it does not expire.
    pub fn expires_by<D: Into<Option<Instant>>>(&mut self, deadline: impl Fn(&T) -> D + Send + Sync + 'static) {
        self.expire = Some(Arc::new(move |item| deadline(item).into()));
        self.tags = true;
        self.keys_or_dates = true;
    }

    /// Gives lost items to this closure, with the reason.
    pub fn on_drop(&mut self, hook: impl Fn(T, DropReason) + Send + Sync + 'static) {
        self.on_drop = Some(Arc::new(hook));
    }

    /// Whether items are ranked.
    pub const fn is_ranking(&self) -> bool {
        self.rank.is_some()
    }

    /// Whether items have keys.
    pub const fn is_fair(&self) -> bool {
        self.key.is_some()
    }

    /// Whether items have deadlines of their own.
    pub const fn is_dating(&self) -> bool {
        self.expire.is_some()
    }

    /// Refuses closures of which a buffer could heed only one.
    ///
    /// # Errors
    ///
    /// Items that are [ranked](Self::rank_by) and [fair](Self::fair_by), under the name `fair_by`.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.is_fair() && self.is_ranking() {
            return Err(ConfigError::new("fair_by", "set", "unset where rank_by is set: either decides who is next"));
        }
        Ok(())
    }

    /// Whether items are weighed, ranked, keyed or dated: if not, each has the default [`Tag`].
    #[inline]
    pub const fn is_tagging(&self) -> bool {
        self.tags
    }

    /// Whether there is no closure at all.
    pub const fn is_empty(&self) -> bool {
        !self.is_tagging() && self.on_drop.is_none()
    }

    /// What the closures say of an item.
    ///
    /// # Panics
    ///
    /// If a closure does.
    #[inline]
    pub fn tag(&self, item: &T) -> Tag {
        if self.tags { self.tag_by_closures(item) } else { Tag::DEFAULT }
    }

    #[inline(never)]
    fn tag_by_closures(&self, item: &T) -> Tag {
        self.tag_in_line(item)
    }

    /// The same as [`tag`](Self::tag), for where it is known that items [are tagged](Self::is_tagging).
    #[doc(hidden)]
    #[inline(always)]
    pub fn tag_in_line(&self, item: &T) -> Tag {
        let mut tag = Tag::DEFAULT;
        if let Some(weigh) = &self.weigh {
            tag.weight = weigh.weigh(item);
        }
        if let Some(rank) = &self.rank {
            tag.priority = rank(item);
        }
        if self.keys_or_dates {
            tag.key = self.key.as_ref().map_or(tag.key, |key| key(item));
            tag.deadline = self.expire.as_ref().and_then(|expire| expire(item));
        }
        tag
    }

    /// Gives every lost item to the closure, or drops it. If that panics on one, the others still get their turn.
    ///
    /// # Panics
    ///
    /// With the first panic, after the last item, unless this thread is unwinding already.
    #[inline]
    pub fn dispose(&self, items: impl IntoIterator<Item = T>, reason: DropReason) {
        if self.on_drop.is_some() || std::mem::needs_drop::<T>() {
            self.dispose_each(items, reason);
        }
    }

    fn dispose_each(&self, items: impl IntoIterator<Item = T>, reason: DropReason) {
        let mut relay = Relay::new();
        for item in items {
            relay.call(|| match &self.on_drop {
                Some(hook) => hook(item, reason),
                None => drop(item),
            });
        }
        relay.resume();
    }
}

impl<T> Default for Hooks<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> Clone for Hooks<T> {
    fn clone(&self) -> Self {
        Self {
            weigh: self.weigh.clone(),
            rank: self.rank.clone(),
            key: self.key.clone(),
            expire: self.expire.clone(),
            tags: self.tags,
            keys_or_dates: self.keys_or_dates,
            on_drop: self.on_drop.clone(),
        }
    }
}

impl<T> Clone for Weigher<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            How::Own(weigh) => How::Own(*weigh),
            How::Given(weigh) => How::Given(Arc::clone(weigh)),
        })
    }
}

impl<T> fmt::Debug for Weigher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weigher")
    }
}

impl<T> fmt::Debug for Hooks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("weigh", &self.weigh.is_some())
            .field("rank", &self.rank.is_some())
            .field("key", &self.key.is_some())
            .field("expire", &self.expire.is_some())
            .field("on_drop", &self.on_drop.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn c3_c4_every_lost_item_gets_its_turn_although_the_hook_panics_on_one() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut hooks = Hooks::NONE;
        let record = Arc::clone(&seen);
        hooks.on_drop(move |item: u8, _| {
            assert!(item != 1, "the hook does not like 1");
            record.lock().unwrap().push(item);
        });
        let panic = backpressure_rt::guarded(|| hooks.dispose(0..4, DropReason::Evicted));
        assert!(panic.is_err());
        assert_eq!(*seen.lock().unwrap(), [0, 2, 3]);
    }

    #[test]
    fn clones_share_the_closures_and_need_nothing_of_the_items() {
        struct Opaque<'a>(&'a str);
        impl Weigh for Opaque<'_> {
            fn weight(&self) -> usize {
                self.0.len()
            }
        }
        let text = String::from("borrowed");
        let mut hooks = Hooks::NONE;
        hooks.weigh_bytes();
        hooks.rank_by(|_| Priority::HIGHEST);
        let twin = hooks.clone();
        assert_eq!(twin.tag(&Opaque(&text)), Tag { weight: 8, priority: Priority::HIGHEST, ..Tag::default() });
        assert!(twin.is_ranking() && !Hooks::<Opaque<'_>>::default().is_ranking());
    }
}
