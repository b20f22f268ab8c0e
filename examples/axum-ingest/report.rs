//! Four lines a second.

use std::time::{Duration, Instant};

use backpressure::Gauge;
use backpressure_tower::ShedHandle;
use tokio::task::JoinHandle;

use crate::server::Server;

/// Prints how things are until it is finished.
#[derive(Debug)]
pub(crate) struct Timeline {
    task: JoinHandle<()>,
}

impl Timeline {
    pub(crate) fn start(server: &Server) -> Self {
        Self { task: tokio::spawn(print(server.controller.gauge(), server.shedding.clone())) }
    }

    pub(crate) fn finish(self) {
        self.task.abort();
    }
}

async fn print(gauge: Gauge, shedding: ShedHandle) {
    let start = Instant::now();
    let mut every = tokio::time::interval(Duration::from_millis(250));
    println!("         buffer                  requests                  rows");
    loop {
        every.tick().await;
        let snapshot = gauge.snapshot();
        let admitted = shedding.gauge().snapshot().counts;
        println!(
            "{:5.2} s  {:<9} {:>4.0} %   admitted {:>6}   shed {:>6}   written {:>8}",
            start.elapsed().as_secs_f64(),
            snapshot.state,
            snapshot.utilization * 100.0,
            admitted.delivered + admitted.in_flight,
            shedding.counts().total(),
            snapshot.counts.delivered,
        );
    }
}
