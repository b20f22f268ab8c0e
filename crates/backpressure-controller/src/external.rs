//! What is done about batches and their failures, from files and the environment, with the feature `serde`.

use std::time::Duration;

use backpressure_core::{ConfigError, duration, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tower_service::Service;

use crate::builder::FlushBuilder;
use crate::check::at_least_1;
use crate::home::Home;
use crate::outcome::FlushOutcome;

/// The settings of a [`FlushBuilder`], as they are read from TOML, JSON or the environment. Beside it stands the
/// [`BackpressureConfig`](backpressure_core::BackpressureConfig) of the buffer.
///
/// | key | is set by | |
/// |---|---|---|
/// | `concurrency` | [`concurrency`](FlushBuilder::concurrency) | at least 1 |
/// | `set_aside_at_most` | [`set_aside_at_most`](FlushBuilder::set_aside_at_most) | at least 1 |
/// | `batch_size_min` | [`adapt_batch_items`](FlushBuilder::adapt_batch_items) | at least 1, at most the `batch_items` of the buffer |
/// | `retry_delays` | [`retry`](FlushBuilder::retry) | a list of times, such as `["50ms", "1s"]` |
/// | `retry_after_cap` | [`cap_retry_after`](FlushBuilder::cap_retry_after) | a time |
/// | `keep_copies` | [`keep_copies`](FlushBuilder::keep_copies) | `true` or `false` |
/// | `bisect` | [`bisect`](FlushBuilder::bisect) | `true` or `false` |
///
/// Every key may be left out, and is then what the builder has. What is read is checked at once, but for the bound on `batch_size_min`
/// that is another configuration's: [`spawn`](FlushBuilder::spawn) checks that.
///
/// ```
/// use backpressure_controller::{BackpressureController, FlushConfig};
/// use backpressure_core::BackpressureConfig;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let flush: FlushConfig = toml::from_str("concurrency = 4\nretry_delays = [\"50ms\", \"1s\"]")?;
/// let controller = BackpressureController::builder(BackpressureConfig::default())
///     .flush_fn(async |rows: Vec<u32>| { drop(rows); Ok::<_, std::io::Error>(()) })
///     .configure(&flush)
///     .spawn()?;
/// # drop(controller);
///
/// let refused = toml::from_str::<FlushConfig>("concurrency = 0").unwrap_err();
/// assert_eq!(refused.message(), "concurrency is 0, but must be at least 1");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlushConfig {
    concurrency: Option<usize>,
    set_aside_at_most: Option<usize>,
    batch_size_min: Option<usize>,
    retry_delays: Option<Vec<Duration>>,
    retry_after_cap: Option<Duration>,
    keep_copies: bool,
    bisect: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    concurrency: Option<usize>,
    set_aside_at_most: Option<usize>,
    batch_size_min: Option<usize>,
    retry_delays: Option<Vec<String>>,
    retry_after_cap: Option<String>,
    keep_copies: bool,
    bisect: bool,
}

impl Keys {
    fn build(self) -> Result<FlushConfig, ConfigError> {
        let Self { concurrency, set_aside_at_most, batch_size_min, keep_copies, bisect, .. } = self;
        for (field, value) in
            [("concurrency", concurrency), ("set_aside_at_most", set_aside_at_most), ("batch_size_min", batch_size_min)]
        {
            at_least_1(field, value)?;
        }
        let times = |texts: Vec<String>| texts.iter().map(|text| duration("retry_delays", text.trim())).collect();
        let retry_delays = self.retry_delays.map(times).transpose()?;
        let retry_after_cap = some_duration("retry_after_cap", self.retry_after_cap.as_deref())?;
        Ok(FlushConfig {
            concurrency,
            set_aside_at_most,
            batch_size_min,
            retry_delays,
            retry_after_cap,
            keep_copies,
            bisect,
        })
    }
}

impl<'de> Deserialize<'de> for FlushConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Keys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

impl<T, S, H> FlushBuilder<T, S, H>
where
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
    H: Home,
{
    /// Sets what `config` sets, and leaves the rest as it is.
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub fn configure(mut self, config: &FlushConfig) -> Self
    where
        T: Clone,
    {
        if let Some(batches) = config.concurrency {
            self = self.concurrency(batches);
        }
        if let Some(items) = config.set_aside_at_most {
            self = self.set_aside_at_most(items);
        }
        if let Some(items) = config.batch_size_min {
            self = self.adapt_batch_items(items);
        }
        if let Some(delays) = &config.retry_delays {
            self = self.retry(delays.clone());
        }
        if let Some(longest) = config.retry_after_cap {
            self = self.cap_retry_after(longest);
        }
        if config.keep_copies {
            self = self.keep_copies();
        }
        if config.bisect {
            self = self.bisect();
        }
        self
    }
}
