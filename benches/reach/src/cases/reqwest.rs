//! reqwest as the client, axum as the server.

use std::convert::Infallible;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryFutureExt};

use super::http1::hold;
use crate::case::{Case, Setup, Tolerance};
use crate::http::{answers, listen};
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    use Tolerance::{Counted, Kernel};
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    vec![
        case("reqwest, response over HTTP/1.1", "as with hyper", "none in reqwest", Kernel, |reach| {
            let source = reach.ready();
            down(reach, source, false)
        }),
        case("reqwest, request over HTTP/1.1", "as with hyper", "none in reqwest", Kernel, |reach| {
            let source = reach.ready();
            up(reach, source, false)
        }),
        case(
            "reqwest, response over HTTP/2",
            "reqwest's hyper: a window",
            "`http2_initial_stream_window_size`",
            Counted,
            |reach| {
                let source = reach.ready();
                down(reach, source, true)
            },
        ),
        case(
            "reqwest, request over HTTP/2",
            "the server's hyper: a window",
            "the server's windows",
            Counted,
            |reach| {
                let source = reach.ready();
                up(reach, source, true)
            },
        ),
    ]
}

fn client(http2: bool) -> Result<::reqwest::Client> {
    let builder = ::reqwest::Client::builder().no_proxy();
    Ok(if http2 { builder.http2_prior_knowledge() } else { builder }.build()?)
}

async fn serve(reach: &Reach, router: Router) -> Result<String> {
    let listener = listen(reach, None).await?;
    let address = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

pub fn down(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, http2: bool) -> Setup {
    Box::pin(async move {
        let body = Body::from_stream(source.map(Ok::<_, Infallible>));
        let address = serve(&reach, answers(body)).await?;
        let client = client(http2)?;
        let response = client.get(address).send().await?;
        Ok(Box::new((client, response)) as _)
    })
}

pub fn up(reach: Reach, source: impl Stream<Item = Bytes> + Send + 'static, http2: bool) -> Setup {
    Box::pin(async move {
        let address = serve(&reach, Router::new().route("/", post(hold))).await?;
        let client = client(http2)?;
        let body = ::reqwest::Body::wrap_stream(source.map(Ok::<_, Infallible>));
        let lost = reach.clone();
        let answer = client.post(address).body(body).send();
        let answer = tokio::spawn(answer.map_ok_or_else(move |error| lost.lose(error), drop));
        Ok(Box::new((client, answer)) as _)
    })
}
