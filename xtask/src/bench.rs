//! `cargo xtask bench`: the benches beside the field. What runs them and writes the report is a program of its own, in
//! `benches/report`, so that this one stays quick to build.

use anyhow::Result;

use crate::command::Command;

pub fn run(args: &[String]) -> Result<()> {
    command(args).run()
}

fn command(args: &[String]) -> Command {
    Command::cargo(&["run", "--quiet", "--release", "--package", "backpressure-bench-report", "--"]).args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_goes_to_the_report() {
        let shown = command(&["sink".into(), "--quick".into()]).shown;
        assert_eq!(shown, "cargo run --quiet --release --package backpressure-bench-report -- sink --quick");
    }
}
