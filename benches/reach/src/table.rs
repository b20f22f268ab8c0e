//! The lines of the table.

use crate::case::{Row, Seen};
use crate::fate::Fate;

pub const HEAD: &str = "\
| consumer that reads nothing | of 32 B | of 1 KiB | of 40 KiB | bytes, at 1 KiB | of them in the kernel | state | where they lie | what changes it |
|---|--:|--:|--:|--:|--:|---|---|---|
";

/// A row of the table.
pub fn line(row: &Row) -> String {
    let cells = row.seen.iter().map(|seen| cell(&seen.fate)).collect::<Vec<_>>();
    let (bytes, in_kernel) = at_1_kib(&row.seen);
    format!(
        "| {} | {} | {bytes} | {in_kernel} | {} | {} | {} |",
        row.name,
        cells.join(" | "),
        state(row),
        row.lies,
        row.setting
    )
}

/// The state of what stood before the transport, if anything did.
pub fn state(row: &Row) -> String {
    let state = row.seen.get(1).and_then(|seen| seen.state);
    state.map_or_else(String::new, |state| format!("{state:?}"))
}

fn at_1_kib(seen: &[Seen]) -> (String, String) {
    let Some(seen) = seen.get(1) else { return Default::default() };
    let bytes = if seen.fate == Fate::NoBound { "–".into() } else { scaled(seen.bytes) };
    let in_kernel = if seen.in_kernel == 0 { "–".into() } else { scaled(seen.in_kernel) };
    (bytes, in_kernel)
}

fn cell(fate: &Fate) -> String {
    match fate {
        Fate::Stands(items) => grouped(*items),
        Fate::NoBound => "no bound".into(),
        Fate::Lost(items) => format!("lost after {}", grouped(*items)),
    }
}

/// What a cell of the table says.
pub fn fate(cell: &str) -> Option<Fate> {
    let number = |text: &str| text.replace('\u{202f}', "").parse().ok();
    match cell.trim().strip_prefix("lost after ") {
        Some(items) => number(items).map(Fate::Lost),
        None if cell.trim() == "no bound" => Some(Fate::NoBound),
        None => number(cell.trim()).map(Fate::Stands),
    }
}

/// With a narrow space between the thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

fn scaled(bytes: usize) -> String {
    let kib = bytes as f64 / 1024.0;
    if kib < 1000.0 { format!("{kib:.0} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_was_written_into_it() {
        for fate_of in [Fate::Stands(7), Fate::Stands(1_234_567), Fate::NoBound, Fate::Lost(10_923)] {
            assert_eq!(fate(&cell(&fate_of)), Some(fate_of));
        }
        assert_eq!(cell(&Fate::Lost(10_923)), "lost after 10\u{202f}923");
        assert_eq!(fate("soon"), None);
    }

    #[test]
    fn bytes_are_scaled() {
        assert_eq!((scaled(2048), scaled(4 * 1024 * 1024)), ("2 KiB".into(), "4.0 MiB".into()));
    }
}
