//! The decision which chunks of bytes form one frame, and when it may be sent.

mod credit;
mod filler;

use std::fmt;
use std::time::{Duration, Instant};

use credit::{Credit, SMALL};
pub use filler::Filler;

const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(32);
/// While small frames are kept few there is room for so many bytes in a frame: a small one that is full is then followed by
/// one that earns what it costs.
const LEAST: usize = 2 * SMALL;

/// Merges chunks of bytes into frames, and keeps small frames few.
///
/// A frame is as many whole chunks as were there, up to a number of bytes; a chunk is never split, one that is larger goes by
/// itself, and an empty one is left out.
///
/// # When a frame waits
///
/// A frame of 256 bytes or more never waits, nor does one that has no room for the next chunk. A smaller one is paid for from a
/// credit in bytes: it costs what it lacks to 256. The credit begins with 100 × 256 bytes; 256 come back every 32 ms, and a
/// larger frame brings what it has beyond 256. So a frame waits only when all of this is true:
///
/// * it is below 256 bytes, with all that was there to be merged into it;
/// * the last hundred or so small ones have spent the credit, for the feed has made more than 31 frames a second since;
/// * no [`Filler`] is set.
///
/// It waits for 32 ms at most, and each chunk that comes meanwhile makes that shorter; a feed of 16 KB a second waits for 10.
///
/// # Why it waits
///
/// HTTP/2's window counts bytes. A receiver in Rust (`h2`) counts small frames besides, by these very costs, until they are read;
/// when unread ones have cost half of the connection's window it ends the connection, with all its other calls. Of that the
/// sender sees nothing: as long as the window is open, a transport asks for the next frame of a reader that has gone just as it
/// does for one that reads. What never waits, and never fills up, is lost with the first reader that stalls. With this credit,
/// a reader of hyper's may stall for a minute (a server, for one upload) or five (a client), and then the connection is still there.
///
/// ```
/// use std::time::{Duration, Instant};
/// use backpressure_core::Coalescer;
///
/// let mut frames = Coalescer::new(8).small_frames(1, Duration::ZERO); // none of them waits
/// for chunk in [&b"ab"[..], b"cd", b"ef", b"ghi"] {
///     assert_eq!(frames.offer(chunk.to_vec()), Ok(()));
/// }
/// assert_eq!(frames.offer(b"j".to_vec()), Err(b"j".to_vec()), "there is a chunk that did not fit");
/// let now = Instant::now();
/// assert_eq!(frames.take(now), Ok(Some(b"abcdef".to_vec())));
/// assert_eq!(frames.take(now), Ok(Some(b"ghi".to_vec())));
/// assert_eq!(frames.take(now), Ok(None));
/// ```
#[derive(Clone)]
pub struct Coalescer<T> {
    most: usize,
    /// A chunk that is still by itself needs no copy.
    single: Option<T>,
    merged: Vec<u8>,
    /// The chunk that did not fit any more.
    next: Option<T>,
    credit: Credit,
    filler: Option<Filler>,
}

impl<T: AsRef<[u8]> + From<Vec<u8>>> Coalescer<T> {
    /// Frames of at most so many bytes; fewer than 512 count as 512, unless small frames [never wait](Self::small_frames).
    pub const fn new(most: usize) -> Self {
        let credit = Credit::new(BURST, EVERY);
        Self { most, single: None, merged: Vec::new(), next: None, credit, filler: None }
    }

    /// How many frames below 256 bytes may go at once, and how long it takes until there may be one more; also the longest that
    /// one waits. A burst of 0 counts as 1; with an interval of zero none ever waits.
    pub fn small_frames(mut self, burst: u32, every: Duration) -> Self {
        self.credit = Credit::new(burst, every);
        self
    }

    /// A small frame that would have to wait goes at once, filled up to 256 bytes with this.
    pub fn fill_with(mut self, filler: Filler) -> Self {
        self.filler = Some(filler);
        self
    }

    /// Whether frames may be longer than what they are made of.
    pub fn is_filled_up(&self) -> bool {
        self.filler.is_some()
    }

    /// Takes in a chunk.
    ///
    /// # Errors
    ///
    /// Hands it back if the frame [is full](Self::is_full).
    pub fn offer(&mut self, chunk: T) -> Result<(), T> {
        let bytes = chunk.as_ref();
        if self.is_full() {
            return Err(chunk);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.is_empty() {
            self.single = Some(chunk);
        } else if self.len().saturating_add(bytes.len()) > self.most() {
            self.next = Some(chunk);
        } else {
            self.merge();
            self.merged.extend_from_slice(chunk.as_ref());
        }
        Ok(())
    }

    /// The next frame, if there is one and it may go.
    ///
    /// # Errors
    ///
    /// When it may go, if it has to wait because it is small.
    pub fn take(&mut self, now: Instant) -> Result<Option<T>, Instant> {
        match self.len() {
            _ if self.credit.is_unlimited() => {}
            0 => {}
            small @ ..SMALL if self.is_full() => self.credit.owe(small),
            small @ ..SMALL => match (self.credit.spend(small, now), self.filler) {
                (Ok(()), _) => {}
                (Err(_), Some(filler)) => {
                    self.merge();
                    filler.fill(&mut self.merged, SMALL);
                }
                (Err(due), None) => return Err(due),
            },
            large => self.credit.earn(large),
        }
        Ok(self.take_now())
    }

    /// The next frame, however small: nothing more will come.
    pub fn take_now(&mut self) -> Option<T> {
        let frame = match self.single.take() {
            None if self.merged.is_empty() => return None,
            None => T::from(std::mem::take(&mut self.merged)),
            Some(chunk) => chunk,
        };
        self.single = self.next.take();
        Some(frame)
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.single.is_none() && self.merged.is_empty()
    }

    /// Whether no chunk is taken in any more.
    pub fn is_full(&self) -> bool {
        self.next.is_some() || (!self.is_empty() && self.len() >= self.most())
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.len() + self.next.as_ref().map_or(0, |next| next.as_ref().len())
    }

    fn most(&self) -> usize {
        if self.credit.is_unlimited() { self.most } else { self.most.max(LEAST) }
    }

    /// The first chunk begins a frame of several parts.
    fn merge(&mut self) {
        if let Some(first) = self.single.take() {
            self.merged.extend_from_slice(first.as_ref());
        }
    }

    /// Bytes in the next frame.
    fn len(&self) -> usize {
        self.single.as_ref().map_or(self.merged.len(), |chunk| chunk.as_ref().len())
    }
}

impl<T: AsRef<[u8]> + From<Vec<u8>>> fmt::Debug for Coalescer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer").field("most", &self.most).field("held", &self.held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn small(burst: u32, every: Duration) -> Coalescer<Vec<u8>> {
        Coalescer::new(1000).small_frames(burst, every)
    }

    /// Offers so many bytes, and takes.
    fn send(frames: &mut Coalescer<Vec<u8>>, bytes: usize, now: Instant) -> Result<Option<usize>, Instant> {
        frames.offer(vec![b'x'; bytes]).unwrap();
        frames.take(now).map(|frame| frame.map(|frame| frame.len()))
    }

    #[test]
    fn small_frames_go_at_once_while_they_are_few_and_then_one_by_one() {
        let start = Instant::now();
        let mut frames = small(3, 256 * MS);
        let mut send = |at| send(&mut frames, 56, start + at);
        assert_eq!([send(MS), send(2 * MS), send(3 * MS)], [Ok(Some(56)); 3], "200 of 768, three times");
        assert_eq!(send(4 * MS), Err(start + 33 * MS), "168 and the 3 that came back are left");
        assert_eq!(send(5 * MS), Ok(Some(112)), "with what came meanwhile it costs 144");
        assert_eq!(send(6 * MS), Err(start + 177 * MS));
        assert_eq!(send(177 * MS), Ok(Some(112)));
    }

    #[test]
    fn what_is_large_never_waits_and_pays_for_small_ones() {
        let now = Instant::now();
        let mut frames = small(1, Duration::MAX);
        let mut send = |bytes| send(&mut frames, bytes, now);
        assert_eq!([send(6), send(256)], [Ok(Some(6)), Ok(Some(256))], "250 of 256, and nothing earned");
        assert!(send(6).is_err());
        assert_eq!([send(300), send(200)], [Ok(Some(306)), Ok(Some(200))], "50 earned, 56 spent");
        assert!(send(6).is_err());
        assert_eq!(send(995), Ok(Some(6)), "the next chunk does not fit, and brings 739");
        assert_eq!(send(16 * 1024 + 6), Ok(Some(995)));
        assert_eq!(frames.take(now).map(|frame| frame.map(|frame| frame.len())), Ok(Some(16 * 1024 + 6)), "as two");
        assert_eq!(self::send(&mut frames, 250, now), Ok(Some(250)), "6 were left");
        assert!(self::send(&mut frames, 6, now).is_err());
    }

    #[test]
    fn a_small_bound_counts_as_512_bytes_unless_nothing_waits() {
        let now = Instant::now();
        for (every, frame) in [(MS, 512), (Duration::ZERO, 128)] {
            let mut frames = Coalescer::new(0).small_frames(1, every);
            while frames.offer(vec![0; 128]).is_ok() {}
            assert_eq!(frames.take(now).unwrap().unwrap().len(), frame);
        }
    }

    #[test]
    fn what_is_filled_up_never_waits() {
        let now = Instant::now();
        let mut frames = small(1, Duration::MAX).fill_with(Filler::Byte(b' '));
        assert_eq!(send(&mut frames, 1, now), Ok(Some(1)), "the burst");
        for _ in 0..1000 {
            frames.offer(b"1".to_vec()).unwrap();
            frames.offer(b"\n".to_vec()).unwrap();
            let frame = frames.take(now).unwrap().unwrap();
            assert_eq!((frame.len(), frame.trim_ascii()), (256, &b"1"[..]));
        }
    }

    #[test]
    fn k1_d6_a_clock_that_jumps_and_endless_intervals_are_harmless() {
        let now = Instant::now();
        let mut frames = small(0, Duration::MAX);
        frames.offer(vec![1]).unwrap();
        assert_eq!(frames.take(now), Ok(Some(vec![1])), "a burst of none is one");
        frames.offer(vec![1]).unwrap();
        assert!(frames.take(now).is_err() && frames.take(now - 10 * MS).is_err());
        let mut frames = small(u32::MAX, Duration::from_nanos(1));
        for at in [10 * MS, MS, Duration::from_secs(1 << 40)] {
            frames.offer(vec![1]).unwrap();
            assert_eq!(frames.take(now + at), Ok(Some(vec![1])));
        }
        let mut frames = small(1, Duration::ZERO);
        assert!((0..1000).all(|_| frames.offer(vec![1]).is_ok() && frames.take(now) == Ok(Some(vec![1]))));
    }
}
