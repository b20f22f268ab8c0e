//! What an event says.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use backpressure_core::Durations;
use backpressure_core::limit::{Level, Outcome};
use backpressure_metrics::{Dashboard, Registry, dashboard};
use backpressure_tower::Limiter;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::made::Made;
use crate::page::{Event, Page, get};

/// Two parts, the first of which feeds the second.
fn pipeline() -> (Registry, [Made; 2]) {
    let registry = Registry::new();
    let parts = [Made::new(), Made::new()];
    let [parse, db] = ["parse", "db"];
    let parse = registry.add(parse, parts[0].clone()).unwrap();
    let db = registry.add(db, parts[1].clone()).unwrap();
    registry.link(&parse, &db).unwrap();
    (registry, parts)
}

fn series(whole: &Event, part: usize, field: usize) -> &[Value] {
    assert_eq!(whole.name, "whole");
    whole.data["parts"][part]["series"][field].as_array().unwrap()
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await; // tidy: paused clock
}

#[tokio::test(start_paused = true)]
async fn a_stall_its_bottleneck_and_the_recovery_are_told() {
    let (registry, [parse, db]) = pipeline();
    let mut page = Page::open(&dashboard(&registry)).await;
    let whole = page.next().await.unwrap();
    assert_eq!(whole.data["parts"][0]["name"], "parse");
    assert_eq!((&whole.data["parts"][0]["feeds"], &whole.data["parts"][1]["feeds"]), (&json!([1]), &json!([])));
    assert_eq!(whole.tick()["sentence"], "No part has told yet where its time goes.");

    let mut told = Vec::new();
    for second in 0..60 {
        let stalls = (20..40).contains(&second);
        parse.spend(if stalls { [0, 50, 950] } else { [600, 400, 0] });
        db.spend(if stalls { [0, 1000, 0] } else { [700, 300, 0] });
        let event = page.next().await.unwrap();
        told.push((
            event.tick()["bottleneck"].clone(),
            event.tick()["sentence"].clone(),
            event.part(0)["state"].clone(),
        ));
    }
    let calm = (Value::Null, json!("Nothing is held up; the busiest is `parse`, with 40 %."), json!(0));
    assert_eq!(told[19], calm);
    assert_eq!(told[39], (json!(1), json!("`db` is busy 100 %; `parse` is blocked by it."), json!(3)));
    assert_eq!(told[59], calm);
}

#[tokio::test(start_paused = true)]
async fn rates_latencies_and_the_ledger_are_those_of_the_last_second() {
    let (registry, [parse, db]) = pipeline();
    let mut page = Page::open(&dashboard(&registry)).await;
    let whole = page.next().await.unwrap();
    assert_eq!((&whole.part(0)["in"], &whole.part(0)["lost"]), (&Value::Null, &Value::Null), "nothing to compare with");
    parse.change(|snapshot| {
        snapshot.counts.received += 1234;
        snapshot.counts.delivered += 1000;
        snapshot.counts.rejected += 200;
        snapshot.counts.queued = 34;
    });
    db.flush(3);
    let tick = page.next().await.unwrap();
    assert_eq!((&tick.part(0)["in"], &tick.part(0)["out"]), (&json!(1234), &json!(1000)));
    let ledger = json!({ "received": 1234, "delivered": 1000, "rejected": 200, "dropped": 0, "evicted": 0, "failed": 0,
        "queued": 34, "in_flight": 0 });
    assert_eq!(tick.part(0)["gauge"]["ledger"], ledger);
    assert_eq!(tick.part(0)["heat"], Value::Null);
    let heat: Vec<_> = tick.part(1)["heat"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let bounds = whole.data["bounds"].as_array().unwrap();
    let bucket = bounds.iter().position(|bound| bound.as_f64().unwrap() >= 0.003).unwrap();
    assert_eq!((heat.len(), heat.iter().sum::<u64>(), heat[bucket]), (bounds.len() + 1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_latencies_of_a_limiter_are_those_of_its_calls() {
    let registry = Registry::new();
    let limiter = Limiter::fixed(2).unwrap();
    registry.add("front", limiter.gauge()).unwrap();
    let mut page = Page::open(&dashboard(&registry)).await;
    assert_eq!(page.next().await.unwrap().part(0)["heat"], Value::Null);
    let permit = limiter.try_admit(Level::default()).unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await; // tidy: paused clock
    permit.finish(Outcome::Success);
    let tick = page.next().await.unwrap();
    let heat: Vec<_> = tick.part(0)["heat"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let bucket = Durations::EDGES.iter().position(|&edge| edge >= 0.04).unwrap();
    assert_eq!((heat.iter().sum::<u64>(), heat[bucket]), (1, 1), "{heat:?}");
    let p99 = tick.part(0)["gauge"]["p99"].as_f64().unwrap();
    assert!((p99 - 0.04).abs() < 0.0025, "{p99}");
}

#[tokio::test(start_paused = true)]
async fn history_is_ten_minutes_and_no_more() {
    let (registry, [parse, _]) = pipeline();
    let dashboard = Dashboard::new(&registry);
    let _recording = dashboard.record();
    seconds(1).await;
    for second in 0..1500 {
        parse.pass(second);
        seconds(1).await;
    }
    let whole = Page::open(&dashboard.router()).await.now().unwrap();
    let columns = whole.data["columns"].as_u64().unwrap();
    assert_eq!(columns * whole.data["column_ms"].as_u64().unwrap(), 600_000);
    let come = series(&whole, 0, 1);
    assert_eq!(come.len() as u64, columns);
    let rates: Vec<_> = come.iter().map(|rate| rate.as_f64().unwrap()).collect();
    assert!(rates.is_sorted() && rates[0] >= 898.0 && rates[299] <= 1499.0, "{rates:?}");
}

#[tokio::test(start_paused = true)]
async fn while_nobody_looked_there_is_a_gap_and_no_rate_across_it() {
    let (registry, [parse, _]) = pipeline();
    let router: Router = dashboard(&registry);
    let mut page = Page::open(&router).await;
    for _ in 0..10 {
        page.next().await;
    }
    drop(page);
    seconds(2).await;
    parse.pass(1_000_000);
    seconds(59).await;
    let mut page = Page::open(&router).await;
    page.next().await;
    let come = series(&page_whole(&router).await, 0, 1).to_vec();
    let gap = come.iter().rev().take_while(|rate| rate.is_null()).count();
    assert!((30..=36).contains(&gap), "{come:?}");
    assert!(come.iter().all(|rate| rate.as_f64().unwrap_or_default() < 1.0), "{come:?}");
}

async fn page_whole(router: &Router) -> Event {
    Page::open(router).await.now().unwrap()
}

#[tokio::test(start_paused = true)]
async fn parts_that_come_and_end_are_told() {
    let (registry, [parse, _]) = pipeline();
    let mut page = Page::open(&dashboard(&registry)).await;
    for name in ["whole", "tick", "tick"] {
        assert_eq!(page.next().await.unwrap().name, name);
    }
    let more = registry.add("more", Made::new()).unwrap();
    let whole = page.next().await.unwrap();
    assert_eq!(whole.data["parts"].as_array().unwrap().len(), 3);
    assert_eq!(series(&whole, 0, 0).len(), 2, "those that were there keep their past");
    assert_eq!(series(&whole, 2, 0).len(), 1);
    parse.end();
    let tick = page.next().await.unwrap();
    assert_eq!((&tick.part(0)["ended"], &tick.part(0)["fill"]), (&json!(true), &Value::Null));
    assert_eq!(tick.part(1)["ended"], false);
    more.remove();
    assert_eq!(page.next().await.unwrap().data["parts"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_told_as_it_is_whatever_it_is() {
    let odd = ["</script><img src=x onerror=alert(1)>", "a \"b\" \\ `c` & 'd'", "日\u{2028}\u{202e}本", "data: x"];
    let registry = Registry::new();
    for name in odd {
        registry.add(name, Made::new()).unwrap();
    }
    let whole = Page::open(&dashboard(&registry)).await.next().await.unwrap();
    let names: Vec<_> = whole.data["parts"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(names, odd);
}

#[tokio::test(start_paused = true)]
async fn five_hundred_parts_are_shown_and_the_others_counted() {
    let registry = Registry::new();
    let parts: Vec<_> = (0..502).map(|n| registry.add(&format!("part {n}"), Made::new()).unwrap()).collect();
    registry.link(&parts[0], &parts[499]).unwrap();
    registry.link(&parts[0], &parts[500]).unwrap();
    let whole = Page::open(&dashboard(&registry)).await.next().await.unwrap();
    assert_eq!(whole.data["parts"].as_array().unwrap().len(), 500);
    assert_eq!((&whole.tick()["left_out"], &whole.data["parts"][0]["feeds"]), (&json!(2), &json!([499])));
}

#[tokio::test]
async fn the_page_can_be_mounted_anywhere_and_lets_nothing_in() {
    let router: Router = Router::new().nest("/pressure", dashboard(&Registry::new()));
    let response = get(&router, "/pressure").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = response.into_body().collect().await.unwrap().to_bytes();
    assert!(page.starts_with(b"<!doctype html>"));
    for path in ["/pressure", "/pressure/events"] {
        let post = router.clone().oneshot(Request::post(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED, "it is read-only");
    }
}
