//! The region of the README that shows the numbers.

use std::fs;

use anyhow::{Context, Result};

use crate::paths;

const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- /bench -->";

/// A README that has such a region: what stands around it.
#[derive(Debug, PartialEq)]
pub struct Readme {
    before: String,
    after: String,
}

impl Readme {
    pub fn open() -> Result<Self> {
        let text = fs::read_to_string(paths::readme()).context("cannot read README.md")?;
        Self::parse(&text).with_context(|| format!("README.md has no region `{BEGIN}` … `{END}`"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END)?;
        Some(Self { before: before.into(), after: after.into() })
    }

    /// Writes it with `table` in the region.
    pub fn replace(&self, table: &str) -> Result<()> {
        fs::write(paths::readme(), self.with(table)).context("cannot write README.md")
    }

    fn with(&self, table: &str) -> String {
        format!("{}{BEGIN}\n{}\n{END}{}", self.before, table.trim_end(), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_region_is_replaced_however_often() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let readme = Readme::parse(&text).unwrap();
        let replaced = readme.with("new\n");
        assert_eq!(replaced, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(Readme::parse(&replaced).unwrap(), readme);
    }

    #[test]
    fn without_a_whole_region_there_is_none() {
        for broken in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert_eq!(Readme::parse(broken), None, "{broken}");
        }
    }
}
