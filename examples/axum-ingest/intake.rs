//! `POST /readings`: lines of JSON, read one by one, of which neither one nor all are ever too long to hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use backpressure::BackpressureController;
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::store::Reading;

/// The longest line that is read, in bytes. As the buffer is bounded by number, this bounds what it holds.
const MAX_LINE: usize = 4096;

/// The most bytes of lines in a body: its readings are held until the last line has been read.
const MAX_BODY: usize = 2 * 1024 * 1024;

/// A status, and what to say about it.
type Refusal = (StatusCode, String);

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub(crate) controller: BackpressureController<Reading>,
    pub(crate) accepted: Arc<AtomicU64>,
}

/// If a line cannot be read none is accepted. If the buffer stays full for too long those before it are, and the answer says how
/// many: to send them again would write them twice.
pub(crate) async fn readings(State(intake): State<Intake>, body: Body) -> Result<StatusCode, Refusal> {
    for (before, reading) in parse(body).await?.into_iter().enumerate() {
        let pushed = intake.controller.push(reading).await;
        let failed = |error| (StatusCode::INTERNAL_SERVER_ERROR, format!("after {before} lines: {error}\n"));
        pushed.map_err(failed)?;
        intake.accepted.fetch_add(1, Ordering::Relaxed);
    }
    Ok(StatusCode::ACCEPTED)
}

/// Reads no further than to the first line that is refused.
async fn parse(body: Body) -> Result<Vec<Reading>, Refusal> {
    let chunks = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let mut lines = FramedRead::new(chunks, LinesCodec::new_with_max_length(MAX_LINE));
    let (mut readings, mut read) = (Vec::new(), 0);
    while let Some(line) = lines.next().await {
        let number = readings.len() + 1;
        let refused = |status, why: &dyn fmt::Display| (status, format!("line {number}: {why}\n"));
        let line = line.map_err(|error| match error {
            LinesCodecError::MaxLineLengthExceeded => {
                refused(StatusCode::PAYLOAD_TOO_LARGE, &format_args!("longer than {MAX_LINE} bytes"))
            }
            LinesCodecError::Io(error) => refused(StatusCode::BAD_REQUEST, &error),
        })?;
        read += line.len() + 1;
        if read > MAX_BODY {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, &format_args!("more than {MAX_BODY} bytes of lines")));
        }
        readings.push(serde_json::from_str(&line).map_err(|error| refused(StatusCode::BAD_REQUEST, &error))?);
    }
    Ok(readings)
}
