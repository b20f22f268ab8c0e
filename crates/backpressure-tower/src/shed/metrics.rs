//! What a layer tells about itself, beyond what its gauge says.

use backpressure_core::{Family, Gauge, Instrument, Metric, Reading, State};

use super::handle::ShedHandle;
use crate::overloaded::ShedReason;

static SHED: Family = Family::counter("backpressure.call.shed", "{call}", "Calls that were shed.").by("error.type");
static WOULD_SHED: Family = Family::counter(
    "backpressure.call.would_shed",
    "{call}",
    "Calls that would have been shed, had the layer not been a shadow.",
)
.by("error.type");
static BYPASSED: Family = Family::counter("backpressure.call.bypassed", "{call}", "Calls that went by the layer.");
static PROBES: Family =
    Family::counter("backpressure.call.probes", "{call}", "Calls that passed as probes while the others were shed.");
static LINGERING: Family =
    Family::gauge("backpressure.call.lingering", "{call}", "Requests that are read on after they were shed.");

/// The gauge of the layer's limiter, but the [state](ShedHandle::state) by which calls are decided; and what was shed for
/// which reason. It takes no lock that calls need.
///
/// Ended once the layer has [drained](ShedHandle::drain), or nothing else is left of it.
impl Instrument for ShedHandle {
    fn read(&self) -> Reading {
        let counts = self.counts();
        let mut snapshot = self.gauge().snapshot();
        snapshot.state = self.state();
        let on_hand = snapshot.counts.in_flight + snapshot.counts.queued + snapshot.streams as u64;
        let has_drained = snapshot.state == State::Draining && !self.is_ready() && on_hand == 0;
        let mut reading = Reading::of(snapshot);
        for reason in ShedReason::ALL {
            reading = reading.with(Metric::count(&SHED, counts.shed(reason)).with(reason.as_str()));
            if self.is_shadow() || counts.would_shed(reason) > 0 {
                reading = reading.with(Metric::count(&WOULD_SHED, counts.would_shed(reason)).with(reason.as_str()));
            }
        }
        reading.ended |= has_drained || self.is_alone();
        reading
            .with(Metric::count(&BYPASSED, counts.bypassed))
            .with(Metric::count(&PROBES, counts.probes))
            .with(Metric::count(&LINGERING, self.lingering().now as u64))
    }

    fn gauge(&self) -> Option<Gauge> {
        Some(Self::gauge(self))
    }
}
