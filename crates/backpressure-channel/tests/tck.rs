//! The conformance kit on the channel.

use backpressure_channel::channel;
use backpressure_core::{BackpressureConfig, Strategy};
use backpressure_tck::{Channel, Channels, conforms};

fn make(strategy: Strategy) -> impl Fn() -> Channel {
    move || {
        let config = BackpressureConfig::builder().capacity(2).batch_items(1).strategy(strategy).build().unwrap();
        let (sender, receiver) = channel(config);
        let send = move |item| {
            let sender = sender.clone();
            Box::pin(async move { sender.send(item).await.map(drop).map_err(drop) }) as _
        };
        Channel::new(send, receiver)
    }
}

conforms! {
    block = Channels::of(make(Strategy::block_forever())).bound(2);
    drop_oldest = Channels::of(make(Strategy::DropOldest)).loses();
    drop_newest = Channels::of(make(Strategy::DropNewest)).loses();
}
