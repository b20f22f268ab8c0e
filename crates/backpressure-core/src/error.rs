//! The error of a configuration.

use std::error::Error;
use std::fmt;

/// A configuration that was refused when it was built.
///
/// It names the field, the value it was given and the bound that the value breaks, so that the message alone is enough
/// to mend the configuration. Nothing was created, so nothing is lost.
///
/// ```
/// use backpressure_core::Watermarks;
///
/// let error = Watermarks::new(0.9, 0.4).unwrap_err();
/// assert_eq!(error.field(), "low_watermark");
/// assert_eq!(error.to_string(), "low_watermark is 0.9, but must be below high_watermark (0.4)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    field: &'static str,
    value: String,
    bound: String,
}

impl ConfigError {
    /// Refuses `field`, whose `value` does not satisfy `bound` (a phrase that follows "must be").
    pub fn new(field: &'static str, value: impl fmt::Display, bound: impl fmt::Display) -> Self {
        Self { field, value: value.to_string(), bound: bound.to_string() }
    }

    /// The name of the refused field, as the builder spells it.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The value the field was given, as text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What the value must be.
    pub fn bound(&self) -> &str {
        &self.bound
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, but must be {}", self.field, self.value, self.bound)
    }
}

impl Error for ConfigError {}
