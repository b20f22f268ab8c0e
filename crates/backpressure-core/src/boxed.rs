//! A boxed error that is an [`Error`] itself.

use std::error::Error;
use std::fmt;

/// An error of any type, as an [`Error`].
///
/// `Box<dyn Error + Send + Sync>` is no [`Error`], so an error type that holds one cannot be an [`Error`] with a source either,
/// and `?` does not take it. The error types of this workspace that hold another error therefore have a method
/// `into_boxed()`, which puts this type in its place. What it holds stays among the sources.
///
/// ```
/// use std::error::Error;
/// use backpressure_core::BoxedError;
///
/// let error = BoxedError::new("disk full");
/// assert_eq!(error.to_string(), "disk full");
///
/// fn whole() -> Result<(), Box<dyn Error + Send + Sync>> {
///     Err(BoxedError::new(std::io::Error::other("disk full")))?
/// }
/// assert_eq!(whole().unwrap_err().to_string(), "disk full");
/// ```
pub struct BoxedError(Box<dyn Error + Send + Sync>);

impl BoxedError {
    /// Boxes an error; one that is boxed already stays in its box.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The error.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }

    /// The error, in its box.
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }

    /// What `error` stands for: what is in the box, if it is one, and otherwise itself. For the source of a wrapper, so that
    /// whoever looks for a type among the sources finds it.
    #[doc(hidden)]
    pub fn open<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
        error.downcast_ref::<Self>().map_or(error, |boxed| &*boxed.0)
    }
}

impl fmt::Debug for BoxedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BoxedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Shows itself as the error it holds, so the source is that error's.
impl Error for BoxedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl From<Box<dyn Error + Send + Sync>> for BoxedError {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self(error)
    }
}
