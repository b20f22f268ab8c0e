//! What pages are told, on a paused clock.

mod made;
mod page;
mod sampler;
mod scrape;
mod told;
