//! Fair tenants: one sends twenty times as much as each of nine others, and only its own items are lost.
//!
//! All ten push into one controller, whose store takes 15 items in the time in which the quiet tenants send 9 and the
//! noisy one sends 20. The buffer is always full. First in, first out, whoever comes at the right moment gets in. Fair by
//! key, the tenants take turns in the batches, and a full buffer evicts from the tenant that holds most. The clock is
//! paused, so this takes no time.
//!
//! `cargo run --example fair-tenants`

#![allow(clippy::print_stdout, reason = "a terminal program: printing is its purpose")]

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backpressure::{BackpressureConfig, BackpressureController, Strategy};
use tokio::time::sleep;

const TENANTS: usize = 10;
const NOISY: usize = 0;
const ROUNDS: u32 = 500;
const ROUND: Duration = Duration::from_millis(10);

/// What each tenant got delivered of what it sent, in percent.
async fn run(is_fair: bool) -> anyhow::Result<[f64; TENANTS]> {
    let delivered: Arc<[AtomicU32; TENANTS]> = Arc::default();
    let seen = Arc::clone(&delivered);
    let config = BackpressureConfig::builder().capacity(100).batch_items(15).strategy(Strategy::DropOldest).build()?;
    let builder = BackpressureController::builder(config);
    let builder = if is_fair { builder.fair_by(|&tenant: &usize| tenant) } else { builder };
    let controller = builder
        .flush_fn(move |batch: Vec<usize>| {
            let seen = Arc::clone(&seen);
            async move {
                sleep(ROUND).await; // tidy: paused clock
                batch.into_iter().for_each(|tenant| {
                    seen[tenant].fetch_add(1, Ordering::Relaxed);
                });
                Ok::<_, std::io::Error>(())
            }
        })
        .spawn()?;

    for _ in 0..ROUNDS {
        for tenant in (0..TENANTS).chain([NOISY; 19]) {
            controller.push(tenant).await?;
        }
        sleep(ROUND).await; // tidy: paused clock
    }
    assert!(controller.drain(Duration::from_secs(5)).await.is_complete());
    println!("  {}", controller.snapshot().counts);
    assert!(controller.snapshot().counts.balances());

    Ok(array::from_fn(|tenant| {
        let sent = if tenant == NOISY { 20 * ROUNDS } else { ROUNDS };
        f64::from(delivered[tenant].load(Ordering::Relaxed)) * 100.0 / f64::from(sent)
    }))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> anyhow::Result<()> {
    println!("first in, first out:");
    let plain = run(false).await?;
    println!("fair by tenant:");
    let fair = run(true).await?;
    println!("delivered of what was sent, in percent:");
    for (tenant, (plain, fair)) in plain.into_iter().zip(fair).enumerate() {
        let name = if tenant == NOISY { "noisy" } else { "quiet" };
        println!("  {name} tenant {tenant}: first in, first out {plain:>5.1}   fair by tenant {fair:>5.1}");
    }
    assert!(fair[1..].iter().all(|&percent| percent >= 99.0), "nobody pays for the noisy one");
    assert!(plain[1..].iter().any(|&percent| percent < 75.0), "without keys somebody does");
    Ok(())
}
