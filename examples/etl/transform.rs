//! From a record to a row.

use anyhow::Context;
use serde::Deserialize;

use crate::source::Record;

#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) position: u64,
    pub(crate) id: String,
    /// What is after the last comma of the place.
    pub(crate) region: Option<String>,
    /// Radiated energy in joules, by Gutenberg and Richter.
    pub(crate) energy: Option<f64>,
}

#[derive(Deserialize)]
struct Quake {
    id: String,
    mag: Option<f64>,
    place: Option<String>,
}

pub(crate) fn transform(record: Record) -> anyhow::Result<Row> {
    let quake: Quake = serde_json::from_str(&record.json)
        .with_context(|| format!("record {} is not an earthquake", record.position))?;
    let region =
        quake.place.as_deref().and_then(|place| place.rsplit(',').next()).map(|region| region.trim().to_owned());
    let energy = quake.mag.map(|mag| 10f64.powf(1.5 * mag + 4.8));
    Ok(Row { position: record.position, id: quake.id, region, energy })
}
