//! Columns of the text that COPY reads: tabs between them, `\N` for what is missing.

use std::fmt::Write;

/// A further column.
pub(crate) fn number(text: &mut String, value: Option<impl std::fmt::Display>) {
    match value {
        // A String takes everything.
        Some(value) => drop(write!(text, "\t{value}")),
        None => text.push_str("\t\\N"),
    }
}

/// A further column.
pub(crate) fn word(text: &mut String, value: Option<&str>) {
    text.push('\t');
    match value {
        Some(value) => escaped(text, value),
        None => text.push_str("\\N"),
    }
}

/// The first column, without a tab before it.
pub(crate) fn escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
}
