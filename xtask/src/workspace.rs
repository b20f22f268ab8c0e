//! The workspace as `cargo metadata` tells it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::Command;
use crate::paths::relative;

pub struct Workspace {
    pub packages: Vec<Package>,
}

/// A member of the workspace. Its paths are relative to the root, with `/` between the parts.
#[derive(Debug, Default)]
pub struct Package {
    pub name: String,
    pub dir: String,
    pub published: bool,
    pub description: Option<String>,
    pub license: Option<String>,
    /// The README that would be packed, if there is such a file.
    pub readme: Option<String>,
    pub keywords: Vec<String>,
    pub rust_version: Option<String>,
    pub features: Vec<String>,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

#[derive(Debug, Default)]
pub struct Dependency {
    pub name: String,
    pub kind: Kind,
    pub optional: bool,
    /// The platform or `cfg(…)` it is restricted to.
    pub target: Option<String>,
    pub features: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Normal,
    Build,
    Dev,
}

#[derive(Debug, Default)]
pub struct Target {
    pub name: String,
    /// `lib`, `bin`, `example`, `test`, …
    pub kinds: Vec<String>,
}

impl Workspace {
    pub fn load() -> Result<Self> {
        let json = Command::cargo(&["metadata", "--format-version", "1", "--no-deps"]).read()?;
        Self::parse(&json).context("cannot read the answer of `cargo metadata`")
    }

    fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json)?;
        let root = PathBuf::from(text(&value, "workspace_root").context("no workspace_root")?);
        let packages = list(&value, "packages").map(|package| Package::parse(&root, package)).collect::<Result<_>>()?;
        Ok(Self { packages })
    }

    pub fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.published)
    }
}

impl Package {
    fn parse(root: &Path, value: &Value) -> Result<Self> {
        let name = text(value, "name").context("a package without a name")?;
        let manifest = PathBuf::from(text(value, "manifest_path").context("a package without a manifest")?);
        let dir = manifest.parent().context("a manifest in no directory")?;
        let readme = text(value, "readme").and_then(|readme| dir.join(readme).canonicalize().ok());
        Ok(Self {
            name,
            dir: relative(root, dir).context("a package outside the workspace")?,
            published: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            description: text(value, "description"),
            license: text(value, "license"),
            readme: readme.and_then(|readme| relative(&root.canonicalize().ok()?, &readme)),
            keywords: texts(value, "keywords"),
            rust_version: text(value, "rust_version"),
            features: value["features"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect(),
            dependencies: list(value, "dependencies").map(Dependency::parse).collect(),
            targets: list(value, "targets")
                .map(|target| Target { name: text(target, "name").unwrap_or_default(), kinds: texts(target, "kind") })
                .collect(),
        })
    }

    pub fn targets_of_kind(&self, kind: &str) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.kinds.iter().any(|k| k == kind))
    }
}

impl Dependency {
    fn parse(value: &Value) -> Self {
        Self {
            name: text(value, "name").unwrap_or_default(),
            kind: match value["kind"].as_str() {
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                _ => Kind::Normal,
            },
            optional: value["optional"] == true,
            target: text(value, "target"),
            features: texts(value, "features"),
        }
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(Into::into)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    list(value, key).filter_map(|item| item.as_str().map(Into::into)).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_whole() {
        let json = r#"{
            "workspace_root": "/w",
            "packages": [{
                "name": "p", "manifest_path": "/w/crates/p/Cargo.toml", "publish": null, "rust_version": "1.88",
                "features": { "default": [], "stream": ["dep:s"] }, "keywords": ["k"],
                "dependencies": [{ "name": "s", "kind": "dev", "optional": true, "target": "cfg(x)", "features": ["f"] }],
                "targets": [{ "name": "loom", "kind": ["test"] }]
            }, {
                "name": "q", "manifest_path": "/w/q/Cargo.toml", "publish": []
            }]
        }"#;
        let workspace = Workspace::parse(json).unwrap();
        let [p, q] = &workspace.packages[..] else { panic!("two packages") };
        assert_eq!((p.name.as_str(), p.dir.as_str(), p.published), ("p", "crates/p", true));
        assert_eq!((p.rust_version.as_deref(), p.description.as_deref()), (Some("1.88"), None));
        assert_eq!((&p.features[..], &p.keywords[..]), (&["default".into(), "stream".into()][..], &["k".into()][..]));
        let [dependency] = &p.dependencies[..] else { panic!("one dependency") };
        assert_eq!((dependency.name.as_str(), dependency.kind, dependency.optional), ("s", Kind::Dev, true));
        assert_eq!((dependency.target.as_deref(), &dependency.features[..]), (Some("cfg(x)"), &["f".into()][..]));
        assert_eq!(p.targets_of_kind("test").map(|t| t.name.as_str()).collect::<Vec<_>>(), ["loom"]);
        assert!(!q.published);
    }

    #[test]
    fn this_workspace_is_read() {
        let workspace = Workspace::load().unwrap();
        let xtask = workspace.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!((xtask.dir.as_str(), xtask.published), ("xtask", false));
        assert!(workspace.published().any(|package| package.name == "backpressure-core"));
    }
}
