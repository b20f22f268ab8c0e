//! What the name of a bench says: `function/case/row`.

/// A name in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id<'a> {
    /// What is compared: a table of the report.
    pub function: &'a str,
    /// Under which circumstances: a comparison in that table.
    pub case: &'a str,
    /// Who.
    pub row: &'a str,
}

/// What part a row plays in its comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Ours,
    /// Does the same for its user.
    Peer,
    /// Is shown, but does something else: a parenthesis in its name says what.
    Other,
    /// What the thing is made of: nobody can be faster.
    Floor,
}

impl<'a> Id<'a> {
    /// A name without a case has an empty one.
    pub fn parse(id: &'a str) -> Self {
        let (group, row) = id.rsplit_once('/').unwrap_or(("", id));
        let (function, case) = group.split_once('/').unwrap_or((group, ""));
        Self { function, case, row }
    }

    pub fn role(&self) -> Role {
        if self.row.starts_with("backpressure") {
            Role::Ours
        } else if self.row.starts_with("floor: ") {
            Role::Floor
        } else if self.row.contains('(') {
            Role::Other
        } else {
            Role::Peer
        }
    }

    /// The row without what its role says already.
    pub fn label(&self) -> &'a str {
        self.row.strip_prefix("floor: ").unwrap_or(self.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_parts_and_may_have_fewer() {
        let id = Id::parse("runs of 64/one thread, 4 to 1/tokio mpsc");
        assert_eq!((id.function, id.case, id.row), ("runs of 64", "one thread, 4 to 1", "tokio mpsc"));
        assert_eq!(Id::parse("gauge/state"), Id { function: "gauge", case: "", row: "state" });
        assert_eq!(Id::parse("state"), Id { function: "", case: "", row: "state" });
    }

    #[test]
    fn the_name_of_a_row_says_its_role() {
        for (row, role) in [
            ("backpressure channel", Role::Ours),
            ("backpressure controller (tracked)", Role::Ours),
            ("tokio mpsc", Role::Peer),
            ("kanal (loses items on cancel)", Role::Other),
            ("floor: lock and unlock", Role::Floor),
        ] {
            assert_eq!(Id::parse(&format!("a/b/{row}")).role(), role, "{row}");
        }
    }
}
