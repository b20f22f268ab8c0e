//! Runs every server with its clients. Each checks what it shows, so one that runs to its end has passed.
//!
//! One after the other: they are about load, and share what there is of cores.

mod support;

use std::sync::Mutex;

use support::run;

static CORES: Mutex<()> = Mutex::new(());

macro_rules! servers {
    ($($test:ident = $name:literal says $words:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            let printed = {
                let _turn = CORES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                run($name)
            };
            assert!(printed.contains($words), "it explains itself: {printed}");
        }
    )+};
}

servers! {
    axum_ingest = "axum-ingest" says "as many as lines were accepted",
    axum_adaptive = "axum-adaptive" says "shut down in",
    batch_lookup = "batch-lookup" says "times as many requests",
    batch_grpc = "batch-grpc" says "times as many requests",
    tonic_client = "tonic-client" says "as many calls were done as were answered",
    reqwest_client = "reqwest-client" says "as many posts were done as were answered",
    tonic_ingest = "tonic-ingest" says "as many as readings were accepted",
}
