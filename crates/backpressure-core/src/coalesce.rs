//! Which chunks of bytes make one frame, and when that may go.

use std::fmt;
use std::time::{Duration, Instant};

/// A frame of so many bytes costs who receives it less than its payload: there is no reason to hold it back.
const SMALL: usize = 256;
const BURST: u32 = 100;
const EVERY: Duration = Duration::from_millis(50);

/// Merges chunks of bytes into frames, and spaces those that stay small.
///
/// A frame is as many whole chunks as were there, up to a number of bytes; a chunk is never split, one that is larger goes by
/// itself, and an empty one is left out. A frame of 256 bytes or more may go at once, and so may one that has no room for the next
/// chunk. Smaller ones go at once, too, as long as there are few of them: a burst of 100 and then one every 50 ms, unless
/// [`small_frames`](Self::small_frames) says otherwise. What comes meanwhile is merged into the one that waits.
///
/// The reason is HTTP/2. Who receives frames and does not read them pays for each, however small it is. The window counts
/// bytes, so it stays open; implementations count small frames besides, and end the whole connection when there are too many.
/// The sender cannot see that nobody reads, so the only thing that helps is not to send many small frames.
///
/// ```
/// use std::time::Instant;
/// use backpressure_core::Coalescer;
///
/// let mut frames = Coalescer::new(8);
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
    small: Credit,
}

impl<T: AsRef<[u8]> + From<Vec<u8>>> Coalescer<T> {
    /// Frames of at most so many bytes. With 0 nothing is merged.
    pub const fn new(most: usize) -> Self {
        let small = Credit { burst: BURST, every: EVERY, left: BURST, since: None };
        Self { most, single: None, merged: Vec::new(), next: None, small }
    }

    /// How many frames below 256 bytes may go at once, and how long it takes until there may be one more. A burst of 0
    /// counts as 1; an interval of zero means that they may always go.
    pub fn small_frames(mut self, burst: u32, every: Duration) -> Self {
        self.small = Credit { burst: burst.max(1), every, left: burst.max(1), since: None };
        self
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
        } else if self.len().saturating_add(bytes.len()) > self.most {
            self.next = Some(chunk);
        } else {
            if let Some(first) = self.single.take() {
                self.merged.extend_from_slice(first.as_ref());
            }
            self.merged.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// The next frame, if there is one and it may go.
    ///
    /// # Errors
    ///
    /// When it may go, if it has to wait because it is small.
    pub fn take(&mut self, now: Instant) -> Result<Option<T>, Instant> {
        if !self.is_empty() && !self.is_full() && self.len() < SMALL {
            self.small.spend(now)?;
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
        self.next.is_some() || (!self.is_empty() && self.len() >= self.most)
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.len() + self.next.as_ref().map_or(0, |next| next.as_ref().len())
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

/// How many small frames may go.
#[derive(Debug, Clone)]
struct Credit {
    burst: u32,
    every: Duration,
    left: u32,
    /// The time up to which what has come back is counted; `None` while nothing is missing.
    since: Option<Instant>,
}

impl Credit {
    /// # Errors
    ///
    /// When there will be some again.
    fn spend(&mut self, now: Instant) -> Result<(), Instant> {
        if self.every.is_zero() {
            return Ok(());
        }
        self.refill(now);
        let since = *self.since.get_or_insert(now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            // A time that cannot be told never comes; a day from now somebody asks again.
            None => Err(since.checked_add(self.every).unwrap_or(now + Duration::from_secs(86_400))),
        }
    }

    fn refill(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let come_back = now.saturating_duration_since(since).as_nanos() / self.every.as_nanos();
        let missing = self.burst - self.left;
        match u32::try_from(come_back) {
            Ok(come_back) if come_back < missing => {
                self.left += come_back;
                self.since = Some(since + self.every * come_back);
            }
            _ => (self.left, self.since) = (self.burst, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn small(burst: u32, every: Duration) -> Coalescer<Vec<u8>> {
        Coalescer::new(1000).small_frames(burst, every)
    }

    #[test]
    fn small_frames_go_at_once_while_they_are_few_and_then_one_by_one() {
        let start = Instant::now();
        let mut frames = small(3, 10 * MS);
        let mut send = |at: Duration| {
            frames.offer(vec![1]).unwrap();
            frames.take(start + at).map(|frame| frame.map(|frame| frame.len()))
        };
        assert_eq!([send(MS), send(2 * MS), send(3 * MS)], [Ok(Some(1)); 3]);
        assert_eq!(send(4 * MS), Err(start + 11 * MS), "counted from the first");
        assert_eq!(send(10 * MS), Err(start + 11 * MS));
        assert_eq!(send(11 * MS), Ok(Some(3)), "what came meanwhile goes with it");
        assert_eq!(send(12 * MS), Err(start + 21 * MS));
    }

    #[test]
    fn what_is_large_or_full_never_waits() {
        let now = Instant::now();
        let mut frames = small(1, Duration::MAX);
        let mut send = |bytes: usize| {
            frames.offer(vec![0; bytes]).unwrap();
            frames.take(now).map(|frame| frame.map(|frame| frame.len()))
        };
        assert_eq!(send(1), Ok(Some(1)), "the burst");
        assert_eq!([send(256), send(5000)], [Ok(Some(256)), Ok(Some(5000))]);
        assert!(send(100).is_err());
        assert_eq!(send(901), Ok(Some(100)), "the next chunk does not fit");
        let mut unmerged = Coalescer::new(0).small_frames(1, Duration::MAX);
        assert!((0..10).all(|n| unmerged.offer(vec![n]).is_ok() && unmerged.take(now) == Ok(Some(vec![n]))));
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

    proptest! {
        #[test]
        fn b1_b6_frames_are_whole_chunks_within_the_bound_and_together_the_input(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60),
            most in 0usize..100,
            burst in 0u32..5,
            gaps in prop::collection::vec(0u32..20, 60),
        ) {
            let mut now = Instant::now();
            let mut frames = Coalescer::new(most).small_frames(burst, 10 * MS);
            let (mut output, mut small_since_start) = (Vec::new(), 0);
            let start = now;
            for (chunk, gap) in chunks.iter().zip(gaps) {
                while frames.is_full() {
                    output.extend(frames.take(now).unwrap());
                }
                frames.offer(chunk.clone()).unwrap();
                now += MS * gap;
                let is_full = frames.is_full();
                if let Ok(Some(frame)) = frames.take(now) {
                    small_since_start += u32::from(frame.len() < SMALL && !is_full);
                    output.push(frame);
                }
                let allowed = burst.max(1) as u128 + (now - start).as_millis() / 10;
                prop_assert!(u128::from(small_since_start) <= allowed);
            }
            output.extend(std::iter::from_fn(|| frames.take_now()));
            let longest = chunks.iter().map(Vec::len).max().unwrap_or(0);
            prop_assert!(output.iter().all(|frame| !frame.is_empty() && frame.len() <= most.max(longest)));
            prop_assert_eq!(output.concat(), chunks.concat());
            let ends: Vec<usize> = chunks.iter().scan(0, |end, chunk| { *end += chunk.len(); Some(*end) }).collect();
            let mut end = 0;
            prop_assert!(output.iter().all(|frame| { end += frame.len(); ends.contains(&end) }), "no chunk is split");
            prop_assert_eq!(frames.held(), 0);
        }
    }
}
