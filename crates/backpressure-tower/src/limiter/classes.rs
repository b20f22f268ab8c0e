//! The classes of calls: how many of each are in flight, and how many may be.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backpressure_core::limit::{ClassLimit, Surroundings};

use super::fate::Fate;
use super::tuner::{Look, Timed};

/// As many as fit into a permit.
pub(super) use super::call_timing::MOST_CLASSES;

/// Counts the calls of each class without a lock. There is none before the first call that has a class.
pub(super) struct Classes {
    /// The key of each class; 0 while nobody has it.
    keys: Box<[AtomicU64; MOST_CLASSES]>,
    classes: Box<[Class; MOST_CLASSES]>,
}

struct Class {
    in_flight: AtomicUsize,
    /// [`usize::MAX`] while it has none.
    limit: AtomicUsize,
    was_felt: AtomicBool,
    departed: AtomicU64,
    overloads: AtomicU64,
    cancelled: AtomicU64,
}

impl Classes {
    pub(super) fn new() -> Self {
        let class = || Class {
            in_flight: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            was_felt: AtomicBool::new(false),
            departed: AtomicU64::new(0),
            overloads: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
        };
        let keys = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { keys, classes: Box::new(std::array::from_fn(|_| class())) }
    }

    /// The number of the class with this key, 1 to [`MOST_CLASSES`]. A key that is new takes the next place that is free. If none
    /// is, it shares the place that is its own by chance: keys that somebody makes up spoil no more than a part of the others.
    pub(super) fn number(&self, key: u64) -> u8 {
        let key = key.max(1);
        let own = (key % MOST_CLASSES as u64) as usize;
        for place in (own..MOST_CLASSES).chain(0..own) {
            let taken = &self.keys[place];
            let seen = taken.load(Ordering::Relaxed);
            if seen == key {
                return place as u8 + 1;
            }
            // Relaxed: nothing else is published by it.
            if seen == 0 {
                match taken.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                    Err(other) if other != key => {}
                    _ => return place as u8 + 1,
                }
            }
        }
        own as u8 + 1
    }

    /// A call of this class comes. Answers whether it may.
    pub(super) fn enter(&self, number: u8) -> bool {
        let Some(class) = self.get(number) else { return true };
        let limit = class.limit.load(Ordering::Relaxed);
        let more = |in_flight: usize| (in_flight < limit).then_some(in_flight + 1);
        let has_entered = class.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !has_entered && !class.was_felt.load(Ordering::Relaxed) {
            class.was_felt.store(true, Ordering::Relaxed);
        }
        has_entered
    }

    /// It goes without having had a slot.
    pub(super) fn turn_back(&self, number: u8) {
        if let Some(class) = self.get(number) {
            class.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// It goes, and has had one.
    pub(super) fn depart(&self, number: u8, fate: Fate) {
        let Some(class) = self.get(number) else { return };
        class.in_flight.fetch_sub(1, Ordering::Relaxed);
        class.departed.fetch_add(1, Ordering::Relaxed);
        if fate.is_overload() {
            class.overloads.fetch_add(1, Ordering::Relaxed);
        } else if fate.is_open() {
            class.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn get(&self, number: u8) -> Option<&Class> {
        self.classes.get(usize::from(number).checked_sub(1)?)
    }
}

impl fmt::Debug for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.keys.iter().filter(|key| key.load(Ordering::Relaxed) != 0).count();
        f.debug_struct("Classes").field("used", &used).finish_non_exhaustive()
    }
}

/// What is learned of each class. It lives behind the tuner's lock.
#[derive(Debug, Default)]
pub(super) struct ClassTuner {
    limits: Vec<(ClassLimit, [u64; 3])>,
}

impl ClassTuner {
    /// A timed call of this class goes.
    pub(super) fn look(&mut self, classes: &Classes, number: u8, now: Instant, timed: Option<&Timed>) {
        let Some(class) = classes.get(number) else { return };
        while self.limits.len() < usize::from(number) {
            self.limits.push((ClassLimit::new(now), [0; 3]));
        }
        let sampler = self.limits[usize::from(number) - 1].0.sampler();
        sampler.in_flight(now, class.in_flight.load(Ordering::Relaxed), class.limit.load(Ordering::Relaxed));
        if let Some(timed) = timed {
            if timed.is_usual {
                sampler.timed(timed.latency, timed.delay);
            } else {
                sampler.failed(timed.latency, timed.delay);
            }
        }
    }

    /// A window of the whole is over, in which the limit was felt or not.
    pub(super) fn conclude(&mut self, classes: &Classes, look: &Look, is_felt: bool) {
        let known: Vec<(Option<Duration>, bool)> =
            self.limits.iter().map(|(limit, _)| (limit.delay(), limit.is_answered())).collect();
        for (n, ((limit, before), class)) in self.limits.iter_mut().zip(classes.classes.iter()).enumerate() {
            let others = || known.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, known)| known);
            let around = Surroundings {
                limit: look.room,
                is_felt,
                others_are_answered: others().any(|(_, is_answered)| *is_answered),
                least_delay: others().filter_map(|(delay, _)| *delay).min(),
            };
            let sums = [&class.departed, &class.overloads, &class.cancelled].map(|sum| sum.load(Ordering::Relaxed));
            let [departed, overloads, cancelled] = std::array::from_fn(|sum| sums[sum].saturating_sub(before[sum]));
            *before = sums;
            let sampler = limit.sampler();
            sampler.departed(departed, overloads);
            sampler.cancelled(cancelled);
            if class.was_felt.swap(false, Ordering::Relaxed) {
                sampler.saturate();
            }
            let bound = class.limit.load(Ordering::Relaxed);
            sampler.in_flight(look.now, class.in_flight.load(Ordering::Relaxed), bound);
            if limit.close(look.now, around) {
                class.limit.store(limit.limit().unwrap_or(usize::MAX), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(all(test, not(backpressure_loom)))]
mod tests {
    use std::task::{Context, Poll, Waker};

    use backpressure_core::limit::{CoDel, Fixed, Level, Outcome};

    use super::super::{Entry, Limiter};
    use super::*;
    use crate::hash::hash_of;

    #[test]
    fn c6_classes_without_number_share_the_places_of_others_evenly() {
        let (classes, keys) = (Classes::new(), (0..1000u64).map(|n| hash_of(&n)));
        let numbers: Vec<_> = keys.clone().map(|key| classes.number(key)).collect();
        assert_eq!(numbers, keys.map(|key| classes.number(key)).collect::<Vec<_>>(), "they keep their numbers");
        let of = |number: u8, of: &[u8]| of.iter().filter(|&&other| other == number).count();
        let (first, later) = numbers.split_at(MOST_CLASSES);
        assert!((1..=MOST_CLASSES as u8).all(|number| of(number, first) == 1), "the first have one each");
        let shares: Vec<_> = (1..=MOST_CLASSES as u8).map(|number| of(number, later)).collect();
        assert_eq!(shares.iter().sum::<usize>(), 1000 - MOST_CLASSES);
        assert!(shares.iter().all(|share| (3..40).contains(share)), "{shares:?}");
        assert_eq!(classes.number(0), classes.number(1), "d6: no key is nobody's");
    }

    #[test]
    fn s4_a_class_keeps_to_its_limit_and_others_are_not_asked() {
        let classes = Classes::new();
        let (one, other) = (classes.number(17), classes.number(18));
        assert!((0..10).all(|_| classes.enter(one)));
        classes.get(one).unwrap().limit.store(11, Ordering::Relaxed);
        assert_eq!([classes.enter(one), classes.enter(one), classes.enter(other)], [true, false, true]);
        classes.depart(one, Fate::Overload);
        classes.turn_back(one);
        assert_eq!([classes.enter(one), classes.enter(one), classes.enter(one)], [true, true, false]);
        assert!(classes.enter(0), "a call without a class");
        let counts = |class: &Class| [&class.departed, &class.overloads].map(|sum| sum.load(Ordering::Relaxed));
        assert_eq!(counts(classes.get(one).unwrap()), [1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn s2_every_way_out_gives_the_place_in_the_class_back() {
        let limiter = Limiter::builder().limit(Fixed::new(2).unwrap()).queue(CoDel::new()).build();
        let acquire = |patience| limiter.acquire_of("route", Level::default(), patience);
        let in_flight = || {
            let classes = limiter.shared.classes.get().unwrap();
            classes.get(classes.number(hash_of("route"))).unwrap().in_flight.load(Ordering::Relaxed)
        };
        let mut admitted: Vec<_> = (0..2).map(|_| acquire(None).unwrap()).collect();
        let dropped = acquire(None).unwrap();
        let mut expired = match acquire(None).unwrap() {
            Entry::Queued(ticket) => ticket,
            Entry::Admitted(_) => panic!("there is no slot"),
        };
        assert_eq!(in_flight(), 4);
        drop(dropped);
        assert_eq!(in_flight(), 3);
        assert!(acquire(Some(Duration::ZERO)).is_err(), "it cannot be answered in time");
        assert_eq!(in_flight(), 3);
        tokio::time::advance(Duration::from_secs(1)).await;
        let cx = Context::from_waker(Waker::noop());
        assert!(matches!(expired.poll_admitted(&cx), Poll::Ready(Err(_))));
        assert_eq!(in_flight(), 2);
        let Ok(Entry::Queued(mut served)) = acquire(None) else { panic!("there is no slot") };
        drop(admitted.pop());
        let Poll::Ready(Ok(permit)) = served.poll_admitted(&cx) else { panic!("there is a slot") };
        assert_eq!(in_flight(), 2);
        permit.finish(Outcome::Success);
        let Some(Entry::Admitted(mut answered)) = admitted.pop() else { panic!("it had a slot") };
        answered.answered(Outcome::Success);
        assert_eq!(in_flight(), 1, "it holds its slot");
        drop(answered.into_stream().unwrap());
        assert_eq!((in_flight(), limiter.in_flight()), (0, 0));
        limiter.drain();
        assert!(acquire(None).is_err());
        assert_eq!(in_flight(), 0);
    }
}
