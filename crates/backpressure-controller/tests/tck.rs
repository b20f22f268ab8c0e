//! The conformance kit on the controller, as a channel whose receiver is what the flush target writes to.

use std::pin::Pin;
use std::task::{Context, Poll};

use backpressure_controller::BackpressureController;
use backpressure_core::{BackpressureConfig, Strategy};
use backpressure_tck::{Channel, Channels, conforms};
use futures_util::stream;
use tokio::sync::mpsc;
use tower::Service;

/// Writes item by item, and is gone when its reader is.
struct Writer(mpsc::Sender<u32>);

impl Service<Vec<u32>> for Writer {
    type Response = ();
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<(), &'static str>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(if self.0.is_closed() { Err("nobody reads") } else { Ok(()) })
    }

    fn call(&mut self, batch: Vec<u32>) -> Self::Future {
        let writer = self.0.clone();
        Box::pin(async move {
            for item in batch {
                writer.send(item).await.map_err(|_| "nobody reads")?;
            }
            Ok(())
        })
    }
}

/// With one item in the buffer, one in flight and one written at a time.
fn make() -> Channel {
    let config = BackpressureConfig::builder().capacity(1).batch_items(1).strategy(Strategy::block_forever());
    let (writer, mut reader) = mpsc::channel(1);
    let builder = BackpressureController::builder(config.build().unwrap()).flush(Writer(writer));
    let controller = builder.spawn().unwrap();
    let send = move |item| {
        let controller = controller.clone();
        Box::pin(async move { controller.push(item).await.map(drop).map_err(drop) }) as _
    };
    Channel::new(send, stream::poll_fn(move |cx| reader.poll_recv(cx)))
}

conforms! {
    controller = Channels::of(make).bound(3);
}
