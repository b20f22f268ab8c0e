//! Other bounds and another strategy for a buffer that is in use.

use super::BoundedBuffer;
use crate::bound_marks::BoundMarks;
use crate::config::BackpressureConfig;
use crate::error::ConfigError;

impl<T> BoundedBuffer<T> {
    /// Takes the bounds, watermarks and strategy of `config` in place of its own, for the next offer on.
    ///
    /// Nothing leaves for it. While more is held than the new bound allows, nothing is admitted without the help of the
    /// strategy, and the state is [`Blocked`](crate::State::Blocked). The next offer that an evicting strategy admits makes
    /// all the room that the new bound asks for. Slots that are reserved stay reserved, and what was lent stays lent.
    ///
    /// # Errors
    ///
    /// Refuses `max_weight` or `max_age` set where it was unset when the buffer was made, or unset where it was set: whether
    /// items are weighed, and whether they age, is decided then. Nothing has changed if it is refused.
    pub fn reconfigure(&mut self, config: &BackpressureConfig) -> Result<(), ConfigError> {
        let aging = self.expiry.as_ref().is_some_and(|expiry| expiry.max_age().is_some());
        config.check_fixed(self.weight_marks.is_some(), aging)?;
        let marks = |bound| BoundMarks::new(config.watermarks(), config.hysteresis(), bound);
        if self.strategy != config.strategy() {
            self.sampled = 0;
        }
        self.strategy = config.strategy();
        self.capacity = config.capacity();
        self.max_weight = config.max_weight().unwrap_or(usize::MAX);
        self.oversize = config.oversize();
        self.marks = marks(config.capacity());
        self.weight_marks = config.max_weight().map(marks);
        if let Some(expiry) = self.expiry.as_mut().filter(|expiry| expiry.max_age() != config.max_age()) {
            expiry.set_max_age(config.max_age());
            self.open_for(0);
        }
        Ok(())
    }

    /// Takes `item` in whatever the capacity, as [`push`](Self::push) would if there were room: for who was promised a place
    /// before the capacity was lowered.
    #[doc(hidden)]
    #[inline(never)]
    pub fn push_beyond(&mut self, item: T) {
        let capacity = std::mem::replace(&mut self.capacity, usize::MAX);
        let pushed = self.push(item);
        self.capacity = capacity;
        debug_assert!(pushed.is_ok(), "it is open, and nothing is weighed, ranked or sampled");
    }
}

impl BackpressureConfig {
    /// Refuses to bound the weight of a part whose items are not weighed, or the age of items that do not age, and the other
    /// way round.
    ///
    /// # Errors
    ///
    /// Under the name `max_weight` or `max_age`.
    #[doc(hidden)]
    pub fn check_fixed(&self, weighed: bool, aging: bool) -> Result<(), ConfigError> {
        check("max_weight", self.max_weight().map(|weight| weight.to_string()), weighed)?;
        check("max_age", self.max_age().map(|age| format!("{age:?}")), aging)
    }
}

fn check(field: &'static str, value: Option<String>, was_set: bool) -> Result<(), ConfigError> {
    match (value, was_set) {
        (Some(value), false) => Err(ConfigError::new(field, value, "unset, as it was when the part was built")),
        (None, true) => Err(ConfigError::new(field, "unset", "set, as it was when the part was built")),
        _ => Ok(()),
    }
}
