//! Throttled calls as a tonic client sees them.

use std::error::Error;

use backpressure_tower::{NotTried, ThrottleError, ThrottleLayer};
use tonic::Code;
use tonic::transport;
use tower::Layer;

use crate::peer::{Answer, call, channel};

#[tokio::test(start_paused = true)]
async fn s3_a_throttled_call_is_unavailable_and_known_as_not_tried() {
    let layer = ThrottleLayer::new();
    let client = layer.layer(channel([]));
    let mut throttled = 0;
    for _ in 0..200 {
        let status = call(client.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        if NotTried::is_in(&status) {
            throttled += 1;
            let source = status.source().unwrap().downcast_ref::<ThrottleError<transport::Error>>().unwrap();
            assert!(source.is_throttled(), "{source}");
        } else {
            assert!(status.metadata().is_empty());
        }
    }
    assert!(throttled > 100, "{throttled}");
}

#[tokio::test(start_paused = true)]
async fn s3_a_call_that_was_made_is_what_the_service_says() {
    let client = ThrottleLayer::new().layer(channel([Answer::message()]));
    assert_eq!(call(client).await.unwrap().into_inner(), 0);
    let client = ThrottleLayer::new().layer(channel([Answer::text(401, &[])]));
    let status = call(client).await.unwrap_err();
    assert_ne!(status.code(), Code::Unavailable);
    assert!(!NotTried::is_in(&status));
}
