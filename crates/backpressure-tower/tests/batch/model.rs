//! Random callers, cancellations, failures and clock steps, against what must be true of every run.

use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backpressure_tower::{Batch, BatchError, BatchFuture, Fallback};
use proptest::prelude::*;
use tower::Service;

use crate::support::{Act, Builder, Error, Readiness, Rig, Target, Task, led};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A caller becomes ready and calls; the future is polled or not.
    Call {
        polls: bool,
    },
    /// The caller of that index polls.
    Poll(usize),
    /// The caller of that index is gone.
    Cancel(usize),
    /// A handle tries to become ready, and keeps its place.
    Reserve,
    /// A handle that waits or has a place is dropped.
    Release(usize),
    /// The worker runs until it rests.
    Work,
    /// The worker is polled once.
    WorkOnce,
    /// A batch that is held goes on.
    LetGo(usize, Act),
    Ready(bool),
    Reconfigure(Numbers),
    Advance(u64),
}

/// What may change.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    capacity: usize,
    max_items: usize,
    concurrency: usize,
    linger: u64,
    quiet: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    numbers: Numbers,
    eager: bool,
    /// Whether the n-th request is of use for 3 n ms.
    ages: bool,
    keyed: bool,
    dedup: bool,
    fallback: Option<Fallback>,
    weighed: bool,
    /// Whether callers lead.
    led: bool,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Answer),
        1 => Just(Act::Fail("no")),
        1 => Just(Act::PanicInFuture),
        1 => (0..6usize).prop_map(Act::Give),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<bool>().prop_map(|polls| Step::Call { polls }),
        3 => any::<usize>().prop_map(Step::Poll),
        3 => any::<usize>().prop_map(Step::Cancel),
        1 => Just(Step::Reserve),
        2 => any::<usize>().prop_map(Step::Release),
        6 => Just(Step::Work),
        2 => Just(Step::WorkOnce),
        6 => (any::<usize>(), act()).prop_map(|(batch, act)| Step::LetGo(batch, act)),
        1 => any::<bool>().prop_map(Step::Ready),
        2 => (0..15u64).prop_map(Step::Advance),
        1 => numbers().prop_map(Step::Reconfigure),
    ]
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let bounds = (1..8usize, 1..6usize, 1..4usize, prop_oneof![Just(0), 1..12u64], prop::option::of(0..12u64));
    bounds.prop_map(|(capacity, max_items, concurrency, linger, quiet)| Numbers {
        capacity,
        max_items: max_items.min(capacity),
        concurrency,
        linger,
        quiet,
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let fallback = prop::option::of(prop_oneof![Just(Fallback::OneByOne), Just(Fallback::Bisect)]);
    let times = (any::<bool>(), prop::bool::weighted(0.3));
    (numbers(), times, any::<(bool, bool, bool, bool)>(), fallback).prop_map(|(numbers, times, kinds, fallback)| {
        let ((eager, ages), (keyed, dedup, weighed, led)) = (times, kinds);
        Shape { numbers, eager, ages, keyed, dedup, fallback, weighed, led }
    })
}

impl Shape {
    fn build(self, builder: Builder) -> Builder {
        let Numbers { capacity, max_items, concurrency, linger, quiet } = self.numbers;
        let builder = builder.capacity(capacity).max_items(max_items).concurrency(concurrency);
        let builder = builder.linger(Duration::from_millis(linger)).eager_when_idle(self.eager);
        let builder = match quiet {
            Some(quiet) => builder.quiet(Duration::from_millis(quiet)),
            None => builder,
        };
        let start = tokio::time::Instant::now().into_std();
        let age = move |request: &u32| Some(start + Duration::from_millis(3) * *request);
        let builder = if self.ages { builder.deadline(Duration::from_millis(1), age) } else { builder };
        let builder = if self.keyed { builder.key(|request| request % 3).max_keys(2) } else { builder };
        let builder = if self.dedup { builder.deduplicate() } else { builder };
        let builder = if self.weighed { builder.max_weight(8, |request| *request as usize % 5) } else { builder };
        match self.fallback {
            Some(fallback) => builder.fallback(fallback),
            None => builder,
        }
    }
}

impl Shape {
    /// Whether callers lead from the beginning: the first call is not one of the model's.
    fn leads(self) -> bool {
        self.led && self.numbers.linger == 0 && !self.ages
    }
}

type Call = Task<BatchFuture<u32, u32, Error>>;

struct World {
    shape: Shape,
    target: Target,
    rig: Rig,
    callers: Vec<(u32, Call)>,
    reserved: Vec<Batch<u32, u32, Error>>,
    next: u32,
    /// Requests whose callers were gone before the batch of that number was made.
    gone: HashMap<u32, usize>,
    answered: usize,
}

impl World {
    fn new(shape: Shape) -> Self {
        let target = Target::default().always(Act::Hold);
        let rig = if shape.leads() {
            led(&target.clone().on(0, Act::Answer), |builder| shape.build(builder))
        } else {
            Rig::over(target.clone(), |builder| shape.build(builder))
        };
        let (callers, reserved) = (Vec::new(), Vec::new());
        Self { shape, target, rig, callers, reserved, next: 0, gone: HashMap::new(), answered: 0 }
    }

    /// With de-duplication requests come in equals of three.
    fn request(&mut self) -> u32 {
        self.next += 1;
        if self.shape.dedup { self.next / 3 } else { self.next }
    }

    fn take(&mut self, request: u32, answer: Result<u32, BatchError<Error>>) {
        self.answered += 1;
        match answer {
            Ok(answer) => assert_eq!(answer, request * 10, "everyone gets their own answer"),
            Err(BatchError::Batch(_) | BatchError::Panicked | BatchError::WrongLength { .. }) => {}
            Err(BatchError::DeadlineExceeded) if self.shape.ages => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn poll(&mut self, index: usize) {
        let (request, mut call) = self.callers.swap_remove(index);
        match call.poll() {
            Poll::Ready(answer) => self.take(request, answer),
            Poll::Pending => self.callers.push((request, call)),
        }
    }

    async fn step(&mut self, step: Step) {
        let pick = |index: usize, len: usize| (len > 0).then(|| index % len);
        match step {
            Step::Call { polls } => {
                let mut handle = self.rig.handle();
                if handle.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending() {
                    return;
                }
                let request = self.request();
                self.callers.push((request, Task::new(handle.call(request))));
                if polls {
                    self.poll(self.callers.len() - 1);
                }
            }
            Step::Poll(index) => {
                if let Some(index) = pick(index, self.callers.len()) {
                    self.poll(index);
                }
            }
            Step::Cancel(index) => {
                if let Some(index) = pick(index, self.callers.len()) {
                    let (request, _call) = self.callers.swap_remove(index);
                    if !self.shape.dedup {
                        self.gone.insert(request, self.target.batches().len());
                    }
                }
            }
            Step::Reserve => {
                let mut handle = self.rig.handle();
                let _ = handle.poll_ready(&mut Context::from_waker(Waker::noop()));
                self.reserved.push(handle);
            }
            Step::Release(index) => {
                if let Some(index) = pick(index, self.reserved.len()) {
                    self.reserved.swap_remove(index);
                }
            }
            Step::Work => drop(self.rig.work()),
            Step::WorkOnce => drop(self.rig.worker.as_mut().map(Task::poll)),
            Step::LetGo(index, act) => {
                if let Some(index) = pick(index, self.target.batches().len()) {
                    self.target.let_go(index, act);
                }
            }
            Step::Ready(true) => self.target.become_(Readiness::Ready),
            Step::Ready(false) => self.target.become_(Readiness::Pending),
            Step::Reconfigure(numbers) => self.reconfigure(numbers),
            Step::Advance(ms) => tokio::time::advance(Duration::from_millis(ms)).await,
        }
        self.check();
    }

    /// From now on the bounds are these, for what comes; for what is there they are as wide as they ever were.
    fn reconfigure(&mut self, numbers: Numbers) {
        let handle = self.rig.handle().handle();
        let mut config = handle.config();
        (config.capacity, config.max_items, config.concurrency) =
            (numbers.capacity, numbers.max_items, numbers.concurrency);
        config.linger = Duration::from_millis(numbers.linger);
        config.quiet = numbers.quiet.map(Duration::from_millis);
        assert_eq!(handle.reconfigure(config), Ok(()));
        assert_eq!((handle.config(), handle.gauge().snapshot().capacity), (config, numbers.capacity));
        let most = &mut self.shape.numbers;
        most.capacity = most.capacity.max(numbers.capacity);
        most.max_items = most.max_items.max(numbers.max_items);
        most.concurrency = most.concurrency.max(numbers.concurrency);
        let mut handle = self.rig.handle();
        if handle.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready() {
            assert!(
                (handle.gauge().snapshot().counts.queued as usize) < numbers.capacity,
                "r2: nobody is let in beyond the new bound"
            );
        }
    }

    fn check(&self) {
        let Shape { numbers: Numbers { capacity, max_items, concurrency, .. }, keyed, weighed, .. } = self.shape;
        let counts = self.rig.handle().gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
        assert!(counts.queued as usize <= capacity, "{counts:?}");
        assert!(self.target.peak() <= concurrency);
        for (number, batch) in self.target.batches().iter().enumerate() {
            assert!((1..=max_items).contains(&batch.len()));
            assert!(!keyed || batch.iter().all(|request| request % 3 == batch[0] % 3));
            assert!(!weighed || batch.len() == 1 || batch.iter().map(|request| request % 5).sum::<u32>() <= 8);
            let is_early = |request: &u32| self.gone.get(request).is_none_or(|gone| number < *gone);
            assert!(batch.iter().all(is_early), "executed though its caller was gone");
        }
    }

    /// Everybody gets an answer in the end, whatever has happened.
    fn finish(mut self) {
        self.reserved.clear();
        self.target.become_(Readiness::Ready);
        let gauge = self.rig.handle().gauge();
        self.rig.batch = None;
        for _ in 0..10_000 {
            if self.rig.work() {
                break;
            }
            (0..self.target.batches().len()).for_each(|batch| self.target.let_go(batch, Act::Answer));
        }
        assert!(self.rig.worker.is_none(), "t6: the worker ends");
        for (request, mut call) in std::mem::take(&mut self.callers) {
            assert!(call.wakes.get() > 0 || call.poll().is_ready(), "w4: nobody is left asleep");
            if call.wakes.get() > 0 {
                let answer = call.output();
                self.take(request, answer);
            }
        }
        let counts = gauge.snapshot().counts;
        assert!(counts.balances() && counts.queued + counts.in_flight == 0, "{counts:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_everyone_gets_their_own_answer(
        shape in shape(),
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(shape);
            for step in steps {
                world.step(step).await;
            }
            world.finish();
        });
    }
}
