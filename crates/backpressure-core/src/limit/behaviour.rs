//! The limits together with a sampler and a simulated service.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Aimd, Bounds, Fast, Fixed, Gradient, Limit, Quantiles, Sampler, Vegas, Window};

const MS: Duration = Duration::from_millis(1);

fn adaptive(bounds: Bounds) -> [Box<dyn Limit>; 4] {
    [
        Box::new(Fast::new(bounds)),
        Box::new(Gradient::new(bounds)),
        Box::new(Vegas::new(bounds)),
        Box::new(Aimd::new(bounds, 100 * MS).unwrap()),
    ]
}

/// A part that works on `capacity × time` calls at a time, each for `time`, in seconds. All the others wait.
#[derive(Debug, Clone, Copy)]
struct Part {
    capacity: f64,
    time: f64,
}

impl Part {
    /// A window of it with so many in flight all the time.
    fn window(self, end: Instant, in_flight: f64, saturated: bool) -> Window {
        let throughput = (in_flight / self.time).min(self.capacity);
        let latency = Some(Duration::from_secs_f64(in_flight / throughput));
        Window {
            departures: (throughput / 10.0).round() as u64,
            in_flight,
            peak: in_flight.ceil() as usize,
            saturated,
            latency,
            min_latency: latency,
            ..Window::new(end, 100 * MS)
        }
    }

    /// `windows` of more calls than the limit admits. Answers the limits.
    fn overload(self, limit: &mut dyn Limit, start: Instant, windows: u32) -> Vec<usize> {
        let update = |i| limit.update(&self.window(start + i * 100 * MS, limit.limit() as f64, true));
        (1..=windows).map(update).collect()
    }
}

#[test]
fn five_thousand_calls_one_after_the_other_raise_no_limit() {
    for mut limit in adaptive(Bounds::default()) {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        for call in 0..5000 {
            let now = start + call * 10 * MS;
            sampler.in_flight(now, 1, limit.limit());
            sampler.in_flight(now + 10 * MS, 0, limit.limit());
            sampler.timed(10 * MS, Duration::ZERO);
            sampler.departed(1, 0);
            if let Some(window) = sampler.close(now + 10 * MS) {
                limit.update(&window);
            }
        }
        assert!(limit.limit() <= Bounds::default().initial(), "{limit:?}");
    }
}

#[test]
fn errors_of_the_callers_do_not_shrink_a_limit() {
    // They are answers, so they depart like any other and are no overloads, however many they are.
    let part = Part { capacity: 1e6, time: 0.01 };
    for mut limit in adaptive(Bounds::default()) {
        let mut last = limit.limit();
        for now in part.overload(&mut limit, Instant::now(), 8) {
            assert!(now >= last, "{limit:?}");
            last = now;
        }
    }
}

#[test]
fn cancelled_calls_raise_no_limit() {
    let part = Part { capacity: 1e6, time: 0.1 };
    for mut limit in adaptive(Bounds::default()) {
        let start = Instant::now();
        for i in 1..50 {
            let seen = part.window(start + i * 100 * MS, limit.limit() as f64, true);
            let cancelled = seen.departures;
            assert!(
                limit.update(&Window { cancelled, latency: None, min_latency: None, ..seen })
                    <= Bounds::default().initial(),
                "{limit:?}"
            );
        }
    }
    let grown = |cancelled| Fast::default().update(&Window { cancelled, ..part.window(Instant::now(), 64.0, true) });
    assert!([0, 32, 64].map(grown).is_sorted_by(|a, b| a > b), "the fewer are answered the less");
}

#[test]
fn half_an_hour_at_the_limit_does_not_move_fast() {
    let part = Part { capacity: 1000.0, time: 0.012 };
    let limits = part.overload(&mut Fast::default(), Instant::now(), 18_000);
    let mean = |limits: &[usize]| limits.iter().sum::<usize>() as f64 / limits.len() as f64;
    let (early, late) = (mean(&limits[100..600]), mean(&limits[17_500..]));
    assert!((late / early - 1.0).abs() < 0.03, "{early} {late}");
    assert!((1.0..1.5).contains(&(late / 12.0)), "{early} {late}: 12 are worked on");
}

#[test]
fn fast_finds_a_hundredfold_capacity_in_two_seconds() {
    let part = Part { capacity: 50_000.0, time: 0.012 };
    let limits = part.overload(&mut Fast::default(), Instant::now(), 20);
    assert!((600..=1050).contains(&limits[19]), "600 are worked on: {limits:?}");
}

#[test]
fn fast_brings_a_start_that_is_much_too_high_down() {
    let part = Part { capacity: 1000.0, time: 0.012 };
    let mut fast = Fast::new(Bounds::new(2, 1000).unwrap().start(1000).unwrap());
    let start = Instant::now();
    fast.update(&part.window(start, 5.0, false));
    let limits = part.overload(&mut fast, start, 30);
    assert!((1.0..1.85).contains(&(limits[29] as f64 / 12.0)), "12 are worked on: {limits:?}");
}

/// A limit that the load of these tests has opened.
fn from_64() -> Fast {
    Fast::new(Bounds::default().start(64).unwrap())
}

#[test]
fn fast_notices_that_calls_take_longer_without_a_queue() {
    let before = Part { capacity: 1000.0, time: 0.012 };
    let after = Part { time: 0.048, ..before };
    let (mut fast, start) = (from_64(), Instant::now());
    before.overload(&mut fast, start, 50);
    let limits = after.overload(&mut fast, start + 50 * 100 * MS, 40);
    assert!(limits[39] >= 48, "48 are worked on: {limits:?}");
}

#[test]
fn fast_grows_with_calls_that_take_longer_than_the_time_between_probes() {
    let (mut fast, start) = (Fast::default(), Instant::now());
    let grown = (1..=5).map(|i| {
        let in_flight = fast.limit();
        fast.update(&Window {
            departures: 2 * in_flight as u64,
            in_flight: in_flight as f64,
            peak: in_flight,
            saturated: true,
            ..Window::new(start + i * 20_000 * MS, 20_000 * MS)
        })
    });
    assert!(grown.collect::<Vec<_>>().is_sorted_by(|a, b| a < b));
    assert!(fast.limit() > 50);
}

#[test]
fn fast_does_not_go_on_believing_a_slow_beginning() {
    let (mut fast, start) = (Fast::default(), Instant::now());
    let mut windows = 0;
    for tenths in [1, 2, 4, 6, 8, 10] {
        let speed = f64::from(tenths) / 10.0;
        let part = Part { capacity: 1000.0 * speed, time: 0.01 + 0.002 / speed };
        part.overload(&mut fast, start + windows * 100 * MS, 20);
        windows += 20;
    }
    let warm = Part { capacity: 1000.0, time: 0.012 };
    let limits = warm.overload(&mut fast, start + windows * 100 * MS, 100);
    assert!(limits[99] <= 24, "12 are worked on: {limits:?}");
}

#[test]
fn fast_takes_overload_once_per_window_and_accidents_not_at_all() {
    let bounds = Bounds::new(2, 1000).unwrap().start(100).unwrap();
    let part = Part { capacity: 1e6, time: 0.1 };
    let window = |overloads| Window { overloads, ..part.window(Instant::now(), 50.0, false) };
    for (overloads, limit) in [(0, 100), (2, 100), (3, 70), (50, 70)] {
        assert_eq!(Fast::new(bounds).update(&window(overloads)), limit, "{overloads} of 50");
    }
}

#[test]
fn fast_comes_down_when_the_runtime_is_late() {
    let bounds = Bounds::new(2, 1000).unwrap().start(100).unwrap();
    let part = Part { capacity: 1e6, time: 0.1 };
    let window = |delay| Window { delay, ..part.window(Instant::now(), 100.0, true) };
    for (delay, limit) in [(20, 200), (25, 90), (40, 75), (4000, 75)] {
        assert_eq!(Fast::new(bounds).update(&window(delay * MS)), limit, "{delay} ms");
    }
    let mut tolerant = Fast::new(bounds).with_target_delay(Duration::MAX).unwrap();
    assert_eq!(tolerant.update(&window(4000 * MS)), 200);
    let refused = Fast::default().with_target_delay(Duration::ZERO).unwrap_err().to_string();
    assert_eq!(refused, "target_delay is 0, but must be above 0");
}

#[test]
fn fast_gives_back_what_is_not_used_but_only_down_to_a_multiple_of_the_peak() {
    let part = Part { capacity: 1e6, time: 0.1 };
    for (in_flight, floor) in [(1.0, 24..=24), (20.0, 40..=80)] {
        let mut fast = Fast::new(Bounds::new(2, 1000).unwrap().start(100).unwrap());
        let start = Instant::now();
        let first = fast.update(&part.window(start, in_flight, false));
        (1..200).for_each(|i| _ = fast.update(&part.window(start + i * 100 * MS, in_flight, false)));
        assert!(first == 95 && floor.contains(&fast.limit()), "{first} {}", fast.limit());
    }
}

#[test]
fn a_part_that_hangs_teaches_nothing() {
    for mut limit in adaptive(Bounds::default()) {
        let window = Window { in_flight: 8.0, peak: 8, saturated: true, ..Window::new(Instant::now(), 1000 * MS) };
        (0..100).for_each(|_| _ = limit.update(&window));
        assert_eq!(limit.limit(), Bounds::default().initial(), "{limit:?}");
    }
}

#[test]
fn a_probe_takes_two_windows_and_goes_back() {
    let part = Part { capacity: 1000.0, time: 0.012 };
    let mut fast = Fast::new(Bounds::new(2, 1000).unwrap().start(8).unwrap());
    let limits = part.overload(&mut fast, Instant::now(), 1500);
    let dips: Vec<_> = (1..1500).filter(|&i| limits[i] < 12).collect();
    assert_eq!(dips.len(), 8, "after a second, another second, and then once a minute: {dips:?}");
    for dip in dips.chunks(2) {
        let [before, first, second, after] = [dip[0] - 1, dip[0], dip[1], dip[1] + 1].map(|i| limits[i]);
        assert!(dip[1] == dip[0] + 1 && (9..=10).contains(&first), "0.8 × 12: {first}");
        assert_eq!((second, after), (first, before));
    }
}

#[test]
fn fast_allows_uneven_work_a_longer_queue_than_even_work() {
    let part = Part { capacity: 1000.0, time: 0.012 };
    let settled = |swing: f64| {
        let bounds = Bounds::new(2, 1000).unwrap().start(8).unwrap();
        let (mut fast, start) = (Fast::new(bounds), Instant::now());
        let mut last = |i: u32| {
            let mut window = part.window(start + i * 100 * MS, fast.limit() as f64, true);
            let share = if i % 2 == 0 { 1.0 + swing } else { 1.0 - swing };
            window.departures = (window.departures as f64 * share) as u64;
            fast.update(&window)
        };
        (1..=400).map(&mut last).skip(300).sum::<usize>() as f64 / 100.0
    };
    let [even, random, uneven] = [0.0, 0.08, 0.2].map(settled);
    assert!(even < random && random < uneven && uneven <= 30.0, "{even} {random} {uneven}");
}

/// A window of calls that take `times`, in milliseconds, in equal shares.
fn mixed(end: Instant, throughput: f64, times: &[f32], saturated: bool, limit: usize) -> Window {
    let mut latencies: Vec<f32> = times.iter().map(|ms| ms / 1000.0).collect();
    let in_flight = throughput * f64::from(latencies.iter().sum::<f32>()) / latencies.len() as f64;
    Window {
        departures: (throughput / 10.0) as u64,
        in_flight,
        peak: if saturated { limit } else { in_flight.ceil() as usize },
        saturated,
        quantiles: Quantiles::of(&mut latencies),
        ..Window::new(end, 100 * MS)
    }
}

#[test]
fn more_of_the_long_calls_are_no_queue_and_raise_a_limit_that_is_felt() {
    let (mut fast, start) = (Fast::default(), Instant::now());
    let (few, many) =
        ([5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 500.0], [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 500.0, 500.0]);
    (0..20).for_each(|i| _ = fast.update(&mixed(start + i * 100 * MS, 500.0, &few, false, 64)));
    let before = fast.limit();
    fast.update(&mixed(start + 2000 * MS, 500.0, &many, true, before));
    assert!(fast.limit() > before, "{before} {}", fast.limit());
}

#[test]
fn a_dependency_that_is_dead_does_not_close_the_door_of_the_others() {
    for (share, calm) in [(3, 20), (5, 20), (7, 20), (3, 0)] {
        let (mut fast, start) = (from_64(), Instant::now());
        (0..calm).for_each(|i| _ = fast.update(&mixed(start + i * 100 * MS, 1000.0, &[20.0; 10], false, 64)));
        let before = fast.limit();
        for i in 20..60 {
            let window = mixed(start + i * 100 * MS, 1000.0, &[20.0; 10], false, 64);
            fast.update(&Window { overloads: window.departures * share / 10, ..window });
        }
        assert!(fast.limit() >= before.min(40), "{share} of 10 fail: {before} {}", fast.limit());
    }
}

#[test]
fn failures_that_a_lower_limit_does_not_mend_are_no_reason_to_keep_it_low() {
    let (mut fast, start) = (Fast::default(), Instant::now());
    (0..20).for_each(|i| _ = fast.update(&mixed(start + i * 100 * MS, 1000.0, &[20.0; 10], false, 64)));
    let before = fast.limit();
    let limits: Vec<_> = (20..60)
        .map(|i| {
            let window = mixed(start + i * 100 * MS, 1000.0, &[20.0; 10], false, 64);
            fast.update(&Window { overloads: window.departures * 19 / 20, ..window })
        })
        .collect();
    assert!(limits[0] < before && limits[39] == before, "{limits:?}");
}

#[test]
fn twice_as_long_calls_and_as_many_answers_are_told_from_a_queue_by_a_higher_limit() {
    let settled = |is_queue: bool| {
        let bounds = Bounds::new(2, 1000).unwrap().start(24).unwrap();
        let (mut fast, start) = (Fast::new(bounds), Instant::now());
        (0..20).for_each(|i| _ = fast.update(&mixed(start + i * 100 * MS, 500.0, &[10.0; 10], false, 24)));
        for i in 20..40 {
            let limit = fast.limit();
            // 300 a second is all that it can do from now on, or each takes 80 ms by itself.
            let throughput = if is_queue { 300.0 } else { limit as f64 / 0.08 };
            let time = limit as f32 / throughput as f32 * 1000.0;
            fast.update(&mixed(start + i * 100 * MS, throughput, &[time; 10], true, limit));
        }
        fast.limit()
    };
    assert!(settled(true) < 12, "3 are worked on: {}", settled(true));
    assert!(settled(false) > 100, "{}", settled(false));
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), (0u64..5000).prop_map(Duration::from_millis)]
}

fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0u64..1000]
}

fn averages() -> impl Strategy<Value = f64> {
    prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(f64::MAX), 0.0..2000.0]
}

proptest! {
    #[test]
    fn d6_every_limit_keeps_its_bounds_whatever_a_window_says(
        bounds in (1usize..50, 0usize..1000),
        windows in prop::collection::vec(
            ((0u64..20_000, durations(), counts(), counts()), (averages(), any::<usize>(), any::<bool>()),
             (prop::option::of(durations()), prop::option::of(durations()), durations())),
            1..60,
        ),
    ) {
        let bounds = Bounds::new(bounds.0, bounds.0 + bounds.1).unwrap();
        let start = Instant::now();
        for mut limit in adaptive(bounds) {
            for &((at, length, departures, overloads), (in_flight, peak, saturated), times) in &windows {
                let window = Window {
                    departures,
                    overloads,
                    in_flight,
                    peak,
                    saturated,
                    latency: times.0,
                    min_latency: times.1,
                    delay: times.2,
                    ..Window::new(start + Duration::from_millis(at), length)
                };
                let answer = limit.update(&window);
                prop_assert_eq!(answer, limit.limit());
                prop_assert!((bounds.min()..=bounds.max()).contains(&answer), "{:?} after {:?}", limit, window);
            }
        }
    }

    #[test]
    fn fast_settles_between_what_is_worked_on_and_twice_that_wherever_it_starts(
        capacity in 100.0f64..10_000.0,
        time in 0.005f64..0.09,
        start in 2usize..1000,
    ) {
        let part = Part { capacity, time };
        let mut fast = Fast::new(Bounds::new(2, 2000).unwrap().start(start).unwrap());
        let limits = part.overload(&mut fast, Instant::now(), 300);
        let worked_on = (capacity * time).max(2.0);
        let last = *limits.iter().rev().take(5).max().unwrap() as f64;
        prop_assert!(last >= worked_on.floor() && last <= 2.0 * worked_on + 10.0, "{last} for {worked_on}");
    }
}

#[test]
fn a_fixed_limit_stays() {
    let mut fixed: Box<dyn Limit> = Box::new(Fixed::new(7).unwrap());
    let window = Window { overloads: 9, ..Window::new(Instant::now(), MS) };
    assert_eq!((fixed.limit(), fixed.update(&window)), (7, 7));
}
