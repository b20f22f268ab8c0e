//! `cargo xtask tck`: what the libraries of the field keep of the laws. What examines them is a program of its own, in
//! `benches/tck`, so that they are no dependency of anything else.

use anyhow::Result;

use crate::command::Command;

pub fn run(args: &[String]) -> Result<()> {
    command(args).run()
}

/// It counts, and takes no times: a build for debugging will do.
fn command(args: &[String]) -> Command {
    Command::cargo(&["run", "--quiet", "--package", "backpressure-conformance", "--"]).args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_goes_to_the_program() {
        let shown = command(&["--only".into(), "flume".into()]).shown;
        assert_eq!(shown, "cargo run --quiet --package backpressure-conformance -- --only flume");
    }
}
