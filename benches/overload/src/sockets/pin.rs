//! Where a process runs.

/// Keeps this thread on the core of that number, as far as there is one and the system lets us.
pub(super) fn pin(core: usize) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(id) = cores.get(core % cores.len().max(1)) {
        core_affinity::set_for_current(*id);
    }
}
