//! The bounds of what a builder is told.

use backpressure_core::{BackpressureConfig, ConfigError};

/// Refuses 0.
pub(crate) fn at_least_1(field: &'static str, value: Option<usize>) -> Result<(), ConfigError> {
    if value == Some(0) { Err(ConfigError::new(field, 0, "at least 1")) } else { Ok(()) }
}

/// Refuses a smallest batch that is larger than the largest.
pub(crate) fn smallest_batch(smallest: Option<usize>, config: &BackpressureConfig) -> Result<(), ConfigError> {
    at_least_1("batch_size_min", smallest)?;
    let most = config.batch_items();
    match smallest.filter(|&items| items > most) {
        Some(items) => Err(ConfigError::new("batch_size_min", items, format_args!("at most batch_items ({most})"))),
        None => Ok(()),
    }
}
