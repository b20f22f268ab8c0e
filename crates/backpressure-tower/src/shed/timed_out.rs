//! Errors that are timeouts.

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

/// What tower's `Elapsed` says of itself. Its type is in a crate that this one does not depend on.
const ELAPSED: &str = "request timed out";

/// Whether this error, or one of its sources, says that a timeout has cut the call short.
///
/// That is tower's and tokio's `Elapsed`, an [`io::Error`] that has [timed out](io::ErrorKind::TimedOut), and, with the feature
/// `tonic`, a status `DEADLINE_EXCEEDED` and tonic's `TimeoutExpired`. A [`ShedLayer`](crate::ShedLayer) asks it about errors
/// of these types and about boxed ones, such as `tower::BoxError`. Where the error of a service has a type of its own, ask in
/// [`ShedLayer::outcome`](crate::ShedLayer::outcome):
///
/// ```
/// use backpressure_core::limit::Outcome;
/// use backpressure_tower::{ShedLayer, is_timeout};
///
/// # type Response = (); type MyError = std::io::Error;
/// let layer = ShedLayer::adaptive().outcome(|answer: &Result<Response, MyError>| match answer {
///     Err(error) if is_timeout(error) => Outcome::TimedOut,
///     _ => Outcome::Success,
/// });
/// ```
pub fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| source(error)).any(says_so)
}

/// Whether an error of this type can be told to be a [timeout](is_timeout), and is one.
pub(super) fn is_known_timeout<E: 'static>(error: &E) -> bool {
    let any: &dyn Any = error;
    if let Some(error) = any.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return is_timeout(&**error);
    }
    if let Some(error) = any.downcast_ref::<Box<dyn Error + Send>>() {
        return is_timeout(&**error);
    }
    if let Some(error) = any.downcast_ref::<Box<dyn Error>>() {
        return is_timeout(&**error);
    }
    #[cfg(feature = "tonic")]
    if let Some(error) = any.downcast_ref::<tonic::Status>() {
        return is_timeout(error);
    }
    any.downcast_ref::<io::Error>().is_some_and(|error| is_timeout(error)) || any.is::<tokio::time::error::Elapsed>()
}

/// The next error of the chain. An I/O error skips the one that it holds.
fn source<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

fn says_so(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "tonic")]
    if error.is::<tonic::TimeoutExpired>()
        || error.downcast_ref::<tonic::Status>().is_some_and(|status| status.code() == tonic::Code::DeadlineExceeded)
    {
        return true;
    }
    error.is::<tokio::time::error::Elapsed>()
        || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        || says(error, ELAPSED)
}

/// Whether this is all that the error says.
fn says(error: &dyn Error, words: &str) -> bool {
    let mut rest = Rest(words);
    write!(rest, "{error}").is_ok() && rest.0.is_empty()
}

/// The words that are still expected.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(words).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tower::BoxError;

    use super::*;
    use crate::ShedError;

    fn elapsed() -> BoxError {
        tower::timeout::error::Elapsed::new().into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_known_by_what_it_is_and_by_its_sources() {
        let tokio = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
        let io = || io::Error::from(io::ErrorKind::TimedOut);
        let timeouts: [BoxError; 6] = [
            elapsed(),
            tokio.into(),
            io().into(),
            io::Error::other(elapsed()).into(),
            ShedError::Inner(io::Error::other(io::Error::other(elapsed()))).into(),
            io::Error::other(io()).into(),
        ];
        for error in timeouts {
            assert!(is_timeout(&*error) && is_known_timeout(&error), "{error:?}");
        }
        assert!(is_known_timeout(&io()) && is_known_timeout::<Box<dyn Error>>(&(elapsed() as _)));
    }

    #[test]
    fn nothing_else_is_one() {
        for words in ["", "request timed", "request timed out twice", "a request timed out", "refused"] {
            let error: BoxError = words.into();
            assert!(!is_timeout(&*error) && !is_known_timeout(&error), "{words:?}");
        }
        assert!(!is_known_timeout(&io::Error::from(io::ErrorKind::ConnectionReset)));
        assert!(!is_known_timeout(&"request timed out"), "no error at all");
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn a_status_is_one_by_its_code() {
        let status = |code| tonic::Status::new(code, "");
        assert!(is_known_timeout(&status(tonic::Code::DeadlineExceeded)));
        assert!(is_known_timeout(&BoxError::from(status(tonic::Code::DeadlineExceeded))));
        assert!(is_known_timeout(&BoxError::from(tonic::TimeoutExpired(()))));
        assert!(!is_known_timeout(&status(tonic::Code::Unavailable)));
    }
}
