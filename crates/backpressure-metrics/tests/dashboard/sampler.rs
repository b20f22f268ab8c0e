//! When parts are looked at, and who hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use backpressure_core::{Instrument, Reading};
use backpressure_metrics::{Dashboard, Registry, dashboard};

use crate::made::Made;
use crate::page::{Page, get};

/// Counts how often it is read.
#[derive(Debug, Clone, Default)]
struct Counted {
    reads: Arc<AtomicU64>,
}

impl Instrument for Counted {
    fn read(&self) -> Reading {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Reading::default()
    }
}

impl Counted {
    /// Reads since the last time, while so many seconds pass.
    async fn within(&self, seconds: f64) -> u64 {
        let before = self.reads.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await; // tidy: paused clock
        self.reads.load(Ordering::Relaxed) - before
    }
}

fn counted() -> (Counted, Registry) {
    let (counted, registry) = (Counted::default(), Registry::new());
    registry.add("counted", counted.clone()).unwrap();
    (counted, registry)
}

#[tokio::test(start_paused = true)]
async fn the_first_page_starts_the_sampler_all_share_it_and_the_last_stops_it() {
    let (counted, registry) = counted();
    let router: Router = dashboard(&registry);
    assert_eq!(counted.within(100.0).await, 0, "w3: nobody looks");
    let mut pages = Vec::new();
    for _ in 0..10 {
        pages.push(Page::open(&router).await);
    }
    assert_eq!(counted.within(99.5).await, 100, "at once, and then once a second, however many look on");
    pages.truncate(1);
    assert_eq!(counted.within(100.0).await, 100);
    drop(pages);
    assert!(counted.within(100.0).await <= 1, "t6: the sampler has gone");
    let mut page = Page::open(&router).await;
    assert_eq!(counted.within(9.5).await, 10, "and comes back");
    assert_eq!(page.now().unwrap().name, "whole");
}

#[tokio::test(start_paused = true)]
async fn a_recording_samples_without_a_page() {
    let (counted, registry) = counted();
    let dashboard = Dashboard::new(&registry);
    let recordings = [dashboard.record(), dashboard.record()];
    assert_eq!(counted.within(99.5).await, 100);
    let mut page = Page::open(&dashboard.router()).await;
    let whole = page.now().expect("a page that opens late waits for nothing");
    assert_eq!(whole.data["parts"][0]["series"][0].as_array().unwrap().len(), 50, "and sees the past");
    drop(page);
    let [first, second] = recordings;
    drop(first);
    assert_eq!(counted.within(100.0).await, 100);
    drop(second);
    assert!(counted.within(100.0).await <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_gets_the_newest_frame_and_no_others() {
    let registry = Registry::new();
    let part = Made::new();
    registry.add("part", part.clone()).unwrap();
    let router: Router = dashboard(&registry);
    let mut slow = Page::open(&router).await;
    assert_eq!(slow.next().await.unwrap().name, "whole");
    let mut quick = Page::open(&router).await;
    assert_eq!(quick.next().await.unwrap().name, "whole", "s7: each page has a cursor of its own");
    for second in 1..=20 {
        part.pass(1);
        let event = quick.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.part(0)["in"]), ("tick", &1.into()), "in second {second}");
        assert_eq!(quick.now(), None);
    }
    let late = slow.now().unwrap();
    assert_eq!((late.name.as_str(), &late.part(0)["gauge"]["ledger"]["received"]), ("tick", &20.into()));
    assert_eq!(slow.now(), None, "nineteen were dropped, not kept");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_pages_and_the_sampler() {
    let (counted, registry) = counted();
    let dashboard = Dashboard::new(&registry);
    let router: Router = dashboard.router();
    let _recording = dashboard.record();
    let mut page = Page::open(&router).await;
    assert_eq!(page.next().await.unwrap().name, "whole");
    for _ in 0..2 {
        dashboard.close();
        while page.next().await.is_some() {}
        assert_eq!(get(&router, "/events").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(counted.within(100.0).await <= 1);
    let _too_late = dashboard.record();
    assert_eq!(counted.within(100.0).await, 0);
}

/// Panics at the third reading.
#[derive(Debug, Default)]
struct Panics {
    reads: AtomicU64,
}

impl Instrument for Panics {
    fn read(&self) -> Reading {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        assert_ne!(reads, 3, "somebody's instrument fails");
        Reading::default()
    }
}

#[tokio::test(start_paused = true)]
async fn c4_a_panic_of_an_instrument_ends_the_pages_which_then_come_back() {
    let registry = Registry::new();
    registry.add("panics", Panics::default()).unwrap();
    let router: Router = dashboard(&registry);
    let mut page = Page::open(&router).await;
    let mut events = 0;
    while page.next().await.is_some() {
        events += 1;
    }
    assert_eq!(events, 2, "one reading was that of the registration");
    let mut again = Page::open(&router).await;
    for name in ["whole", "tick", "tick"] {
        assert_eq!(again.next().await.unwrap().name, name);
    }
}

#[test]
fn a_runtime_that_ends_takes_the_sampler_along_and_another_starts_it_again() {
    let (_, registry) = counted();
    let router: Router = dashboard(&registry);
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let mut page = runtime.block_on(async {
            let mut page = Page::open(&router).await;
            assert_eq!(page.next().await.unwrap().name, "whole");
            assert_eq!(page.next().await.unwrap().name, "tick");
            page
        });
        drop(runtime);
        while page.now().is_some() {}
    }
}
