//! What must hold whatever breaks: told once, and played before a model of the server in simulated time and before real servers.

pub(crate) mod bounds;
pub(crate) mod database;
pub(crate) mod failures;
pub(crate) mod outages;
pub(crate) mod world;
