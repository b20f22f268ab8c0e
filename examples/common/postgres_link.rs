//! A connection to PostgreSQL that is opened again when it has broken, and given up when it stands still.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

/// How soon a server that does not answer is asked again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Link {
    config: Config,
    /// How long the server may take to hear that it is to stop.
    within: Duration,
    connection: Option<Connection>,
}

/// Dropped, it is closed, whatever it is in the middle of.
#[derive(Debug)]
struct Connection {
    client: Client,
    task: JoinHandle<Result<(), Error>>,
}

impl Connection {
    async fn open(config: &Config) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        Ok(Self { client, task: tokio::spawn(connection) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Tries once.
    pub(crate) async fn open(config: Config, within: Duration) -> Result<Self, Error> {
        let connection = Some(Connection::open(&config).await?);
        Ok(Self { config, within, connection })
    }

    /// The connection, or a new one. A server that cannot be reached is asked again; the caller's clock ends that.
    pub(crate) async fn client(&mut self) -> Result<&mut Client, Error> {
        let connection = match self.connection.take().filter(|it| !it.client.is_closed()) {
            Some(connection) => connection,
            None => self.again().await?,
        };
        Ok(&mut self.connection.insert(connection).client)
    }

    async fn again(&self) -> Result<Connection, Error> {
        loop {
            match Connection::open(&self.config).await {
                Err(error) if error.code().is_none_or(|code| *code == SqlState::CANNOT_CONNECT_NOW) => {
                    sleep(ASK_AGAIN).await;
                }
                opened => return opened,
            }
        }
    }

    /// Closes the connection. A server that waits for a lock does not notice, so it is told to stop, if it can be.
    pub(crate) fn give_up(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let token = connection.client.cancel_token();
        tokio::spawn(timeout(self.within, async move { token.cancel_query(NoTls).await }));
    }
}

/// What may be shown of a URL: not the password.
pub(crate) fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres://{host}:{port}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_no_password() {
        let config: Config = "postgres://me:secret@db.example:5433/quakes".parse().unwrap();
        assert_eq!(place(&config), "postgres://db.example:5433/quakes");
        assert_eq!(place(&"postgres://me@localhost".parse().unwrap()), "postgres://localhost:5432/me");
    }
}
