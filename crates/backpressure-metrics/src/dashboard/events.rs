//! The events of one page.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use backpressure_channel::Receiver;
use futures_core::Stream;

use super::hub::Hub;
use super::known::Frame;

/// A page that has missed something is told the whole again, but not more often than once in so many columns: one that is too
/// slow for the whole would never come to the rest.
const PATIENCE: u64 = 30;

/// The body of the answer to a page. It ends when the hub is closed.
#[derive(Debug)]
pub(super) struct Events {
    hub: Arc<Hub>,
    frames: Receiver<Frame>,
    cursor: Cursor,
}

/// What a page has been told.
#[derive(Debug, Default)]
struct Cursor {
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    generation: u64,
    column: u64,
    /// The column of the last whole.
    whole: u64,
}

impl Events {
    pub(super) fn new(hub: Arc<Hub>, frames: Receiver<Frame>) -> Self {
        Self { hub, frames, cursor: Cursor::default() }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(frame) = std::task::ready!(self.frames.poll_recv(cx)) else { return Poll::Ready(None) };
        if !self.cursor.needs_whole(&frame) {
            self.cursor.tick(&frame);
            return Poll::Ready(Some(Ok(frame.tick)));
        }
        let Some((newest, whole)) = self.hub.whole() else { return Poll::Ready(None) };
        self.cursor.whole(&newest);
        Poll::Ready(Some(Ok(whole)))
    }
}

impl Cursor {
    /// Whether a page that is where this is can do nothing with `frame` alone.
    fn needs_whole(&self, frame: &Frame) -> bool {
        let Some(told) = &self.told else { return true };
        let missed = frame.column > told.column + 1;
        told.generation != frame.generation || (missed && frame.column >= told.whole + PATIENCE)
    }

    fn tick(&mut self, frame: &Frame) {
        if let Some(told) = &mut self.told {
            told.column = frame.column;
        }
    }

    fn whole(&mut self, frame: &Frame) {
        let Frame { generation, column, .. } = *frame;
        self.told = Some(Told { generation, column, whole: column });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(generation: u64, column: u64) -> Frame {
        Frame { generation, column, tick: Bytes::new() }
    }

    fn told(cursor: &mut Cursor, generation: u64, column: u64) -> &'static str {
        let frame = frame(generation, column);
        if cursor.needs_whole(&frame) {
            cursor.whole(&frame);
            "whole"
        } else {
            cursor.tick(&frame);
            "tick"
        }
    }

    #[test]
    fn a_page_is_told_the_whole_when_it_opens_and_when_the_parts_have_changed() {
        let mut cursor = Cursor::default();
        let told =
            [(1, 0), (1, 0), (1, 1), (2, 1), (2, 2)].map(|(generation, column)| told(&mut cursor, generation, column));
        assert_eq!(told, ["whole", "tick", "tick", "whole", "tick"]);
    }

    #[test]
    fn a_page_that_was_away_is_told_the_whole_and_one_that_is_slow_is_not_told_it_again_and_again() {
        let mut cursor = Cursor::default();
        let columns = [0, 1, 5, 29, 60, 70, 80, 90, 91];
        let told = columns.map(|column| told(&mut cursor, 1, column));
        assert_eq!(told, ["whole", "tick", "tick", "tick", "whole", "tick", "tick", "whole", "tick"]);
    }
}
