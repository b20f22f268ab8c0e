//! Why a part cannot be registered.

use std::error::Error;
use std::fmt;

/// Why a part or a link was not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A part of this name is there, and has not ended.
    Duplicate {
        /// The name.
        name: String,
    },
    /// No exporter could carry the name.
    Name {
        /// The name.
        name: String,
        /// What it must be.
        must: &'static str,
    },
    /// A metric of the part has a name or unit that no exporter could carry, or that of another metric.
    Metric {
        /// The name of the part.
        part: String,
        /// The name of the metric.
        metric: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// The second part feeds the first already, directly or through others.
    Cycle {
        /// The parts on the way from the second to the first, both included.
        path: Vec<String>,
    },
    /// A part that is not, or no longer, in this registry.
    Unknown {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { name } => write!(f, "a part named `{name}` is registered, and has not ended"),
            Self::Name { name, must } => write!(f, "the name of a part is {name:?}, but must be {must}"),
            Self::Metric { part, metric, must } => {
                write!(f, "the metric `{metric}` of the part `{part}` must {must}")
            }
            Self::Cycle { path } => {
                let path: Vec<_> = path.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "the link would close a cycle: {} is there already", path.join(" → "))
            }
            Self::Unknown { name } => write!(f, "the part `{name}` is not in this registry"),
        }
    }
}

impl Error for RegisterError {}
