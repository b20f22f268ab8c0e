//! Where a part's time goes.

use std::time::Duration;

use backpressure_core::{Activity, AdmissionMeter, Work, WorkTimes};
use proptest::prelude::*;

use crate::part::{Part, clock, clock_reads, set_clock};

const MS: Duration = Duration::from_millis(1);

fn times(part: &Part) -> [u128; 3] {
    in_ms(part.gauge.snapshot().work.expect("it tells"))
}

fn in_ms(times: WorkTimes) -> [u128; 3] {
    [times.idle, times.busy, times.blocked].map(|time| time.as_millis())
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Tell(usize, Activity),
    Wait(usize),
    Waited(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let activity = prop_oneof![
        prop::sample::select(&Work::ALL[..]).prop_map(Activity::from),
        (0usize..=4).prop_map(|taken| Activity::busy(taken, 4)),
    ];
    prop_oneof![
        (0usize..3, activity).prop_map(|(part, activity)| Step::Tell(part, activity)),
        (0usize..3).prop_map(Step::Wait),
        (0usize..3).prop_map(Step::Waited),
        (1u64..20).prop_map(|quarters| Step::Pass(4 * quarters)),
    ]
}

proptest! {
    /// Three parts, of which the first feeds the others: at every step the model knows what each does.
    #[test]
    fn m1_the_times_of_linked_parts_are_those_of_a_model(steps in prop::collection::vec(step(), 0..60)) {
        set_clock(Duration::ZERO);
        let parts: [Part; 3] = std::array::from_fn(|_| Part::of(4));
        parts[0].gauge.feeds(&parts[1].gauge);
        parts[0].gauge.feeds(&parts[2].gauge);
        let mut now = 0;
        let mut told = [Activity::IDLE; 3];
        parts.iter().zip(told).for_each(|(part, told)| part.reporter.works(told));
        let mut waiting = [0u32; 3];
        let mut model = [[0u64; 3]; 3];
        for step in steps {
            match step {
                Step::Tell(part, activity) => {
                    told[part] = activity;
                    parts[part].reporter.works(activity);
                }
                Step::Wait(part) => {
                    waiting[part] += 1;
                    parts[part].reporter.producer_waits();
                }
                Step::Waited(part) if waiting[part] > 0 => {
                    waiting[part] -= 1;
                    parts[part].reporter.producer_waited();
                }
                Step::Waited(_) => {}
                Step::Pass(ms) => {
                    now += ms;
                    set_clock(MS * now as u32);
                    for (part, model) in model.iter_mut().enumerate() {
                        let held_up = part == 0 && waiting[1] + waiting[2] > 0;
                        let quarters = (0..=4).find(|&taken| Activity::busy(taken, 4) == told[part]);
                        let (kind, taken) = match quarters {
                            Some(taken) if held_up => (Work::Blocked, taken as u64),
                            Some(taken) => (Work::Busy, taken as u64),
                            None => (Work::Blocked, 4),
                        };
                        model[kind as usize] += ms * taken / 4;
                        model[Work::Idle as usize] += ms - ms * taken / 4;
                    }
                }
            }
            for (part, model) in parts.iter().zip(&model) {
                prop_assert_eq!(times(part), model.map(u128::from));
                prop_assert_eq!(times(part).iter().sum::<u128>(), u128::from(now));
            }
        }
    }
}

#[test]
fn m3_edges_read_no_clock_until_somebody_asks_where_the_time_goes() {
    let (part, next) = (Part::of(4), Part::of(4));
    let meter = AdmissionMeter::new(4, clock);
    let before = clock_reads();
    let edges = || {
        for _ in 0..100 {
            part.reporter.works(Work::Busy);
            next.reporter.producer_waits();
            next.reporter.producer_waited();
            part.reporter.works(Work::Idle);
            assert!(meter.try_take().is_some());
            meter.give_back();
        }
    };
    edges();
    assert_eq!(clock_reads(), before);
    [&part.gauge, &next.gauge, &meter.gauge()].into_iter().for_each(|gauge| gauge.time_work());
    let before = clock_reads();
    edges();
    assert_eq!(clock_reads(), before + 400, "one for each edge; nobody is linked");
    part.gauge.feeds(&next.gauge);
    let before = clock_reads();
    edges();
    assert_eq!(clock_reads(), before + 600);
}

#[test]
fn a_part_that_tells_nothing_has_no_times_and_one_that_does_is_counted_from_when_it_was_asked() {
    let part = Part::of(4);
    part.gauge.time_work();
    set_clock(MS);
    assert_eq!(part.gauge.snapshot().work, None);
    let part = Part::of(4);
    part.reporter.works(Work::Busy);
    assert_eq!(part.gauge.snapshot().work, None, "nobody asked");
    set_clock(2 * MS);
    part.gauge.time_work();
    set_clock(5 * MS);
    assert_eq!(times(&part), [0, 3, 0]);
}

#[test]
fn calls_in_flight_are_work_whoever_takes_and_gives_back_their_slots() {
    let meter = AdmissionMeter::new(4, clock);
    let next = Part::of(4);
    let gauge = meter.gauge();
    gauge.time_work();
    gauge.feeds(&next.gauge);
    let work = || in_ms(gauge.snapshot().work.expect("it is known without being told"));
    set_clock(MS);
    assert!(meter.try_take().is_some() && meter.take((), |_| Ok(())).is_ok());
    set_clock(3 * MS);
    assert_eq!(work(), [1, 2, 0]);
    next.reporter.producer_waits();
    set_clock(6 * MS);
    meter.give_back();
    set_clock(7 * MS);
    meter.give_back();
    set_clock(9 * MS);
    assert_eq!(work(), [3, 2, 4]);
}

#[test]
fn t6_a_part_that_is_gone_is_not_kept_by_those_that_fed_it_nor_by_those_it_fed() {
    let (first, second, third) = (Part::of(4), Part::of(4), Part::of(4));
    first.gauge.feeds(&second.gauge);
    second.gauge.feeds(&third.gauge);
    second.reporter.producer_waits();
    first.reporter.works(Work::Busy);
    drop(second);
    third.reporter.producer_waits();
    set_clock(MS);
    assert_eq!(times(&first), [0, 0, 1], "its last word counts");
}
