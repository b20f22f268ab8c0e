//! Events as the text that COPY reads, a line each.

use bytes::Bytes;

use crate::copy_columns::{escaped, number, word};
use crate::event::Event;

pub(crate) fn rows(events: &[Event]) -> Bytes {
    let mut text = String::with_capacity(events.len() * 160);
    for e in events {
        escaped(&mut text, &e.id);
        number(&mut text, Some(e.time_ms));
        number(&mut text, e.mag);
        word(&mut text, e.mag_type.as_deref());
        word(&mut text, e.place.as_deref());
        number(&mut text, Some(e.lon));
        number(&mut text, Some(e.lat));
        number(&mut text, e.depth);
        word(&mut text, Some(&e.kind));
        word(&mut text, e.status.as_deref());
        number(&mut text, e.sig);
        word(&mut text, e.net.as_deref());
        number(&mut text, e.tsunami);
        number(&mut text, e.felt);
        number(&mut text, e.rms);
        number(&mut text, e.gap);
        number(&mut text, e.nst);
        text.push('\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_column_or_a_row_is_escaped() {
        let line = r#"{"id":"a\tb\\N","time":-5,"place":"x\ny\rz","lon":1.5,"lat":-2,"type":"é","nst":0}"#;
        let event = Event::parse(line).unwrap();
        let row = "a\\tb\\\\N\t-5\t\\N\t\\N\tx\\ny\\rz\t1.5\t-2\t\\N\té\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t0\n";
        assert_eq!(rows(&[event.clone(), event]), row.repeat(2));
    }
}
