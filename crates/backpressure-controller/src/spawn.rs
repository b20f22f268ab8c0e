//! Starting a controller: on any thread, or on this one.

use std::sync::Arc;

use backpressure_core::ConfigError;
use futures_channel::mpsc;
use tokio::task::{spawn_local, unconstrained};
use tower_service::Service;

use crate::builder::FlushBuilder;
use crate::check::{at_least_1, smallest_batch};
use crate::controller::BackpressureController;
use crate::home::{Anywhere, Here, Home, Spawns};
use crate::keyed::Keyed;
use crate::outcome::{FlushError, FlushOutcome};
use crate::schedule::Schedule;
use crate::verdict::Verdict;
use crate::worker::Worker;

impl<T, S> FlushBuilder<T, S, Anywhere>
where
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
{
    /// Says of an error whether another try is of use, and when: of the error of a whole batch, or of an item, unless the
    /// [outcome](FlushOutcome::fail) says so itself. Without this everything is retried, as long as there are
    /// [retries](Self::retry). Called by the worker; if it panics, the verdict is [`Verdict::Retry`].
    pub fn judge_by(mut self, judge: impl FnMut(&S::Error) -> Verdict + Send + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    /// Gets the items that failed for good, with the error. The items are empty where a flush took them with it: see
    /// [`keep_copies`](Self::keep_copies). Called by the worker; a panic in it is caught and costs nothing but the call.
    pub fn on_failed(mut self, hook: impl FnMut(Vec<T>, FlushError<S::Error>) + Send + 'static) -> Self {
        self.on_failed = Some(Box::new(hook));
        self
    }

    /// Starts the worker task and returns the first handle.
    ///
    /// # Errors
    ///
    /// A concurrency of 0, [nothing to be set aside](Self::set_aside_at_most), a smallest batch that is 0
    /// or larger than the configured one, or items that are both [ranked](crate::ControllerBuilder::rank_by) and
    /// [fair by key](crate::ControllerBuilder::fair_by).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime; and one without time enabled ends the worker at its first timer.
    pub fn spawn(self) -> Result<BackpressureController<T>, ConfigError>
    where
        T: Send + 'static,
        S: Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
    {
        let (controller, worker) = self.build()?;
        // It bounds its turns itself. Tokio's budget would hide answers from it that are there when a deadline passes.
        tokio::spawn(unconstrained(worker));
        Ok(controller)
    }

    /// Lets everything run on the thread of a [`LocalSet`](tokio::task::LocalSet): items, flush target, flushes and the hooks
    /// that are given from here on need not be [`Send`]. All else is as it is with threads.
    ///
    /// What is said of errors and failures before this is kept. The closures that producers call
    /// ([`weigh_by`](crate::ControllerBuilder::weigh_by), [`on_drop`](crate::ControllerBuilder::on_drop)) are shared with the buffer
    /// and have to be `Send` all the same; what they collect can be kept in a `thread_local!`.
    ///
    /// ```
    /// use std::cell::RefCell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    /// use backpressure_controller::BackpressureController;
    /// use backpressure_core::BackpressureConfig;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = BackpressureConfig::builder().capacity(100).batch_items(2).build()?;
    /// let document = Rc::new(RefCell::new(String::new()));
    /// tokio::task::LocalSet::new().run_until(async {
    ///     let written = Rc::clone(&document);
    ///     let controller = BackpressureController::builder(config)
    ///         .flush_fn(move |words: Vec<Rc<str>>| {
    ///             let written = Rc::clone(&written);
    ///             async move {
    ///                 tokio::task::yield_now().await;
    ///                 words.iter().for_each(|word| written.borrow_mut().push_str(word));
    ///                 Ok::<_, std::io::Error>(())
    ///             }
    ///         })
    ///         .local()
    ///         .spawn()?;
    ///     for word in ["no", " ", "threads"] {
    ///         controller.push(Rc::from(word)).await?;
    ///     }
    ///     assert!(controller.drain(Duration::from_secs(1)).await.is_complete());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// }).await?;
    /// assert_eq!(*document.borrow(), "no threads");
    /// # Ok(())
    /// # }
    /// ```
    pub fn local(self) -> FlushBuilder<T, S, Here>
    where
        T: 'static,
        S::Error: 'static,
    {
        FlushBuilder {
            config: self.config,
            channel: self.channel,
            on_drop: self.on_drop,
            service: self.service,
            concurrency: self.concurrency,
            keyer: self.keyer,
            set_aside: self.set_aside,
            smallest_batch: self.smallest_batch,
            policy: self.policy,
            judge: self.judge.map(|judge| judge as _),
            on_failed: self.on_failed.map(|hook| hook as _),
        }
    }
}

impl<T, S> FlushBuilder<T, S, Here>
where
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
{
    /// Says of an error whether another try is of use, as it does [with threads](FlushBuilder::judge_by).
    pub fn judge_by(mut self, judge: impl FnMut(&S::Error) -> Verdict + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    /// Gets the items that failed for good, with the error, as it does [with threads](FlushBuilder::on_failed).
    pub fn on_failed(mut self, hook: impl FnMut(Vec<T>, FlushError<S::Error>) + 'static) -> Self {
        self.on_failed = Some(Box::new(hook));
        self
    }

    /// Starts the worker task on this thread and returns the first handle.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](FlushBuilder::spawn) with threads.
    ///
    /// # Panics
    ///
    /// Outside a [`LocalSet`](tokio::task::LocalSet); and a runtime without time enabled ends the worker at its first timer.
    pub fn spawn(self) -> Result<BackpressureController<T>, ConfigError>
    where
        T: 'static,
        S: 'static,
        S::Future: 'static,
        S::Error: 'static,
    {
        let (controller, worker) = self.build()?;
        spawn_local(unconstrained(worker));
        Ok(controller)
    }
}

/// The handle of the producers, and what has to be spawned.
type Built<T, S, H> = (BackpressureController<T>, Worker<T, S, H>);

impl<T, S, H> FlushBuilder<T, S, H>
where
    S: Service<Vec<T>, Response: Into<FlushOutcome<T, S::Error>>>,
    H: Home,
{
    fn build(self) -> Result<Built<T, S, H>, ConfigError>
    where
        T: 'static,
        S::Error: 'static,
        H: Spawns<T, S::Error, S::Future>,
    {
        at_least_1("concurrency", Some(self.concurrency))?;
        at_least_1("set_aside_at_most", self.set_aside)?;
        smallest_batch(self.smallest_batch, &self.config)?;
        self.channel.check()?;
        let schedule = Schedule::new(&self.config, self.smallest_batch)?;
        let set_aside = self.set_aside.unwrap_or(self.config.batch_items().saturating_mul(self.concurrency));
        let most_weight = self.config.max_weight().unwrap_or(usize::MAX);
        let keyed = self.keyer.map(|keyer| Keyed::new(keyer, set_aside, most_weight));
        let (sender, receiver) = self.channel.build();
        #[cfg(feature = "tracing")]
        tokio::spawn(crate::trace::trace_states(sender.gauge()));
        let (commands, inbox) = mpsc::unbounded();
        let worker = Worker::new(receiver, inbox, self.service, schedule, self.policy)
            .concurrency(self.concurrency)
            .keyed(keyed)
            .judge(self.judge)
            .hooks(self.on_drop, self.on_failed);
        let ending = Arc::clone(&worker.ending);
        Ok((BackpressureController::new(sender, commands, ending, self.smallest_batch), worker))
    }
}
