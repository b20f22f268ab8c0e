//! A command that is shown exactly as one would type it, and run from the root of the workspace.

use std::ffi::OsString;
use std::process::{self, Stdio};

use anyhow::{Context, Result, ensure};

use crate::paths::root;

pub struct Command {
    pub shown: String,
    inner: process::Command,
}

impl Command {
    /// The cargo that runs this program, or the one on the path.
    pub fn cargo(args: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new("cargo", cargo).args(args)
    }

    /// `program`, shown as `name`.
    pub fn new(name: &str, program: impl Into<OsString>) -> Self {
        let mut inner = process::Command::new(program.into());
        inner.current_dir(root()).stdin(Stdio::null());
        Self { shown: name.into(), inner }
    }

    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            let arg = arg.as_ref();
            self.shown = format!("{} {}", self.shown, quoted(arg));
            self.inner.arg(arg);
        }
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.shown = format!("{name}={} {}", quoted(value), self.shown);
        self.inner.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.inner.env_remove(name);
        self
    }

    /// Prints itself and runs to the end, on our own streams. An unsuccessful exit is an error.
    pub fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.inner.status().with_context(|| format!("cannot start `{}`", self.shown))?;
        ensure!(status.success(), "`{}` ended with {status}", self.shown);
        Ok(())
    }

    /// Runs to the end and returns what it printed. An unsuccessful exit is an error that says what it complained of.
    pub fn read(mut self) -> Result<String> {
        let output = self.inner.output().with_context(|| format!("cannot start `{}`", self.shown))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{}` ended with {}: {}", self.shown, output.status, complaint.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Whether it can be started and exits well; what it prints is thrown away.
    pub fn succeeds(mut self) -> bool {
        self.inner.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) { arg.into() } else { format!("'{arg}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_typed() {
        let command = Command::cargo(&["test", "--test", "loom*"]).env("RUSTFLAGS", "--cfg x");
        assert_eq!(command.shown, "RUSTFLAGS='--cfg x' cargo test --test 'loom*'");
    }

    #[test]
    fn an_unsuccessful_exit_is_an_error_that_names_the_command() {
        let error = Command::cargo(&["--no-such-flag"]).read().unwrap_err().to_string();
        assert!(error.starts_with("`cargo --no-such-flag` ended with") && error.contains("unexpected"), "{error}");
    }
}
