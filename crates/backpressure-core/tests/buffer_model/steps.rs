//! Configurations and operations to draw from.

use backpressure_core::{BackpressureConfig, Oversize, Priority, Strategy, Tag};
use proptest::prelude::{Just, Strategy as Draw, any, prop_oneof};

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    capacity: usize,
    max_weight: Option<usize>,
    oversize: Oversize,
    strategy: Strategy,
    low_watermark: f64,
    pub(crate) prioritized: bool,
    pub(crate) tracked: bool,
}

impl Setup {
    pub(crate) fn config(&self) -> BackpressureConfig {
        let builder = BackpressureConfig::builder()
            .capacity(self.capacity)
            .oversize(self.oversize)
            .low_watermark(self.low_watermark)
            .strategy(self.strategy);
        match self.max_weight {
            None => builder.build(),
            Some(max) => builder.max_weight(max).build(),
        }
        .expect("a valid configuration")
    }
}

pub(crate) fn setup() -> impl Draw<Value = Setup> {
    let strategy = prop_oneof![
        Just(Strategy::block()),
        Just(Strategy::Reject),
        Just(Strategy::DropOldest),
        Just(Strategy::DropNewest),
        (1u32..5).prop_map(|one_in| Strategy::Sample { one_in }),
        Just(Strategy::DropLowest),
    ];
    let capacity = prop_oneof![9 => 1usize..12, 1 => Just(usize::MAX)];
    let max_weight = prop_oneof![4 => Just(None), 5 => (1usize..20).prop_map(Some), 1 => Just(Some(usize::MAX))];
    let oversize = prop_oneof![Just(Oversize::AdmitAlone), Just(Oversize::Refuse)];
    let low_watermark = prop_oneof![Just(0.5), Just(0.25)];
    (capacity, max_weight, oversize, strategy, low_watermark, any::<bool>(), any::<bool>()).prop_map(
        |(capacity, max_weight, oversize, strategy, low_watermark, prioritized, tracked)| Setup {
            capacity,
            max_weight,
            oversize,
            strategy,
            low_watermark,
            prioritized,
            tracked,
        },
    )
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Offer(Tag),
    Reserve(usize),
    /// Into the slot that was reserved first, if one is.
    Fill(Tag),
    /// The slot that was reserved last, if one is.
    Release,
    Pop,
    PopMany(usize, usize),
    /// How many of those in flight, and whether they were delivered; the others failed.
    Settle(usize, bool),
    /// Refused where the setup weighs and the buffer does not, or the other way round.
    Reconfigure(Setup),
    Close,
}

pub(crate) fn step() -> impl Draw<Value = Step> {
    prop_oneof![
        40 => tag().prop_map(Step::Offer),
        8 => weight().prop_map(Step::Reserve),
        8 => tag().prop_map(Step::Fill),
        4 => Just(Step::Release),
        16 => Just(Step::Pop),
        6 => (0usize..6, weight()).prop_map(|(items, weight)| Step::PopMany(items, weight)),
        8 => (0usize..6, any::<bool>()).prop_map(|(items, delivered)| Step::Settle(items, delivered)),
        6 => setup().prop_map(Step::Reconfigure),
        1 => Just(Step::Close),
    ]
}

fn tag() -> impl Draw<Value = Tag> {
    (weight(), 0u8..8).prop_map(|(weight, priority)| Tag { weight, priority: Priority::new(priority) })
}

fn weight() -> impl Draw<Value = usize> {
    prop_oneof![20 => 0usize..8, 4 => 8usize..30, 1 => Just(usize::MAX)]
}
