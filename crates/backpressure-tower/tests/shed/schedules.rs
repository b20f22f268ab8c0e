//! Random schedules of services that wait, driven by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backpressure_core::State;
use backpressure_core::limit::Fixed;
use backpressure_tower::{Limiter, Shed, ShedHandle, ShedLayer};
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::advance;
use tower::{Layer, Service};

use crate::kit::{Answer, Desk, Task, is_ready_by, poll_by};

#[derive(Debug, Clone)]
enum Step {
    PollReady(usize),
    GiveUp(usize),
    Call(usize),
    PollCall(usize),
    Answer,
    Panic,
    DropCall(usize),
    Clone(usize),
    DropService(usize),
    Limit(usize),
    Advance(u64),
    Shadow(bool),
    Force(bool),
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>();
    prop_oneof![
        10 => n.prop_map(Step::PollReady),
        2 => n.prop_map(Step::GiveUp),
        8 => n.prop_map(Step::Call),
        6 => n.prop_map(Step::PollCall),
        5 => Just(Step::Answer),
        1 => Just(Step::Panic),
        3 => n.prop_map(Step::DropCall),
        3 => n.prop_map(Step::Clone),
        3 => n.prop_map(Step::DropService),
        2 => (1usize..5).prop_map(Step::Limit),
        3 => prop_oneof![Just(1), Just(400), Just(1001)].prop_map(Step::Advance),
        1 => any::<bool>().prop_map(Step::Shadow),
        1 => any::<bool>().prop_map(Step::Force),
    ]
}

/// A service, and who polls it.
struct Client {
    service: Shed<Desk>,
    task: Arc<Task>,
    seen: usize,
    waits: bool,
    ready: bool,
}

/// A call, and who polls it.
struct Flying {
    call: Pin<Box<dyn Future<Output = Answer>>>,
    task: Arc<Task>,
    seen: usize,
    polled: bool,
}

struct World {
    desk: Desk,
    handle: ShedHandle,
    clients: Vec<Client>,
    calls: Vec<Flying>,
}

impl Client {
    fn new(service: Shed<Desk>) -> Self {
        Self { service, task: Task::new(), seen: 0, waits: false, ready: false }
    }

    fn poll(&mut self) {
        self.seen = self.task.wakes();
        self.ready = is_ready_by(&self.task, &mut self.service);
        self.waits = !self.ready;
    }
}

impl Flying {
    fn poll(&mut self) -> bool {
        self.seen = self.task.wakes();
        self.polled = true;
        let (task, call) = (&self.task, &mut self.call);
        // One that panics is over.
        catch_unwind(AssertUnwindSafe(|| poll_by(task, call.as_mut()).is_ready())).unwrap_or(true)
    }
}

impl World {
    fn check(&self) {
        let counts = self.handle.gauge().snapshot().counts;
        assert!(counts.balances(), "{counts:?}");
    }

    async fn step(&mut self, step: &Step) {
        let (clients, calls) = (self.clients.len(), self.calls.len());
        match *step {
            Step::PollReady(n) if clients > 0 => self.clients[n % clients].poll(),
            // Whoever polled it does not come back, and leaves it as it is.
            Step::GiveUp(n) if clients > 0 => self.clients[n % clients].waits = false,
            Step::Call(n) if clients > 0 => {
                let client = &mut self.clients[n % clients];
                if std::mem::take(&mut client.ready) {
                    let call = Box::pin(client.service.call(7));
                    self.calls.push(Flying { call, task: Task::new(), seen: 0, polled: false });
                }
            }
            Step::PollCall(n) if calls > 0 && self.calls[n % calls].poll() => drop(self.calls.swap_remove(n % calls)),
            Step::Answer if self.desk.open() > 0 => self.desk.answer(Ok(1)),
            Step::Panic if self.desk.open() > 0 => self.desk.panic(),
            Step::DropCall(n) if calls > 0 => drop(self.calls.swap_remove(n % calls)),
            Step::Clone(n) if clients > 0 => {
                let clone = self.clients[n % clients].service.clone();
                self.clients.push(Client::new(clone));
            }
            Step::DropService(n) if clients > 1 => drop(self.clients.swap_remove(n % clients)),
            Step::Limit(limit) => self.handle.limiter().set_limit(Fixed::new(limit).unwrap()),
            Step::Advance(ms) => advance(Duration::from_millis(ms)).await,
            Step::Shadow(shadow) => self.handle.set_shadow(shadow),
            Step::Force(force) => self.handle.force(force.then_some(State::Blocked)),
            Step::Drain => self.handle.limiter().drain(),
            _ => {}
        }
    }

    /// Everything is answered and time goes by. Whoever is woken is polled, and nobody else.
    async fn settle(&mut self) {
        for _ in 0..60 {
            self.run();
            while self.desk.open() > 0 {
                self.desk.answer(Ok(1));
                self.run();
            }
            advance(Duration::from_millis(1001)).await;
        }
    }

    fn run(&mut self) {
        loop {
            let mut any = false;
            let mut n = 0;
            while n < self.calls.len() {
                let call = &mut self.calls[n];
                if !call.polled || call.task.wakes() > call.seen {
                    any = true;
                    if call.poll() {
                        drop(self.calls.swap_remove(n));
                        continue;
                    }
                }
                n += 1;
            }
            for client in &mut self.clients {
                if client.waits && client.task.wakes() > client.seen {
                    any = true;
                    client.poll();
                }
            }
            if !any {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn t4_s2_k1_whoever_waits_gets_ready_and_no_slot_is_lost_after_any_schedule(
        limit in 1usize..4,
        services in 1usize..5,
        steps in prop::collection::vec(step(), 1..80),
        drains: bool,
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let layer = ShedLayer::builder().limiter(Limiter::fixed(limit).unwrap()).wait().build();
            let desk = Desk::new();
            let clients = (0..services).map(|_| Client::new(layer.layer(desk.view()))).collect();
            let mut world = World { desk, handle: layer.handle(), clients, calls: Vec::new() };
            for step in &steps {
                world.step(step).await;
                world.check();
            }
            world.handle.force(None);
            if drains {
                world.step(&Step::Drain).await;
            }
            world.settle().await;
            world.check();
            assert!(world.calls.is_empty(), "{} calls hang", world.calls.len());
            assert!(world.clients.iter().all(|client| !client.waits), "a service is not ready");
            let handle = world.handle.clone();
            drop(world);
            let counts = handle.gauge().snapshot().counts;
            assert!(counts.balances() && counts.in_flight == 0 && counts.queued == 0, "{counts:?}");
            assert_eq!((handle.limiter().in_flight(), handle.limiter().waiting()), (0, 0));
        });
    }
}
