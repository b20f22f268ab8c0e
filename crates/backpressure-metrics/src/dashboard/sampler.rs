//! The one task that looks, while somebody looks at it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::hub::{Hub, Start};

/// How often it looks.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Samples until nobody wants it any more.
pub(super) async fn run(hub: Arc<Hub>, start: Start) {
    let running = Running { hub, start };
    running.hub.begin();
    let mut seconds = interval(PERIOD);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if !running.hub.sample(Instant::now().into_std()) {
            return;
        }
    }
}

/// However it ends, by a panic of somebody's instrument or with its runtime, the hub learns of it.
struct Running {
    hub: Arc<Hub>,
    start: Start,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hub.end(&self.start);
    }
}
