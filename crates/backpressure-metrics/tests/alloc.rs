//! What a scrape takes in memory. Counted per thread, so the tests may run side by side.

use std::time::Instant;

use allocation_counter::{AllocationInfo, measure};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_LENGTH;
use backpressure_core::{BackpressureConfig, Recorder};
use backpressure_metrics::prometheus::{Format, render};
use backpressure_metrics::{PartObservation, Registry, scrape};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// Enough for pieces of the text that are as large as they become.
const FEW: usize = 1000;
const MANY: usize = 4000;

/// More than a part has.
const METRICS: u64 = 32;

/// As many parts, each of which feeds the next.
struct Pipeline {
    registry: Registry,
    _recorders: Vec<Recorder>,
}

impl Pipeline {
    fn new(parts: usize) -> Self {
        let registry = Registry::new();
        let config = BackpressureConfig::default();
        let recorders: Vec<_> = (0..parts).map(|_| Recorder::new(&config, Instant::now, false)).collect();
        let add = |(n, recorder): (usize, &Recorder)| registry.add(&format!("part {n}"), recorder.gauge()).unwrap();
        let parts: Vec<_> = recorders.iter().enumerate().map(add).collect();
        parts.windows(2).for_each(|pair| registry.link(&pair[0], &pair[1]).unwrap());
        Self { registry, _recorders: recorders }
    }

    /// The length of the text, and the memory that it took to answer with it.
    fn scraped(&self) -> (usize, AllocationInfo) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let app: Router = Router::new().route("/metrics", scrape(&self.registry));
        let mut length = 0;
        let info = measure(|| {
            length = runtime.block_on(async {
                let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
                let response = app.oneshot(request).await.unwrap();
                let promised: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
                let (mut body, mut length) = (response.into_body(), 0);
                while let Some(frame) = body.frame().await {
                    length += frame.unwrap().into_data().unwrap().len();
                }
                assert_eq!(length, promised);
                length
            });
        });
        (length, info)
    }
}

#[test]
fn m3_an_observation_allocates_as_often_for_many_parts_as_for_few() {
    let [few, many] = [FEW, MANY].map(|parts| {
        let registry = Pipeline::new(parts).registry;
        registry.observe(Instant::now());
        measure(|| drop(registry.observe(Instant::now()))).count_total
    });
    // The links that are left are collected one by one: a list that grows doubles.
    assert!(many <= few + 8, "{many} allocations for {MANY} parts, {few} for {FEW}");
}

#[test]
fn m3_the_text_of_a_scrape_is_written_once_and_not_copied() {
    let [(few_bytes, few), (bytes, many)] = [FEW, MANY].map(|parts| Pipeline::new(parts).scraped());
    // Each piece has 64 KiB, and a handle with which it is sent; of each metric the last one is not full.
    let pieces = METRICS + (bytes - few_bytes) as u64 / (64 * 1024);
    assert!(many.count_total <= few.count_total + 2 * pieces, "{} and {}", many.count_total, few.count_total);
    // The text, a last piece of each metric, and a list of what was seen with what was asked for it.
    let seen = (MANY * (size_of::<PartObservation>() + 256)) as u64;
    let text = bytes as u64;
    assert!(many.bytes_total <= text + METRICS * 64 * 1024 + seen, "{} for a text of {text}", many.bytes_total);
}

#[test]
fn m3_a_text_in_one_piece_is_copied_once() {
    let seen = Pipeline::new(MANY).registry.observe(Instant::now());
    let mut length = 0;
    let info = measure(|| length = render(&seen, Format::Text).len() as u64);
    assert!(info.bytes_total <= length * 5 / 2, "{} for a text of {length}", info.bytes_total);
}
