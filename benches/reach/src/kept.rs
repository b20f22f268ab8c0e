//! The table of the transports, as it is kept.

use std::collections::BTreeMap;
use std::iter;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::case::Row;
use crate::fate::Fate;
use crate::{page, table, versions};

/// The mark of the table.
const MARK: &str = "transports";

/// The kept rows: by name, what became of the producer for each size, and the state of what stood before the transport.
pub type Kept = BTreeMap<String, (Vec<Fate>, String)>;

pub fn read() -> Result<Kept> {
    Ok(page::read(MARK)?.lines().filter_map(row).collect())
}

/// Writes all rows, or puts these in the place of those with their names.
pub fn write(rows: &[Row], all: bool) -> Result<()> {
    let fresh: BTreeMap<_, _> = rows.iter().map(|row| (row.name, table::line(row))).collect();
    let lines: Vec<String> = if all {
        rows.iter().map(table::line).collect()
    } else {
        let kept = page::read(MARK)?;
        let old = kept.lines().filter_map(|line| Some((line, row(line)?.0)));
        old.map(|(line, name)| fresh.get(name.as_str()).cloned().unwrap_or_else(|| line.into())).collect()
    };
    let versions = versions::measured()?.join(", ");
    let head = format!("{}, {}.\n{versions}.\n\n{}", date()?, versions::kernel(), table::HEAD);
    page::write(MARK, &(head + &lines.join("\n") + "\n"))
}

fn row(line: &str) -> Option<(String, (Vec<Fate>, String))> {
    let mut cells = line.strip_prefix("| ")?.split(" | ");
    let name = cells.next()?.to_owned();
    let fates: Option<Vec<_>> = iter::repeat_with(|| table::fate(cells.next()?)).take(3).collect();
    const BYTES_AND_KERNEL: usize = 2;
    Some((name, (fates?, cells.nth(BYTES_AND_KERNEL)?.trim().to_owned())))
}

/// Today, in UTC.
fn date() -> Result<String> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let (year, month, day) = civil(days as i64);
    Ok(format!("{year}-{month:02}-{day:02}"))
}

/// The date of the day that is so many days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_and_other_lines_are_none() {
        let line = "| a `b` | 16 | no bound | lost after 7 | 1 KiB | – | Blocked | here | that |";
        let fates = vec![Fate::Stands(16), Fate::NoBound, Fate::Lost(7)];
        assert_eq!(row(line), Some(("a `b`".into(), (fates, "Blocked".into()))));
        assert_eq!(row(&line.replace("Blocked", "")).map(|(_, (_, state))| state), Some(String::new()));
        assert!(table::HEAD.lines().chain(["", "text"]).all(|line| row(line).is_none()));
    }

    #[test]
    fn days_are_dates() {
        assert_eq!((civil(0), civil(19_782), civil(20_786)), ((1970, 1, 1), (2024, 2, 29), (2026, 11, 29)));
    }
}
