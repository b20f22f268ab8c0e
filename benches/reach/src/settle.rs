//! When a producer stands still.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::fate::Fate;
use crate::reach::{LIMIT, Reach};

/// A producer whose count has not grown for so long stands still.
pub const STILL: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);
/// A producer that goes on for longer than this, however slowly, does not stand still.
pub const LONGEST: Duration = Duration::from_secs(30);

pub async fn settled(reach: &Reach) -> Result<Fate> {
    let (mut seen, mut still, mut waited) = (0, Duration::ZERO, Duration::ZERO);
    while waited < LONGEST {
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
        let made = reach.made();
        if made >= LIMIT {
            return Ok(Fate::NoBound);
        }
        if reach.lost().is_some() {
            return Ok(Fate::Lost(made));
        }
        still = if made == seen { still + LOOK } else { Duration::ZERO };
        seen = made;
        if made > 0 && still >= STILL {
            return Ok(Fate::Stands(made));
        }
    }
    ensure!(seen > 0, "in {LONGEST:?} nothing has left the producer");
    Ok(Fate::NoBound)
}
