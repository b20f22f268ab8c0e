//! `docs/reach.md`: prose, with tables between marks. What is outside the marks is left alone.

use std::fs;

use anyhow::{Context, Result};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reach.md");

/// What stands between the marks of this name.
pub fn read(mark: &str) -> Result<String> {
    let page = fs::read_to_string(PATH).context("docs/reach.md")?;
    let (_, kept, _) = parts(&page, mark).with_context(|| format!("docs/reach.md has no mark `{mark}`"))?;
    Ok(kept.into())
}

/// Puts `text` between the marks of this name.
pub fn write(mark: &str, text: &str) -> Result<()> {
    let page = fs::read_to_string(PATH).context("docs/reach.md")?;
    let (before, _, after) = parts(&page, mark).with_context(|| format!("docs/reach.md has no mark `{mark}`"))?;
    fs::write(PATH, [before, text, after].concat())?;
    Ok(())
}

/// What comes up to the first mark, stands between, and comes from the second on.
fn parts<'a>(page: &'a str, mark: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let begin = format!("<!-- {mark}: written by `cargo xtask reach --keep` -->\n");
    let start = page.find(&begin)? + begin.len();
    let end = start + page[start..].find(&format!("<!-- {mark}: end -->"))?;
    Some((&page[..start], &page[start..end], &page[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_two_marks_is_found_and_nothing_else() {
        let page = "prose\n<!-- a: written by `cargo xtask reach --keep` -->\nkept\n<!-- a: end -->\nmore";
        let (before, kept, after) = parts(page, "a").unwrap();
        assert_eq!((kept, after), ("kept\n", "<!-- a: end -->\nmore"));
        assert_eq!([before, kept, after].concat(), page);
        assert!(parts(page, "b").is_none());
    }
}
