//! How long it takes to do well again after the server has changed.

use super::world::{World, at};
use crate::clock::{MS, Nanos, SECOND};

const BIN: Nanos = 100 * MS;
const BINS_A_SECOND: usize = (SECOND / BIN) as usize;
/// Seconds that are judged together. A probe can cost a tenth of one second, which is no relapse.
const SPAN: usize = 2;

/// What becomes of the calls of each tenth of a second.
#[derive(Debug, Default)]
pub struct Recovery {
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    calls: u32,
    good: u32,
}

impl Recovery {
    pub fn called(&mut self, now: Nanos) {
        self.bin(now).calls += 1;
    }

    /// There is a good answer to a call that was made at `called`.
    pub fn answered(&mut self, called: Nanos) {
        self.bin(called).good += 1;
    }

    fn bin(&mut self, called: Nanos) -> &mut Bin {
        let bin = (called / BIN) as usize;
        if self.bins.len() <= bin {
            self.bins.resize(bin + 1, Bin::default());
        }
        &mut self.bins[bin]
    }

    /// Seconds from a change of the server until it is back for good: any two seconds from then to the next change have
    /// 0.9 of the good answers that there is room for. The longest of all changes, infinite if it is not back before the next one,
    /// `None` if nothing changes.
    pub fn longest(&self, world: &World) -> Option<f64> {
        let mut changes: Vec<f64> = world.speed.iter().chain(&world.longer).map(|(from, _)| *from).collect();
        changes.retain(|&from| from > world.from);
        changes.sort_by(f64::total_cmp);
        let ends = changes.iter().skip(1).copied().chain([world.to]);
        let times = changes.iter().zip(ends).map(|(&from, to)| self.after(world, from, to));
        times.reduce(f64::max)
    }

    fn after(&self, world: &World, from: f64, to: f64) -> f64 {
        let capacity = world.capacity() * at(&world.speed, from) * SPAN as f64;
        let is_back = |span: &[Bin]| {
            let sum = |of: fn(&Bin) -> u32| f64::from(span.iter().map(of).sum::<u32>());
            sum(|bin| bin.good) >= 0.9 * sum(|bin| bin.calls).min(capacity)
        };
        let bin = |seconds: f64| ((seconds * BINS_A_SECOND as f64) as usize).min(self.bins.len());
        let spans = self.bins[bin(from)..bin(to)].windows(SPAN * BINS_A_SECOND);
        let count = spans.len();
        match spans.map(is_back).rposition(|back| !back) {
            None => 0.0,
            Some(last) if last + 1 == count => f64::INFINITY,
            Some(last) => (last + 1) as f64 / BINS_A_SECOND as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 80 calls a second at a server that can do 100, but half of it from the sixth second to the eighth.
    fn world() -> World {
        let world = World::new(1, 10.0, 0.0).at_load(0.8).measured(5.0, 12.0);
        World { speed: vec![(0.0, 1.0), (6.0, 0.5), (8.0, 1.0)], ..world }
    }

    /// Good answers to all calls but one in `one_in`, from each of these seconds on.
    fn recovery(phases: &[(f64, u64)]) -> Recovery {
        let mut recovery = Recovery::default();
        for n in 0..12 * 80 {
            let called = n * SECOND / 80;
            recovery.called(called);
            let phase = phases.iter().rev().find(|(from, _)| called as f64 >= from * SECOND as f64);
            if phase.is_some_and(|(_, one_in)| n % one_in != 0) {
                recovery.answered(called);
            }
        }
        recovery
    }

    #[test]
    fn it_is_back_once_any_two_seconds_have_nine_tenths_of_what_there_is_room_for() {
        let longest = |phases: &[(f64, u64)]| recovery(phases).longest(&world());
        let [all, none, half, two_thirds] = [80, 1, 2, 3];
        assert_eq!(longest(&[(0.0, all), (6.0, two_thirds), (8.0, all)]), Some(0.0), "there is room for 50 of 80");
        assert_eq!(longest(&[(0.0, all), (6.0, two_thirds), (8.0, none), (8.5, all)]), Some(0.4));
        let relapse = [(0.0, all), (6.0, two_thirds), (8.0, all), (9.0, none), (9.5, all)];
        assert_eq!(longest(&relapse), Some(1.4), "what comes before a relapse is not for good");
        assert_eq!(longest(&[(0.0, all), (6.0, half), (8.0, all)]), Some(f64::INFINITY), "40 is too little");
    }

    #[test]
    fn without_a_change_there_is_nothing_to_be_back_from() {
        let steady = World { speed: vec![(0.0, 1.0)], ..world() };
        assert_eq!(recovery(&[(0.0, 80)]).longest(&steady), None);
    }
}
