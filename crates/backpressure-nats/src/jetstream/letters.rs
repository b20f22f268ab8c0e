//! Where messages go that failed for good.

use async_nats::jetstream::Context;
use async_nats::{Message, Subject};

use super::reply;

/// Puts a message among the dead letters, with its headers, and where it comes from beside them. Answers whether the server has
/// confirmed it. A message that is put there again while the server remembers it is there once.
pub(super) async fn bury(context: Context, letters: Subject, stream: String, message: Message) -> bool {
    let position = message.reply.as_ref().and_then(|reply| reply::parse(reply));
    let mut headers = message.headers.unwrap_or_default();
    headers.insert("Backpressure-Stream", stream.as_str());
    headers.insert("Backpressure-Subject", message.subject.as_str());
    if let Some(position) = position {
        headers.insert("Backpressure-Sequence", position.sequence.to_string().as_str());
        headers.insert("Backpressure-Delivered", position.delivered.to_string().as_str());
        headers.insert("Nats-Msg-Id", format!("{stream}.{}", position.sequence).as_str());
    }
    match context.publish_with_headers(letters, headers, message.payload).await {
        Ok(confirmation) => confirmation.await.is_ok(),
        Err(_) => false,
    }
}
