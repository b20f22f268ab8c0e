//! What a file names: its `use` lines and the paths in its code.

/// What a file names, outside its comments and its unit tests.
#[derive(Debug, Default)]
pub struct Source {
    imports: Vec<Import>,
    /// The paths in the code that begin with `crate` or `super`.
    paths: Vec<String>,
}

#[derive(Debug)]
struct Import {
    path: String,
    /// The name it has in this file.
    name: String,
    /// Only others use it.
    is_re_export: bool,
}

impl Source {
    pub fn read(text: &str) -> Self {
        let lines = text.lines().take_while(|line| !line.ends_with("mod tests {")).filter(|line| !declares(line));
        let text: String = lines.flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"]).collect();
        let (uses, code) = separate(&text);
        let imports = uses.into_iter().flat_map(|(tree, is_public)| {
            let code = &code;
            leaves(tree).into_iter().map(move |leaf| {
                let (path, alias) = leaf.split_once(" as ").unwrap_or((&leaf, ""));
                let path = path.trim().trim_end_matches("::self");
                let name =
                    [alias.trim(), path.rsplit("::").next().unwrap_or(path)].into_iter().find(|name| !name.is_empty());
                let name = name.unwrap_or_default().to_owned();
                Import { path: path.into(), is_re_export: is_public && !words(code).any(|word| word == name), name }
            })
        });
        Self { imports: imports.collect(), paths: paths(&code) }
    }

    /// The paths that this file needs.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        let used = self.imports.iter().filter(|import| !import.is_re_export).map(|import| &import.path);
        used.chain(&self.paths).map(String::as_str)
    }

    /// The path of `name`, if a `use` line brings it here.
    pub fn imported(&self, name: &str) -> Option<&str> {
        self.imports.iter().find(|import| import.name == name).map(|import| import.path.as_str())
    }
}

/// Whether it is `mod a;`, which says where a file is and not that it is used.
fn declares(line: &str) -> bool {
    line.ends_with(';') && (line.starts_with("mod ") || line.starts_with("pub mod "))
}

/// The trees of the `use` lines, each with whether it is public, and the rest of the text.
fn separate(text: &str) -> (Vec<(&str, bool)>, String) {
    let (mut uses, mut code, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("use ") {
        let (before, line) = (&rest[..at], &rest[at + 4..]);
        let tree = line.split(';').next().unwrap_or_default();
        let is_use = !before.ends_with(is_word) && tree.chars().all(|c| is_word(c) || " \n:{},*".contains(c));
        code.push_str(before);
        if is_use {
            let last = before.rsplit([';', '}', ']', '\n']).next().unwrap_or_default();
            uses.push((tree, last.trim_start().starts_with("pub")));
        }
        rest = if is_use { &line[tree.len()..] } else { line };
    }
    code.push_str(rest);
    (uses, code)
}

/// The paths of a tree like `a::{b, c::{self, d as e}}`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((stem, branches)) = tree.split_once('{') else { return vec![tree.trim().into()] };
    let branches = branches.rsplit_once('}').map_or(branches, |(branches, _)| branches);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in branches.char_indices().chain([(branches.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&branches[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    let found = found.into_iter().filter(|branch| !branch.trim().is_empty());
    found.flat_map(leaves).map(|leaf| format!("{}{leaf}", stem.trim())).collect()
}

/// What begins with `crate::` or `super::`.
fn paths(code: &str) -> Vec<String> {
    let paths = code.split(|c: char| !is_word(c) && c != ':');
    paths.filter(|path| path.starts_with("crate::") || path.starts_with("super::")).map(Into::into).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_taken_apart() {
        assert_eq!(leaves("std::fmt"), ["std::fmt"]);
        assert_eq!(leaves("a::{self, b, c::{d as e, f},}"), ["a::self", "a::b", "a::c::d as e", "a::c::f"]);
    }

    #[test]
    fn what_is_public_and_not_used_is_a_re_export() {
        let source = Source::read("pub use a::A;\npub(crate) use b::{self, B};\nuse c::C as D;\nfn f(_: B) {}");
        assert_eq!(source.dependencies().collect::<Vec<_>>(), ["b::B", "c::C"]);
        let path = |name| source.imported(name);
        assert_eq!((path("A"), path("b"), path("D"), path("C")), (Some("a::A"), Some("b"), Some("c::C"), None));
    }

    #[test]
    fn only_code_has_paths() {
        let source =
            Source::read("// super::a\nfn f() -> crate::b::B { super::super::c() } // crate::d\nimpl Trait + use<'_>;");
        assert_eq!(source.dependencies().collect::<Vec<_>>(), ["crate::b::B", "super::super::c"]);
    }
}
