//! `cargo xtask reach`: how far pressure reaches through real transports. What measures it is a program of its own, in
//! `benches/reach`, so that this one stays quick to build.

use anyhow::Result;

use crate::command::Command;

pub fn run(args: &[String]) -> Result<()> {
    command(args).run()
}

/// It counts, and takes no times: a build for debugging will do.
fn command(args: &[String]) -> Command {
    Command::cargo(&["run", "--quiet", "--package", "backpressure-reach", "--"]).args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_goes_to_the_program() {
        let shown = command(&["--only".into(), "tonic".into()]).shown;
        assert_eq!(shown, "cargo run --quiet --package backpressure-reach -- --only tonic");
    }
}
