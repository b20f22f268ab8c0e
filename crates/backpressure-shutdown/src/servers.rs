//! The servers, polled beside whatever else is waited for.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::report::End;

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Each server, or how it ended.
pub(crate) struct Servers {
    servers: Vec<Server>,
}

enum Server {
    Runs(Boxed<End>),
    Ended(End),
}

impl Servers {
    pub(crate) fn new(servers: Vec<Boxed<End>>) -> Self {
        Self { servers: servers.into_iter().map(Server::Runs).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Waits for `main` while the servers run; answers the first of them that has ended if it is sooner.
    pub(crate) async fn beside_until_one_ends<F: Future>(&mut self, main: F) -> Result<F::Output, usize> {
        let mut main = pin!(main);
        poll_fn(|cx| {
            self.poll(cx);
            if let Some(ended) = self.servers.iter().position(|server| matches!(server, Server::Ended(_))) {
                return Poll::Ready(Err(ended));
            }
            main.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Waits for `main` while the servers run.
    pub(crate) async fn beside<F: Future>(&mut self, main: F) -> F::Output {
        let mut main = pin!(main);
        poll_fn(|cx| {
            self.poll(cx);
            main.as_mut().poll(cx)
        })
        .await
    }

    /// Waits until this one has ended, while the others run.
    pub(crate) async fn end_of(&mut self, server: usize) -> End {
        poll_fn(|cx| {
            self.poll(cx);
            match &self.servers[server] {
                Server::Runs(_) => Poll::Pending,
                Server::Ended(end) => Poll::Ready(end.clone()),
            }
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        for server in &mut self.servers {
            if let Server::Runs(running) = server {
                if let Poll::Ready(end) = running.as_mut().poll(cx) {
                    *server = Server::Ended(end);
                }
            }
        }
    }
}
