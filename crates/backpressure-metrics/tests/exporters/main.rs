//! What the exporters make of the metrics: measured, and told in `docs/metrics.md`.

mod facade;
mod names;
mod otel;
mod parts;
