//! The layer that sheds.

use backpressure_core::limit::{Bounds, CoDel, Fast, Fixed};
use backpressure_core::{ConfigError, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::policy::PolicyKeys;
use crate::limiter::Limiter;
use crate::shed::{ShedLayer, ShedLayerBuilder};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    limit: Option<usize>,
    limit_min: Option<usize>,
    limit_max: Option<usize>,
    limit_start: Option<usize>,
    target_delay: Option<String>,
    queue: Option<bool>,
    patience_passing: Option<String>,
    patience_standing: Option<String>,
    max_streams: Option<usize>,
    timeout: Option<String>,
    shadow: bool,
    wait: bool,
    on_normal: Option<String>,
    on_elevated: Option<String>,
    on_critical: Option<String>,
    on_blocked: Option<String>,
    on_draining: Option<String>,
}

impl Keys {
    fn build(mut self) -> Result<ShedLayerBuilder, ConfigError> {
        let policy = PolicyKeys {
            on_normal: self.on_normal.take(),
            on_elevated: self.on_elevated.take(),
            on_critical: self.on_critical.take(),
            on_blocked: self.on_blocked.take(),
            on_draining: self.on_draining.take(),
        };
        let mut limiter = Limiter::builder();
        limiter = match self.limit {
            Some(limit) => limiter.limit(self.fixed(limit)?),
            None => limiter.limit(self.adaptive()?),
        };
        // As `ShedLayer::fixed` and `ShedLayer::adaptive` have it.
        if self.queue.unwrap_or(self.limit.is_none()) {
            limiter = limiter.queue(self.rule()?);
        } else {
            for (field, text) in
                [("patience_passing", &self.patience_passing), ("patience_standing", &self.patience_standing)]
            {
                if let Some(text) = text {
                    return Err(ConfigError::new(field, text, "unset without a queue"));
                }
            }
        }
        let mut builder = ShedLayer::builder().limiter(limiter.build()).policy(policy.build()?);
        if let Some(most) = self.max_streams {
            builder = builder.max_streams(most);
        }
        if let Some(timeout) = some_duration("timeout", self.timeout.as_deref())? {
            builder = builder.timeout(timeout);
        }
        if self.shadow {
            builder = builder.shadow();
        }
        if self.wait {
            builder = builder.wait();
        }
        Ok(builder)
    }

    fn fixed(&self, limit: usize) -> Result<Fixed, ConfigError> {
        let bound = "unset with a fixed limit";
        for (field, value) in
            [("limit_min", self.limit_min), ("limit_max", self.limit_max), ("limit_start", self.limit_start)]
        {
            if let Some(value) = value {
                return Err(ConfigError::new(field, value, bound));
            }
        }
        match &self.target_delay {
            Some(delay) => Err(ConfigError::new("target_delay", delay, bound)),
            None => Fixed::new(limit),
        }
    }

    fn adaptive(&self) -> Result<Fast, ConfigError> {
        let defaults = Bounds::default();
        let (min, max) = (self.limit_min.unwrap_or(defaults.min()), self.limit_max.unwrap_or(defaults.max()));
        let mut bounds = Bounds::new(min, max)?;
        if let Some(start) = self.limit_start {
            bounds = bounds.start(start)?;
        }
        let fast = Fast::new(bounds);
        let delay = some_duration("target_delay", self.target_delay.as_deref())?;
        delay.map_or(Ok(fast.clone()), |delay| fast.with_target_delay(delay))
    }

    fn rule(&self) -> Result<CoDel, ConfigError> {
        let passing = some_duration("patience_passing", self.patience_passing.as_deref())?.unwrap_or(PASSING);
        let standing = some_duration("patience_standing", self.patience_standing.as_deref())?.unwrap_or(STANDING);
        CoDel::new().with_patience(passing, standing)
    }
}

/// The defaults of [`CoDel::with_patience`].
const PASSING: std::time::Duration = std::time::Duration::from_millis(50);
const STANDING: std::time::Duration = std::time::Duration::from_millis(5);

/// With a `limit` it is fixed, else it finds itself between `limit_min` and `limit_max`, from `limit_start` on, at a `target_delay`.
/// `queue` says whether calls may wait in a short queue, for `patience_passing` and `patience_standing`: by default with a limit that
/// finds itself only. `max_streams`, `timeout`, `shadow` and `wait` are the methods of these names; the keys of the [policy](crate::Policy)
/// are its own, such as `on_blocked`. Lengths of time are texts.
///
/// ```
/// use backpressure_tower::ShedLayerBuilder;
///
/// let builder: ShedLayerBuilder = toml::from_str("limit_max = 200\ntimeout = \"10s\"")?;
/// let layer = builder.build(); // after `.watch(gauge)`
/// # let _ = layer;
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for ShedLayerBuilder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Keys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use backpressure_core::State;

    use super::*;
    use crate::shed::{Action, Policy};

    fn limit(text: &str) -> usize {
        toml::from_str::<ShedLayerBuilder>(text).unwrap().build().handle().limiter().limit()
    }

    #[test]
    fn a_limit_is_fixed_or_finds_itself() {
        assert_eq!(limit("limit = 7"), 7);
        assert_eq!(limit("limit_min = 3\nlimit_max = 9\nlimit_start = 5"), 5);
        assert_eq!(limit(""), ShedLayer::adaptive().handle().limiter().limit());
    }

    #[test]
    fn the_policy_is_that_of_its_keys() {
        let shown = |builder: ShedLayerBuilder| format!("{builder:?}");
        let built = ShedLayer::builder().policy(Policy::default().on(State::Blocked, Action::Shed));
        let policy =
            |shown: String| shown.split_once("policy: ").expect("a policy").1.split_once(']').map(|it| it.0.to_owned());
        let read = toml::from_str::<ShedLayerBuilder>("on_blocked = \"shed\"").unwrap();
        assert_eq!(policy(shown(read)), policy(shown(built)));
    }

    #[test]
    fn d7_what_the_constructors_refuse_is_refused_in_their_words() {
        let refused = |text| toml::from_str::<ShedLayerBuilder>(text).unwrap_err().message().to_owned();
        let fixed = Fixed::new(0).unwrap_err().to_string();
        assert_eq!(refused("limit = 0"), fixed);
        assert_eq!(refused("limit_min = 9\nlimit_max = 8"), "limit_min is 9, but must be at most limit_max (8)");
        assert_eq!(refused("limit = 5\nlimit_max = 8"), "limit_max is 8, but must be unset with a fixed limit");
        assert_eq!(
            refused("patience_passing = \"1ms\"\npatience_standing = \"2ms\""),
            "patience_standing is 2ms, but must be at most patience_passing (1ms)"
        );
        assert_eq!(
            refused("queue = false\npatience_passing = \"1ms\""),
            "patience_passing is 1ms, but must be unset without a queue"
        );
        assert!(refused("timeout = \"long\"").starts_with("timeout is \"long\", but must be a length of time"));
        assert!(refused("on_blocked = \"drop\"").starts_with("on_blocked is \"drop\", but must be one of admit"));
        assert!(refused("limits = 5").starts_with("unknown field `limits`"));
    }
}
