//! Looking although no page is open.

use std::sync::Arc;

use super::hub::Hub;

/// While this lives the dashboard samples, whether a page is open or not. See [`Dashboard::record`](super::Dashboard::record).
#[derive(Debug)]
#[must_use = "it records only as long as this lives"]
pub struct Recording {
    hub: Arc<Hub>,
}

impl Recording {
    pub(super) const fn of(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.hub.record_no_more();
    }
}
