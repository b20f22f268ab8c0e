//! What is done about batches, from TOML, JSON and the environment: the same keys, the same checks, the same words.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backpressure_controller::{BackpressureController, FlushConfig};
use backpressure_core::{BackpressureConfig, ConfigError};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn toml(text: &str) -> FlushConfig {
    toml::from_str(text).unwrap()
}

#[test]
fn the_same_keys_are_read_from_all_three() {
    let read = toml("concurrency = 4\nretry_delays = [\"50ms\", \"1s\"]\nretry_after_cap = \"1m\"\nbisect = true");
    let json = r#"{"concurrency": 4, "retry_delays": ["50ms", "1s"], "retry_after_cap": "1m", "bisect": true}"#;
    assert_eq!(serde_json::from_str::<FlushConfig>(json).unwrap(), read);
    let variables = [("CONCURRENCY", "4"), ("RETRY_DELAYS", "50ms,1s"), ("RETRY_AFTER_CAP", "1m"), ("BISECT", "true")];
    let variables = variables.map(|(key, value)| (format!("FLUSH_{key}"), value.to_owned()));
    assert_eq!(envy::prefixed("FLUSH_").from_iter::<_, FlushConfig>(variables).unwrap(), read);
    assert_eq!(toml(""), FlushConfig::default());
}

#[test]
fn d7_what_is_out_of_its_bound_is_refused_in_the_words_of_the_builder() {
    let refused = |text: &str| toml::from_str::<FlushConfig>(text).unwrap_err().message().to_owned();
    for field in ["concurrency", "set_aside_at_most", "batch_size_min"] {
        assert_eq!(refused(&format!("{field} = 0")), format!("{field} is 0, but must be at least 1"));
    }
    let times = "but must be a length of time, such as 250ms, 1m 30s or forever";
    assert_eq!(refused("retry_delays = [\"1s\", \"later\"]"), format!("retry_delays is \"later\", {times}"));
    assert_eq!(refused("retry_after_cap = \"2\""), format!("retry_after_cap is \"2\", {times}"));
    assert!(refused("retries = 3").starts_with("unknown field `retries`"));
}

/// Each batch, and when it came.
type Seen = Arc<Mutex<Vec<(Vec<u32>, Duration)>>>;

/// A controller whose flush target fails while its batch has the item 3 in it.
fn spawn(config: &FlushConfig) -> Result<(BackpressureController<u32>, Seen), ConfigError> {
    let (seen, start) = (Seen::default(), Instant::now());
    let record = Arc::clone(&seen);
    let buffer = BackpressureConfig::builder().capacity(100).batch_items(4).build()?;
    let controller = BackpressureController::builder(buffer)
        .flush_fn(move |batch: Vec<u32>| {
            let fails = batch.contains(&3);
            record.lock().unwrap().push((batch, start.elapsed()));
            async move { if fails { Err(std::io::Error::other("poison")) } else { Ok(()) } }
        })
        .configure(config)
        .spawn()?;
    Ok((controller, seen))
}

#[tokio::test(start_paused = true)]
async fn d7_a_smallest_batch_above_the_largest_is_refused_when_both_are_known() {
    let refused = spawn(&toml("batch_size_min = 5")).map(drop).unwrap_err();
    assert_eq!(refused.to_string(), "batch_size_min is 5, but must be at most batch_items (4)");
    assert!(spawn(&toml("batch_size_min = 4")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn retries_wait_and_then_the_batch_is_bisected() {
    let (controller, seen) = spawn(&toml("retry_delays = [\"50ms\", \"1s\"]\nbisect = true")).unwrap();
    for item in 1..=4 {
        controller.push(item).await.unwrap();
    }
    assert!(controller.drain(Duration::from_secs(60)).await.is_complete());
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..3].iter().map(|(_, at)| *at).collect::<Vec<_>>(), [Duration::ZERO, 50 * MS, 1050 * MS]);
    assert!(seen.iter().any(|(batch, _)| batch == &[3]), "bisected: {seen:?}");
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.failed()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn as_many_batches_are_in_flight_as_it_says() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (in_flight, seen) = (Arc::clone(&now), Arc::clone(&most));
    let buffer = BackpressureConfig::builder().capacity(100).batch_items(1).build().unwrap();
    let controller = BackpressureController::builder(buffer)
        .flush_fn(move |_: Vec<u32>| {
            let in_flight = Arc::clone(&in_flight);
            seen.fetch_max(in_flight.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(MS).await; // tidy: paused clock
                in_flight.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(())
            }
        })
        .configure(&toml("concurrency = 3"))
        .spawn()
        .unwrap();
    for item in 0..10 {
        controller.push(item).await.unwrap();
    }
    assert!(controller.drain(Duration::from_secs(60)).await.is_complete());
    assert_eq!(most.load(Ordering::Relaxed), 3);
}
