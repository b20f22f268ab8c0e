//! What is the matter, in a sentence.

use crate::observation::{Observation, PartObservation};

/// The bottleneck's own, or how far from being one the busiest part is. Names stand between backticks.
pub(super) fn sentence(seen: &Observation) -> String {
    if let Some(bottleneck) = &seen.bottleneck {
        return format!("{}.", bottleneck.sentence);
    }
    let busy = |part: &PartObservation| part.shares.map(|shares| shares.busy);
    let busiest = seen.parts.iter().filter_map(|part| Some((&part.name, busy(part)?)));
    match busiest.max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((_, busy)) if busy < 0.01 => "Nothing is held up; every part waits for input.".into(),
        Some((name, busy)) => format!("Nothing is held up; the busiest is `{name}`, with {:.0} %.", busy * 100.0),
        None => "No part has told yet where its time goes.".into(),
    }
}
