//! What lingers, by hand and with a paused clock.

mod kit;

use std::pin::pin;
use std::time::Duration;

use backpressure_core::limit::{CoDel, Fixed};
use bytes::Bytes;
use http::{Request, Version, header};
use http_body_util::Empty;
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use self::kit::{DELAY, Full, REFUSED, TIME, linger, others, poll, upload};
use super::Linger;
use crate::limiter::Limiter;

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_end_of_the_body_and_no_longer() {
    let began = Instant::now();
    let mut server = Full::new(linger());
    let (client, request) = upload();
    let mut answer = server.call(request);
    client.send(Ok(1000));
    assert!(poll(&mut answer).is_pending());
    assert_eq!((server.counts(), server.handle.limiter().in_flight()), ([1, 0, 0, 0, 0], 1), "it holds no slot");
    client.send(Ok(1000));
    assert!(poll(&mut answer).is_pending());
    client.end();
    assert_eq!(poll(&mut answer), REFUSED);
    assert_eq!((server.counts(), began.elapsed()), ([0, 1, 0, 0, 0], Duration::ZERO));
    assert!(client.is_dropped());
}

#[tokio::test(start_paused = true)]
async fn after_the_delay_it_is_answered_and_after_the_time_it_is_dropped() {
    let mut server = Full::new(linger());
    let (client, request) = upload();
    let mut answer = server.call(request);
    assert!(poll(&mut answer).is_pending());
    advance(DELAY).await;
    assert_eq!(poll(&mut answer), REFUSED);
    drop(answer);

    others().await;
    client.send(Ok(1000));
    advance(TIME - Duration::from_millis(2)).await;
    others().await;
    assert!(client.left() == 0 && !client.is_dropped(), "it is read on");
    assert_eq!(server.counts(), [1, 0, 0, 0, 0]);
    advance(Duration::from_millis(4)).await;
    others().await;
    assert!(client.is_dropped());
    assert_eq!(server.counts(), [0, 0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_ends_after_its_answer_is_read_to_its_end() {
    let mut server = Full::new(linger().delay(Duration::ZERO));
    let (client, request) = upload();
    assert_eq!(poll(&mut server.call(request)), REFUSED);
    others().await;
    client.send(Ok(1000));
    client.end();
    others().await;
    assert!(client.is_dropped());
    assert_eq!(server.counts(), [0, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn over_its_bytes_it_is_answered_and_not_read_but_kept_while_the_client_reads() {
    let mut server = Full::new(linger().bytes(2000));
    let (client, request) = upload();
    let mut answer = server.call(request);
    assert!(poll(&mut answer).is_pending());
    (0..3).for_each(|_| client.send(Ok(1000)));
    assert_eq!(poll(&mut answer), REFUSED);
    others().await;
    assert_eq!((client.left(), client.is_dropped()), (1, false));
    advance(TIME + Duration::from_millis(2)).await;
    others().await;
    assert!(client.is_dropped());
    assert_eq!(server.counts(), [0, 0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn when_as_many_linger_as_may_the_next_is_answered_and_dropped() {
    let mut server = Full::new(linger().connections(1));
    let (_first, request) = upload();
    let mut first = server.call(request);
    assert!(poll(&mut first).is_pending());
    let (client, request) = upload();
    assert_eq!(poll(&mut server.call(request)), REFUSED);
    assert!(client.is_dropped());
    assert_eq!(server.counts(), [1, 0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_arrived_whole_or_has_failed_does_not_linger() {
    let mut server = Full::new(linger().connections(0));
    for last in [None, Some(Err("reset"))] {
        let (client, request) = upload();
        client.send(Ok(1000));
        last.map_or_else(|| client.end(), |failure| client.send(failure));
        assert_eq!(poll(&mut server.call(request)), REFUSED);
    }
    assert_eq!(server.counts(), [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let mut server = Full::new(linger());
    let (client, request) = upload();
    let mut answer = server.call(request);
    assert!(poll(&mut answer).is_pending());
    drop(answer);
    assert!(client.is_dropped());

    let (client, request) = upload();
    let mut answer = server.call(request);
    assert!(poll(&mut answer).is_pending());
    client.send(Err("reset"));
    assert_eq!(poll(&mut answer), REFUSED);
    assert_eq!(server.counts(), [0, 0, 0, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_where_nothing_needs_to_be() {
    let mut server = Full::new(linger());
    for version in [Version::HTTP_2, Version::HTTP_3] {
        let (client, mut request) = upload();
        *request.version_mut() = version;
        assert_eq!(poll(&mut server.call(request)), REFUSED);
        assert_eq!((client.polls(), client.is_dropped()), (0, true));
    }
    let (client, mut request) = upload();
    request.headers_mut().insert(header::EXPECT, "100-continue".parse().unwrap());
    assert_eq!(poll(&mut server.call(request)), REFUSED);
    assert_eq!((client.polls(), client.is_dropped()), (0, true));
    assert_eq!(poll(&mut server.call(Request::new(Empty::<Bytes>::new()))), REFUSED);
    assert_eq!(server.counts(), [0; 5]);
}

#[test]
fn outside_of_a_runtime_or_without_timers_it_is_answered_and_dropped() {
    let refuse = || {
        let mut server = Full::new(linger());
        let (client, request) = upload();
        assert_eq!(poll(&mut server.call(request)), REFUSED);
        assert!(client.is_dropped());
    };
    refuse();
    let without_timers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    without_timers.block_on(async { refuse() });
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_shed_in_the_queue_lingers_too() {
    let limiter = Limiter::builder().limit(Fixed::new(1).unwrap()).queue(CoDel::new()).build();
    let mut server = Full::of(limiter, linger());
    let (client, request) = upload();
    let mut answer = server.call(request);
    assert!(poll(&mut answer).is_pending());
    assert_eq!((client.polls(), server.counts()), (0, [0; 5]), "it is in the queue");
    let _drain = server.handle.drain(Duration::ZERO).await;
    assert!(poll(&mut answer).is_pending());
    assert_eq!(server.counts(), [1, 0, 0, 0, 0]);
    client.end();
    assert_eq!(poll(&mut answer), REFUSED);
    assert_eq!(server.counts(), [0, 1, 0, 0, 0]);
}

proptest! {
    /// Whatever the bounds are, and however the body comes.
    #[test]
    fn d5_one_poll_does_a_bounded_amount_of_work_and_d6_no_bound_is_too_large(
        len in prop_oneof![Just(0), Just(1), Just(usize::from(u16::MAX))],
        bytes in prop_oneof![Just(0), Just(u64::MAX)],
        longest in prop_oneof![Just(Duration::ZERO), Just(Duration::MAX)],
        connections in prop_oneof![Just(0), Just(usize::MAX)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut server = Full::new(Linger::default().delay(longest).time(longest).bytes(bytes).connections(connections));
            let (client, request) = upload();
            client.seen().endless = Some(len);
            let _ = poll(&mut pin!(server.call(request)));
            others().await;
            assert!(client.polls() < 1000, "{}", client.polls());
        });
    }
}

proptest! {
    /// However it comes, each request that has waited for more has one fate.
    #[test]
    fn c2_each_request_that_lingers_has_one_fate(
        steps in prop::collection::vec((0u8..4, 0u64..400), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut server = Full::new(linger().bytes(5000));
            let (client, request) = upload();
            let mut answer = Some(server.call(request));
            let mut poll_answer = || {
                if answer.as_mut().is_some_and(|answer| poll(answer).is_ready()) {
                    answer = None;
                }
            };
            poll_answer();
            for (step, ms) in steps {
                match step {
                    0 => client.send(Ok(1000)),
                    1 => client.send(Err("reset")),
                    2 => client.end(),
                    _ => advance(Duration::from_millis(ms)).await,
                }
                poll_answer();
                others().await;
                let [now, ended, cut, failed, refused] = server.counts();
                assert_eq!((now + ended + cut + failed, refused), (1, 0));
                assert_eq!(now == 0, client.is_dropped());
            }
        });
    }
}
