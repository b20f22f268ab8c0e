//! An event on every change of the pressure state.

use backpressure_core::{Gauge, State};

pub(crate) async fn trace_states(gauge: Gauge) {
    let mut state = gauge.state();
    while state != State::Draining {
        let next = gauge.changed_from(state).await;
        let utilization = gauge.utilization();
        match next {
            State::Critical | State::Blocked => {
                tracing::warn!(from = %state, to = %next, utilization, "backpressure");
            }
            State::Normal | State::Elevated | State::Draining => {
                tracing::info!(from = %state, to = %next, utilization, "backpressure");
            }
        }
        state = next;
    }
}
