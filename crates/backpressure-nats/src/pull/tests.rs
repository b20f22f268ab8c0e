//! Single rules, each by itself.

use std::time::{Duration, Instant};

use super::{Pull, Reception};
use crate::config::{ConsumerRules, PullConfig};
use crate::engine::{Command, Demand, End};
use crate::settlement::Settlement;

const MS: Duration = Duration::from_millis(1);
const ACK_WAIT: Duration = Duration::from_secs(12);

fn pull(config: PullConfig, rules: ConsumerRules) -> (Pull<u64>, Instant) {
    (Pull::new(config, rules), Instant::now())
}

fn rules() -> ConsumerRules {
    ConsumerRules::new(ACK_WAIT)
}

/// What it does at this time, when what follows waits for more.
fn commands(pull: &mut Pull<u64>, now: Instant) -> Vec<Command<u64>> {
    pull.advance(now, true, true);
    std::iter::from_fn(|| pull.command()).collect()
}

/// What it asks for at this time.
fn demand(pull: &mut Pull<u64>, now: Instant) -> Option<Demand> {
    commands(pull, now).into_iter().find_map(|command| match command {
        Command::Pull(demand) => Some(demand),
        _ => None,
    })
}

fn arrive(pull: &mut Pull<u64>, now: Instant, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        assert_eq!(pull.arrived(now, id, id, 100, 1), Reception::Deliver);
    }
}

#[test]
fn a_lease_is_renewed_before_a_third_of_ack_wait_is_over_and_not_after_the_longest_hold() {
    let (mut pull, start) = pull(PullConfig::new().longest_hold(Duration::from_secs(30)), rules());
    demand(&mut pull, start);
    arrive(&mut pull, start, [7]);
    let (mut now, mut renewed) = (start, vec![start]);
    while now < start + Duration::from_secs(60) {
        now = pull.timeout().expect("something is held");
        renewed.extend(commands(&mut pull, now).contains(&Command::Progress(7)).then_some(now));
    }
    assert!(renewed.windows(2).all(|pair| pair[1] - pair[0] <= ACK_WAIT / 3), "{renewed:?}");
    let last = *renewed.last().unwrap() - start;
    assert!(last > Duration::from_secs(25) && last < Duration::from_secs(30), "{last:?}");
    pull.settle(now, 7, Settlement::Nak(MS));
    assert_eq!(pull.counts().forgotten, 1, "it may be somebody else's by now");
    assert!(commands(&mut pull, now).iter().all(|command| matches!(command, Command::Pull(_))));
}

#[test]
fn nothing_is_renewed_after_a_nak_and_the_delay_counts_against_the_bound_of_the_server() {
    let rules = ConsumerRules { max_ack_pending: Some(3), ..rules() };
    let (mut pull, now) = pull(PullConfig::new(), rules);
    assert_eq!(demand(&mut pull, now).unwrap().items, 3);
    arrive(&mut pull, now, 1..=3);
    pull.settle(now, 1, Settlement::Nak(8_000 * MS));
    pull.settle(now, 2, Settlement::Ack);
    let said = commands(&mut pull, now);
    assert!(said.contains(&Command::Nak(1, 8_000 * MS)) && said.contains(&Command::Ack(2)));
    let asked = said.iter().find_map(|command| if let Command::Pull(it) = command { Some(it.items) } else { None });
    assert_eq!(asked, Some(1), "one is held, one is delayed");
    for second in 1..8_u32 {
        let said = commands(&mut pull, now + second * 1_000 * MS);
        assert!(!said.contains(&Command::Progress(1)), "it would undo the delay");
    }
}

#[test]
fn a_double_is_settled_with_the_one_that_is_held_and_a_repeat_is_acknowledged_again() {
    let (mut pull, start) = pull(PullConfig::new().longest_hold(Duration::ZERO), rules());
    demand(&mut pull, start);
    arrive(&mut pull, start, [1, 2]);
    let late = start + ACK_WAIT;
    demand(&mut pull, late);
    assert_eq!(pull.arrived(late, 1, 11, 100, 2), Reception::Double);
    pull.settle(late, 1, Settlement::Ack);
    pull.settle(late, 2, Settlement::Ack);
    assert_eq!(commands(&mut pull, late)[..2], [Command::Ack(11), Command::Ack(2)], "by its newer name");
    assert_eq!(pull.arrived(late + MS, 2, 12, 100, 2), Reception::Repeat);
    assert_eq!(commands(&mut pull, late + MS)[0], Command::Ack(12));
    let counts = pull.counts();
    assert_eq!((counts.received, counts.acked, counts.acked_late), (2, 2, 1), "the double's lease was fresh");
    assert_eq!((counts.doubles, counts.repeats), (1, 1));
}

#[test]
fn a_message_that_cannot_be_buried_comes_back() {
    let rules = ConsumerRules { dead_letters: true, ..rules() };
    let (mut pull, now) = pull(PullConfig::new(), rules);
    demand(&mut pull, now);
    arrive(&mut pull, now, [1, 2]);
    pull.settle(now, 1, Settlement::Term);
    pull.settle(now, 2, Settlement::Term);
    let said = commands(&mut pull, now);
    assert!(said.contains(&Command::DeadLetter(1, 1)) && !said.contains(&Command::Term(1)), "first the letter");
    pull.lettered(now, 1, true);
    pull.lettered(now, 2, false);
    let said = commands(&mut pull, now);
    assert!(said.contains(&Command::Term(1)) && said.contains(&Command::Nak(2, 1_000 * MS)));
    assert_eq!((pull.counts().dead_letters, pull.counts().naked, pull.counts().held), (1, 1, 0));
}

#[test]
fn what_the_consumer_says_of_requests_is_heeded() {
    let (mut pull, mut now) = pull(PullConfig::new().with_window(500).expires(4_000 * MS), rules());
    let mut next = |end| {
        let asked = demand(&mut pull, now).expect("there is room");
        assert!(!pull.ended(now, asked.number, end, None));
        let is_paused = demand(&mut pull, now).is_none();
        now += 10_000 * MS;
        pull.advance(now, true, true);
        while pull.command().is_some() {}
        now += 10_000 * MS;
        (asked.items, asked.expires, asked.bytes, is_paused)
    };
    assert_eq!(next(End::Expired), (500, 4_000 * MS, None, false));
    assert_eq!(next(End::TooMany(64)), (500, 4_000 * MS, None, false));
    assert_eq!(next(End::TooLong(900 * MS)), (64, 4_000 * MS, None, false));
    assert_eq!(next(End::TooLarge(4_096)), (64, 900 * MS, None, false));
    assert_eq!(next(End::Busy), (64, 900 * MS, Some(4_096), true));
    assert_eq!(next(End::Unanswered), (64, 900 * MS, Some(4_096), true), "it may be about to start");
}

#[test]
fn t6_nobody_answers_for_as_long_as_patience_lasts_and_then_it_is_over() {
    let (mut pull, start) = pull(PullConfig::new().patience(2_000 * MS), rules());
    let (mut now, mut is_over) = (start, false);
    while !is_over {
        if let Some(asked) = demand(&mut pull, now) {
            is_over = pull.ended(now, asked.number, End::Unanswered, None);
        }
        now += 100 * MS;
    }
    assert!(now - start >= 2_000 * MS && now - start < 3_000 * MS, "{:?}", now - start);
    assert_eq!((demand(&mut pull, now), pull.is_over()), (None, true));
}

#[test]
fn w3_nothing_ticks_when_nothing_is_held_and_nothing_is_out() {
    let (mut pull, now) = pull(PullConfig::new().with_window(1), rules());
    demand(&mut pull, now);
    arrive(&mut pull, now, [1]);
    assert!(pull.timeout().is_some(), "a lease is to be renewed");
    pull.stop();
    pull.settle(now, 1, Settlement::Ack);
    assert_eq!(commands(&mut pull, now), [Command::Ack(1), Command::Close]);
    assert_eq!(pull.timeout(), None);
}

#[test]
fn a_source_that_stops_waits_for_its_last_request_and_gives_back_what_it_brings() {
    let (mut pull, now) = pull(PullConfig::new(), rules());
    let asked = demand(&mut pull, now).unwrap();
    arrive(&mut pull, now, [1]);
    pull.stop();
    assert_eq!(commands(&mut pull, now), [], "the request is out");
    assert_eq!(pull.arrived(now, 2, 2, 100, 1), Reception::HandBack);
    assert_eq!(commands(&mut pull, now), [Command::Nak(2, Duration::ZERO)]);
    assert!(!pull.ended(now, asked.number, End::Expired, None));
    assert_eq!(commands(&mut pull, now), [Command::Close]);
    pull.closed();
    assert!(!pull.is_over(), "one is held");
    pull.settle(now, 1, Settlement::Ack);
    assert!(pull.is_over());
}

#[test]
fn w3_a_message_that_the_consumer_gives_to_no_request_is_not_asked_for_again_and_again() {
    let rules = ConsumerRules { max_bytes: Some(1_000), ..rules() };
    let (mut pull, now) = pull(PullConfig::new().window_bytes(10_000), rules);
    let mut requests = 0;
    while let Some(asked) = demand(&mut pull, now) {
        requests += 1;
        assert!(requests < 10, "without a pause");
        assert!(!pull.ended(now, asked.number, End::Bytes, None));
    }
    assert_eq!(requests, 1);
    let next = pull.timeout().expect("it is asked for later");
    assert!(next > now && demand(&mut pull, next).is_some());
}

#[test]
fn c2_one_that_comes_back_from_the_dead_letters_after_its_last_delivery_is_counted_as_exhausted() {
    let rules = ConsumerRules { max_deliver: Some(1), dead_letters: true, ..rules() };
    let (mut pull, now) = pull(PullConfig::new(), rules);
    demand(&mut pull, now);
    arrive(&mut pull, now, [7, 8]);
    pull.settle(now, 7, Settlement::Term);
    pull.lettered(now, 7, false);
    pull.settle(now, 8, Settlement::Term);
    pull.lettered(now, 8, true);
    let counts = pull.counts();
    assert_eq!((counts.naked, counts.exhausted, counts.dead_letters), (1, 1, 1), "nobody gets 7 again");
    assert!(counts.balances());
}

#[test]
fn d6_waits_without_end_neither_panic_nor_spin() {
    let refused = PullConfig::new().expires(Duration::MAX).check().unwrap_err().to_string();
    assert!(refused.starts_with("expires is ") && refused.ends_with("but must be at most 24h"), "{refused}");
    let config = PullConfig::new().longest_hold(Duration::MAX).dropped_delay(Duration::MAX).patience(Duration::MAX);
    let rules = ConsumerRules { max_ack_pending: Some(3), ..ConsumerRules::new(Duration::MAX) };
    let (mut pull, now) = pull(config.redeliver([Duration::MAX]), rules);
    demand(&mut pull, now);
    arrive(&mut pull, now, [1, 2]);
    pull.settle(now, 1, Settlement::Dropped);
    pull.settle(now, 2, Settlement::Retry(Duration::MAX));
    commands(&mut pull, now);
    assert!(pull.timeout().is_none_or(|at| at > now) && pull.counts().balances());
}

#[test]
fn a_request_as_large_as_they_get_is_not_small_however_large_the_window_is() {
    let (mut pull, now) = pull(PullConfig::new().with_window(10_000).batch(100), rules());
    pull.advance(now, false, true);
    assert!(matches!(pull.command(), Some(Command::Pull(Demand { items: 100, .. }))), "a reader that is busy");
}

#[test]
fn d2_the_next_request_goes_out_when_half_of_the_last_one_has_come_and_together_they_fit_into_the_window() {
    let (mut pull, now) = pull(PullConfig::new().with_window(1_000).batch(400), rules());
    assert_eq!(demand(&mut pull, now).unwrap().items, 400);
    arrive(&mut pull, now, 1..=199);
    assert_eq!(demand(&mut pull, now), None, "less than half has come");
    arrive(&mut pull, now, [200]);
    assert_eq!(demand(&mut pull, now).unwrap().items, 400, "200 are held, 200 are to come");
    arrive(&mut pull, now, 201..=600);
    assert_eq!(demand(&mut pull, now), None, "600 are held, 200 are to come: too little room for one more");
    (1..=300).for_each(|id| pull.settle(now, id, Settlement::Ack));
    assert_eq!(demand(&mut pull, now).unwrap().items, 400);
    arrive(&mut pull, now, 601..=1_200);
    assert_eq!((pull.counts().pulls, pull.counts().handed_back), (3, 0));
}

#[test]
fn d2_what_an_ended_request_did_not_bring_is_asked_for_again_and_what_the_others_owe_is_not() {
    let (mut pull, now) = pull(PullConfig::new().with_window(1_000).batch(400), rules());
    let first = demand(&mut pull, now).unwrap();
    arrive(&mut pull, now, 1..=200);
    let second = demand(&mut pull, now).unwrap();
    arrive(&mut pull, now, 201..=400);
    assert!(!pull.ended(now, first.number, End::Expired, Some(100)));
    assert_eq!(demand(&mut pull, now), None, "300 are to come");
    arrive(&mut pull, now, 401..=500);
    (1..=500).for_each(|id| pull.settle(now, id, Settlement::Ack));
    assert_eq!(demand(&mut pull, now).unwrap().items, 400, "200 are to come");
    assert!(!pull.ended(now, second.number, End::Expired, Some(200)));
    pull.stop();
    assert!(!commands(&mut pull, now).contains(&Command::Close), "400 are to come");
    let late = pull.timeout().expect("an end is waited for");
    assert!(commands(&mut pull, late).contains(&Command::Close), "it was waited for in vain");
    assert_eq!(pull.counts().unheard, 1);
}

#[test]
fn d2_without_a_word_about_what_did_not_come_no_more_is_asked_for_than_fits() {
    let (mut pull, now) = pull(PullConfig::new().with_window(1_000).batch(400), rules());
    let first = demand(&mut pull, now).unwrap();
    arrive(&mut pull, now, 1..=200);
    let second = demand(&mut pull, now).unwrap();
    assert!(!pull.ended(now, first.number, End::Expired, None));
    assert_eq!(demand(&mut pull, now), None, "up to 400 may be to come");
    assert!(!pull.ended(now, second.number, End::Expired, None));
    assert_eq!(demand(&mut pull, now).unwrap().items, 400, "nothing is");
}

#[test]
fn d2_a_request_that_is_refused_owes_nothing() {
    for refusal in [End::Busy, End::TooMany(400), End::TooLong(900 * MS), End::TooLarge(4_096), End::Unanswered] {
        let (mut pull, now) = pull(PullConfig::new().with_window(700).batch(400), rules());
        demand(&mut pull, now);
        arrive(&mut pull, now, 1..=200);
        let second = demand(&mut pull, now).unwrap();
        assert!(!pull.ended(now, second.number, refusal, None));
        arrive(&mut pull, now, 201..=400);
        let later = now + 300 * MS;
        assert!(demand(&mut pull, later).is_some_and(|it| it.items >= 200), "{refusal:?}: nothing is out");
    }
}

#[test]
fn w3_a_worker_that_has_nothing_to_do_asks_once_each_time_its_request_expires() {
    let (mut pull, start) = pull(PullConfig::new(), rules());
    let (mut now, mut looks) = (start, 0);
    let mut out = demand(&mut pull, now);
    while now < start + 60_000 * MS {
        looks += 1;
        let Some(Demand { number, items, expires, .. }) = out else { panic!("nothing is asked for") };
        assert_eq!(
            pull.timeout(),
            Some(now + expires + 1_000 * MS),
            "nothing but the end of the request is waited for"
        );
        now += expires;
        assert!(!pull.ended(now, number, End::Expired, Some(items)));
        out = demand(&mut pull, now);
    }
    assert_eq!((looks, pull.counts().pulls), (60, 61), "one request a second");
}
