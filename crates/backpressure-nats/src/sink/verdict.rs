//! What the answer to a publication says.

use std::error::Error;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, ErrorCode};

use super::unconfirmed::Answer;

pub(super) fn of(answer: &Result<PublishAck, PublishError>) -> Answer {
    let error = match answer {
        Ok(confirmation) => return Answer::Stored(confirmation.duplicate),
        Err(error) => error,
    };
    match error.kind() {
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe | PublishErrorKind::StreamNotFound => {
            Answer::Unanswered
        }
        PublishErrorKind::MaxAckPending => Answer::Full,
        PublishErrorKind::Other => said_by_server(error).map_or(Answer::Unanswered, verdict),
        _ => Answer::Refused,
    }
}

fn said_by_server(error: &PublishError) -> Option<&jetstream::Error> {
    error.source()?.downcast_ref()
}

fn verdict(error: &jetstream::Error) -> Answer {
    match error.error_code() {
        // What a stream says that has `discard: new` and is full.
        ErrorCode::STREAM_STORE_FAILED | ErrorCode::INSUFFICIENT_RESOURCES => Answer::Full,
        _ if error.code() == 503 => Answer::Unanswered,
        _ => Answer::Refused,
    }
}
