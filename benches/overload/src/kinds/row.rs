//! A world under all limiters.

use std::time::Duration;

use anyhow::Result;

use super::simulation::{Run, Tally};
use super::world::World;
use crate::policy::Policy;

/// What is known from elsewhere.
pub const PEERS: [Policy; 3] = [Policy::Aimd, Policy::Vegas, Policy::Gradient];
/// Where [`Policy::Aimd`] is among them.
pub const AIMD: usize = 0;

/// The static limits among which the best is looked for.
const STATIC: [usize; 14] = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1000, 4000];

/// A world of a kind, under all limiters.
#[derive(Debug)]
pub struct Row {
    pub ours: Tally,
    pub peers: [Tally; PEERS.len()],
    /// The best static limit in hindsight.
    pub limit: usize,
    pub fixed: Tally,
}

impl Row {
    /// Runs it with this seed.
    pub fn of(world: &World, seed: u64) -> Result<Self> {
        // Whose answers are never good is there to be counted out.
        let deadlines = world.classes.iter().map(|class| class.deadline()).filter(|&deadline| deadline > 0);
        let soonest = deadlines.min().unwrap_or_default();
        let tally =
            |policy| -> Result<Tally> { Ok(Run::new(world, policy, seed, Duration::from_nanos(soonest / 2))?.run()) };
        let ours = tally(world.ours)?;
        let peers = PEERS.map(tally);
        let [aimd, vegas, gradient] = peers;
        let mut best = (0, Tally::default());
        for limit in STATIC {
            let fixed = tally(Policy::Guess(limit))?;
            if fixed.goodput > best.1.goodput {
                best = (limit, fixed);
            }
        }
        Ok(Self { ours, peers: [aimd?, vegas?, gradient?], limit: best.0, fixed: best.1 })
    }

    /// The best of all others, in good answers a second.
    pub fn best(&self) -> f64 {
        self.peers.iter().map(|peer| peer.goodput).fold(self.fixed.goodput, f64::max)
    }
}
