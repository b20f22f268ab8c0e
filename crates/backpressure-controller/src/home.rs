//! Where the worker and its flushes run, and the bounds that this puts on the user's code.

use std::fmt;
use std::future::Future;

use tokio::task::{Id, JoinSet};

use crate::answer::{Answer, run};
use crate::outcome::FlushError;
use crate::verdict::Verdict;

/// [`Anywhere`] or [`Here`].
pub trait Home: sealed::Sealed {
    /// What judges errors.
    #[doc(hidden)]
    type Judge<E>: FnMut(&E) -> Verdict;

    /// What gets the items that failed for good.
    #[doc(hidden)]
    type OnFailed<T, E>: FnMut(Vec<T>, FlushError<E>);
}

/// On any thread of the runtime.
pub struct Anywhere(());

/// On the thread of a [`LocalSet`](tokio::task::LocalSet): nothing has to be [`Send`].
pub struct Here(());

impl Home for Anywhere {
    type Judge<E> = Box<dyn FnMut(&E) -> Verdict + Send>;
    type OnFailed<T, E> = Box<dyn FnMut(Vec<T>, FlushError<E>) + Send>;
}

impl Home for Here {
    type Judge<E> = Box<dyn FnMut(&E) -> Verdict>;
    type OnFailed<T, E> = Box<dyn FnMut(Vec<T>, FlushError<E>)>;
}

/// A home where this flush can run.
pub(crate) trait Spawns<T, E, F>: Home {
    fn spawn(tasks: &mut JoinSet<Answer<T, E>>, flush: F) -> Id;
}

impl<T, E, F> Spawns<T, E, F> for Anywhere
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output: Into<Answer<T, E>>> + Send + 'static,
{
    fn spawn(tasks: &mut JoinSet<Answer<T, E>>, flush: F) -> Id {
        tasks.spawn(run(flush)).id()
    }
}

impl<T, E, F> Spawns<T, E, F> for Here
where
    T: 'static,
    E: 'static,
    F: Future<Output: Into<Answer<T, E>>> + 'static,
{
    fn spawn(tasks: &mut JoinSet<Answer<T, E>>, flush: F) -> Id {
        tasks.spawn_local(run(flush)).id()
    }
}

impl fmt::Debug for Anywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anywhere")
    }
}

impl fmt::Debug for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Here")
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Anywhere {}
    impl Sealed for super::Here {}
}
