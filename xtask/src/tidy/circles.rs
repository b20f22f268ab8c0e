//! No circle of files inside a crate: who reads one file need not have read those that build on it.
//!
//! A file depends on another if a `use` line or a path in its code leads there. A re-export is no dependency, unless its file
//! uses the name itself. What follows `#[cfg(test)] mod tests` is passed over.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;
use super::uses::Source;
use super::{Failure, Finding};

/// The files of one crate by the path of their module, such as `a::b`. That of its root is empty.
type Crate = BTreeMap<String, Source>;
/// For every file those that it depends on.
type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// A name that is re-exported through more modules than this is not followed further.
const MOST_HOPS: usize = 8;

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let mut crates: BTreeMap<&str, Crate> = BTreeMap::new();
    for (path, text) in tree.rust() {
        let Some((dir, file)) = path.split_once("/src/") else { continue };
        let module = module(file);
        if !module.ends_with("tests") {
            crates.entry(dir).or_default().insert(module, Source::read(text));
        }
    }
    let found = crates.iter().flat_map(|(dir, files)| {
        let circles = circles(&edges(files));
        circles.into_iter().map(move |circle| Failure(format!("{dir}: {} are a circle", circle.join(", "))))
    });
    found.collect()
}

/// `a/b.rs` and `a/b/mod.rs` are the module a::b.
fn module(file: &str) -> String {
    let mut parts: Vec<_> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    parts.join("::")
}

fn edges(files: &Crate) -> Edges<'_> {
    let of = |(module, source): (&'_ String, &'_ Source)| {
        let targets = source.dependencies().filter_map(|path| target(files, module, path, MOST_HOPS));
        targets.filter(|target| target != module).collect()
    };
    files.iter().map(|file| (file.0.as_str(), of(file))).collect()
}

/// The file in which `path` ends, seen from `module`, if it is one of this crate.
fn target<'a>(files: &'a Crate, module: &str, path: &str, hops: usize) -> Option<&'a str> {
    let hops = hops.checked_sub(1)?;
    let (mut at, mut rest) = match path.split_once("::") {
        Some(("crate", rest)) => (String::new(), rest),
        Some(("self", rest)) => (module.into(), rest),
        Some(("super", rest)) => (parent(module).into(), rest),
        _ => (module.into(), path),
    };
    while let Some(above) = rest.strip_prefix("super::") {
        (at, rest) = (parent(&at).into(), above);
    }
    let start = at.clone();
    let mut names = rest.split("::").peekable();
    while let Some(child) = names.peek().map(|name| child(&at, name)).filter(|child| files.contains_key(child)) {
        at = child;
        names.next();
    }
    if rest == path && at == start {
        return None; // A crate of its own, or a name of the prelude.
    }
    let (here, source) = files.get_key_value(&at)?;
    let names: Vec<_> = names.collect();
    match names.first().and_then(|name| source.imported(name)) {
        Some(imported) => target(files, here, &[&[imported], &names[1..]].concat().join("::"), hops),
        None => Some(here),
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

fn child(module: &str, name: &str) -> String {
    if module.is_empty() { name.into() } else { format!("{module}::{name}") }
}

/// The sets of files each of which leads to all others of its set: the strongly connected components of more than one file.
fn circles<'a>(edges: &Edges<'a>) -> Vec<Vec<&'a str>> {
    let ahead: BTreeMap<_, _> = edges.keys().map(|&from| (from, reach(edges, from))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (from, reached) in &ahead {
        let circle: Vec<_> = reached.iter().copied().filter(|to| ahead[to].contains(from)).collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(circle);
        }
    }
    circles
}

/// All that `from` leads to, itself included.
fn reach<'a>(edges: &Edges<'a>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(file) = next.pop() {
        let ahead = edges.get(file).into_iter().flatten();
        next.extend(ahead.copied().filter(|to| reached.insert(to)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| (format!("crates/a/src/{path}"), *text)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let text = |finding| match finding {
            Failure(what) => what,
            _ => unreachable!(),
        };
        check(&Tree::made_up(&[], &files)).into_iter().map(text).collect()
    }

    #[test]
    fn two_files_that_use_each_other_are_a_circle() {
        let circle =
            found(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use super::b::B;"), ("b.rs", "use crate::a::{self, A};")]);
        assert_eq!(circle, ["crates/a: a, b are a circle"]);
        let line = found(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use super::b::B;"), ("b.rs", "use std::fmt;")]);
        assert!(line.is_empty(), "{line:?}");
    }

    #[test]
    fn a_path_in_the_code_counts_like_a_use_and_one_in_comments_and_tests_does_not() {
        let b = |text| found(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", text)]).len();
        assert_eq!(b("fn f() -> super::a::A { A }"), 1);
        assert_eq!(b("// use super::a::A;"), 0);
        assert_eq!(b("/// See [`A`](super::a::A).\nstruct B;"), 0);
        assert_eq!(b("#[cfg(test)]\nmod tests {\n    use super::super::a::A;\n}"), 0);
    }

    #[test]
    fn a_name_is_followed_to_where_it_comes_from() {
        let files = |b| {
            [
                ("lib.rs", "mod m;"),
                ("m/mod.rs", "mod a;\nmod b;\npub use a::A;"),
                ("m/a.rs", "use super::b::B;"),
                ("m/b.rs", b),
            ]
        };
        assert_eq!(found(&files("use super::A;")).len(), 1, "through the re-export");
        assert!(found(&files("use super::C;")).is_empty(), "defined in the parent, which only re-exports");
    }

    #[test]
    fn a_parent_that_uses_its_child_and_is_used_by_it_is_a_circle() {
        let of = |parent| found(&[("lib.rs", "mod m;"), ("m/mod.rs", parent), ("m/a.rs", "use super::M;")]).len();
        assert_eq!(of("mod a;\nuse a::A;\npub struct M(A);"), 1);
        assert_eq!(of("mod a;\npub use a::A;\npub struct M(A);"), 1);
        assert_eq!(of("mod a;\npub use a::A;\npub struct M;"), 0);
    }
}
