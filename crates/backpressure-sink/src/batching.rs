//! A sink of items in front of a sink of batches.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backpressure_core::{Batch, BatchAccumulator, BatchConfig, Weigh, Weigher};
use backpressure_rt::{ClockSampler, Timer, now};
use futures_sink::Sink;
use pin_project_lite::pin_project;

use crate::error::BackpressureSinkError;
use crate::phase::Phase;

/// Most items without a look at the clock: so many go by when their pace drops all at once.
const MOST_UNSEEN: usize = 16;

pin_project! {
    /// Gathers items into batches for a sink of `Vec`s.
    ///
    /// A batch closes when it is full, by number or weight; when its first item has waited for the linger, or nothing has
    /// come for the quiet time; and when the sink is closed. It goes to the inner sink as soon as that is ready; until
    /// then a batch that is not full goes on filling. The batches, one after the other, are the input.
    ///
    /// * `poll_ready` is ready while there is room in the open batch, and pending while a closed one waits for the inner
    ///   sink. It looks at the clock, so that a linger holds while items keep coming.
    /// * `poll_flush` is ready when every item has gone and the inner sink is flushed. An open batch is given its linger:
    ///   flushing it *waits*, and then sends. That way `forward`, which flushes at every pause of its stream, and a
    ///   [driver](crate::BackpressureSink::drive), which flushes whenever it has nothing to send, make the batches that the
    ///   configuration asks for. Where flushing is to mean *now*, as after a `send` by hand, see
    ///   [`eager_flush`](Self::eager_flush). A batch without a deadline (a linger of [`Duration::MAX`]) is always sent at once.
    /// * `poll_close` sends what there is at once, then closes the inner sink, once.
    ///
    /// This holds at most one batch. For a buffer before it, with a strategy and a gauge, put a
    /// [`BackpressureSink`](crate::BackpressureSink) in front; and [drive](crate::BackpressureSink::drive) that if a linger
    /// is to hold although nobody polls.
    ///
    /// # Errors
    ///
    /// An error of the inner sink surfaces once, from the poll that came across it, with
    /// [the number of items](BackpressureSinkError::Inner) that it cost. The other items stay.
    ///
    /// # Cancel safety
    ///
    /// The futures of `feed`, `send`, `flush` and `close` hold nothing but an item that has not been sent. Dropping the sink
    /// drops what it holds; [`into_parts`](Self::into_parts) takes it out.
    ///
    /// # Panics
    ///
    /// `poll_flush`, when it waits outside a tokio runtime or in one without time enabled.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use backpressure_core::BatchConfig;
    /// use backpressure_sink::BatchingSink;
    /// use futures_util::SinkExt;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = BatchConfig::builder().max_items(3).linger(Duration::from_millis(20)).build()?;
    /// let mut sink = BatchingSink::new(Vec::new(), config);
    /// for n in 1..=5 {
    ///     sink.feed(n).await?;
    /// }
    /// assert_eq!(sink.get_ref(), &[[1, 2, 3]]);
    ///
    /// let start = tokio::time::Instant::now();
    /// sink.flush().await?;
    /// assert_eq!(start.elapsed(), Duration::from_millis(20));
    /// assert_eq!(sink.get_ref(), &[vec![1, 2, 3], vec![4, 5]]);
    /// # Ok(())
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "sinks do nothing unless polled"]
    pub struct BatchingSink<Si, T> {
        #[pin]
        inner: Si,
        // Whether the inner sink is ready and has not been given a batch since.
        readied: bool,
        open: BatchAccumulator<T>,
        // Batches that wait for the inner sink: at most two, and together with the open one at most a full one.
        closed: VecDeque<Vec<T>>,
        timer: Timer,
        sampler: ClockSampler,
        // How late a look at the clock may be. None where only a pause closes a batch.
        resolution: Option<Duration>,
        weigh: Option<Weigher<T>>,
        is_eager: bool,
        phase: Phase,
        // Items given to the inner sink since it was last flushed.
        in_doubt: usize,
    }
}

impl<Si, T> BatchingSink<Si, T> {
    /// Sends batches as `config` wants them to `inner`.
    pub fn new(inner: Si, config: BatchConfig) -> Self {
        let has_time = !config.linger().is_zero() && config.quiet() != Some(Duration::ZERO);
        Self {
            inner,
            readied: false,
            open: BatchAccumulator::new(config),
            closed: VecDeque::new(),
            timer: Timer::default(),
            sampler: ClockSampler::new(MOST_UNSEEN),
            resolution: has_time.then_some(config.linger() / 32),
            weigh: None,
            is_eager: false,
            phase: Phase::Open,
            in_doubt: 0,
        }
    }

    /// Weighs each item, once. Counts where the configuration bounds the weight; without this every item weighs 1.
    pub fn weigh_by(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Weigher::by(weigh));
        self
    }

    /// Weighs each item by its own [`Weigh`]: strings and buffers by their length, so that
    /// [`max_weight`](backpressure_core::BatchConfigBuilder::max_weight) is in bytes.
    pub fn weigh_bytes(mut self) -> Self
    where
        T: Weigh,
    {
        self.weigh = Some(Weigher::own());
        self
    }

    /// Makes `poll_flush` close the open batch at once instead of giving it its linger. For use by hand; under `forward`
    /// every pause of the stream then ends a batch.
    pub fn eager_flush(mut self) -> Self {
        self.is_eager = true;
        self
    }

    /// The inner sink.
    pub const fn get_ref(&self) -> &Si {
        &self.inner
    }

    /// The inner sink. Sending to it directly overtakes what is held.
    pub const fn get_mut(&mut self) -> &mut Si {
        &mut self.inner
    }

    /// The inner sink, pinned. Sending to it directly overtakes what is held.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut Si> {
        self.project().inner
    }

    /// The inner sink, and the items that it has not been given, in order.
    pub fn into_parts(mut self) -> (Si, Vec<T>) {
        let rest = self.open.end().map(|batch| batch.items);
        (self.inner, self.closed.into_iter().chain(rest).flatten().collect())
    }

    /// Looks at the clock for the first time in the life of the open batch, so that its linger begins.
    fn begin_linger(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(resolution) = *this.resolution {
            let now = now();
            this.sampler.sampled(now, resolution);
            this.closed.extend(this.open.observe(now).map(|batch| batch.items));
        }
    }

    /// Puts a closed batch in line, and lets go of its timer.
    fn enqueue(self: Pin<&mut Self>, batch: Option<Batch<T>>) {
        let this = self.project();
        if let Some(batch) = batch {
            this.timer.disarm();
            this.closed.push_back(batch.items);
        }
    }
}

impl<Si: Sink<Vec<T>>, T> BatchingSink<Si, T> {
    fn poll_inner(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        let this = self.project();
        if !*this.readied {
            let in_doubt = *this.in_doubt;
            ready!(this.inner.poll_ready(cx)).map_err(|source| BackpressureSinkError::Inner {
                source,
                lost: 0,
                in_doubt,
            })?;
            *this.readied = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the closed batches. Ready when there are none.
    fn poll_send(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        while !self.closed.is_empty() {
            ready!(self.as_mut().poll_inner(cx))?;
            let this = self.as_mut().project();
            let Some(batch) = this.closed.pop_front() else { break };
            *this.readied = false;
            let (items, in_doubt) = (batch.len(), *this.in_doubt);
            let sent = this.inner.start_send(batch);
            sent.map_err(|source| BackpressureSinkError::Inner { source, lost: items, in_doubt })?;
            *this.in_doubt = in_doubt.saturating_add(items);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the open batch if it is due and the inner sink is ready for it. Pending if it is due and has to wait.
    fn poll_due(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BackpressureSinkError<T, Si::Error>>> {
        let now = now();
        let this = self.as_mut().project();
        this.sampler.sampled(now, this.resolution.unwrap_or_default());
        if this.open.poll_timeout().is_some_and(|due| due <= now) {
            ready!(self.as_mut().poll_inner(cx))?;
        }
        let batch = self.as_mut().project().open.observe(now);
        self.as_mut().enqueue(batch);
        self.poll_send(cx)
    }

    /// Sends the open batch if it is due. Ready with whether it has to wait, and for that the timer is set.
    fn poll_linger(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, BackpressureSinkError<T, Si::Error>>> {
        if self.open.is_empty() {
            return Poll::Ready(Ok(false));
        }
        ready!(self.as_mut().poll_due(cx))?;
        let this = self.project();
        let lingers = this.open.poll_timeout().is_some_and(|due| this.timer.poll(due, cx).is_pending());
        Poll::Ready(Ok(lingers))
    }
}

impl<Si: Sink<Vec<T>>, T> Sink<T> for BatchingSink<Si, T> {
    type Error = BackpressureSinkError<T, Si::Error>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.phase != Phase::Open {
            return Poll::Ready(Err(BackpressureSinkError::Closed(None)));
        }
        ready!(self.as_mut().poll_send(cx))?;
        let this = self.as_mut().project();
        if this.resolution.is_some() && !this.open.is_empty() {
            this.sampler.count(1);
            // A batch that is due and has to wait goes on filling.
            if this.sampler.is_due() {
                if let Poll::Ready(outcome) = self.poll_due(cx) {
                    outcome?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        let this = self.as_mut().project();
        if *this.phase != Phase::Open {
            return Err(BackpressureSinkError::Closed(Some(item)));
        }
        if !this.closed.is_empty() {
            return Err(BackpressureSinkError::Full(item));
        }
        let weight = this.weigh.as_ref().map_or(1, |weigh| weigh.weigh(&item));
        let batches = this.open.push(item, weight);
        if !batches.is_empty() {
            this.timer.disarm();
            this.closed.extend(batches.map(|batch| batch.items));
        }
        if this.open.len() == 1 {
            self.begin_linger();
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.phase == Phase::Closed {
            return Poll::Ready(Ok(()));
        }
        ready!(self.as_mut().poll_send(cx))?;
        let lingers = if self.is_eager { false } else { ready!(self.as_mut().poll_linger(cx))? };
        if !lingers {
            let batch = self.as_mut().project().open.flush();
            self.as_mut().enqueue(batch);
            ready!(self.as_mut().poll_send(cx))?;
        }
        let this = self.project();
        let in_doubt = *this.in_doubt;
        let flushed = ready!(this.inner.poll_flush(cx));
        flushed.map_err(|source| BackpressureSinkError::Inner { source, lost: 0, in_doubt })?;
        *this.in_doubt = 0;
        if lingers { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.phase {
            Phase::Open => {
                *self.as_mut().project().phase = Phase::Draining;
                let batch = self.as_mut().project().open.end();
                self.as_mut().enqueue(batch);
            }
            Phase::Draining => {}
            Phase::Closed => return Poll::Ready(Ok(())),
        }
        ready!(self.as_mut().poll_send(cx))?;
        let this = self.project();
        let in_doubt = *this.in_doubt;
        let closed = ready!(this.inner.poll_close(cx));
        *this.phase = Phase::Closed;
        Poll::Ready(closed.map_err(|source| BackpressureSinkError::Inner { source, lost: 0, in_doubt }))
    }
}
