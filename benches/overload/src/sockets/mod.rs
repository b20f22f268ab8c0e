//! Real servers and clients: each server alone on one core, the client on another.
//!
//! Both are this program, started again. A server prints its port and ends with its standard input; a client prints its
//! numbers. The client is open-loop: it sends at times drawn before, whatever becomes of what it has sent, and counts a
//! latency from the moment a call was *meant* to be sent. A client that waits for answers slows down with the server
//! and sees no overload.

mod client;
mod measured;
mod pin;
mod server;
mod work;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

pub use client::load;
pub use server::{Guard, serve};

use self::measured::Measured;
use crate::plot::{self, COLOURS, Curve};
use crate::table::markdown;

/// Of the measured capacity.
const LOADS: [f64; 4] = [0.5, 0.8, 2.0, 10.0];

const ABOUT: &str = "\
An axum server on one core, an open-loop client on another, each a process of its own. A call takes 2 ms of CPU in two
halves and sleeps for 10 ms between them. An answer is good within 100 ms of the moment the call was meant to be sent.
";

/// Runs every guard under every load, writes what came of it to that directory, and answers the report.
pub fn run(is_quick: bool, out: &Path) -> Result<String> {
    let seconds = if is_quick { 5.0 } else { 12.0 };
    let turns = work::calibrated();
    let capacity = Server::start(Guard::None, turns)?.measure(0.0, seconds)?.good;
    ensure!(capacity > 1.0, "the server answers nothing");
    println!("capacity: {capacity:.0} calls a second");

    let mut report = format!("# Overload, on sockets\n\n{ABOUT}\nMeasured capacity: {capacity:.0} calls per second.\n");
    let mut all = Vec::new();
    for load in LOADS {
        let mut rows = Vec::new();
        for guard in Guard::ALL {
            let measured = Server::start(guard, turns)?.measure(load * capacity, seconds)?;
            println!("{load} × {}: {:.0} good answers a second", guard.name(), measured.good);
            rows.push(row(guard, &measured));
            all.push((load, guard, measured));
        }
        let head = ["guard", "sent/s", "good/s", "p50 ms", "p99 ms", "refused/s", "failed/s"].map(Into::into);
        report += &format!("\n## {load} × the capacity\n\n{}", markdown(&head, &rows));
    }
    std::fs::write(out.join("sockets.md"), &report)?;
    plot::goodput(&out.join("sockets-goodput.svg"), &curves(&all, |measured| measured.good), capacity)?;
    plot::p99(&out.join("sockets-p99.svg"), &curves(&all, |measured| measured.p99))?;
    Ok(report)
}

fn curves(all: &[(f64, Guard, Measured)], measure: fn(&Measured) -> f64) -> Vec<Curve> {
    let curve = |(number, &guard): (usize, &Guard)| {
        let own = all.iter().filter(|(_, whose, _)| *whose == guard);
        let points = own.map(|(load, _, measured)| (*load, measure(measured))).filter(|(_, y)| y.is_finite()).collect();
        let is_ours = guard == Guard::Ours;
        // The last colour is for ours, here as in the simulation.
        let colour = if is_ours { COLOURS.len() - 1 } else { number };
        Curve { name: guard.name().into(), colour, is_ours, points }
    };
    Guard::ALL.iter().enumerate().map(curve).collect()
}

fn row(guard: Guard, measured: &Measured) -> Vec<String> {
    let Measured { sent, good, refused, failed, p50, p99 } = *measured;
    let number = |number: f64| if number.is_finite() { format!("{number:.0}") } else { "–".into() };
    [vec![guard.name().into()], [sent, good, p50, p99, refused, failed].map(number).into()].concat()
}

/// A server in a process of its own, which ends with this.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(guard: Guard, turns: u64) -> Result<Self> {
        let mut child = itself(&["--serve", guard.name(), &turns.to_string()])?.stdin(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("no standard output")?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self { child, port: line.trim().parse().context("the server told no port")? })
    }

    /// At so many calls a second; as many as it answers, if 0.
    fn measure(&self, rate: f64, seconds: f64) -> Result<Measured> {
        let numbers = [self.port.to_string(), rate.to_string(), seconds.to_string()];
        let output = itself(&["--load", &numbers[0], &numbers[1], &numbers[2]])?.output()?;
        ensure!(output.status.success(), "the client ended with {}", output.status);
        Measured::parse(&String::from_utf8(output.stdout)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if self.child.wait().is_err() {
            eprintln!("a server did not end");
        }
    }
}

fn itself(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_prints_is_what_is_read() {
        let measured = Measured { sent: 1000.0, good: 0.5, refused: 3.0, failed: 0.0, p50: 12.5, p99: 1e3 };
        let line = "1000 0.5 3 0 12.5 1000\n";
        assert_eq!(Measured::parse(line).unwrap(), measured);
        assert!(Measured::parse("1 2 3").is_err() && Measured::parse("").is_err());
    }

    #[test]
    fn guards_are_found_by_their_names() {
        assert!(Guard::ALL.into_iter().all(|guard| Guard::named(guard.name()) == Some(guard)));
        assert_eq!(Guard::named("nobody"), None);
    }
}
