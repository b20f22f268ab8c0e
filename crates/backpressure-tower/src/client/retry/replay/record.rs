//! What is known of a body that is being sent: the body itself, and what has come out of it.
//!
//! No code of the user runs in here. Whoever wants to poll the body takes it out, and gives it back with what it gave.

use std::task::Waker;

use bytes::Bytes;
use http::HeaderMap;

use crate::client::retry::why::NotRetried;

/// A body, and what it gave so far.
#[derive(Debug)]
pub(super) struct Record<B> {
    source: Source<B>,
    pieces: Vec<Piece>,
    /// How many bytes are in the pieces.
    size: usize,
    /// How many may be.
    limit: usize,
    keeping: Keeping,
    /// Which try reads on. Those before it are over.
    current: Try,
    /// How many pieces it has.
    read: usize,
    /// Who waits for a body that is lent.
    waiting: Option<Waker>,
}

/// Where the body is.
#[derive(Debug)]
pub(super) enum Source<B> {
    Here(B),
    /// Somebody polls it at the moment.
    Lent,
    /// All of it has been read.
    Ended,
    /// It failed, or panicked.
    Broken,
}

/// What a body gives.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Data(data) if data.is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Keeps,
    /// It was too much.
    TooLarge,
    /// There will be no other try.
    Over,
}

/// What comes next for a try.
#[derive(Debug)]
pub(super) enum Next<B> {
    Piece(Piece),
    /// The body is to be polled, outside of all locks, and to be given back.
    Poll(B),
    /// Another try still polls the body. It is soon given back.
    Wait,
    End,
    Broken,
    /// This try is over, for another has begun.
    Superseded,
}

/// The number of a try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Try(u64);

/// What is to be done once the lock is released.
#[derive(Debug)]
#[must_use = "it must not be dropped under the lock"]
pub(super) struct Released<B> {
    pub(super) waiting: Option<Waker>,
    _pieces: Vec<Piece>,
    _source: Option<Source<B>>,
}

impl<B> Record<B> {
    pub(super) fn new(body: B, limit: usize) -> Self {
        Self {
            source: Source::Here(body),
            pieces: Vec::new(),
            size: 0,
            limit,
            keeping: Keeping::Keeps,
            current: Try::default(),
            read: 0,
            waiting: None,
        }
    }

    /// What comes next for this try. If the answer is to [wait](Next::Wait), `waker` is exchanged for the one that was kept,
    /// which is the caller's to drop; without one nobody is woken.
    pub(super) fn next(&mut self, this: Try, waker: &mut Option<Waker>) -> Next<B> {
        if this != self.current {
            return Next::Superseded;
        }
        if let Some(piece) = self.pieces.get(self.read) {
            self.read += 1;
            return Next::Piece(piece.clone());
        }
        match std::mem::replace(&mut self.source, Source::Lent) {
            Source::Here(body) => Next::Poll(body),
            Source::Lent => {
                if waker.is_some() {
                    std::mem::swap(&mut self.waiting, waker);
                }
                Next::Wait
            }
            Source::Ended => {
                self.source = Source::Ended;
                Next::End
            }
            Source::Broken => {
                self.source = Source::Broken;
                Next::Broken
            }
        }
    }

    /// Takes back the body that was lent to this try, and keeps what it gave for the others.
    pub(super) fn give_back(&mut self, this: Try, source: Source<B>, piece: Option<&Piece>) -> Released<B> {
        let mut released = Released { waiting: self.waiting.take(), _pieces: Vec::new(), _source: None };
        self.source = source;
        // What is empty counts for nothing, so it must not be kept either.
        let is_kept = |piece: &&Piece| self.keeping == Keeping::Keeps && !piece.is_empty();
        let Some(piece) = piece.filter(is_kept) else { return released };
        if let Piece::Data(data) = piece {
            self.size = self.size.saturating_add(data.len());
        }
        if self.size > self.limit {
            self.keeping = Keeping::TooLarge;
            released._pieces = std::mem::take(&mut self.pieces);
            if this != self.current {
                // The try that has begun meanwhile would have needed them.
                released._source = Some(std::mem::replace(&mut self.source, Source::Broken));
            }
            return released;
        }
        self.pieces.push(piece.clone());
        if this == self.current {
            self.read += 1;
        }
        released
    }

    /// Whether there could be another try.
    pub(super) fn check(&self) -> Result<(), NotRetried> {
        if self.keeping == Keeping::TooLarge {
            return Err(NotRetried::BodyTooLarge);
        }
        if matches!(self.source, Source::Broken) {
            return Err(NotRetried::Unrepeatable);
        }
        Ok(())
    }

    /// The beginning of another try. The one before it is over, even if it still sends.
    pub(super) fn begin_again(&mut self) -> Result<Try, NotRetried> {
        self.check()?;
        self.current.0 += 1;
        self.read = 0;
        Ok(self.current)
    }

    /// There will be no other try: nothing more is kept, and what was kept is let go, unless the last try has yet to send it.
    pub(super) fn is_over(&mut self) -> Released<B> {
        self.keeping = Keeping::Over;
        let is_sent = self.read >= self.pieces.len();
        let pieces = if is_sent { std::mem::take(&mut self.pieces) } else { Vec::new() };
        Released { waiting: None, _pieces: pieces, _source: None }
    }

    /// Whether this try has nothing left to send.
    pub(super) fn is_at_end(&self, this: Try) -> bool {
        this == self.current && self.read >= self.pieces.len() && matches!(self.source, Source::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_pieces_without_content_are_not_kept() {
        let (mut record, this) = (Record::new((), 8), Try::default());
        for _ in 0..1000 {
            assert!(matches!(record.next(this, &mut None), Next::Poll(())));
            drop(record.give_back(this, Source::Here(()), Some(&Piece::Data(Bytes::new()))));
        }
        assert_eq!(record.pieces.len(), 0);
    }
}
