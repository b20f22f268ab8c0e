//! A published crate can be found, read and trusted: it says what it is, under which licence, and forbids `unsafe`.

use super::tree::Tree;
use super::{Failure, Finding};
use crate::workspace::Package;

pub fn check(tree: &Tree<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.published() {
        let missing = |what: &str| Failure(format!("{} has no {what}", package.name));
        let is_blank = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        findings.extend(is_blank(&package.description).then(|| missing("description")));
        findings.extend(is_blank(&package.license).then(|| missing("licence")));
        findings.extend(package.readme.is_none().then(|| missing("README")));
        findings.extend(package.keywords.is_empty().then(|| missing("keywords")));
        findings.extend((!forbids_unsafe(tree, package)).then(|| missing("`forbid(unsafe_code)`")));
    }
    findings
}

/// By itself, or through the lints of the workspace.
fn forbids_unsafe(tree: &Tree<'_>, package: &Package) -> bool {
    let lib = tree.text(&format!("{}/src/lib.rs", package.dir)).unwrap_or_default();
    let manifest = tree.text(&format!("{}/Cargo.toml", package.dir)).unwrap_or_default();
    let root = tree.text("Cargo.toml").unwrap_or_default();
    let inherits = table(manifest, "lints").any(|line| line == "workspace = true");
    let forbidden = table(root, "workspace.lints.rust").any(|line| line == "unsafe_code = \"forbid\"");
    lib.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]") || (inherits && forbidden)
}

/// The lines of the TOML table `[name]`.
fn table<'a>(toml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("[{name}]");
    let lines = toml.lines().map(str::trim).skip_while(move |line| *line != head).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::failed;

    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n");
    const INHERITS: (&str, &str) = ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n");

    fn whole() -> Package {
        Package {
            name: "a".into(),
            dir: "crates/a".into(),
            published: true,
            description: Some("text".into()),
            license: Some("MIT".into()),
            readme: Some("README.md".into()),
            keywords: vec!["a".into()],
            ..Package::default()
        }
    }

    fn failures(package: Package, files: &[(&str, &str)]) -> Vec<String> {
        let packages = [package];
        failed(&check(&Tree::made_up(&packages, files))).into_iter().map(Into::into).collect()
    }

    #[test]
    fn each_missing_part_fails_by_name() {
        let cases = [
            (Package { description: Some(" ".into()), ..whole() }, "a has no description"),
            (Package { license: None, ..whole() }, "a has no licence"),
            (Package { readme: None, ..whole() }, "a has no README"),
            (Package { keywords: Vec::new(), ..whole() }, "a has no keywords"),
        ];
        for (package, failure) in cases {
            assert_eq!(failures(package, &[ROOT, INHERITS]), [failure]);
        }
    }

    #[test]
    fn unsafe_must_be_forbidden_by_the_crate_or_by_lints_it_inherits() {
        let own = ("crates/a/src/lib.rs", "//! a\n#![forbid(unsafe_code)]\n");
        let allows = ("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"warn\"\n");
        assert_eq!(failures(whole(), &[own]), [""; 0]);
        assert_eq!(failures(whole(), &[ROOT, INHERITS]), [""; 0]);
        for files in [&[ROOT][..], &[INHERITS], &[allows, INHERITS]] {
            assert_eq!(failures(whole(), files), ["a has no `forbid(unsafe_code)`"]);
        }
    }

    #[test]
    fn what_is_not_published_may_lack_all_of_it() {
        assert_eq!(failures(Package { name: "a".into(), ..Package::default() }, &[]), [""; 0]);
    }
}
