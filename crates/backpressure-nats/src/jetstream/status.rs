//! Why the server ended a request: a number, and a text that alone tells some of them apart.

use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};

use crate::engine::End;

/// What a status says of the request; `None` if it is not its end.
pub(super) fn end(status: StatusCode, description: &str) -> Option<End> {
    let text = description.to_ascii_lowercase();
    Some(match status.as_u16() {
        100 => return None,
        404 | 408 => End::Expired,
        503 => End::Unanswered,
        409 if text.contains("size exceeds maxbytes") => End::Bytes,
        409 if text.contains("maxrequestbatch") => number(&text).map_or(End::Busy, End::TooMany),
        409 if text.contains("maxrequestmaxbytes") => number(&text).map_or(End::Busy, End::TooLarge),
        409 if text.contains("maxrequestexpires") => duration(&text).map_or(End::Busy, End::TooLong),
        409 if text.contains("consumer deleted") || text.contains("push based") => End::Gone,
        409 if text.contains("batch completed") => End::Expired,
        400 => End::Gone,
        // The server shuts down, has a new leader, or too many requests wait; and what later servers will say.
        _ => End::Busy,
    })
}

/// How many messages of the request will not come, if the server says so.
pub(super) fn undelivered(headers: Option<&HeaderMap>) -> Option<usize> {
    headers?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}

fn last_word(text: &str) -> Option<&str> {
    text.split_whitespace().next_back()
}

fn number(text: &str) -> Option<usize> {
    last_word(text)?.parse().ok()
}

/// A time as Go prints it, such as `1m30s` or `1.5s`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = last_word(text)?;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let amount: f64 = rest[..unit_at].parse().ok()?;
        let end = rest[unit_at..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| unit_at + at);
        seconds += amount
            * match &rest[unit_at..end] {
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "µs" | "us" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, text: &str) -> Option<End> {
        end(StatusCode::from_u16(status).unwrap(), text)
    }

    #[test]
    fn ends_are_told_apart_by_their_texts() {
        for (status, text, said) in [
            (408, "Request Timeout", End::Expired),
            (404, "No Messages", End::Expired),
            (409, "Message Size Exceeds MaxBytes", End::Bytes),
            (409, "Exceeded MaxRequestBatch of 10", End::TooMany(10)),
            (409, "Exceeded MaxRequestMaxBytes of 4096", End::TooLarge(4_096)),
            (409, "Exceeded MaxRequestExpires of 1m1.5s", End::TooLong(Duration::from_millis(61_500))),
            (409, "Exceeded MaxRequestExpires of 500ms", End::TooLong(Duration::from_millis(500))),
            (409, "Consumer Deleted", End::Gone),
            (409, "Consumer is push based", End::Gone),
            (409, "Server Shutdown", End::Busy),
            (409, "Leadership Change", End::Busy),
            (409, "Exceeded MaxWaiting", End::Busy),
            (409, "something that a later server says", End::Busy),
            (503, "", End::Unanswered),
        ] {
            assert_eq!(of(status, text), Some(said), "{status} {text}");
        }
        assert_eq!(of(100, "Idle Heartbeat"), None);
        assert_eq!(of(409, "Exceeded MaxRequestExpires of never"), Some(End::Busy));
    }
}
