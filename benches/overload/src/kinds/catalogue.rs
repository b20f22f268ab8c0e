//! The kinds of work. Each is a family: a seed draws the parameters.

use backpressure_core::limit::{Criticality, Level};

use super::world::{Callers, Class, Fate, World};
use crate::policy::Policy;
use crate::random::{Random, Spread};

/// A kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// Whether there is room for all, so that nobody should be refused.
    pub has_room: bool,
    make: fn(&mut Draw) -> World,
}

impl Kind {
    /// The world of a seed.
    pub fn world(&self, seed: u64) -> World {
        // With and without something told it is the same world.
        let name = self.name.trim_end_matches(", classes told").trim_end_matches(", told what is late");
        let number = name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        (self.make)(&mut Draw(Random::new(seed, 1000 + number)))
    }
}

/// Draws parameters.
struct Draw(Random);

impl Draw {
    /// From `low` to `high`, with equal ratios equally likely.
    fn from(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.0.unit())
    }

    fn whole(&mut self, low: usize, high: usize) -> usize {
        low + (self.0.unit() * (high - low + 1) as f64) as usize
    }

    /// A server that does one thing: some milliseconds of CPU, some of waiting.
    fn plain(&mut self) -> World {
        let cores = self.whole(1, 8);
        World::new(cores, self.from(1.0, 4.0), self.from(3.0, 30.0))
    }
}

const fn kind(name: &'static str, has_room: bool, make: fn(&mut Draw) -> World) -> Kind {
    Kind { name, has_room, make }
}

pub const KINDS: [Kind; 33] = [
    kind("plain, 0.8", true, |draw| draw.plain().at_load(0.8)),
    kind("plain, 2", false, |draw| draw.plain().at_load(2.0)),
    kind("very fast, 2", false, |draw| World::new(2, draw.from(0.1, 0.3), 0.5).at_load(2.0).measured(2.0, 5.0)),
    kind("mixed I/O, 0.8", true, |draw| mixed_io(draw).at_load(0.8)),
    kind("mixed I/O, 2", false, |draw| mixed_io(draw).at_load(2.0)),
    kind("mixed CPU, 0.7", true, |draw| mixed_cpu(draw).at_load(0.7)),
    kind("mixed CPU, 3", false, |draw| mixed_cpu(draw).at_load(3.0)),
    kind("mixed CPU, 3, classes told", false, |draw| World { tells_class: true, ..mixed_cpu(draw).at_load(3.0) }),
    kind("heavy tail, 0.7", true, |draw| heavy(draw).at_load(0.7)),
    kind("heavy tail, 3", false, |draw| heavy(draw).at_load(3.0)),
    kind("a pool for some, 2", false, |draw| pooled(draw).at_load(2.0)),
    kind("a pool for some, 2, classes told", false, |draw| World { tells_class: true, ..pooled(draw).at_load(2.0) }),
    kind("a pool fills", false, filling),
    kind("a pool fills, classes told", false, |draw| World { tells_class: true, ..filling(draw) }),
    kind("a pool for all, 3", false, |draw| World { pool: draw.whole(4, 40), ..all_pooled(draw) }.at_load(3.0)),
    kind("dead backend, timeouts", true, |draw| {
        let after = draw.from(500.0, 3000.0);
        dead(draw, after)
    }),
    kind("dead backend, timeouts, classes told", true, |draw| {
        let after = draw.from(500.0, 3000.0);
        World { tells_class: true, ..dead(draw, after) }
    }),
    kind("dead backend, errors", true, |draw| {
        let after = draw.from(0.5, 5.0);
        dead(draw, after)
    }),
    kind("rare pages", true, |draw| {
        let world = World::new(draw.whole(2, 4), draw.from(1.0, 4.0), draw.from(5.0, 20.0));
        World { callers: Callers::Open { page: 20 }, ..world.at_load(draw.from(0.05, 0.2)) }.measured(5.0, 40.0)
    }),
    kind("bursts", true, |draw| World { tells_deadline: false, ..bursts(draw) }),
    kind("bursts, deadlines told", true, bursts),
    kind("pauses, 0.7", true, |draw| World { tells_deadline: false, ..pauses(draw) }),
    kind("pauses, deadlines told", true, pauses),
    kind("calls of two seconds, 2", false, |draw| {
        let wait = draw.from(1500.0, 2500.0);
        World::new(draw.whole(1, 4), draw.from(20.0, 100.0), wait).at_load(2.0).measured(0.0, 60.0)
    }),
    kind("cold start", true, |draw| {
        let wait = draw.from(50.0, 200.0);
        let world = World::new(4, 1.0, wait);
        let load = draw.from(150.0, 300.0) / (wait / 1000.0) / world.capacity();
        world.at_load(load.min(0.8)).measured(0.0, 5.0)
    }),
    kind("longer waits, 4 times", true, |draw| longer(draw, 4.0)),
    kind("longer waits, 15 times", true, |draw| longer(draw, 15.0)),
    kind("256 connections, first half second", false, |draw| {
        let world = World::new(4, 0.01, draw.from(0.8, 3.0)).at_load(0.5);
        World { callers: Callers::Closed { connections: 256 }, ..world }.measured(0.0, 0.5)
    }),
    kind("a tenant's flood, the others", false, |draw| flood(draw).0),
    kind("a tenant's flood, levels by usage", false, |draw| by_usage(flood(draw).0)),
    kind("ten clients, 3", false, |draw| clients(draw, Policy::Fast)),
    kind("ten clients, 3, told what is late", false, |draw| clients(draw, Policy::AimdOfMany)),
    kind("a step of capacity", false, |draw| {
        let world = draw.plain();
        let load = 0.8 * world.capacity();
        World { load: vec![(0.0, load)], speed: vec![(0.0, 1.0), (10.0, 0.5), (20.0, 1.0)], ..world }
            .measured(8.0, 30.0)
    }),
];

/// Most calls take some milliseconds, a few per cent of them half a second.
fn mixed_io(draw: &mut Draw) -> World {
    let world = World::new(draw.whole(1, 4), draw.from(0.5, 2.0), draw.from(2.0, 10.0));
    let wait = draw.from(250.0, 800.0);
    let slow = Class {
        share: draw.from(0.02, 0.15),
        wait: Spread::Even { mean: wait },
        deadline: 100.0 + 3.0 * wait,
        ..world.classes[0]
    };
    world.with(slow)
}

fn mixed_cpu(draw: &mut Draw) -> World {
    let world = World::new(draw.whole(2, 8), draw.from(0.5, 2.0), draw.from(0.5, 5.0));
    let cpu = draw.from(10.0, 60.0);
    let slow = Class {
        share: draw.from(0.03, 0.15),
        cpu: Spread::Even { mean: cpu },
        deadline: 100.0 + 3.0 * cpu,
        ..world.classes[0]
    };
    world.with(slow)
}

fn heavy(draw: &mut Draw) -> World {
    let mut world = World::new(draw.whole(2, 8), 1.0, draw.from(3.0, 30.0));
    world.classes[0].cpu = Spread::Tail { shape: 1.5, min: draw.from(0.4, 1.0), max: 200.0 };
    world.classes[0].deadline = 300.0;
    world
}

/// Some calls need a worker of a pool, which is what there is too little of.
fn pooled(draw: &mut Draw) -> World {
    let world = World::new(4, 0.2, draw.from(1.0, 5.0));
    let wait = draw.from(10.0, 40.0);
    let slow = Class {
        share: draw.from(0.15, 0.5),
        wait: Spread::Even { mean: wait },
        is_pooled: true,
        deadline: 100.0 + 3.0 * wait,
        ..world.classes[0]
    };
    World { pool: draw.whole(4, 16), ..world }.with(slow)
}

/// At first there are enough workers.
fn filling(draw: &mut Draw) -> World {
    let world = pooled(draw);
    let capacity = world.capacity();
    World { load: vec![(0.0, 0.5 * capacity), (5.0, 2.0 * capacity)], ..world }
}

fn all_pooled(draw: &mut Draw) -> World {
    let mut world = World::new(2, 0.1, draw.from(5.0, 20.0));
    world.classes[0].is_pooled = true;
    world
}

/// One backend of several is dead.
fn dead(draw: &mut Draw, after: f64) -> World {
    let world = draw.plain();
    let class = Class { share: draw.from(0.1, 0.35), fate: Fate::Fails { after }, ..world.classes[0] };
    world.with(class).at_load(0.7)
}

/// Ten times the usual load for half a second, every five.
fn bursts(draw: &mut Draw) -> World {
    let mut world = draw.plain();
    let usual = draw.from(0.1, 0.25) * world.capacity();
    world.load =
        (0..12).flat_map(|n| [(f64::from(n) * 5.0, 10.0 * usual), (f64::from(n) * 5.0 + 0.5, usual)]).collect();
    world.load[0].1 = usual;
    world.classes[0].deadline = draw.from(3000.0, 6000.0);
    World { tells_deadline: true, ..world }.measured(2.0, 32.0)
}

fn pauses(draw: &mut Draw) -> World {
    let mut world = draw.plain();
    world.classes[0].deadline = draw.from(1500.0, 4000.0);
    World { pause: Some((draw.from(0.2, 0.4), 3.0)), tells_deadline: true, ..world.at_load(0.7) }.measured(2.0, 30.0)
}

/// Each of ten clients limits what it has in flight at a server that all share, and that has no limit of its own.
fn clients(draw: &mut Draw, ours: Policy) -> World {
    World { clients: 10, ours, ..draw.plain().at_load(3.0) }
}

/// Ten tenants and a flood by another, whose calls are ranked behind theirs: as the ten see it, and as the flooder does.
fn flood(draw: &mut Draw) -> (World, World) {
    let world = draw.plain();
    let (theirs, flood) = (draw.from(0.5, 0.8), draw.from(1.0, 3.0));
    let flooder =
        Class { level: Level::new(Criticality::Critical, 1), share: flood / (theirs + flood), ..world.classes[0] };
    let (mut theirs_only, mut flood_only) = (world.clone().with(flooder), world.with(flooder));
    theirs_only.classes[1].deadline = 0.0;
    flood_only.classes[0].deadline = 0.0;
    (theirs_only.at_load(theirs + flood), flood_only.at_load(theirs + flood))
}

/// Nobody is told who floods.
fn by_usage(mut world: World) -> World {
    world.classes[0].tenants = 10;
    World { by_usage: true, ..world }
}

fn longer(draw: &mut Draw, times: f64) -> World {
    let mut world = World::new(draw.whole(2, 8), draw.from(1.0, 3.0), draw.from(10.0, 25.0));
    world.classes[0].deadline = 1000.0;
    World { longer: vec![(0.0, 1.0), (10.0, times)], ..world.at_load(0.7) }.measured(8.0, 25.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::simulation::Run;
    use super::*;

    #[test]
    fn a_flood_by_one_tenant_costs_the_others_nothing_and_wastes_nothing() {
        for (seed, of) in (1..=4).flat_map(|seed| [(seed, by_usage as fn(World) -> World), (seed, |world| world)]) {
            let (theirs, floods) = flood(&mut Draw(Random::new(seed, 0)));
            let (theirs, floods) = (of(theirs), of(floods));
            let goodput = |world: &World| {
                Run::new(world, Policy::Fast, seed, Duration::ZERO).map(|run| run.run().goodput).unwrap_or_default()
            };
            let (capacity, offered) = (theirs.capacity(), theirs.load[0].1 * theirs.classes[0].share);
            let (others, flooder) = (goodput(&theirs), goodput(&floods));
            assert!(others > 0.97 * offered, "{seed}: {others} of {offered}");
            assert!(others + flooder > 0.93 * capacity, "{seed}: {others} + {flooder} of {capacity}");
        }
    }

    #[test]
    fn clients_that_know_what_is_too_late_share_a_server_evenly_and_keep_it_busy() {
        let kind = KINDS.into_iter().find(|kind| kind.name == "ten clients, 3, told what is late").unwrap();
        for seed in super::super::TUNING_SEEDS {
            let world = World { to: 15.0, ..kind.world(seed) };
            let too_late = Duration::from_nanos(world.classes[0].deadline() / 2);
            let tally = Run::new(&world, world.ours, seed, too_late).unwrap().run();
            assert!(tally.goodput > 0.95 * world.capacity(), "{seed}: {} of {}", tally.goodput, world.capacity());
            assert!(tally.fairness.is_some_and(|index| index > 0.95), "{seed}: {:?}", tally.fairness);
        }
    }
}
