//! The retries that a batch, or a part of it, has left.

use std::sync::Arc;
use std::time::Duration;

use crate::careful::{Careful, guarded};

/// The waits before each retry, from the beginning.
pub(crate) type Delays = Arc<dyn Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Retries {
    delays: Careful<Option<Delays>>,
    left: Careful<Option<Box<dyn Iterator<Item = Duration> + Send>>>,
    used: usize,
}

impl Retries {
    /// All of them.
    pub(crate) fn all(delays: Option<&Delays>) -> Self {
        let left = delays.and_then(|delays| guarded(|| delays()));
        Self { delays: Careful::new(delays.cloned()), left: Careful::new(left), used: 0 }
    }

    /// Uses one up: how long it waits. A sequence that panics has ended.
    pub(crate) fn draw(&mut self) -> Option<Duration> {
        let delay = self.left.as_mut().and_then(|left| guarded(|| left.next())?);
        match delay {
            Some(_) => self.used = self.used.saturating_add(1),
            None => self.left = Careful::default(),
        }
        delay
    }

    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// As many for another part of the same batch. Its waits are drawn anew.
    pub(crate) fn fork(&self) -> Self {
        if self.left.is_none() {
            return Self::default();
        }
        let mut fork = Self::all(self.delays.as_ref());
        while fork.used < self.used && fork.draw().is_some() {}
        fork
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_batch_has_as_many_retries_left_as_the_rest() {
        let delays: Delays = Arc::new(|| Box::new((1..=3).map(Duration::from_secs)));
        let mut retries = Retries::all(Some(&delays));
        retries.draw();
        let mut fork = retries.fork();
        let seconds = |retries: &mut Retries| retries.draw().map(|wait| wait.as_secs());
        assert_eq!([(); 4].map(|()| seconds(&mut fork)), [Some(2), Some(3), None, None]);
        assert_eq!([(); 3].map(|()| seconds(&mut retries)), [Some(2), Some(3), None]);
        assert_eq!(seconds(&mut retries.fork()), None, "none is left to share");
        assert_eq!(seconds(&mut Retries::all(None).fork()), None);
    }
}
