//! The answers that an inner service may give to a batch.

use std::iter;
use std::vec;

use tower_service::Service;

/// The response to a batch, taken apart: one answer for each request, in their order.
///
/// Two responses are known here. Which one is meant is told by `Resp`, the response each caller gets:
///
/// | the inner service answers | `Resp` | |
/// |---|---|---|
/// | `Vec<R>` | `R` | the batch succeeds or fails as a whole |
/// | `Vec<Result<R, E>>` | `R` | each request succeeds, or fails with [`BatchError::Request`](crate::BatchError::Request) |
/// | `Vec<Result<R, F>>` | `Result<R, F>` | the same, with an error of its own kind inside the response |
///
/// A type of your own, a map of rows for example, can implement it too. There must be as many answers as requests.
pub trait Answers<Resp, E> {
    /// The answers, one after the other.
    type Iter: ExactSizeIterator<Item = Result<Resp, E>>;

    /// Takes the response apart.
    fn into_answers(self) -> Self::Iter;
}

/// A service that answers batches.
pub(super) trait AnswersBatches<Req, Resp>:
    Service<Vec<Req>, Response: Answers<Resp, <Self as Service<Vec<Req>>>::Error>>
{
}

impl<S, Req, Resp> AnswersBatches<Req, Resp> for S where S: Service<Vec<Req>, Response: Answers<Resp, S::Error>> {}

impl<Resp, E> Answers<Resp, E> for Vec<Resp> {
    type Iter = iter::Map<vec::IntoIter<Resp>, fn(Resp) -> Result<Resp, E>>;

    fn into_answers(self) -> Self::Iter {
        self.into_iter().map(Ok)
    }
}

impl<Resp, E> Answers<Resp, E> for Vec<Result<Resp, E>> {
    type Iter = vec::IntoIter<Result<Resp, E>>;

    fn into_answers(self) -> Self::Iter {
        self.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<Resp, E>(response: impl Answers<Resp, E>) -> Vec<Result<Resp, E>> {
        response.into_answers().collect()
    }

    #[test]
    fn the_caller_decides_what_a_result_means() {
        assert_eq!(answers::<u8, ()>(vec![1, 2]), [Ok(1), Ok(2)]);
        assert_eq!(answers::<u8, &str>(vec![Ok(1), Err("no")]), [Ok(1), Err("no")]);
        assert_eq!(answers::<Result<u8, &str>, &str>(vec![Ok(1), Err("no")]), [Ok(Ok(1)), Ok(Err("no"))]);
    }
}
