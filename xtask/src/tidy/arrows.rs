//! Who may know whom: the arrows between the crates, and the third parties that a published crate may bring along.

use super::tree::Tree;
use super::{Failure, Finding};
use crate::workspace::{Dependency, Kind, Package};

const FACADE: &str = "backpressure";
const CORE: &str = "backpressure-core";
const RT: &str = "backpressure-rt";

/// A published crate, and the published crates it may build on. The facade may build on all of them.
const MAP: &[(&str, &[&str])] = &[
    (RT, &[]),
    (CORE, &[RT]),
    ("backpressure-channel", &[CORE, RT]),
    ("backpressure-metrics", &[CORE, "backpressure-channel"]),
    ("backpressure-shutdown", &[CORE]),
    ("backpressure-sink", &[CORE, RT]),
    ("backpressure-stream", &[CORE, RT, "backpressure-channel"]),
    ("backpressure-controller", &[CORE, RT, "backpressure-channel", "backpressure-sink"]),
    ("backpressure-tower", &[CORE, RT, "backpressure-channel"]),
    ("backpressure-nats", &[CORE, RT, "backpressure-controller"]),
    ("backpressure-tck", &[]),
];

/// Umbrellas that cost every user what few of them need.
const UMBRELLAS: [&str; 2] = ["tower", "futures"];

/// Builds with this `cfg` are ours alone, so what it adds costs a user nothing.
const LOOM: &str = "cfg(backpressure_loom)";

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages {
        for dependency in &package.dependencies {
            let broken = broken(tree.packages, package, dependency);
            findings.extend(broken.map(|why| Failure(format!("{} → {}: {why}", package.name, dependency.name))));
        }
        if package.published && package.name != FACADE && may_use(&package.name).is_none() {
            findings.push(Failure(format!("{} is not on the map of the arrows", package.name)));
        }
    }
    findings
}

/// Why `package` may not have `dependency`.
fn broken(members: &[Package], package: &Package, dependency: &Dependency) -> Option<&'static str> {
    let name = dependency.name.as_str();
    let member = members.iter().find(|member| member.name == name);
    let for_tests = dependency.kind == Kind::Dev;
    if package.published && member.is_some_and(|member| !member.published) {
        return Some("a published crate never depends on one that is not");
    }
    if name == FACADE && !for_tests && !["benches", "examples"].contains(&package.dir.as_str()) {
        return Some("only examples, benches and tests use the facade");
    }
    if !package.published || for_tests {
        return None;
    }
    let allowed = may_use(&package.name).unwrap_or_default();
    if member.is_some() && package.name != FACADE && !allowed.contains(&name) {
        return Some("the arrow is not on the map");
    }
    let is_plain_rt = name == RT && dependency.features.is_empty();
    if package.name == CORE && !is_plain_rt && !dependency.optional && dependency.target.as_deref() != Some(LOOM) {
        return Some("core requires nothing but std, and rt without its features");
    }
    let is_full_tokio = name == "tokio" && dependency.features.iter().any(|feature| feature == "full");
    (UMBRELLAS.contains(&name) || is_full_tokio).then_some("an umbrella; take the one part that is needed")
}

fn may_use(package: &str) -> Option<&'static [&'static str]> {
    MAP.iter().find(|(name, _)| *name == package).map(|(_, allowed)| *allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dir: &str, dependencies: Vec<Dependency>) -> Package {
        let published = dir.starts_with("crates/");
        Package { name: name.into(), dir: dir.into(), published, dependencies, ..Package::default() }
    }

    fn on(name: &str) -> Dependency {
        Dependency { name: name.into(), ..Dependency::default() }
    }

    /// The failures of a workspace in which `from` has `dependency`.
    fn failures(from: &str, dir: &str, dependency: Dependency) -> usize {
        let mut packages: Vec<_> =
            MAP.iter().map(|(name, _)| member(name, "crates/x", Vec::new())).filter(|p| p.name != from).collect();
        packages.extend([member(FACADE, "crates/x", Vec::new()), member("xtask", "xtask", Vec::new())]);
        packages.push(member(from, dir, vec![dependency]));
        check(&Tree::made_up(&packages, &[])).len()
    }

    #[test]
    fn arrows_run_downwards_only() {
        assert_eq!(failures(CORE, "crates/x", Dependency { optional: true, ..on("backpressure-channel") }), 1);
        assert_eq!(failures("backpressure-sink", "crates/x", on("backpressure-channel")), 1);
        assert_eq!(failures("backpressure-stream", "crates/x", on("backpressure-controller")), 1);
        for (from, to) in [("channel", "core"), ("controller", "sink"), ("stream", "channel"), ("core", "rt")] {
            assert_eq!(failures(&format!("backpressure-{from}"), "crates/x", on(&format!("backpressure-{to}"))), 0);
        }
        assert_eq!(failures("backpressure-new", "crates/x", on("slab")), 1, "a crate that is not on the map");
    }

    #[test]
    fn only_examples_benches_and_tests_use_the_facade() {
        assert_eq!(failures("backpressure-tower", "crates/x", on(FACADE)), 1);
        assert_eq!(failures("tool", "tool", on(FACADE)), 1);
        assert_eq!(failures("backpressure-tower", "crates/x", Dependency { kind: Kind::Dev, ..on(FACADE) }), 0);
        assert_eq!(failures("backpressure-examples", "examples", on(FACADE)), 0);
    }

    #[test]
    fn a_published_crate_never_uses_an_unpublished_one_even_in_tests() {
        assert_eq!(failures("backpressure-tower", "crates/x", Dependency { kind: Kind::Dev, ..on("xtask") }), 1);
    }

    #[test]
    fn umbrellas_are_for_tests_only() {
        let full = |kind| Dependency { kind, features: vec!["full".into()], ..on("tokio") };
        for dependency in [on("tower"), on("futures"), full(Kind::Normal), Dependency { optional: true, ..on("tower") }]
        {
            assert_eq!(failures("backpressure-tower", "crates/x", dependency), 1);
        }
        for dependency in [on("tokio"), on("tower-service"), full(Kind::Dev)] {
            assert_eq!(failures("backpressure-tower", "crates/x", dependency), 0);
        }
    }

    #[test]
    fn core_requires_nothing() {
        assert_eq!(failures(CORE, "crates/x", on("slab")), 1);
        assert_eq!(failures(CORE, "crates/x", Dependency { target: Some("cfg(unix)".into()), ..on("libc") }), 1);
        assert_eq!(failures(CORE, "crates/x", Dependency { target: Some(LOOM.into()), ..on("loom") }), 0);
        assert_eq!(failures(CORE, "crates/x", Dependency { features: vec!["tokio".into()], ..on(RT) }), 1);
        assert_eq!(failures(RT, "crates/x", Dependency { optional: true, ..on(CORE) }), 1, "nor does rt know core");
        assert_eq!(failures(CORE, "crates/x", Dependency { optional: true, ..on("futures-core") }), 0);
        assert_eq!(failures(CORE, "crates/x", Dependency { kind: Kind::Dev, ..on("proptest") }), 0);
    }
}
