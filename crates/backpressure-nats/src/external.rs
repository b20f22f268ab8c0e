//! A [`PullConfig`] from files and the environment, with the feature `serde`.

use backpressure_core::{ConfigError, duration, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::config::PullConfig;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    window: Option<usize>,
    window_bytes: Option<usize>,
    batch: Option<usize>,
    expires: Option<String>,
    longest_hold: Option<String>,
    redeliver: Option<Vec<String>>,
    dropped_delay: Option<String>,
    full_lag: Option<u64>,
    patience: Option<String>,
}

impl Keys {
    fn build(self) -> Result<PullConfig, ConfigError> {
        let mut config = PullConfig::new();
        if let Some(deliveries) = self.window {
            config = config.with_window(deliveries);
        }
        if let Some(bytes) = self.window_bytes {
            config = config.window_bytes(bytes);
        }
        if let Some(messages) = self.batch {
            config = config.batch(messages);
        }
        if let Some(expires) = some_duration("expires", self.expires.as_deref())? {
            config = config.expires(expires);
        }
        if let Some(hold) = some_duration("longest_hold", self.longest_hold.as_deref())? {
            config = config.longest_hold(hold);
        }
        if let Some(delays) = self.redeliver {
            let delays: Result<Vec<_>, _> = delays.iter().map(|delay| duration("redeliver", delay.trim())).collect();
            config = config.redeliver(delays?);
        }
        if let Some(delay) = some_duration("dropped_delay", self.dropped_delay.as_deref())? {
            config = config.dropped_delay(delay);
        }
        if let Some(messages) = self.full_lag {
            config = config.full_lag(messages);
        }
        if let Some(patience) = some_duration("patience", self.patience.as_deref())? {
            config = config.patience(patience);
        }
        config.check().map(|()| config)
    }
}

/// All keys have the defaults of the settings of their names; `window` is [`with_window`](PullConfig::with_window). Lengths of time are
/// texts, such as `"3s"`, and `redeliver` is a list of them.
///
/// ```
/// use backpressure_nats::PullConfig;
///
/// let config: PullConfig = toml::from_str("window = 500\nredeliver = [\"1s\", \"30s\"]")?;
/// assert_eq!(config.window(), 500);
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for PullConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Keys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_key_is_what_its_setting_sets() {
        let second = Duration::from_secs(1);
        let keys = "window = 5\nwindow_bytes = 6\nbatch = 7\nexpires = \"1s\"\nlongest_hold = \"2s\"\nredeliver = [\"1s\", \"3s\"]\ndropped_delay = \"4s\"\nfull_lag = 8\npatience = \"5s\"";
        let built = PullConfig::new()
            .with_window(5)
            .window_bytes(6)
            .batch(7)
            .expires(second)
            .longest_hold(2 * second)
            .redeliver([second, 3 * second])
            .dropped_delay(4 * second)
            .full_lag(8)
            .patience(5 * second);
        assert_eq!(toml::from_str(keys), Ok(built));
        assert_eq!(toml::from_str(""), Ok(PullConfig::new()));
    }

    #[test]
    fn d7_what_the_check_refuses_is_refused_in_its_words() {
        let refused = |text| toml::from_str::<PullConfig>(text).unwrap_err().message().to_owned();
        assert_eq!(refused("window = 0"), "window is 0, but must be at least 1");
        assert_eq!(refused("expires = \"50ms\""), "expires is 50ms, but must be at least 100ms");
        assert!(refused("redeliver = [\"later\"]").starts_with("redeliver is \"later\", but must be a length of time"));
        assert!(refused("windows = 5").starts_with("unknown field `windows`"));
    }
}
