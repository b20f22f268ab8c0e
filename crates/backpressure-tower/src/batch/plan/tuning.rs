//! How many batches may be with the inner service, how large they are, and how long they wait: given, or learned from each.

use std::time::{Duration, Instant};

use backpressure_core::limit::{Limit, Sampler};
use backpressure_core::{BatchSizer, FlushPacer};

use super::config::BatcherConfig;
use super::settings::Settings;

pub(crate) struct Tuning {
    concurrency: Concurrency,
    pacer: Option<FlushPacer>,
    sizer: Option<BatchSizer>,
    pub(crate) max_items: usize,
    pub(crate) linger: Duration,
}

enum Concurrency {
    Fixed(usize),
    Adaptive(Box<dyn Limit>, Box<Sampler>),
}

impl Tuning {
    pub(crate) fn new<Req, Resp>(settings: &Settings<Req, Resp>, now: Instant) -> Self {
        let (pacer, sizer) = (settings.pacer.clone(), settings.sizer.clone());
        let concurrency = match &settings.hooks.limit {
            Some(make) => Concurrency::Adaptive(make(), Box::new(Sampler::new(now))),
            None => Concurrency::Fixed(settings.config.concurrency),
        };
        let max_items = sizer.as_ref().map_or(settings.config.max_items, BatchSizer::limit);
        let linger = pacer.as_ref().map_or(settings.config.linger, FlushPacer::interval);
        Self { concurrency, pacer, sizer, max_items, linger }
    }

    /// Takes the numbers of a configuration in place of those that were given. What was learned is kept, in the new bounds.
    pub(crate) fn reconfigure(&mut self, config: &BatcherConfig) {
        if let Concurrency::Fixed(limit) = &mut self.concurrency {
            *limit = config.concurrency;
        }
        if let Some(sizer) = &mut self.sizer {
            sizer.set_max(config.max_items);
        }
        self.max_items = self.sizer.as_ref().map_or(config.max_items, BatchSizer::limit);
        self.linger = self.pacer.as_ref().map_or(config.linger, FlushPacer::interval);
    }

    /// How many batches may be out. At least one, or nothing would ever be learned.
    pub(crate) fn concurrency(&self) -> usize {
        match &self.concurrency {
            Concurrency::Fixed(limit) => *limit,
            Concurrency::Adaptive(limit, _) => limit.limit().max(1),
        }
    }

    /// Whether it learns from how long batches take.
    pub(crate) const fn learns(&self) -> bool {
        matches!(self.concurrency, Concurrency::Adaptive(..)) || self.pacer.is_some() || self.sizer.is_some()
    }

    /// A batch went out; so many are out now.
    pub(crate) fn dispatched(&mut self, now: Instant, in_flight: usize) {
        if let Concurrency::Adaptive(limit, sampler) = &mut self.concurrency {
            sampler.in_flight(now, in_flight, limit.limit());
        }
    }

    /// A batch came back after this latency, or was dropped (`None`); so many are out now.
    pub(crate) fn returned(&mut self, now: Instant, latency: Option<Duration>, in_flight: usize) {
        let Concurrency::Adaptive(limit, sampler) = &mut self.concurrency else { return };
        if let Some(latency) = latency {
            sampler.timed(latency, Duration::ZERO);
        }
        sampler.departed(1, 0);
        sampler.in_flight(now, in_flight, limit.limit());
        if let Some(window) = sampler.close(now) {
            limit.update(&window);
        }
    }

    /// Learns size and linger from a batch of so many requests. Tells whether it may have changed them.
    pub(crate) fn learn(&mut self, requests: usize, latency: Duration) -> bool {
        if let Some(sizer) = &mut self.sizer {
            sizer.record(requests, latency);
            self.max_items = sizer.limit();
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.record(latency);
            self.linger = pacer.interval();
        }
        self.pacer.is_some() || self.sizer.is_some()
    }
}
