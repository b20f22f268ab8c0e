//! The file that docs/configuration.md shows is read as the page says.

use std::time::Duration;

use backpressure::controller::FlushConfig;
use backpressure::layers::{RetryLayer, ShedLayerBuilder};
use backpressure::{BackpressureConfig, BackpressureController, Strategy};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    buffer: BackpressureConfig,
    flush: FlushConfig,
    shed: ShedLayerBuilder,
    retry: RetryLayer,
}

#[tokio::test(start_paused = true)]
async fn the_file_of_the_page_configures_a_service() {
    let page = include_str!("../../../docs/configuration.md");
    let file = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let service: Service = toml::from_str(file).unwrap();
    assert_eq!(service.buffer.capacity(), 50_000);
    assert_eq!(service.buffer.strategy(), Strategy::Block { max_wait: Duration::from_millis(250) });

    let insert = async |_: Vec<u32>| Ok::<_, std::io::Error>(());
    let controller =
        BackpressureController::builder(service.buffer).flush_fn(insert).configure(&service.flush).spawn().unwrap();
    let shed = service.shed.watch(controller.gauge()).build();
    assert_eq!((shed.handle().limit() <= 200, service.retry.counts().retries()), (true, 0));
    controller.push(1).await.unwrap();
    assert_eq!(controller.drain(Duration::from_secs(1)).await.delivered, 1);
}

#[test]
fn a_refusal_reads_as_the_page_says() {
    let page = include_str!("../../../docs/configuration.md");
    let file = "flush_interval_min = \"2s\"\nflush_interval_max = \"1s\"";
    let refusal = toml::from_str::<BackpressureConfig>(file).unwrap_err().to_string();
    let text = "flush_interval_min is 2s, but must be at most flush_interval_max (1s)";
    assert!(page.contains(text) && refusal.contains(text), "{refusal}");
}
