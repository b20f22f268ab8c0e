//! The command line.

use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use backpressure::{BackpressureConfig, ConfigError, Strategy};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};

use crate::database;
use crate::ending::EXIT_CODES;
use crate::store::Place;

/// Reads seismic events, pushes them through a backpressure controller and writes them into SQLite.
///
/// Without an input of yours it tells a story of 20 seconds: the bundled data at 10 000 events a second, and after 6 seconds a
/// database that does not answer for 3. On a terminal keys steer it: s stalls the database and lets it go on, + and - change the
/// pace, q stops. Try `--strategy drop-oldest`, and `--flat-out` for as fast as it goes.
#[derive(Debug, Parser)]
#[command(name = "ingest", after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Where events come from: a file of NDJSON, "-" for standard input, or tcp://ADDR:PORT to listen on. [default: the
    /// bundled data]
    #[arg(long, value_name = "FILE|-|tcp://ADDR")]
    input: Option<Input>,

    /// How many times a file is read. [default: as often as makes 20 seconds for the bundled data, 250 times flat out; once for a file
    /// of yours]
    #[arg(long, value_name = "N")]
    repeat: Option<NonZeroU64>,

    /// The database: a file of SQLite, or the URL of PostgreSQL, where each batch is one COPY in one transaction. Rows are added if
    /// it has some. It stays. [default: SQLite in a new directory under target/, which is removed at the end of a run in which
    /// all went well]
    #[arg(long, alias = "db", value_name = "PATH|postgres://…")]
    database: Option<Named>,

    /// Keeps the database in the new directory.
    #[arg(long, conflicts_with = "database")]
    keep: bool,

    /// How long PostgreSQL may take for a batch, until that counts as failed and is tried again.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = some_seconds)]
    write_within: Duration,

    /// What a full buffer does with the next event.
    #[arg(long, value_enum, default_value_t)]
    strategy: Full,

    /// The longest a push waits for room, in seconds. Under `block` it is then tried again; under `reject` given up.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = some_seconds)]
    pub(crate) max_wait: Duration,

    /// The most events waiting in the buffer.
    #[arg(long, value_name = "EVENTS", default_value = "10000")]
    capacity: NonZeroUsize,

    /// The most events in one transaction.
    #[arg(long, value_name = "EVENTS", default_value = "500")]
    batch: NonZeroUsize,

    /// The most batches on their way to the database at once. It writes one at a time; a second one waits at its door.
    #[arg(long, value_name = "BATCHES", default_value = "2")]
    pub(crate) concurrency: NonZeroUsize,

    /// The database stops answering AT seconds after the start, FOR so many seconds. [default: 6,3 for the bundled data]
    #[arg(long, value_name = "AT,FOR")]
    stall: Option<Stall>,

    /// Read no faster than this. [default: 10000 for the bundled data, as fast as it goes for an input of yours]
    #[arg(long, value_name = "EVENTS/S", value_parser = positive)]
    rate: Option<f64>,

    /// Read as fast as it goes, without a stall.
    #[arg(long, conflicts_with = "rate")]
    flat_out: bool,

    /// How long the rest may take once SIGTERM or Ctrl-C has stopped the intake.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) drain: Duration,
}

impl Args {
    /// The arguments of this process, or a message and the end of it.
    pub(crate) fn from_command_line() -> Self {
        let args = Self::try_parse().and_then(|args| args.check().map(|()| args));
        args.unwrap_or_else(|error| {
            // If it cannot be said, the exit code says it.
            let _ = error.print();
            std::process::exit(i32::from(error.use_stderr()))
        })
    }

    fn check(&self) -> Result<(), clap::Error> {
        let error = |kind, message: String| Err(Self::command().error(kind, message));
        if let (Some(input @ (Input::Stdin | Input::Tcp(_))), Some(_)) = (&self.input, self.repeat) {
            return error(
                ErrorKind::ArgumentConflict,
                format!("--repeat reads a file again, but the input is {input}"),
            );
        }
        if let (Some(Named::Postgres(_)), Some(_)) = (&self.database, self.stall) {
            return error(ErrorKind::ArgumentConflict, "--stall locks a database of SQLite, not PostgreSQL".to_owned());
        }
        if let Err(refused) = self.config() {
            return error(ErrorKind::ValueValidation, refused.to_string());
        }
        Ok(())
    }

    pub(crate) fn config(&self) -> Result<BackpressureConfig, ConfigError> {
        BackpressureConfig::builder()
            .capacity(self.capacity.get())
            .strategy(self.strategy())
            .batch_items(self.batch.get())
            .flush_interval(Duration::from_millis(50), Duration::from_secs(2))
            .target_latency(Duration::from_millis(50))
            .build()
    }

    /// The database that was named, or a new one.
    pub(crate) fn place(&self) -> io::Result<Place> {
        Ok(match &self.database {
            Some(Named::Postgres(config)) => Place::Postgres { config: config.clone(), within: self.write_within },
            Some(Named::Sqlite(path)) => Place::Sqlite(path.clone()),
            None => Place::Sqlite(database::fresh(&database::home())?),
        })
    }

    /// Whether nobody needs the database after a run in which all went well.
    pub(crate) fn is_temporary(&self) -> bool {
        self.database.is_none() && !self.keep
    }

    pub(crate) fn strategy(&self) -> Strategy {
        match self.strategy {
            Full::Block => Strategy::Block { max_wait: self.max_wait },
            Full::DropOldest => Strategy::DropOldest,
            Full::DropNewest => Strategy::DropNewest,
            Full::Sample => Strategy::sample(),
            Full::Reject => Strategy::Reject,
            Full::DropLowest => Strategy::DropLowest,
        }
    }

    pub(crate) fn input(&self) -> Input {
        self.input.clone().unwrap_or_else(|| Input::File(Input::bundled()))
    }

    /// Whether the run is the one that a user sees first: of the bundled data, at a pace.
    fn is_story(&self) -> bool {
        self.input.is_none() && !self.flat_out
    }

    /// Events a second. `None` for as fast as it goes.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate.or_else(|| self.is_story().then_some(STORY_RATE))
    }

    pub(crate) fn stall(&self) -> Option<Stall> {
        self.stall.or_else(|| self.is_story().then_some(STORY_STALL))
    }

    pub(crate) fn repeat(&self) -> u64 {
        let default = match (&self.input, self.rate()) {
            (Some(_), _) => 1,
            (None, None) => FLAT_OUT_REPEATS,
            (None, Some(rate)) => ((rate * STORY_LASTING.as_secs_f64() / BUNDLED_LINES).round() as u64).max(1),
        };
        self.repeat.map_or(default, NonZeroU64::get)
    }
}

/// Events a second of the story.
const STORY_RATE: f64 = 10_000.0;

/// How long the story is.
const STORY_LASTING: Duration = Duration::from_secs(20);

const STORY_STALL: Stall = Stall { at: Duration::from_secs(6), lasting: Duration::from_secs(3) };

const FLAT_OUT_REPEATS: u64 = 250;

/// Lines of the bundled data.
const BUNDLED_LINES: f64 = 1707.0;

/// What a full buffer does: [`Strategy`] as a word.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Full {
    /// The producer waits. Nothing is lost.
    #[default]
    Block,
    /// The oldest event waiting is discarded.
    DropOldest,
    /// The new event is discarded.
    DropNewest,
    /// From half full on, one event in ten is taken.
    Sample,
    /// The event is handed back; the producer waits until the pressure eases and offers it again.
    Reject,
    /// The event of the smallest magnitude is discarded; large ones are written first.
    DropLowest,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    File(PathBuf),
    Stdin,
    Tcp(String),
}

impl Input {
    fn bundled() -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "data", "earthquakes.ndjson"].iter().collect()
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        match text.split_once("://") {
            None => Ok(Self::File(text.into())),
            Some(("tcp", address)) => match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(address.to_owned()))
                }
                _ => Err("a listening address is tcp://HOST:PORT, such as tcp://127.0.0.1:7000".to_owned()),
            },
            Some((scheme, _)) => Err(format!("cannot read from {scheme}://; a file, - or tcp://HOST:PORT can be read")),
        }
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// When the database stops answering, counted from the start, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stall {
    pub(crate) at: Duration,
    pub(crate) lasting: Duration,
}

impl FromStr for Stall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, lasting) = text.split_once(',').ok_or("two numbers of seconds, such as 2,1.5")?;
        Ok(Self { at: seconds(at)?, lasting: seconds(lasting)? })
    }
}

/// A database that somebody has named.
#[derive(Debug, Clone)]
enum Named {
    Sqlite(PathBuf),
    Postgres(Box<tokio_postgres::Config>),
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => match text.parse() {
                Ok(config) => Ok(Self::Postgres(Box::new(config))),
                Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
            },
            Some((scheme @ ("mysql" | "sqlite" | "http" | "https"), _)) => {
                Err(format!("cannot write to {scheme}://; a path or postgres://USER@HOST:PORT/NAME can be written to"))
            }
            _ => Ok(Self::Sqlite(text.into())),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.trim().parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|_| format!("{text} is not a length of time in seconds"))
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("more than no time".to_owned()),
        some => Ok(some),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words = std::iter::once("ingest").chain(line.split_whitespace());
        let args = Args::try_parse_from(words).and_then(|args| args.check().map(|()| args));
        args.map_err(|error| error.to_string())
    }

    fn refused(line: &str, because: &str) {
        let error = parse(line).expect_err(line);
        assert!(error.contains(because), "{line}: {error}");
    }

    #[test]
    fn without_options_it_is_a_story_of_20_seconds_with_one_stall() {
        let args = parse("").unwrap();
        assert_eq!((args.rate(), args.stall(), args.repeat()), (Some(10_000.0), Some(STORY_STALL), 117));
        assert_eq!(include_str!("../data/earthquakes.ndjson").lines().count() as f64, BUNDLED_LINES);
        let slower = parse("--rate 100 --stall 1,1").unwrap();
        assert_eq!((slower.rate(), slower.repeat()), (Some(100.0), 1));
        assert_eq!(slower.stall().map(|stall| stall.at), Some(Duration::from_secs(1)));
    }

    #[test]
    fn flat_out_and_an_input_of_yours_have_no_pace_and_no_stall() {
        for line in ["--flat-out", "--input x.ndjson", "--input x.ndjson --flat-out"] {
            let args = parse(line).unwrap();
            assert_eq!((args.rate(), args.stall()), (None, None), "{line}");
        }
        assert_eq!(parse("--flat-out").unwrap().repeat(), 250);
        refused("--flat-out --rate 5", "cannot be used with");
        refused("--keep --database x.db", "cannot be used with");
    }

    #[test]
    fn without_options_the_bundled_data_is_replayed_and_nothing_is_lost() {
        let args = parse("").unwrap();
        assert!(
            matches!(args.input(), Input::File(path) if path.ends_with("data/earthquakes.ndjson") && path.exists())
        );
        assert!(args.repeat() > 1);
        assert_eq!(args.config().unwrap().strategy(), Strategy::Block { max_wait: Duration::from_secs(60) });
    }

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_input_is_told_apart() {
        let input = |text: &str| parse(&format!("--input {text}")).unwrap().input();
        assert_eq!(input("-"), Input::Stdin);
        assert_eq!(input("a/b.ndjson"), Input::File("a/b.ndjson".into()));
        assert_eq!(input("tcp://[::1]:7000"), Input::Tcp("[::1]:7000".to_owned()));
        assert_eq!(parse("--input x.ndjson").unwrap().repeat(), 1);
        assert_eq!(parse("--input x.ndjson --repeat 3").unwrap().repeat(), 3);
    }

    #[test]
    fn a_stall_is_two_lengths_of_time() {
        let stall = parse("--stall 2,1.5").unwrap().stall();
        assert_eq!(stall, Some(Stall { at: Duration::from_secs(2), lasting: Duration::from_millis(1500) }));
        refused("--stall 2", "such as 2,1.5");
        refused("--stall 2,x", "is not a number of seconds");
        for wrong in ["2,-1", "nan,1", "1,inf", "1e99,1"] {
            refused(&format!("--stall={wrong}"), "is not a length of time");
        }
    }

    #[test]
    fn bad_options_say_what_is_wrong() {
        refused("--capacity 0", "--capacity");
        refused("--batch 20000", "batch_items is 20000, but must be at most the capacity (10000)");
        refused("--strategy drop", "drop-oldest, drop-newest");
        refused("--rate 0", "a number above 0");
        refused("--rate NaN", "a number above 0");
        refused("--repeat 0", "--repeat");
        refused("--input tcp://7000", "tcp://HOST:PORT");
        refused("--input http://x", "cannot read from http://");
        refused("--input - --repeat 2", "the input is standard input");
        refused("--max-wait 0", "more than no time");
        refused("--database postgres://localhost:port", "port");
        refused("--database mysql://localhost", "a path or postgres://");
        refused("--database postgres://me@localhost --stall 1,1", "--stall locks a database of SQLite");
        refused("--drain forever", "is not a number of seconds");
    }
}
