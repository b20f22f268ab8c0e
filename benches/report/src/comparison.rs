//! Who stands beside whom, and how they compare.

use crate::id::{Id, Role};
use crate::run::Row;

/// Everything, by function.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub functions: Vec<Function<'a>>,
}

#[derive(Debug)]
pub struct Function<'a> {
    pub name: &'a str,
    pub cases: Vec<Case<'a>>,
}

/// Rows that were measured to be compared with each other.
#[derive(Debug)]
pub struct Case<'a> {
    pub name: &'a str,
    /// Ours first, then the others from the fastest on, then the floors.
    pub rows: Vec<Entry<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub row: &'a Row,
    pub id: Id<'a>,
    pub role: Role,
}

impl<'a> Comparison<'a> {
    /// In the order in which they were measured.
    pub fn of(rows: &'a [Row]) -> Self {
        let mut functions: Vec<Function<'a>> = Vec::new();
        for row in rows {
            let id = Id::parse(&row.id);
            let entry = Entry { row, id, role: id.role() };
            let function = entry_of(&mut functions, |it| it.name == id.function, || Function::new(id.function));
            let case = entry_of(&mut function.cases, |it| it.name == id.case, || Case::new(id.case));
            case.rows.push(entry);
        }
        for case in functions.iter_mut().flat_map(|function| &mut function.cases) {
            let place = |role| match role {
                Role::Ours => 0,
                Role::Peer | Role::Other => 1,
                Role::Floor => 2,
            };
            case.rows.sort_by(|a, b| {
                place(a.role).cmp(&place(b.role)).then_with(|| a.row.nanos().total_cmp(&b.row.nanos()))
            });
        }
        Self { functions }
    }

    pub fn cases(&self) -> impl Iterator<Item = (&'a str, &Case<'a>)> {
        self.functions.iter().flat_map(|function| function.cases.iter().map(|case| (function.name, case)))
    }
}

fn entry_of<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    &mut list[at]
}

impl<'a> Function<'a> {
    const fn new(name: &'a str) -> Self {
        Self { name, cases: Vec::new() }
    }
}

impl<'a> Case<'a> {
    const fn new(name: &'a str) -> Self {
        Self { name, rows: Vec::new() }
    }

    /// The fastest of ours.
    pub fn ours(&self) -> Option<&Entry<'a>> {
        self.fastest(Role::Ours)
    }

    /// The fastest of those that do the same for their users.
    pub fn peer(&self) -> Option<&Entry<'a>> {
        self.fastest(Role::Peer)
    }

    /// The row that is called so.
    pub fn named(&self, label: &str) -> Option<&Entry<'a>> {
        self.rows.iter().find(|entry| entry.id.label() == label)
    }

    /// The highest of the floors: all of them are below.
    pub fn floor(&self) -> Option<&Entry<'a>> {
        self.with(Role::Floor).max_by(|a, b| a.row.nanos().total_cmp(&b.row.nanos()))
    }

    /// Ours by the best peer's: below 1 we are faster.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.ours()?.row.by(self.peer()?.row))
    }

    fn fastest(&self, role: Role) -> Option<&Entry<'a>> {
        self.with(role).min_by(|a, b| a.row.nanos().total_cmp(&b.row.nanos()))
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &Entry<'a>> {
        self.rows.iter().filter(move |entry| entry.role == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::made_up;

    #[test]
    fn the_best_peer_does_the_same_and_the_floor_is_the_highest() {
        let run = made_up(&[
            ("send/one/floor: atomic", &[5.0]),
            ("send/one/floor: lock", &[20.0]),
            ("send/one/kanal (loses items)", &[10.0]),
            ("send/one/slow", &[90.0]),
            ("send/one/backpressure one", &[30.0]),
            ("send/one/fast", &[60.0]),
            ("send/one/backpressure two", &[40.0]),
        ]);
        let comparison = Comparison::of(&run.rows);
        let case = &comparison.functions[0].cases[0];
        assert_eq!(case.ours().unwrap().row.nanos(), 30.0);
        assert_eq!(case.peer().unwrap().id.row, "fast");
        assert_eq!(case.floor().unwrap().row.nanos(), 20.0);
        assert_eq!(case.ratio(), Some(0.5));
        let order: Vec<_> = case.rows.iter().map(|entry| entry.row.nanos()).collect();
        assert_eq!(order, [30.0, 40.0, 10.0, 60.0, 90.0, 5.0, 20.0]);
    }

    #[test]
    fn without_a_peer_there_is_no_ratio() {
        let run = made_up(&[("gauge/state/backpressure", &[1.0]), ("gauge/state/other (is not one)", &[9.0])]);
        assert_eq!(Comparison::of(&run.rows).functions[0].cases[0].ratio(), None);
    }

    #[test]
    fn cases_of_a_function_come_together_in_the_order_of_the_run() {
        let run = made_up(&[("a/x/p", &[1.0]), ("b/x/p", &[1.0]), ("a/y/p", &[1.0]), ("a/x/q", &[1.0])]);
        let comparison = Comparison::of(&run.rows);
        let cases: Vec<_> = comparison.cases().map(|(function, case)| (function, case.name, case.rows.len())).collect();
        assert_eq!(cases, [("a", "x", 2), ("a", "y", 1), ("b", "x", 1)]);
    }
}
