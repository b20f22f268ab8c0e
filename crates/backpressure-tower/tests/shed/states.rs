//! What happens in which state, and what passes in all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use backpressure_core::limit::{Criticality, Fixed, Level, Outcome};
use backpressure_core::{AdmissionMeter, Gauge, State};
use backpressure_tower::{Action, Limiter, Policy, Shed, ShedHandle, ShedLayer, ShedReason};
use tokio::time::advance;
use tower::{Layer, Service};

use crate::kit::{Desk, call, is_ready, poll, refusal};

const MS: Duration = Duration::from_millis(1);

/// A part in whatever state one likes.
fn part(state: State) -> (Arc<AdmissionMeter>, Gauge) {
    let signal = Arc::new(AdmissionMeter::new(10, || tokio::time::Instant::now().into_std()));
    let _ = signal.enter(state);
    (Arc::clone(&signal), signal.gauge())
}

fn watching(gauge: Gauge) -> (Shed<Desk>, Desk, ShedHandle) {
    let (layer, desk) = (ShedLayer::by_gauge(gauge), Desk::new());
    (layer.layer(desk.view()), desk, layer.handle())
}

fn reason(service: &mut Shed<Desk>) -> Option<ShedReason> {
    refusal(poll(call(service).as_mut())).map(|overloaded| overloaded.reason())
}

#[tokio::test(start_paused = true)]
async fn a_layer_sheds_because_the_part_behind_it_is_blocked_and_admits_when_it_no_longer_is() {
    let (signal, gauge) = part(State::Normal);
    let (mut service, desk, handle) = watching(gauge);
    for (state, expected) in [
        (State::Normal, None),
        (State::Elevated, None),
        (State::Blocked, Some(ShedReason::Pressure)),
        (State::Critical, None),
        (State::Draining, Some(ShedReason::Draining)),
    ] {
        let _ = signal.enter(state);
        assert_eq!(handle.state(), state);
        assert_eq!(reason(&mut service), expected, "{state}");
    }
    assert_eq!((desk.made(), handle.counts().total()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn s3_pressure_is_answered_with_the_state_it_met_and_a_time_to_come_back() {
    let (_signal, gauge) = part(State::Blocked);
    let (mut service, _, handle) = watching(gauge);
    let overloaded = refusal(poll(call(&mut service).as_mut())).unwrap();
    assert_eq!((overloaded.state(), overloaded.reason()), (State::Blocked, ShedReason::Pressure));
    assert!((500 * MS..=1500 * MS).contains(&overloaded.retry_after()));
    assert_eq!(handle.gauge().snapshot().counts.rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn h3_a_probe_passes_now_and_then_while_everything_else_is_shed_except_when_draining() {
    for (state, probes) in [(State::Blocked, 10), (State::Draining, 0)] {
        let (_signal, gauge) = part(state);
        let (mut service, desk, handle) = watching(gauge);
        handle.set_policy(Policy::default().on(State::Blocked, Action::Shed));
        assert!(reason(&mut service).is_some(), "the first is no probe");
        for _ in 0..1000 {
            advance(MS).await;
            let _ = reason(&mut service);
        }
        assert!(desk.made().abs_diff(probes) <= 1, "{} probes in a second of {state}", desk.made());
        assert_eq!(handle.counts().probes, desk.made() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn the_reserve_is_two_calls_of_the_most_important_class_at_a_time() {
    let (_signal, gauge) = part(State::Blocked);
    let (layer, desk) = (ShedLayer::by_gauge(gauge), Desk::new());
    let mut important = layer.clone().level(|_: &u32| Criticality::CriticalPlus.into()).layer(desk.view());
    let mut plain = layer.layer(desk.view());
    let mut flying = [call(&mut important), call(&mut important)];
    assert!(refusal(poll(call(&mut important).as_mut())).is_some());
    assert!(refusal(poll(call(&mut plain).as_mut())).is_some());
    assert!(poll(flying[0].as_mut()).is_pending());
    desk.answer(Ok(1));
    assert!(poll(flying[0].as_mut()).is_ready());
    assert!(poll(call(&mut important).as_mut()).is_pending());
}

#[tokio::test(start_paused = true)]
async fn under_pressure_the_least_important_calls_are_shed_the_more_the_fuller_it_is() {
    let (signal, gauge) = part(State::Normal);
    let (layer, desk) = (ShedLayer::by_gauge(gauge), Desk::new());
    let mut service = layer.level(|request: &u32| Level::new(Criticality::Critical, *request as u8)).layer(desk.view());
    let mut offer = |calls: u32| {
        let shed: Vec<u32> = (0..calls)
            .map(|n| n % 100)
            .filter(|&rank| {
                assert!(is_ready(&mut service));
                refusal(poll(Box::pin(service.call(rank)).as_mut())).is_some()
            })
            .collect();
        shed
    };
    assert!(offer(1000).is_empty());
    let _ = signal.enter(State::Critical);
    (0..9).for_each(|_| assert!(signal.take((), |_| Ok(())).is_ok()));
    let _ = offer(1000);
    let shed = offer(1000);
    assert!((400..=550).contains(&shed.len()), "{} of 1000 at 90 %", shed.len());
    assert!(shed.iter().all(|&rank| rank >= 45), "the least important ones");
    assert!(signal.take((), |_| Ok(())).is_ok());
    let _ = offer(1000);
    assert!(offer(1000).len() >= 950, "at 100 % the most important ones are left");
}

#[tokio::test(start_paused = true)]
async fn d6_a_layer_without_a_limit_of_its_own_admits_more_than_a_million_calls() {
    let (_signal, gauge) = part(State::Normal);
    let layer = ShedLayer::by_gauge(gauge);
    let limiter = layer.handle().limiter().clone();
    let flying: Vec<_> = (0..(1 << 20) + 100).map_while(|_| limiter.try_admit(Level::default()).ok()).collect();
    assert_eq!((flying.len(), limiter.in_flight(), limiter.state()), ((1 << 20) + 100, flying.len(), State::Normal));
    assert!(poll(call(&mut layer.layer(Desk::new())).as_mut()).is_pending(), "one more");
    drop(flying);
    let counts = limiter.gauge().snapshot().counts;
    assert_eq!((limiter.in_flight(), counts.in_flight, counts.received), (0, 0, (1 << 20) + 101));
}

#[tokio::test(start_paused = true)]
async fn a_table_may_cut_off_classes_by_state() {
    let (_signal, gauge) = part(State::Elevated);
    let (layer, desk) = (ShedLayer::by_gauge(gauge), Desk::new());
    let handle = layer.handle();
    handle.set_policy(Policy::default().on(State::Elevated, Action::AdmitFrom(Criticality::Critical)));
    let classes = layer.level(|request: &u32| Criticality::ALL[*request as usize].into());
    let mut service = classes.layer(desk.view());
    let admitted: Vec<bool> = (0..4)
        .map(|class| {
            assert!(is_ready(&mut service));
            refusal(poll(Box::pin(service.call(class)).as_mut())).is_none()
        })
        .collect();
    assert_eq!(admitted, [true, true, false, false]);
    assert_eq!(handle.counts().shed(ShedReason::Priority), 2);
}

#[tokio::test(start_paused = true)]
async fn h4_a_shadow_changes_counters_and_nothing_else() {
    let (_signal, gauge) = part(State::Blocked);
    let (layer, desk) = (ShedLayer::builder().limit(Fixed::new(1).unwrap()).watch(gauge).shadow().build(), Desk::new());
    let (mut service, handle) = (layer.layer(desk.view()), layer.handle());
    let mut responses: Vec<_> = (0..10).map(|_| call(&mut service)).collect();
    assert!(responses.iter_mut().all(|response| poll(response.as_mut()).is_pending()));
    assert_eq!(desk.made(), 10, "all of them are made");
    handle.force(Some(State::Normal));
    let _more: Vec<_> = (0..10).map(|_| call(&mut service)).collect();
    assert_eq!(desk.made(), 20);
    let counts = handle.counts();
    let would = [ShedReason::Pressure, ShedReason::Limit].map(|reason| counts.would_shed(reason));
    assert_eq!((would, counts.total()), ([10, 9], 0));
    assert_eq!(handle.gauge().snapshot().counts.rejected, 0);
    handle.set_shadow(false);
    handle.force(Some(State::Blocked));
    assert_eq!(reason(&mut service), Some(ShedReason::Pressure));
}

#[tokio::test(start_paused = true)]
async fn h4_a_shadow_that_would_wait_is_ready() {
    let layer = ShedLayer::builder().limit(Fixed::new(1).unwrap()).wait().shadow().build();
    let mut service = layer.layer(Desk::new());
    let _calls: Vec<_> = (0..10).map(|_| call(&mut service)).collect();
}

#[tokio::test(start_paused = true)]
async fn a_forced_state_overrules_what_is_watched_but_not_the_limit() {
    let (_signal, gauge) = part(State::Blocked);
    let (layer, desk) = (ShedLayer::builder().limiter(Limiter::fixed(1).unwrap()).watch(gauge).build(), Desk::new());
    let (mut service, handle) = (layer.layer(desk.view()), layer.handle());
    assert_eq!(reason(&mut service), Some(ShedReason::Pressure));
    handle.force(Some(State::Normal));
    assert_eq!(handle.state(), State::Normal);
    let _first = call(&mut service);
    assert_eq!(reason(&mut service), Some(ShedReason::Limit));
    handle.force(None);
    assert_eq!((handle.state(), reason(&mut service)), (State::Blocked, Some(ShedReason::Pressure)));
}

#[tokio::test(start_paused = true)]
async fn calls_that_bypass_take_no_slot_and_are_answered_while_everything_is_shed() {
    let (layer, desk) = (ShedLayer::fixed(1).unwrap().bypass(|request: &u32| *request == 0), Desk::new());
    let (mut service, handle) = (layer.layer(desk.view()), layer.handle());
    handle.force(Some(State::Draining));
    for _ in 0..5 {
        assert!(is_ready(&mut service));
        assert!(poll(Box::pin(service.call(0)).as_mut()).is_pending());
    }
    assert!(refusal(poll(call(&mut service).as_mut())).is_some());
    assert_eq!((desk.made(), handle.counts().bypassed, handle.limiter().in_flight()), (5, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn h1_h2_the_state_of_a_limiter_rises_at_once_and_falls_after_a_dwell() {
    let limiter = Limiter::fixed(10).unwrap();
    let admit = |calls| (0..calls).map(|_| limiter.try_admit(Level::default()).unwrap()).collect::<Vec<_>>();
    let mut flying = admit(4);
    assert_eq!(limiter.state(), State::Normal);
    flying.extend(admit(1));
    assert_eq!(limiter.state(), State::Elevated);
    flying.extend(admit(5));
    assert_eq!(limiter.state(), State::Blocked);
    let before = limiter.gauge().snapshot().transitions;
    for _ in 0..50 {
        // One cause that comes and goes.
        drop(flying.pop());
        flying.extend(admit(1));
        advance(MS).await;
    }
    assert_eq!(limiter.gauge().snapshot().transitions, before);
    flying.truncate(2);
    advance(99 * MS).await;
    limiter.tick();
    assert_eq!(limiter.state(), State::Blocked);
    advance(MS).await;
    limiter.tick();
    assert!(limiter.state() < State::Blocked);
    flying.clear();
    assert_eq!(limiter.state(), State::Normal, "nothing is in flight: nothing to wait out");
}

#[tokio::test(start_paused = true)]
async fn sequential_calls_do_not_raise_the_limit() {
    let limiter = Limiter::adaptive();
    let before = limiter.limit();
    for _ in 0..5000 {
        let mut permit = limiter.try_admit(Level::default()).unwrap();
        permit.began();
        advance(MS).await;
        permit.finish(Outcome::Success);
    }
    assert!(limiter.limit() <= before && limiter.state() == State::Normal, "{}", limiter.limit());
}

#[tokio::test(start_paused = true)]
async fn what_the_outcome_closure_calls_an_overload_shrinks_the_limit_and_an_error_by_itself_does_not() {
    let run = async |blames: bool| {
        let layer = ShedLayer::adaptive();
        let handle = layer.handle();
        let layer = layer.outcome(move |result: &Result<u32, &'static str>| match result {
            Err(_) if blames => Outcome::Overload,
            _ => Outcome::Success,
        });
        let desk = Desk::new();
        let mut service = layer.layer(desk.view());
        for _ in 0..1000 {
            let mut response = call(&mut service);
            assert!(poll(response.as_mut()).is_pending());
            desk.answer(Err("no"));
            advance(MS).await;
            assert!(poll(response.as_mut()).is_ready());
        }
        (handle.limit(), handle.gauge().snapshot().counts.failed())
    };
    let (usual, failed) = run(false).await;
    assert!(usual >= 8 && failed == 0, "{usual}");
    let (limit, failed) = run(true).await;
    assert!(limit < 8 && failed == 1000, "{limit}");
}

/// Ready once it is told to be; only the value that was ready may be called.
#[derive(Clone)]
struct Full {
    inner: Desk,
    has_room: Arc<AtomicBool>,
}

impl Service<u32> for Full {
    type Response = u32;
    type Error = &'static str;
    type Future = <Desk as Service<u32>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.has_room.load(Ordering::SeqCst) { self.inner.poll_ready(cx) } else { Poll::Pending }
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.inner.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn s5_nobody_waits_in_front_of_a_part_that_is_full_but_is_shed() {
    let (signal, gauge) = part(State::Blocked);
    let (desk, has_room) = (Desk::new(), Arc::new(AtomicBool::new(false)));
    let layer = ShedLayer::by_gauge(gauge).bypass(|request: &u32| *request == 0);
    let (handle, mut service) = (layer.handle(), layer.layer(Full { inner: desk.view(), has_room: has_room.clone() }));
    for _ in 0..10 {
        assert!(refusal(poll(call(&mut service).as_mut())).is_some());
    }
    assert!(is_ready(&mut service));
    let mut health = Box::pin(service.call(0));
    assert!(poll(health.as_mut()).is_pending());
    assert_eq!(desk.made(), 0, "what passes all the same waits until the part is ready");
    has_room.store(true, Ordering::SeqCst);
    assert!(poll(health.as_mut()).is_pending());
    desk.answer(Ok(1));
    assert!(poll(health.as_mut()).is_ready());
    assert_eq!(handle.counts().shed(ShedReason::Pressure), 10);

    has_room.store(false, Ordering::SeqCst);
    let _ = signal.enter(State::Normal);
    assert!(!is_ready(&mut service), "without pressure its readiness is that of the inner service");
}
