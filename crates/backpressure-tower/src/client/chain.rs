//! The verdict on an error, by its chain of sources.

use std::error::Error;
use std::io;

use super::throttle::NotTried;
use super::verdict::Verdict;
#[cfg(feature = "tonic")]
use super::{code, details};

/// An error as most layers of tower make it.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

const REPEATABLE: Verdict = Verdict::Refused { retry_after: None };

/// The first of the error's sources that is known says what it means. If none is, nobody knows whether the call took effect.
pub(super) fn verdict(error: &(dyn Error + 'static)) -> Verdict {
    known(error).unwrap_or(Verdict::RefusedForGood)
}

/// `None` if nothing among the sources is known.
pub(super) fn known(error: &(dyn Error + 'static)) -> Option<Verdict> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(link)
}

fn link(error: &(dyn Error + 'static)) -> Option<Verdict> {
    if error.is::<NotTried>() {
        return Some(REPEATABLE);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return is_refused(error).then_some(REPEATABLE);
    }
    #[cfg(feature = "h2")]
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        let is_refused = is_unprocessed(error) || error.get_io().is_some_and(is_refused);
        return Some(if is_refused { REPEATABLE } else { Verdict::RefusedForGood });
    }
    #[cfg(feature = "tonic")]
    if error.is::<tonic::ConnectError>() {
        return Some(REPEATABLE);
    }
    #[cfg(feature = "tonic")]
    if let Some(status) = error.downcast_ref::<tonic::Status>() {
        return Some(self::status(status));
    }
    None
}

/// One that the client made of an error has that among its sources.
#[cfg(feature = "tonic")]
pub(super) fn status(status: &tonic::Status) -> Verdict {
    use tonic::Code;
    let retry_delay = || details::retry_delay(status.details());
    let by_code = || code::verdict(status.code() as i32, status.metadata().as_ref(), retry_delay);
    let Some(source) = status.source() else { return by_code() };
    known(source).unwrap_or_else(|| match status.code() {
        // Those that tonic gives to errors of the transport and of this side. Nobody knows whether the call took effect.
        Code::Cancelled | Code::Unknown | Code::Internal | Code::Unavailable | Code::ResourceExhausted => {
            Verdict::RefusedForGood
        }
        _ => by_code(),
    })
}

/// Nobody listens.
fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

/// Whether the peer says that it has not begun with the call. `h2` gives a GOAWAY of the peer to those calls alone that it says
/// it did not process, and to those that were not yet sent.
#[cfg(feature = "h2")]
fn is_unprocessed(error: &h2::Error) -> bool {
    let says = |reason| error.is_remote() && error.reason() == Some(reason);
    (error.is_go_away() && says(h2::Reason::NO_ERROR)) || (error.is_reset() && says(h2::Reason::REFUSED_STREAM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThrottleError;

    fn judged(error: impl Into<BoxError>) -> Verdict {
        verdict(&*error.into())
    }

    #[test]
    fn a_call_that_was_not_made_is_safe_to_be_repeated() {
        let throttled = || ThrottleError::<io::Error>::Throttled { rejection: 0.5 };
        assert_eq!(judged(throttled()), REPEATABLE);
        assert_eq!(judged(io::Error::from(io::ErrorKind::ConnectionRefused)), REPEATABLE);
        assert_eq!(judged(ThrottleError::Inner(io::Error::from(io::ErrorKind::ConnectionRefused))), REPEATABLE);
    }

    #[test]
    fn of_what_is_unknown_nobody_knows_whether_it_took_effect() {
        assert_eq!(judged("reset"), Verdict::RefusedForGood);
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut] {
            assert_eq!(judged(io::Error::from(kind)), Verdict::RefusedForGood);
        }
    }

    #[cfg(feature = "h2")]
    #[test]
    fn an_error_of_this_side_is_no_refusal_of_the_peer() {
        for reason in [h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::REFUSED_STREAM, h2::Reason::NO_ERROR] {
            assert_eq!(judged(h2::Error::from(reason)), Verdict::RefusedForGood, "{reason:?}");
        }
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn a_status_among_the_sources_counts() {
        let status = |code| ThrottleError::Inner(tonic::Status::new(code, ""));
        assert_eq!(judged(status(tonic::Code::NotFound)), Verdict::Served);
        assert_eq!(judged(status(tonic::Code::Unavailable)), REPEATABLE);
    }
}
