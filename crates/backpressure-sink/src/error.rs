//! The errors of a sink, and what they cost.

use std::error::Error;
use std::fmt;

use backpressure_core::{BoxedError, Refusal, Refused};

/// Why a sink of this crate failed. `T` is the item, `E` the error of the inner sink or service.
///
/// An error surfaces once, from whichever poll comes across it. None of them ends the adapter by itself: what is held
/// stays held, and the next poll goes on with it. Whoever would rather stop takes the rest back, with `take_remainder`
/// or `into_parts`.
///
/// It is an [`Error`] if `E` is one. Around a `Box<dyn Error + Send + Sync>`, or anything else that converts into one, it is after
/// [`into_boxed`](Self::into_boxed); and an item that keeps it from passing through `?` is left out by
/// [`without_item`](Self::without_item):
///
/// ```
/// use backpressure_sink::{BackpressureSinkError, ServiceSink};
/// use futures_util::SinkExt;
/// use tower::{BoxError, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let insert = service_fn(|row: u64| async move { if row > 0 { Ok(()) } else { Err(BoxError::from("no row 0")) } });
/// let mut sink = ServiceSink::new(insert).sink_map_err(BackpressureSinkError::into_boxed);
/// sink.send(1).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackpressureSinkError<T, E> {
    /// There was no room for the item, and none was promised: here it is again.
    Full(T),
    /// The sink takes nothing any more. If an item was being sent, here it is again.
    Closed(Option<T>),
    /// The inner sink or service failed.
    Inner {
        /// Its error.
        source: E,
        /// Items that are lost with it for certain: those it was being given.
        lost: usize,
        /// Items it was given before that, and after which no flush has succeeded yet. The error may be about any of
        /// them, or none.
        in_doubt: usize,
    },
}

impl<T, E> BackpressureSinkError<T, E> {
    /// The item that was not sent, if it is handed back.
    pub fn into_item(self) -> Option<T> {
        match self {
            Self::Full(item) => Some(item),
            Self::Closed(item) => item,
            Self::Inner { .. } => None,
        }
    }

    /// The error of the inner sink or service, if it is the one that failed.
    pub fn into_source(self) -> Option<E> {
        match self {
            Self::Inner { source, .. } => Some(source),
            Self::Full(_) | Self::Closed(_) => None,
        }
    }

    /// The same error without the item, which is dropped.
    pub fn without_item(self) -> BackpressureSinkError<(), E> {
        match self {
            Self::Full(_) => BackpressureSinkError::Full(()),
            Self::Closed(item) => BackpressureSinkError::Closed(item.map(drop)),
            Self::Inner { source, lost, in_doubt } => BackpressureSinkError::Inner { source, lost, in_doubt },
        }
    }

    /// The same error around a boxed one, which is an [`Error`] whatever `E` is.
    pub fn into_boxed(self) -> BackpressureSinkError<T, BoxedError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Full(item) => BackpressureSinkError::Full(item),
            Self::Closed(item) => BackpressureSinkError::Closed(item),
            Self::Inner { source, lost, in_doubt } => {
                BackpressureSinkError::Inner { source: BoxedError::new(source), lost, in_doubt }
            }
        }
    }

    /// Whether the sink is closed, so that trying again is no use.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T, E: fmt::Debug> fmt::Debug for BackpressureSinkError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.debug_tuple("Full").finish_non_exhaustive(),
            Self::Closed(item) => f.debug_struct("Closed").field("hands_back", &item.is_some()).finish(),
            Self::Inner { source, lost, in_doubt } => {
                f.debug_struct("Inner").field("source", source).field("lost", lost).field("in_doubt", in_doubt).finish()
            }
        }
    }
}

impl<T, E> fmt::Display for BackpressureSinkError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the buffer is full"),
            Self::Closed(_) => f.write_str("the buffer is closed: no more items are accepted"),
            Self::Inner { lost, in_doubt, .. } => write!(f, "sink failed (items lost: {lost}, in doubt: {in_doubt})"),
        }
    }
}

impl<T, E: Error + 'static> Error for BackpressureSinkError<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Inner { source, .. } => Some(BoxedError::open(source)),
            Self::Full(_) | Self::Closed(_) => None,
        }
    }
}

impl<T, E> Refused for BackpressureSinkError<T, E> {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Full(_) => Refusal::BUSY,
            Self::Closed(_) => Refusal::CLOSED,
            Self::Inner { .. } => Refusal::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Opaque;

    #[test]
    fn an_error_tells_what_it_cost_and_keeps_its_cause() {
        let broken = std::io::Error::other("broken pipe");
        let error = BackpressureSinkError::<Opaque, _>::Inner { source: broken, lost: 1, in_doubt: 3 };
        assert_eq!(error.to_string(), "sink failed (items lost: 1, in doubt: 3)");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("broken pipe"));
        assert!(error.into_source().is_some());
    }

    #[test]
    fn t5_an_item_that_did_not_enter_comes_back() {
        type Failure = BackpressureSinkError<u8, std::io::Error>;
        assert_eq!(Failure::Full(7).into_item(), Some(7));
        assert_eq!(Failure::Closed(Some(7)).into_item(), Some(7));
        assert_eq!(Failure::Closed(None).into_item(), None);
        assert!(Failure::Closed(None).is_closed() && !Failure::Full(7).is_closed());
        assert!(Failure::Full(7).source().is_none());
    }
}
