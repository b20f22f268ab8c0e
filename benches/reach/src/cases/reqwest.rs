//! reqwest as the client, axum as the server.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use futures_util::{StreamExt, TryFutureExt};

use super::http1::hold;
use crate::case::{Case, Setup, Tolerance};
use crate::http::listen;
use crate::reach::Reach;

pub fn cases() -> Vec<Case> {
    use Tolerance::{Counted, Kernel};
    let case = |name, lies, setting, tolerance, start| Case { name, lies, setting, tolerance, start };
    vec![
        case("reqwest, response over HTTP/1.1", "as with hyper", "none in reqwest", Kernel, |reach| down(reach, false)),
        case("reqwest, request over HTTP/1.1", "as with hyper", "none in reqwest", Kernel, |reach| up(reach, false)),
        case(
            "reqwest, response over HTTP/2",
            "reqwest's hyper: a window",
            "`http2_initial_stream_window_size`",
            Counted,
            |reach| down(reach, true),
        ),
        case(
            "reqwest, request over HTTP/2",
            "the server's hyper: a window",
            "the server's windows",
            Counted,
            |reach| up(reach, true),
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

fn down(reach: Reach, http2: bool) -> Setup {
    Box::pin(async move {
        let source = reach.clone();
        let body = async move || Body::from_stream(source.ready().map(Ok::<_, std::io::Error>));
        let address = serve(&reach, Router::new().route("/", get(body))).await?;
        let client = client(http2)?;
        let response = client.get(address).send().await?;
        Ok(Box::new((client, response)) as _)
    })
}

fn up(reach: Reach, http2: bool) -> Setup {
    Box::pin(async move {
        let address = serve(&reach, Router::new().route("/", post(hold))).await?;
        let client = client(http2)?;
        let body = ::reqwest::Body::wrap_stream(reach.ready().map(Ok::<_, std::io::Error>));
        let lost = reach.clone();
        let answer = client.post(address).body(body).send();
        let answer = tokio::spawn(answer.map_ok_or_else(move |error| lost.lose(error), drop));
        Ok(Box::new((client, answer)) as _)
    })
}
