//! `promtool check metrics` on what a registry renders.
#![allow(clippy::print_stdout, reason = "it says why it skips")]

use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use backpressure_metrics::prometheus::{Format, render};
use libtest_mimic::{Arguments, Failed, Trial};

#[path = "../exporters/parts.rs"]
mod parts;

fn main() -> ExitCode {
    let is_missing =
        Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    if is_missing {
        println!("promtool is not on the PATH (Debian's package is prometheus): its checks are skipped");
    }
    let trial = Trial::test("promtool_finds_nothing_to_say_about_the_text", check).with_ignored_flag(is_missing);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn check() -> Result<(), Failed> {
    let (registry, _parts) = parts::of_every_kind();
    let text = render(&registry.observe(Instant::now()), Format::Text);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    promtool.stdin.take().ok_or("no stdin")?.write_all(text.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    if output.status.success() && said.is_empty() { Ok(()) } else { Err(format!("{said}\n{text}").into()) }
}
