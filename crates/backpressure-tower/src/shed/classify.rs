//! The class of a call: whether it bypasses the layer, its level, and its deadline.

use std::hash::Hash;
use std::time::Duration;

use backpressure_core::limit::Level;

use super::Plain;
use crate::hash::hash_of;

/// How a call is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It goes by the layer as if there were none: a health check, or the reading of a metric. It takes no slot and is
    /// learned nothing from.
    Bypass,
    /// It may be shed.
    Call {
        /// How important it is.
        level: Level,
        /// What is left of the time it must be answered in, if it has a deadline.
        wait_timeout: Option<Duration>,
    },
}

impl Class {
    /// A call of this level that has no deadline.
    pub const fn of(level: Level) -> Self {
        Self::Call { level, wait_timeout: None }
    }
}

impl Default for Class {
    #[inline]
    fn default() -> Self {
        Self::of(Level::default())
    }
}

impl<L: Into<Level>> From<L> for Class {
    fn from(level: L) -> Self {
        Self::of(level.into())
    }
}

/// Classifies requests. Any `Fn(&Req) -> Class` does.
pub trait Classify<Req> {
    /// The class of this request. Called once for each, before it is decided; it should be cheap.
    fn classify(&self, request: &Req) -> Class;

    /// The key of those calls that do the same as this one, such as a hash of its route. Calls with the same key share a limit of
    /// their own where they need one: see [`ShedLayer::class_by`](super::ShedLayer::class_by). Default: none.
    fn key(&self, request: &Req) -> Option<u64> {
        let _ = request;
        None
    }
}

/// Every request is a call of the default level.
impl<Req> Classify<Req> for Plain {
    #[inline]
    fn classify(&self, _: &Req) -> Class {
        Class::default()
    }
}

impl<Req, F: Fn(&Req) -> Class> Classify<Req> for F {
    fn classify(&self, request: &Req) -> Class {
        self(request)
    }
}

/// Made by [`ShedLayer::level`](super::ShedLayer::level).
#[derive(Debug, Clone, Copy)]
pub struct ByLevel<C, F> {
    pub(super) rest: C,
    pub(super) level: F,
}

impl<Req, C: Classify<Req>, F: Fn(&Req) -> Level> Classify<Req> for ByLevel<C, F> {
    fn key(&self, request: &Req) -> Option<u64> {
        self.rest.key(request)
    }

    fn classify(&self, request: &Req) -> Class {
        match self.rest.classify(request) {
            Class::Bypass => Class::Bypass,
            Class::Call { wait_timeout, .. } => Class::Call { level: (self.level)(request), wait_timeout },
        }
    }
}

/// Made by [`ShedLayer::class_by`](super::ShedLayer::class_by).
#[derive(Debug, Clone, Copy)]
pub struct ByClass<C, F> {
    pub(super) rest: C,
    pub(super) class: F,
}

impl<Req, C: Classify<Req>, K: Hash, F: Fn(&Req) -> K> Classify<Req> for ByClass<C, F> {
    fn classify(&self, request: &Req) -> Class {
        self.rest.classify(request)
    }

    fn key(&self, request: &Req) -> Option<u64> {
        Some(hash_of(&(self.class)(request)))
    }
}

/// Made by [`ShedLayer::wait_timeout`](super::ShedLayer::wait_timeout).
#[derive(Debug, Clone, Copy)]
pub struct ByWaitTimeout<C, F> {
    pub(super) rest: C,
    pub(super) wait_timeout: F,
}

impl<Req, C: Classify<Req>, F: Fn(&Req) -> Option<Duration>> Classify<Req> for ByWaitTimeout<C, F> {
    fn key(&self, request: &Req) -> Option<u64> {
        self.rest.key(request)
    }

    fn classify(&self, request: &Req) -> Class {
        match self.rest.classify(request) {
            Class::Bypass => Class::Bypass,
            Class::Call { level, .. } => Class::Call { level, wait_timeout: (self.wait_timeout)(request) },
        }
    }
}

/// Made by [`ShedLayer::bypass`](super::ShedLayer::bypass).
#[derive(Debug, Clone, Copy)]
pub struct Bypass<C, F> {
    pub(super) rest: C,
    pub(super) passes: F,
}

impl<Req, C: Classify<Req>, F: Fn(&Req) -> bool> Classify<Req> for Bypass<C, F> {
    fn key(&self, request: &Req) -> Option<u64> {
        self.rest.key(request)
    }

    fn classify(&self, request: &Req) -> Class {
        if (self.passes)(request) { Class::Bypass } else { self.rest.classify(request) }
    }
}

#[cfg(test)]
mod tests {
    use backpressure_core::limit::Criticality;

    use super::*;

    #[test]
    fn each_adds_what_it_knows() {
        let level = ByLevel { rest: Plain, level: |n: &u8| Level::new(Criticality::Sheddable, *n) };
        let wait_timeout =
            ByWaitTimeout { rest: level, wait_timeout: |n: &u8| Some(Duration::from_secs(u64::from(*n))) };
        let class = Bypass { rest: wait_timeout, passes: |n: &u8| *n == 0 };
        assert_eq!(class.classify(&0), Class::Bypass);
        let level = Level::new(Criticality::Sheddable, 7);
        assert_eq!(class.classify(&7), Class::Call { level, wait_timeout: Some(Duration::from_secs(7)) });
        let closure = |n: &u8| if *n == 0 { Class::Bypass } else { Criticality::CriticalPlus.into() };
        assert_eq!((closure.classify(&0), closure.classify(&1)), (Class::Bypass, Class::of(Level::FIRST)));
        assert_eq!(Plain.classify(&0), Class::of(Level::default()));
        let keyed = ByClass { rest: class, class: |n: &u8| n / 2 };
        assert_eq!(keyed.classify(&7), class.classify(&7));
        let keyed = Bypass { rest: ByLevel { rest: keyed, level: |_: &u8| Level::FIRST }, passes: |_: &u8| false };
        assert_eq!(keyed.key(&6), keyed.key(&7), "whatever is around it");
        assert!(keyed.key(&6) != keyed.key(&8) && class.key(&6).is_none());
    }
}
