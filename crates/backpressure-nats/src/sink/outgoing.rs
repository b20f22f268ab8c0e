//! A message to be published.

use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, Subject};

/// A message for a [`JetStreamSink`](crate::JetStreamSink).
///
/// ```
/// use backpressure_nats::Outgoing;
///
/// let message = Outgoing::new("orders.eu", "two of those").id("order-4711").header("Trace", "abc");
/// assert_eq!(message.payload(), b"two of those");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a message does nothing until it is sent"]
pub struct Outgoing {
    subject: Subject,
    headers: HeaderMap,
    payload: Vec<u8>,
}

impl Outgoing {
    /// A message without headers.
    pub fn new(subject: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { subject: Subject::from(subject.into()), headers: HeaderMap::new(), payload: payload.into() }
    }

    /// What the server knows the message by: within the stream's duplicate window it stores a second one with the same id not at all.
    /// The sink publishes again what was not confirmed in time, so without an id a message may be there twice.
    pub fn id(self, id: &str) -> Self {
        self.header("Nats-Msg-Id", id)
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn parts(&self) -> (Subject, PublishMessage) {
        let message = PublishMessage::build().payload(self.payload.clone().into()).headers(self.headers.clone());
        (self.subject.clone(), message)
    }
}
