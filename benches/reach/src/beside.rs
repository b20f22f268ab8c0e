//! Another call on a connection of HTTP/2 beside calls whose bodies nobody reads.

use std::any::Any;
use std::future::pending;
use std::time::Duration;

use anyhow::{Result, bail};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::routing::{get, post};
use futures_util::{StreamExt, TryFutureExt};
use hyper::Request;
use hyper::client::conn::http2::SendRequest;
use tonic_prost::ProstCodec;

use crate::cases::grpc;
use crate::fate::Fate;
use crate::http::{self, Settings};
use crate::plain::{Cells, Line, Table};
use crate::reach::Reach;
use crate::settle;

/// An answer that has not come by then does not come.
const LONG: Duration = Duration::from_secs(1);
const MIB: u32 = 1024 * 1024;
const DEFAULT: Settings = Settings { sockets: None, buffer: None, windows: None, adaptive: false };
const ADAPTIVE: Settings = Settings { adaptive: true, ..DEFAULT };
const SERVER: Settings = Settings { windows: Some((MIB, 4 * MIB)), ..DEFAULT };
const CLIENT: Settings = Settings { windows: Some((2 * MIB, 16 * MIB)), ..DEFAULT };

pub fn table() -> Table {
    let line = |name, measure| Line { name, measure };
    Table {
        mark: "beside",
        head: "| beside | another call |\n|---|---|\n",
        lines: vec![
            line("HTTP/2, 1 unread upload; a POST of 1 KiB", || up("/hold", "/echo", DEFAULT)),
            line("HTTP/2, 1 unread upload; a GET", || up("/hold", "/word", DEFAULT)),
            line("HTTP/2, 1 unread upload, whose handler has dropped it and works on; a POST of 1 KiB", || {
                up("/drop", "/echo", DEFAULT)
            }),
            line("HTTP/2, 1 unread upload, adaptive windows; a POST of 1 KiB", || up("/hold", "/echo", ADAPTIVE)),
            line("HTTP/2, 1 unread upload, a connection window of 4 MiB; a POST of 1 KiB", || {
                up("/hold", "/echo", SERVER)
            }),
            line("HTTP/2, 2 unread downloads; a GET", || down(2, DEFAULT)),
            line("HTTP/2, 3 unread downloads; a GET", || down(3, DEFAULT)),
            line("HTTP/2, 1 unread download, adaptive windows; a GET", || down(1, ADAPTIVE)),
            line("HTTP/2, 3 unread downloads, a connection window of 16 MiB; a GET", || down(3, CLIENT)),
            line("tonic, 1 unread client stream; a unary call", || calls(1, 0)),
            line("tonic, 2 unread server streams; a unary call", || calls(0, 2)),
            line("tonic, 3 unread server streams; a unary call", || calls(0, 3)),
        ],
    }
}

fn up(holds: &'static str, asks: &'static str, settings: Settings) -> Cells {
    Box::pin(async move {
        let (reach, mut client) = connect(settings).await?;
        let body = Body::from_stream(reach.ready().map(Ok::<_, std::io::Error>));
        let held = client.send_request(Request::post(format!("http://a{holds}")).body(body)?);
        let held = tokio::spawn(held.map_ok_or_else(drop, drop));
        if holds == "/hold" {
            stands(&reach).await?;
        }
        ask(client, asks, Box::new(held)).await
    })
}

fn down(unread: usize, settings: Settings) -> Cells {
    Box::pin(async move {
        let (reach, mut client) = connect(settings).await?;
        let mut held = Vec::new();
        for _ in 0..unread {
            held.push(client.send_request(Request::get("http://a/down").body(Body::empty())?).await?);
        }
        stands(&reach).await?;
        ask(client, "/word", Box::new(held)).await
    })
}

async fn connect(settings: Settings) -> Result<(Reach, SendRequest<Body>)> {
    let reach = Reach::of(1024);
    let source = reach.clone();
    let router = Router::new()
        .route("/hold", post(crate::cases::hold))
        .route(
            "/drop",
            post(async |body: Body| {
                drop(body);
                pending::<()>().await;
            }),
        )
        .route("/echo", post(async |body: Bytes| body))
        .route("/word", get(async || Bytes::from(vec![b'x'; 1024])))
        .route("/down", get(async move || Body::from_stream(source.ready().map(Ok::<_, std::io::Error>))));
    let io = http::serve(&reach, router, settings).await?;
    let client = http::http2(&reach, io, settings).await?;
    Ok((reach, client))
}

async fn ask(mut client: SendRequest<Body>, path: &'static str, held: Box<dyn Any>) -> Result<Vec<String>> {
    let request = Request::builder().uri(format!("http://a{path}"));
    let request = match path {
        "/echo" => request.method("POST").body(Body::from(vec![b'x'; 1024]))?,
        _ => request.body(Body::empty())?,
    };
    let answer = async {
        let response = client.send_request(request).await?;
        anyhow::Ok(to_bytes(Body::new(response.into_body()), usize::MAX).await?.len() == 1024)
    };
    let answered = tokio::time::timeout(LONG, answer).await;
    drop(held);
    said(answered.map(|answer| answer.is_ok_and(|is_whole| is_whole)))
}

fn calls(up: usize, down: usize) -> Cells {
    Box::pin(async move {
        let reach = Reach::of(1024);
        let mut calls = grpc::connect(&reach, grpc::Method::new(&reach, false), false).await?;
        let mut held = Vec::new();
        for _ in 0..down {
            held.push(grpc::ask(&mut calls, grpc::DOWN).await?);
        }
        for _ in 0..up {
            grpc::send(&reach, calls.clone(), reach.ready(), grpc::UP);
        }
        stands(&reach).await?;
        calls.ready().await?;
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(grpc::ONE);
        let request = tonic::Request::new(Bytes::from(vec![b'x'; 1024]));
        let codec = ProstCodec::<Bytes, Bytes>::default();
        let answered = tokio::time::timeout(LONG, calls.unary(request, path, codec)).await;
        drop(held);
        said(answered.map(|answer| answer.is_ok()))
    })
}

async fn stands(reach: &Reach) -> Result<()> {
    match settle::settled(reach).await? {
        Fate::Stands(_) => Ok(()),
        fate => bail!("{fate:?}: {:?}", reach.lost()),
    }
}

fn said<E>(answered: Result<bool, E>) -> Result<Vec<String>> {
    let word = match answered {
        Ok(true) => "answered",
        Ok(false) => "fails",
        Err(_) => "stalls",
    };
    Ok(vec![word.into()])
}
