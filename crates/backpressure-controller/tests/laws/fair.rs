//! O7 and O8, fair by key: which items go into a batch, and which are evicted.

use backpressure_controller::BackpressureController;
use backpressure_core::{DropReason, Priority, Strategy};

use crate::support::{Act, Target, config, settle};

#[tokio::test(start_paused = true)]
async fn o7_o8_batches_are_filled_in_turn_and_the_key_that_holds_most_pays() {
    let target = Target::always(Act::Hold);
    let config = config(8, 4).strategy(Strategy::DropOldest).build().unwrap();
    let controller = BackpressureController::builder(config)
        .fair_by(|item: &u32| item / 100)
        .flush(target.service())
        .spawn()
        .unwrap();
    let push_all =
        |items: &[u32]| items.iter().for_each(|&item| assert!(controller.try_push(item).unwrap().is_accepted()));
    push_all(&[100, 101, 102, 103]);
    settle().await;
    push_all(&[104, 105, 106, 107, 108, 109, 200, 300, 110, 201]);
    for call in 0..3 {
        target.answer(call, Act::Deliver);
        settle().await;
    }
    assert_eq!(target.batches(), [[100, 101, 102, 103], [106, 200, 300, 107], [201, 108, 109, 110]]);
    let counts = controller.snapshot().counts;
    assert_eq!((counts.delivered, counts.lost(DropReason::Evicted)), (12, 2));
    assert!(counts.balances());
}

#[tokio::test(start_paused = true)]
async fn either_ranks_or_keys_decide_who_is_next() {
    let refused = BackpressureController::builder(config(8, 4).build().unwrap())
        .fair_by(|item: &u32| item / 100)
        .rank_by(|_| Priority::NORMAL)
        .flush(Target::<u32>::always(Act::Deliver).service())
        .spawn();
    assert_eq!(
        refused.unwrap_err().to_string(),
        "fair_by is set, but must be unset where rank_by is set: either decides who is next"
    );
}
