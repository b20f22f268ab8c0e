//! One seismic event, and how a line of NDJSON becomes one.

use backpressure::Priority;
use serde::Deserialize;

/// A line of `data/earthquakes.ndjson`, whose README says what the fields mean. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) id: Box<str>,
    #[serde(rename = "time")]
    pub(crate) time_ms: i64,
    pub(crate) mag: Option<f64>,
    pub(crate) mag_type: Option<Box<str>>,
    pub(crate) place: Option<Box<str>>,
    pub(crate) lon: f64,
    pub(crate) lat: f64,
    pub(crate) depth: Option<f64>,
    #[serde(rename = "type")]
    pub(crate) kind: Box<str>,
    pub(crate) status: Option<Box<str>>,
    pub(crate) sig: Option<i64>,
    pub(crate) net: Option<Box<str>>,
    pub(crate) tsunami: Option<i64>,
    pub(crate) felt: Option<i64>,
    pub(crate) rms: Option<f64>,
    pub(crate) gap: Option<f64>,
    pub(crate) nst: Option<i64>,
}

/// Why a line is not an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("{}", without_line(.0))]
    Json(#[from] serde_json::Error),
    #[error("{field} is {value}, but must be within ±{bound} degrees")]
    OutOfRange { field: &'static str, value: f64, bound: f64 },
}

impl Event {
    pub(crate) fn parse(line: &str) -> Result<Self, ParseError> {
        let event: Self = serde_json::from_str(line)?;
        for (field, value, bound) in [("lon", event.lon, 180.0), ("lat", event.lat, 90.0)] {
            if value.abs() > bound {
                return Err(ParseError::OutOfRange { field, value, bound });
            }
        }
        Ok(event)
    }

    /// How important the event is: its magnitude rounded down.
    pub(crate) fn priority(&self) -> Priority {
        Priority::new(self.mag.unwrap_or(0.0).clamp(0.0, 7.0) as u8)
    }
}

/// serde_json counts lines within the text it is given, which is always one: keep only the column.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(message) => format!("{message} (column {})", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"id":"us2000crkq","time":1517364031800,"mag":5.3,"magType":"mb","place":"Sangiang","lon":118.8,
        "lat":-7.86,"depth":15.18,"type":"earthquake","status":"reviewed","sig":436,"net":"us","tsunami":0,"new":{"a":1}}"#;

    fn error(line: &str) -> String {
        Event::parse(line).unwrap_err().to_string()
    }

    #[test]
    fn a_line_is_an_event_and_unknown_fields_are_ignored() {
        let event = Event::parse(LINE).unwrap();
        assert_eq!((&*event.id, event.time_ms, event.mag), ("us2000crkq", 1517364031800, Some(5.3)));
        assert_eq!((event.mag_type.as_deref(), &*event.kind, event.felt), (Some("mb"), "earthquake", None));
    }

    #[test]
    fn every_line_of_the_bundled_data_is_an_event() {
        let data = include_str!("../data/earthquakes.ndjson");
        let events: Result<Vec<_>, _> = data.lines().map(Event::parse).collect();
        assert_eq!(events.unwrap().len(), 1707);
    }

    #[test]
    fn an_error_names_the_column_and_not_a_line() {
        assert_eq!(error(r#"{"id":"a"}"#), "missing field `time` (column 10)");
        assert!(error("not json").starts_with("expected ident (column 2)"), "{}", error("not json"));
        assert!(error(r#"{"id":7"#).contains("invalid type: integer `7`, expected a string"));
    }

    #[test]
    fn a_place_that_is_not_on_earth_is_refused() {
        assert_eq!(error(&LINE.replace("-7.86", "-90.5")), "lat is -90.5, but must be within ±90 degrees");
        assert_eq!(error(&LINE.replace("118.8", "1e308")).split(',').next(), Some(&*format!("lon is {}", 1e308)));
    }

    #[test]
    fn the_priority_is_the_magnitude_rounded_down_within_bounds() {
        let of = |mag| Event { mag, ..Event::parse(LINE).unwrap() }.priority().as_u8();
        let cases = [(None, 0), (Some(-0.8), 0), (Some(0.99), 0), (Some(4.5), 4), (Some(6.4), 6), (Some(9.5), 7)];
        assert!(cases.into_iter().all(|(mag, expected)| of(mag) == expected));
    }
}
