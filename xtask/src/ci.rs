//! `cargo xtask ci`: everything that must hold before a change lands, the quick checks first, ending at the first failure.
//!
//! All steps but msrv, loom and publish share one target directory. `cargo test --workspace` is the command the README gives; since the packages
//! are built together, a feature that any of them asks for is on for all, so that one run covers nearly all features.
//! The `features` step tests the rest, and lints each crate by itself with its features off, where a `cfg` that only
//! holds thanks to a neighbour comes to light.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::command::Command;
use crate::msrv::{self, Missing};
use crate::workspace::{Package, Workspace};
use crate::{loom, publish, tidy};

type Step<'a> = (&'static str, Box<dyn FnOnce() -> Result<()> + 'a>);

pub fn run(workspace: &Workspace) -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    let doc = Command::cargo(&["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-D warnings");
    let times = run_all(vec![
        ("fmt", Box::new(|| Command::cargo(&["fmt", "--all", "--check"]).run())),
        ("tidy", Box::new(|| tidy::run(workspace))),
        ("clippy", Box::new(|| Command::cargo(&clippy).run())),
        ("test", Box::new(|| Command::cargo(&["test", "--workspace"]).run())),
        ("features", Box::new(|| features(workspace))),
        ("doc", Box::new(|| doc.run())),
        ("msrv", Box::new(|| msrv::run(workspace, Missing::Skips))),
        ("loom", Box::new(|| loom::run(workspace, None))),
        ("publish", Box::new(publish::run)),
    ])?;
    println!("\nci: all {} steps passed", times.len());
    let total = ("in all", times.iter().map(|(_, time)| *time).sum());
    for (name, time) in times.iter().chain([&total]) {
        println!("  {name:<10}{:>8.1} s", time.as_secs_f64());
    }
    Ok(())
}

/// An error of a step names the command that repeats it.
fn run_all(steps: Vec<Step<'_>>) -> Result<Vec<(&'static str, Duration)>> {
    let mut times = Vec::with_capacity(steps.len());
    for (name, step) in steps {
        println!("\nci: {name}");
        let start = Instant::now();
        let result = step();
        let time = start.elapsed();
        result.with_context(|| format!("ci: step `{name}` failed after {:.1} s", time.as_secs_f64()))?;
        println!("ci: {name} passed in {:.1} s", time.as_secs_f64());
        times.push((name, time));
    }
    Ok(times)
}

fn features(workspace: &Workspace) -> Result<()> {
    let tree = ["tree", "--workspace", "--depth", "0", "--prefix", "none", "--format", "{p}|{f}"];
    let tree = Command::cargo(&tree).read()?;
    let on = enabled(&tree);
    for package in workspace.published() {
        let off = missing(package, &on);
        if !off.is_empty() {
            println!("{}: `cargo test --workspace` leaves out {}", package.name, off.join(", "));
            Command::cargo(&["test", "--all-features", "--package", &package.name]).run()?;
        }
        Command::cargo(&["clippy", "--no-default-features", "--package", &package.name, "--", "-D", "warnings"])
            .run()?;
    }
    Ok(())
}

/// The features that are on in `cargo test --workspace`, by package, as `cargo tree` prints them.
fn enabled(tree: &str) -> BTreeMap<&str, Vec<&str>> {
    tree.lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(package, features)| (package.split(' ').next().unwrap_or_default(), features.split(',').collect()))
        .collect()
}

fn missing<'a>(package: &'a Package, on: &BTreeMap<&str, Vec<&str>>) -> Vec<&'a str> {
    let on = on.get(package.name.as_str()).map_or(&[][..], Vec::as_slice);
    package.features.iter().map(String::as_str).filter(|feature| !on.contains(feature)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_first_failure_ends_the_run_and_is_named() {
        let ran = RefCell::new(Vec::new());
        let step = |name, result: Result<()>| -> Step<'_> {
            let ran = &ran;
            let run = move || {
                ran.borrow_mut().push(name);
                result
            };
            (name, Box::new(run))
        };
        let steps = vec![step("a", Ok(())), step("b", Err(anyhow!("`cargo b` broke"))), step("c", Ok(()))];
        let error = format!("{:#}", run_all(steps).unwrap_err());
        assert_eq!(*ran.borrow(), ["a", "b"]);
        assert!(error.contains("step `b`") && error.contains("`cargo b`"), "{error}");
    }

    #[test]
    fn features_that_the_workspace_run_leaves_out_are_found() {
        let on = enabled("core v0.1.0 (path)|default,stream\n\nalone v0.1.0 (path)|\n");
        let package = |name: &str| Package {
            name: name.into(),
            features: vec!["default".into(), "stream".into(), "tracing".into()],
            ..Package::default()
        };
        assert_eq!(missing(&package("core"), &on), ["tracing"]);
        assert_eq!(missing(&package("alone"), &on), ["default", "stream", "tracing"]);
    }
}
