//! How long a server reads on.

use backpressure_core::{ConfigError, some_duration};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::respond::Linger;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    delay: Option<String>,
    time: Option<String>,
    bytes: Option<u64>,
    connections: Option<usize>,
}

impl Keys {
    fn build(self) -> Result<Linger, ConfigError> {
        let mut linger = Linger::default();
        if let Some(delay) = some_duration("delay", self.delay.as_deref())? {
            linger = linger.delay(delay);
        }
        if let Some(time) = some_duration("time", self.time.as_deref())? {
            linger = linger.time(time);
        }
        if let Some(bytes) = self.bytes {
            linger = linger.bytes(bytes);
        }
        Ok(self.connections.map_or(linger, |connections| linger.connections(connections)))
    }
}

/// All keys have the defaults of the methods of their names. `delay` and `time` are texts, such as `"200ms"`.
impl<'de> Deserialize<'de> for Linger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Keys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}
