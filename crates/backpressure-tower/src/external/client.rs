//! The layers of those who call.

use std::time::Duration;

use backpressure_core::{ConfigError, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::client::{RetryBudget, RetryLayer, ThrottleLayer};

/// The defaults of [`ThrottleLayer::with`].
const WINDOW: Duration = Duration::from_secs(120);
const K: f64 = 2.0;
const MAX_REJECTION: f64 = 1.0;

/// The defaults of [`RetryBudget::new`].
const TTL: Duration = Duration::from_secs(10);
const MIN_PER_SECOND: u32 = 10;
const RATIO: f64 = 0.2;

/// The defaults of [`RetryLayer::backoff`].
const BASE: Duration = Duration::from_millis(50);
const CEILING: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ThrottleKeys {
    window: Option<String>,
    k: Option<f64>,
    max_rejection: Option<f64>,
}

impl ThrottleKeys {
    fn build(self) -> Result<ThrottleLayer, ConfigError> {
        let window = some_duration("window", self.window.as_deref())?.unwrap_or(WINDOW);
        ThrottleLayer::with(window, self.k.unwrap_or(K), self.max_rejection.unwrap_or(MAX_REJECTION))
    }
}

/// The keys are `window`, a text such as `"30s"`, `k` and `max_rejection`. See [`ThrottleLayer::with`] for what they mean.
impl<'de> Deserialize<'de> for ThrottleLayer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ThrottleKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BudgetKeys {
    ttl: Option<String>,
    min_per_second: Option<u32>,
    ratio: Option<f64>,
}

impl BudgetKeys {
    fn build(self) -> Result<RetryBudget, ConfigError> {
        let ttl = some_duration("ttl", self.ttl.as_deref())?.unwrap_or(TTL);
        RetryBudget::new(ttl, self.min_per_second.unwrap_or(MIN_PER_SECOND), self.ratio.unwrap_or(RATIO))
    }
}

/// The keys are `ttl`, a text such as `"10s"`, `min_per_second` and `ratio`. See [`RetryBudget::new`] for what they mean.
impl<'de> Deserialize<'de> for RetryBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BudgetKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RetryKeys {
    ttl: Option<String>,
    min_per_second: Option<u32>,
    ratio: Option<f64>,
    retries: Option<u32>,
    backoff_base: Option<String>,
    backoff_ceiling: Option<String>,
    longest_wait: Option<String>,
    deadline: Option<String>,
}

impl RetryKeys {
    fn build(self) -> Result<RetryLayer, ConfigError> {
        let Self { ttl, min_per_second, ratio, .. } = self;
        let mut layer = RetryLayer::new(BudgetKeys { ttl, min_per_second, ratio }.build()?);
        if let Some(retries) = self.retries {
            layer = layer.retries(retries);
        }
        let base = some_duration("backoff_base", self.backoff_base.as_deref())?.unwrap_or(BASE);
        let ceiling = some_duration("backoff_ceiling", self.backoff_ceiling.as_deref())?.unwrap_or(CEILING);
        layer = layer.backoff(base, ceiling)?;
        if let Some(longest) = some_duration("longest_wait", self.longest_wait.as_deref())? {
            layer = layer.longest_wait(longest);
        }
        let deadline = some_duration("deadline", self.deadline.as_deref())?;
        Ok(match deadline {
            Some(deadline) => layer.deadline(deadline),
            None => layer,
        })
    }
}

/// The keys are those of a [`RetryBudget`], `retries`, `backoff_base`, `backoff_ceiling`, `longest_wait` and `deadline`. Lengths of
/// time are texts, such as `"50ms"`. The layer has a budget of its own.
///
/// ```
/// use backpressure_tower::RetryLayer;
///
/// let retry: RetryLayer = toml::from_str("retries = 3\nbackoff_base = \"20ms\"\ndeadline = \"2s\"")?;
/// # let _ = retry;
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for RetryLayer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RetryKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_the_default() {
        let debug = |layer: &dyn std::fmt::Debug| format!("{layer:?}");
        // The seed of a layer's random numbers is not among what is shown.
        let keys = toml::from_str::<RetryLayer>("").unwrap();
        assert_eq!(debug(&keys), debug(&RetryLayer::new(RetryBudget::default())));
        let keys = toml::from_str::<ThrottleLayer>("").unwrap();
        assert_eq!(debug(&keys), debug(&ThrottleLayer::new()));
        assert_eq!(toml::from_str::<RetryBudget>("").unwrap().balance(), RetryBudget::default().balance());
    }

    #[test]
    fn d7_what_the_constructors_refuse_is_refused_in_their_words() {
        let retry = |text| toml::from_str::<RetryLayer>(text).unwrap_err().message().to_owned();
        assert_eq!(
            retry("backoff_base = \"2s\"\nbackoff_ceiling = \"1s\""),
            "backoff_base is 2s, but must be at most backoff_ceiling (1s)"
        );
        assert_eq!(retry("ttl = \"0s\""), "ttl is 0, but must be above 0");
        assert_eq!(retry("ratio = -0.5"), "ratio is -0.5, but must be at least 0 and finite");
        assert!(retry("deadline = \"soon\"").starts_with("deadline is \"soon\", but must be a length of time"));
        assert!(retry("retry = 3").starts_with("unknown field `retry`"));
        let throttle = |text| toml::from_str::<ThrottleLayer>(text).unwrap_err().message().to_owned();
        assert_eq!(throttle("k = 0.5"), "k is 0.5, but must be at least 1 and finite");
        assert_eq!(throttle("max_rejection = 2.0"), "max_rejection is 2, but must be from 0 to 1");
        assert!(throttle("windows = \"1s\"").starts_with("unknown field `windows`"));
    }
}
