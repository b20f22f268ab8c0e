//! What the server writes into the reply subject of a delivery.

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the message in its stream.
    pub(super) sequence: u64,
    /// Which delivery of the message it is.
    pub(super) delivered: u64,
    /// How many messages wait behind it.
    pub(super) pending: u64,
    /// When the message was published, in nanoseconds since 1970.
    pub(super) published: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>`, or the longer form with
/// domain and account before the stream, and more behind the rest.
pub(super) fn parse(reply: &str) -> Option<Position> {
    let rest = reply.strip_prefix("$JS.ACK.")?.as_bytes();
    let is_dot = |&byte: &u8| byte == b'.';
    let skipped = match rest.iter().filter(|byte| is_dot(byte)).count() {
        6 => 2,
        8.. => 4,
        _ => return None,
    };
    let mut numbers = rest.split(is_dot).skip(skipped).map(number);
    let mut next = || numbers.next().flatten();
    let (delivered, sequence, _, published, pending) = (next()?, next()?, next()?, next()?, next()?);
    Some(Position { sequence, delivered, pending, published })
}

/// A number in decimal digits, and nothing else.
fn number(token: &[u8]) -> Option<u64> {
    let digits = token.iter().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    let add = |number: u64, digit: Option<u64>| number.checked_mul(10)?.checked_add(digit?);
    if token.is_empty() { None } else { digits.into_iter().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_and_anything_else_is_no_delivery() {
        let position = Position { sequence: 100, delivered: 3, pending: 42, published: 1_790_230_470_084_404_000 };
        for reply in [
            "$JS.ACK.events.durable.3.100.7.1790230470084404000.42",
            "$JS.ACK.hub.ACCHASH.events.durable.3.100.7.1790230470084404000.42",
            "$JS.ACK.hub.ACCHASH.events.durable.3.100.7.1790230470084404000.42.token",
        ] {
            assert_eq!(parse(reply), Some(position), "{reply}");
        }
        let too_large = "$JS.ACK.a.b.1.18446744073709551616.3.4.5";
        for reply in ["", "_INBOX.a.1", "$JS.ACK.events.durable.3", "$JS.ACK.a.b.c.d.e.f.g", "$JS.ACK.1.2.3.4.5.6.7.8"]
            .into_iter()
            .chain(["$JS.ACK.a.b.1..3.4.5", "$JS.ACK.a.b.1.-2.3.4.5", too_large])
        {
            assert_eq!(parse(reply), None, "{reply}");
        }
    }
}
