//! What may happen to a channel.

use std::time::Duration;

use backpressure_channel::Demand;
use backpressure_core::{Oversize, Strategy as Policy};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::STRATEGIES;

/// How a channel is configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) strategy: Policy,
    pub(crate) capacity: usize,
    pub(crate) max_weight: Option<usize>,
    pub(crate) oversize: Oversize,
    pub(crate) ranked: bool,
    /// Whether items could grow too old, and whether they could have deadlines. None does, or has.
    pub(crate) expiring: (bool, bool),
}

/// What an item counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) weight: usize,
    pub(crate) rank: u8,
}

/// Producers and sinks are few; a step for one that is gone is skipped.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    TrySend {
        producer: usize,
        load: Load,
    },
    Send {
        producer: usize,
        load: Load,
    },
    Reserve {
        producer: usize,
    },
    TryReserve {
        producer: usize,
        send: Option<Load>,
    },
    Poll {
        task: Index,
    },
    DropTask {
        task: Index,
    },
    /// Tells a task that holds a permit to use it or to let it go.
    Order {
        task: Index,
        send: Option<Load>,
    },
    DropProducer {
        producer: usize,
    },
    SinkReady {
        sink: usize,
    },
    SinkSend {
        sink: usize,
        load: Load,
    },
    SinkFlush {
        sink: usize,
    },
    SinkClose {
        sink: usize,
    },
    DropSink {
        sink: usize,
    },
    Recv,
    RecvMany {
        max: usize,
    },
    TryRecvMany {
        max: usize,
        max_weight: usize,
    },
    Ask {
        demand: Demand,
    },
    Evacuate,
    /// Refused where the channel weighs and these rules do not, or the other way round. What it ranks stays.
    Reconfigure {
        rules: Rules,
    },
    Close,
    CloseChannel {
        producer: usize,
    },
    DropReceiver,
}

pub(crate) const PRODUCERS: usize = 2;
pub(crate) const SINKS: usize = 2;

pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let strategies =
        STRATEGIES.into_iter().chain([Policy::block_forever(), Policy::Block { max_wait: Duration::ZERO }]);
    let strategies = prop::sample::select(strategies.collect::<Vec<_>>());
    let oversize = prop::sample::select(vec![Oversize::AdmitAlone, Oversize::Refuse]);
    let expiring = any::<(bool, bool)>();
    (strategies, 1_usize..6, prop::option::of(1_usize..12), oversize, any::<bool>(), expiring).prop_map(
        |(strategy, capacity, max_weight, oversize, ranked, expiring)| Rules {
            strategy,
            capacity,
            max_weight,
            oversize,
            ranked,
            expiring,
        },
    )
}

fn load() -> impl Strategy<Value = Load> {
    (prop_oneof![0_usize..3, 0_usize..9], 0_u8..4).prop_map(|(weight, rank)| Load { weight, rank })
}

fn demand() -> impl Strategy<Value = Demand> {
    let weight = prop_oneof![Just(usize::MAX), 0_usize..12];
    (0_usize..5, weight).prop_map(|(items, weight)| Demand { items, weight })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    let sink = 0..SINKS;
    prop_oneof![
        4 => (producer.clone(), load()).prop_map(|(producer, load)| Step::TrySend { producer, load }),
        6 => (producer.clone(), load()).prop_map(|(producer, load)| Step::Send { producer, load }),
        3 => producer.clone().prop_map(|producer| Step::Reserve { producer }),
        2 => (producer.clone(), prop::option::of(load()))
            .prop_map(|(producer, send)| Step::TryReserve { producer, send }),
        8 => any::<Index>().prop_map(|task| Step::Poll { task }),
        3 => any::<Index>().prop_map(|task| Step::DropTask { task }),
        4 => (any::<Index>(), prop::option::of(load())).prop_map(|(task, send)| Step::Order { task, send }),
        1 => producer.clone().prop_map(|producer| Step::DropProducer { producer }),
        4 => sink.clone().prop_map(|sink| Step::SinkReady { sink }),
        4 => (sink.clone(), load()).prop_map(|(sink, load)| Step::SinkSend { sink, load }),
        2 => sink.clone().prop_map(|sink| Step::SinkFlush { sink }),
        1 => sink.clone().prop_map(|sink| Step::SinkClose { sink }),
        1 => sink.prop_map(|sink| Step::DropSink { sink }),
        8 => Just(Step::Recv),
        3 => (0_usize..4).prop_map(|max| Step::RecvMany { max }),
        2 => (0_usize..4, 0_usize..9).prop_map(|(max, max_weight)| Step::TryRecvMany { max, max_weight }),
        2 => demand().prop_map(|demand| Step::Ask { demand }),
        5 => rules().prop_map(|rules| Step::Reconfigure { rules }),
        1 => Just(Step::Evacuate),
        1 => prop_oneof![
            Just(Step::Close),
            producer.prop_map(|producer| Step::CloseChannel { producer }),
            Just(Step::DropReceiver),
        ],
    ]
}
