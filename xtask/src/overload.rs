//! `cargo xtask overload`: the overload lab, which is a program of its own in `benches/overload`.

use anyhow::Result;

use crate::command::Command;

pub fn run(args: &[String]) -> Result<()> {
    command(args).run()
}

/// The parts that need a server are built when they are asked for.
fn command(args: &[String]) -> Command {
    let sockets = args.iter().any(|arg| arg == "--sockets").then_some(["--features", "sockets"]);
    Command::cargo(&["run", "--quiet", "--release", "--package", "backpressure-overload"])
        .args(sockets.into_iter().flatten())
        .args(["--"])
        .args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_goes_to_the_lab() {
        let shown = |arg: &str| command(&[arg.into()]).shown;
        let run = "cargo run --quiet --release --package backpressure-overload";
        assert_eq!(shown("--quick"), format!("{run} -- --quick"));
        assert_eq!(shown("--sockets"), format!("{run} --features sockets -- --sockets"));
    }
}
