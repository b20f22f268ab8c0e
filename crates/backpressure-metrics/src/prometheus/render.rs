//! The text itself.

use super::blocks::Blocks;
use super::escape::escape;
use super::format::Format;
use crate::observation::Observation;

/// Renders an observation. Every metric stands there once, with all its values.
pub fn render(observation: &Observation, format: Format) -> String {
    // Whole names with ASCII between them: this cannot fail.
    String::from_utf8(pieces(observation, format).concat()).unwrap_or_default()
}

/// The same in pieces, none of which has been copied. One may end within a line.
pub(crate) fn pieces(observation: &Observation, format: Format) -> Vec<Vec<u8>> {
    let mut blocks = Blocks::new(format);
    let mut label = Vec::new();
    let mut stage = None;
    // From the inside, which costs half of what a loop over so many chained iterators does.
    observation.series().for_each(|series| {
        if stage != Some(series.stage.as_ptr()) {
            stage = Some(series.stage.as_ptr());
            label.clear();
            escape(&mut label, series.stage);
            label.push(b'"');
        }
        if let Some(block) = blocks.of(series.family) {
            block.push(&label, &series);
        }
    });
    blocks.into_pieces()
}
