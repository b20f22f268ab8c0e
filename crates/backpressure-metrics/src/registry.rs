//! The parts of a pipeline, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use backpressure_core::{Family, Instrument, Stage, bottleneck};

use crate::error::RegisterError;
use crate::links::Links;
use crate::name::{check_family, check_part};
use crate::observation::{Observation, PartObservation};
use crate::prometheus::exposed_name;
use crate::slot::{Slot, Source};

/// The parts of a pipeline: named, and linked. A handle: clones are the same registry.
///
/// ```
/// use std::time::Instant;
/// use backpressure_core::{BackpressureConfig, Recorder, State};
/// use backpressure_metrics::Registry;
///
/// let config = BackpressureConfig::default();
/// let [parse, db] = [(); 2].map(|()| Recorder::new(&config, Instant::now, false));
///
/// let registry = Registry::new();
/// let from = registry.add("parse", parse.gauge())?;
/// let to = registry.add("db", db.gauge())?;
/// registry.link(&from, &to)?;
///
/// let seen = registry.observe(Instant::now());
/// assert_eq!(seen.part("db").unwrap().state(), Some(State::Normal));
/// assert_eq!(seen.links, [(0, 1)]);
/// assert!(registry.add("db", db.gauge()).is_err());
/// # Ok::<(), backpressure_metrics::RegisterError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    parts: Arc<Mutex<Parts>>,
}

#[derive(Default)]
struct Parts {
    slots: Vec<Slot>,
    by_name: HashMap<Arc<str>, usize>,
    links: Links,
    /// The metrics that are in use, by the names under which they are exposed.
    families: HashMap<String, &'static Family>,
}

/// A part in a [`Registry`]: what to [link](Registry::link), or to [remove](Self::remove). Dropping it changes nothing.
#[derive(Clone)]
pub struct Part {
    registry: Registry,
    name: Arc<str>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part under a name of its own. If it has a gauge, [the time it spends](backpressure_core::Gauge::time_work) is
    /// taken from now on.
    ///
    /// The name of a part that has ended, or was [removed](Part::remove), is free again. What counts goes on from where
    /// that one stopped, so that nobody sees a counter go back; and links to it are links to the new one. So a name is kept for as
    /// long as the registry, with what was counted under it: name parts by what they do, not by whom they serve.
    ///
    /// # Errors
    ///
    /// A name that is taken, or that no exporter could carry: an empty one, one of more than 200 bytes, with control characters, or with
    /// white space at its ends. And metrics of the part's own whose names or units would clash or not be understood.
    pub fn add(&self, name: &str, instrument: impl Instrument + 'static) -> Result<Part, RegisterError> {
        self.add_shared(name, Arc::new(instrument))
    }

    fn add_shared(&self, name: &str, instrument: Arc<dyn Instrument>) -> Result<Part, RegisterError> {
        check_part(name)?;
        // Instruments are others' code, so they are read without the lock.
        let families: Vec<_> = instrument.read().metrics().map(|metric| metric.family).collect();
        let gauge = instrument.gauge();
        let known = self.lock().source(name);
        let same = known.as_ref().zip(gauge.as_ref()).map_or_else(Vec::new, |(known, gauge)| known.same(gauge));
        let occupant = known.and_then(|known| known.current);
        let has_ended = occupant.as_ref().is_none_or(|occupant| occupant.read().ended);
        let duplicate = || RegisterError::Duplicate { name: name.into() };
        if !has_ended {
            return Err(duplicate());
        }
        let mut parts = self.lock();
        // Unless somebody else came first.
        let is_as_before = match (parts.occupant(name), &occupant) {
            (Some(now), Some(then)) => Arc::ptr_eq(&now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        if !is_as_before {
            return Err(duplicate());
        }
        parts.admit(name, &families)?;
        let part = Part { registry: self.clone(), name: parts.place(name, instrument, &same) };
        let neighbours = parts.neighbours(&part.name);
        drop(parts);
        if let Some(gauge) = gauge {
            gauge.time_work();
        }
        neighbours.into_iter().for_each(|(from, to)| feed(&from, &to));
        Ok(part)
    }

    /// Says that `from` feeds `to`: while producers wait for room in `to`, and `from` works, `from` is blocked. To say it
    /// again changes nothing.
    ///
    /// # Errors
    ///
    /// A link that would close a cycle, and a part that is not in this registry any more, or never was.
    pub fn link(&self, from: &Part, to: &Part) -> Result<(), RegisterError> {
        let mut parts = self.lock();
        let [from, to] = [parts.index(self, from)?, parts.index(self, to)?];
        if parts.links.contains(from, to) {
            return Ok(());
        }
        if let Some(path) = parts.links.path(to, from) {
            let path = path.into_iter().map(|slot| parts.slots[slot].name.to_string()).collect();
            return Err(RegisterError::Cycle { path });
        }
        parts.links.add(from, to);
        let ends = [from, to].map(|slot| parts.slots[slot].source.current.clone());
        drop(parts);
        if let [Some(from), Some(to)] = ends {
            feed(&from, &to);
        }
        Ok(())
    }

    /// How all parts are now. It takes no lock that a part needs for its work.
    ///
    /// `now` is for the shares of the recent past; a `now` that repeats or goes backwards is harmless. Any number of
    /// readers may observe, each at its own pace.
    pub fn observe(&self, now: Instant) -> Observation {
        let sources: Vec<(Arc<str>, Source)> = {
            let parts = self.lock();
            parts.slots.iter().map(|slot| (Arc::clone(&slot.name), slot.source.clone())).collect()
        };
        let mut seen = Vec::with_capacity(sources.len());
        let mut places = Vec::with_capacity(sources.len());
        let mut settled = Vec::new();
        for (slot, (name, source)) in sources.iter().enumerate() {
            let reading = source.read(|earlier, reading| settled.push((slot, earlier, reading)));
            places.push(reading.is_some().then_some(seen.len()));
            seen.extend(reading.map(|reading| PartObservation::new(Arc::clone(name), reading)));
        }
        let mut parts = self.lock();
        settled.iter().for_each(|(slot, earlier, reading)| parts.slots[*slot].fold(earlier, reading));
        for (slot, place) in parts.slots.iter_mut().zip(&places) {
            let part = place.and_then(|place| seen.get_mut(place)).filter(|part| !part.ended());
            if let Some(part) = part {
                part.shares = slot.shares(now, &part.reading);
            }
        }
        // Those that came meanwhile have no place yet.
        let place = |slot: usize| *places.get(slot)?;
        let links: Vec<_> =
            parts.links.all().iter().filter_map(|&(from, to)| Some((place(from)?, place(to)?))).collect();
        drop(parts);
        let stages: Vec<_> = seen.iter().map(|part| Stage { name: &part.name, shares: part.shares }).collect();
        let bottleneck = bottleneck(&stages, &links);
        Observation { parts: seen, links, bottleneck }
    }

    /// Nothing under this lock runs the user's code.
    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes it out of the registry: it is observed no more. What it has counted is kept for a part that comes under the
    /// same name.
    pub fn remove(&self) {
        let mut parts = self.registry.lock();
        if let Some(&slot) = parts.by_name.get(&self.name) {
            parts.slots[slot].replace(None);
        }
    }
}

impl Parts {
    fn source(&self, name: &str) -> Option<Source> {
        Some(self.slots[*self.by_name.get(name)?].source.clone())
    }

    fn occupant(&self, name: &str) -> Option<Arc<dyn Instrument>> {
        self.slots[*self.by_name.get(name)?].source.current.clone()
    }

    /// Notes the metrics of a part that is about to come.
    fn admit(&mut self, part: &str, families: &[&'static Family]) -> Result<(), RegisterError> {
        for &family in families {
            let refused = |must| RegisterError::Metric { part: part.into(), metric: family.name, must };
            check_family(family).map_err(refused)?;
            match self.families.get(&exposed_name(family)) {
                Some(known) if *known != family => {
                    return Err(refused("not have the name of another metric with another unit, kind or text"));
                }
                _ => {}
            }
        }
        self.families.extend(families.iter().map(|&family| (exposed_name(family), family)));
        Ok(())
    }

    /// Puts a part into its place, which it had before as the `same`.
    fn place(&mut self, name: &str, instrument: Arc<dyn Instrument>, same: &[Arc<dyn Instrument>]) -> Arc<str> {
        if let Some(&slot) = self.by_name.get(name) {
            self.slots[slot].comes_back(same);
            self.slots[slot].replace(Some(instrument));
            return Arc::clone(&self.slots[slot].name);
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), self.slots.len());
        self.slots.push(Slot::new(Arc::clone(&name), instrument));
        name
    }

    /// The links of a part, as pairs of instruments.
    fn neighbours(&self, name: &str) -> Vec<(Arc<dyn Instrument>, Arc<dyn Instrument>)> {
        let Some(&slot) = self.by_name.get(name) else { return Vec::new() };
        let current = |slot: usize| self.slots[slot].source.current.clone();
        self.links.of(slot).filter_map(|(from, to)| Some((current(from)?, current(to)?))).collect()
    }

    fn index(&self, registry: &Registry, part: &Part) -> Result<usize, RegisterError> {
        let found = self.by_name.get(&part.name).filter(|_| Arc::ptr_eq(&registry.parts, &part.registry.parts));
        let found = found.filter(|slot| self.slots[**slot].source.current.is_some());
        found.copied().ok_or_else(|| RegisterError::Unknown { name: part.name.to_string() })
    }
}

fn feed(from: &Arc<dyn Instrument>, to: &Arc<dyn Instrument>) {
    if let (Some(from), Some(to)) = (from.gauge(), to.gauge()) {
        from.feeds(&to);
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("parts", &self.lock().slots.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.name).finish()
    }
}
