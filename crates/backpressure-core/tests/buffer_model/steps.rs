//! Configurations and operations to draw from.

use std::time::{Duration, Instant};

use backpressure_core::{BackpressureConfig, Oversize, Priority, Strategy, Tag};
use proptest::prelude::{Just, Strategy as Draw, any, prop_oneof};

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    capacity: usize,
    max_weight: Option<usize>,
    oversize: Oversize,
    strategy: Strategy,
    low_watermark: f64,
    max_age: Option<Duration>,
    pub(crate) dated: bool,
    pub(crate) prioritized: bool,
    pub(crate) tracked: bool,
}

impl Setup {
    pub(crate) fn config(&self) -> BackpressureConfig {
        let mut builder = BackpressureConfig::builder()
            .capacity(self.capacity)
            .oversize(self.oversize)
            .low_watermark(self.low_watermark)
            .strategy(self.strategy);
        if let Some(age) = self.max_age {
            builder = builder.max_age(age);
        }
        if let Some(max) = self.max_weight {
            builder = builder.max_weight(max);
        }
        builder.build().expect("a valid configuration")
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
    let ages = prop_oneof![4 => Just(None), 4 => (1u64..9).prop_map(|ms| Some(Duration::from_millis(ms))),
        1 => Just(Some(Duration::MAX))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (capacity, max_weight, oversize, strategy, low_watermark, ages, flags).prop_map(
        |(capacity, max_weight, oversize, strategy, low_watermark, max_age, (dated, prioritized, tracked))| Setup {
            capacity,
            max_weight,
            oversize,
            strategy,
            low_watermark,
            max_age,
            dated,
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
    /// So much later, or earlier.
    Expire(i8),
    Close,
}

pub(crate) fn step(start: Instant) -> impl Draw<Value = Step> {
    prop_oneof![
        40 => tag(start).prop_map(Step::Offer),
        8 => weight().prop_map(Step::Reserve),
        8 => tag(start).prop_map(Step::Fill),
        4 => Just(Step::Release),
        16 => Just(Step::Pop),
        6 => (0usize..6, weight()).prop_map(|(items, weight)| Step::PopMany(items, weight)),
        8 => (0usize..6, any::<bool>()).prop_map(|(items, delivered)| Step::Settle(items, delivered)),
        6 => setup().prop_map(Step::Reconfigure),
        16 => (-2i8..5).prop_map(Step::Expire),
        1 => Just(Step::Close),
    ]
}

fn tag(start: Instant) -> impl Draw<Value = Tag> {
    let deadline = prop_oneof![Just(None), (0u64..60).prop_map(move |ms| Some(start + Duration::from_millis(ms)))];
    (weight(), 0u8..8, deadline).prop_map(|(weight, priority, deadline)| Tag {
        weight,
        priority: Priority::new(priority),
        deadline,
        ..Tag::default()
    })
}

fn weight() -> impl Draw<Value = usize> {
    prop_oneof![20 => 0usize..8, 4 => 8usize..30, 1 => Just(usize::MAX)]
}
