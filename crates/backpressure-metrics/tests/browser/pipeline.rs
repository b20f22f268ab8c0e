//! A pipeline of three channels, served with its page. Its last stage can be made to stall.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use backpressure_channel::{Receiver, Sender, channel};
use backpressure_core::{BackpressureConfig, Strategy};
use backpressure_metrics::{Registry, dashboard};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::interval;

/// Everything ends when this is dropped.
pub(crate) struct Pipeline {
    pub(crate) address: SocketAddr,
    stalls: watch::Sender<bool>,
    _runtime: Runtime,
}

impl Pipeline {
    /// Its parts, one feeding the next, have these names.
    pub(crate) fn start(names: [&str; 3]) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stalls, stalled) = watch::channel(false);
        let address = runtime.block_on(async {
            let config = BackpressureConfig::builder().capacity(20).batch_items(1).strategy(Strategy::block_forever());
            let config = config.build().unwrap();
            let registry = Registry::new();
            let channels = names.map(|_| channel::<u64>(config.clone()));
            let parts: Vec<_> =
                names.iter().zip(&channels).map(|(name, (_, rx))| registry.add(name, rx.gauge()).unwrap()).collect();
            parts.windows(2).for_each(|pair| registry.link(&pair[0], &pair[1]).unwrap());
            let [(to_first, first), (to_second, second), (to_third, third)] = channels;
            tokio::spawn(source(to_first));
            tokio::spawn(forward(first, to_second));
            tokio::spawn(forward(second, to_third));
            tokio::spawn(write(third, stalled));

            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = Router::new().nest("/pressure", dashboard(&registry));
            tokio::spawn(async { axum::serve(listener, app).await });
            address
        });
        Self { address, stalls, _runtime: runtime }
    }

    pub(crate) fn stall(&self, stalls: bool) {
        self.stalls.send(stalls).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/pressure", self.address)
    }
}

/// A hundred items a second.
async fn source(to: Sender<u64>) {
    let mut pace = interval(Duration::from_millis(10));
    for item in 0.. {
        pace.tick().await;
        if to.send(item).await.is_err() {
            return;
        }
    }
}

async fn forward(mut from: Receiver<u64>, to: Sender<u64>) {
    while let Some(item) = from.recv().await {
        if to.send(item).await.is_err() {
            return;
        }
    }
}

/// Takes what comes, unless it is told to stall.
async fn write(mut from: Receiver<u64>, mut stalled: watch::Receiver<bool>) {
    while from.recv().await.is_some() {
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
    }
}
