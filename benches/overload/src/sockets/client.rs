//! An open-loop client.

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use axum::http::StatusCode;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

use super::measured::Measured;
use super::pin::pin;
use crate::random::Random;

const OBJECTIVE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(2);
/// Well below the usual limit of 1024 open files.
const CONNECTIONS: usize = 800;
/// Calls at a time when the capacity is measured: enough to keep a core busy while some sleep.
const CLOSED: usize = 12;
const WARM_UP: Duration = Duration::from_secs(2);

type Connection = SendRequest<Empty<Bytes>>;

#[derive(Debug)]
struct Client {
    port: u16,
    idle: RefCell<Vec<Connection>>,
    permits: Semaphore,
    /// Calls meant to be sent before this are not counted.
    from: Instant,
    sent: Cell<u64>,
    refused: Cell<u64>,
    failed: Cell<u64>,
    latencies: RefCell<Vec<Duration>>,
}

/// Sends `rate` calls a second for so many seconds after a warm-up, on one core, and prints what came of it. A rate of 0 sends
/// a call whenever one is answered.
pub fn load(port: u16, rate: f64, seconds: f64) -> Result<()> {
    pin(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = LocalSet::new().block_on(&runtime, measure(port, rate, Duration::from_secs_f64(seconds)));
    measured.print();
    Ok(())
}

async fn measure(port: u16, rate: f64, length: Duration) -> Measured {
    let start = Instant::now();
    let client = Rc::new(Client {
        port,
        idle: RefCell::default(),
        permits: Semaphore::new(CONNECTIONS),
        from: start + WARM_UP,
        sent: Cell::new(0),
        refused: Cell::new(0),
        failed: Cell::new(0),
        latencies: RefCell::default(),
    });
    let end = client.from + length;
    if rate > 0.0 {
        let mut random = Random::new(1, 1);
        let mut at = start;
        while at < end {
            sleep_until(at).await;
            spawn_local(Rc::clone(&client).call(at));
            at += Duration::from_secs_f64(random.exponential(1.0 / rate));
        }
    } else {
        for _ in 0..CLOSED {
            let client = Rc::clone(&client);
            spawn_local(async move {
                while Instant::now() < end {
                    Rc::clone(&client).call(Instant::now()).await;
                }
            });
        }
        sleep_until(end).await;
    }
    sleep_until(end + TIMEOUT).await;
    client.measured(length)
}

impl Client {
    /// A call that is meant to be sent at this moment.
    async fn call(self: Rc<Self>, meant: Instant) {
        let status = timeout(TIMEOUT, self.exchange()).await;
        let latency = meant.elapsed();
        if meant < self.from {
            return;
        }
        let count = |cell: &Cell<u64>| cell.set(cell.get() + 1);
        count(&self.sent);
        match status {
            Ok(Ok(StatusCode::OK)) => self.latencies.borrow_mut().push(latency),
            Ok(Ok(StatusCode::SERVICE_UNAVAILABLE)) => count(&self.refused),
            _ => count(&self.failed),
        }
    }

    /// A connection that is not given back, because something went wrong or took too long, is closed.
    async fn exchange(&self) -> Result<StatusCode> {
        let _permit = self.permits.acquire().await?;
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.ready().await?;
        let request = Request::get("/").header("host", "localhost").body(Empty::new())?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        self.idle.borrow_mut().push(connection);
        Ok(status)
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its end is seen by whoever uses the connection next.
        spawn_local(async { _ = connection.await });
        Ok(sender)
    }

    fn measured(&self, length: Duration) -> Measured {
        let mut latencies = self.latencies.take();
        latencies.sort_unstable();
        let per_second = |count: u64| count as f64 / length.as_secs_f64();
        let quantile = |q: f64| match latencies.len() {
            0 => f64::NAN,
            n => latencies[((n - 1) as f64 * q) as usize].as_secs_f64() * 1000.0,
        };
        Measured {
            sent: per_second(self.sent.get()),
            good: per_second(latencies.partition_point(|latency| *latency <= OBJECTIVE) as u64),
            refused: per_second(self.refused.get()),
            failed: per_second(self.failed.get()),
            p50: quantile(0.5),
            p99: quantile(0.99),
        }
    }
}
