//! How much processor time processes have used, where the system tells.

use std::fs;
use std::time::Duration;

/// What this program and a server have used so far; a part that is not known stays 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) here: Duration,
    pub(crate) server: Duration,
}

impl Used {
    pub(crate) fn now(server: Option<u32>) -> Self {
        let server = server.and_then(|id| of(&id.to_string()));
        Self { here: of("self").unwrap_or_default(), server: server.unwrap_or_default() }
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self { here: self.here.saturating_sub(before.here), server: self.server.saturating_sub(before.server) }
    }
}

/// Linux counts it in hundredths of a second, in the 14th and 15th field. The second, the name, is in parentheses.
fn of(process: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(14)? + ticks(15)?)))
}
