//! The bottleneck: of a model, and of a pipeline that stalls and recovers on a paused clock.

use backpressure_channel::Builder;
use backpressure_controller::BackpressureController;
use backpressure_core::{BackpressureConfig, Cause, Stage, State, Strategy, WorkShares, bottleneck};
use backpressure_metrics::Registry;
use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use tokio::sync::watch;

use crate::kit::{config, now, pass, settle, work_for};

fn stage(name: &'static str, busy: f64, blocked: f64) -> Stage<'static> {
    Stage { name, shares: Some(WorkShares { idle: 1.0 - busy - blocked, busy, blocked }) }
}

#[test]
fn a_table_of_pipelines() {
    let sentence =
        |stages: &[Stage<'_>], links: &[(usize, usize)]| bottleneck(stages, links).map(|found| found.sentence);
    let line = [(0, 1), (1, 2)];
    let found = |stages: [Stage<'_>; 3]| sentence(&stages, &line).unwrap_or_default();
    let [source, parse] = [stage("source", 0.1, 0.9), stage("parse", 0.3, 0.7)];
    assert_eq!(
        found([source, parse, stage("db", 0.97, 0.0)]),
        "`db` is busy 97 %; `parse` and `source` are blocked by it"
    );
    assert_eq!(
        found([source, stage("parse", 0.95, 0.0), stage("db", 0.4, 0.0)]),
        "`parse` is busy 95 %; `source` is blocked by it"
    );
    assert_eq!(
        found([stage("source", 1.0, 0.0), stage("parse", 0.2, 0.0), stage("db", 0.2, 0.0)]),
        "`source` is busy 100 %"
    );
    assert_eq!(found([stage("source", 0.5, 0.0), stage("parse", 0.5, 0.0), stage("db", 0.8, 0.0)]), "", "nobody waits");
    assert_eq!(
        found([source, parse, stage("db", 0.6, 0.0)]),
        "`db` is busy 60 %; `parse` and `source` are blocked by it"
    );
    assert_eq!(
        found([source, parse, stage("db", 0.1, 0.9)]),
        "`db` is blocked 90 % by what is behind it; `parse` and `source` are blocked by it"
    );
    let silent = Stage { name: "silent", shares: None };
    assert_eq!(found([silent, silent, silent]), "");
    let stages = [stage("a", 0.0, 1.0), stage("b", 0.0, 1.0), stage("c", 0.0, 1.0), stage("d", 1.0, 0.0)];
    assert_eq!(
        sentence(&stages, &[(0, 3), (1, 3), (2, 3)]).unwrap(),
        "`d` is busy 100 %; `a`, `b` and `c` are blocked by it"
    );
    assert_eq!(sentence(&[], &[]), None);
    assert_eq!(sentence(&stages, &[(7, 8)]).unwrap(), "`d` is busy 100 %", "links to nowhere are none");
}

#[test]
fn of_many_that_are_blocked_five_are_named_and_the_rest_are_counted() {
    let names: Vec<_> = (0..10_000).map(|n| format!("part {n}")).collect();
    let sentence = |blocked: usize| {
        let shares = |busy| Some(WorkShares { idle: 0.0, busy, blocked: 1.0 - busy });
        let mut stages: Vec<_> = names[..blocked].iter().map(|name| Stage { name, shares: shares(0.0) }).collect();
        stages.push(Stage { name: "db", shares: shares(1.0) });
        let links: Vec<_> = (0..blocked).map(|n| (n, n + 1)).collect();
        let found = bottleneck(&stages, &links).unwrap();
        assert_eq!(found.blocks, (0..blocked).rev().collect::<Vec<_>>());
        found.sentence
    };
    let all = "`db` is busy 100 %; `part 5`, `part 4`, `part 3`, `part 2`, `part 1` and `part 0` are blocked by it";
    assert_eq!(sentence(6), all);
    let some = "`db` is busy 100 %; `part 6`, `part 5`, `part 4`, `part 3`, `part 2` and 2 more are blocked by it";
    assert_eq!(sentence(7), some);
    assert!(sentence(10_000).ends_with("`part 9995` and 9995 more are blocked by it"));
}

proptest! {
    /// A line of stages: the model walks along it.
    #[test]
    fn in_a_line_it_is_the_first_that_is_busy_and_not_blocked(
        shares in prop::collection::vec((0u32..=20, 0u32..=20), 1..8),
        order in any::<prop::sample::Index>(),
    ) {
        let names: Vec<_> = (0..shares.len()).map(|n| n.to_string()).collect();
        let shares: Vec<_> = shares.into_iter().map(|(busy, blocked)| {
            let blocked = f64::from(blocked.min(20 - busy)) / 20.0;
            (f64::from(busy) / 20.0, blocked)
        }).collect();
        // The stages are registered in another order than they are linked in.
        let turn = order.index(shares.len());
        let place = |n: usize| (n + turn) % shares.len();
        let mut stages = vec![Stage { name: "", shares: None }; shares.len()];
        for (n, &(busy, blocked)) in shares.iter().enumerate() {
            stages[place(n)] = Stage { name: &names[n], shares: Some(WorkShares { idle: 1.0 - busy - blocked, busy, blocked }) };
        }
        let links: Vec<_> = (1..shares.len()).map(|n| (place(n - 1), place(n))).collect();
        let is_blocked = |n: usize| shares[n].1 >= 0.1;
        let is_busy = |n: usize| {
            !is_blocked(n) && (shares[n].0 >= 0.9 || (shares[n].0 >= 0.5 && n > 0 && is_blocked(n - 1)))
        };
        let busy = (0..shares.len()).find(|&n| is_busy(n)).map(|n| (n, Cause::Busy));
        let outside = || {
            let last = |n: &usize| is_blocked(*n) && (*n + 1 == shares.len() || !is_blocked(n + 1));
            (0..shares.len()).find(last).map(|n| (n, Cause::Outside))
        };
        let expected = busy.or_else(outside);
        let found = bottleneck(&stages, &links);
        prop_assert_eq!(found.as_ref().map(|found| (found.stage, found.cause)), expected.map(|(n, cause)| (place(n), cause)));
        if let (Some(found), Some((n, _))) = (found, expected) {
            let blocks: Vec<_> = (0..n).rev().take_while(|&n| is_blocked(n)).map(place).collect();
            prop_assert_eq!(found.blocks, blocks);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_stalls_names_its_bottleneck_and_forgets_it_when_it_recovers() {
    let registry = Registry::new();
    let (source, mut source_rx) = Builder::<u32>::new(config(2)).build();
    let (parse, mut parse_rx) = Builder::<u32>::new(config(2)).build();
    let (takes, latency) = watch::channel(400);
    let db_config =
        BackpressureConfig::builder().capacity(2).batch_items(1).strategy(Strategy::block_forever()).build().unwrap();
    let db = BackpressureController::builder(db_config)
        .flush_fn(move |_: Vec<u32>| {
            let takes = *latency.borrow();
            async move {
                work_for(takes).await;
                Ok::<_, &str>(())
            }
        })
        .spawn()
        .unwrap();
    let parts = [("source", source_rx.gauge()), ("parse", parse_rx.gauge()), ("db", db.gauge())];
    let [source_part, parse_part, db_part] = parts.map(|(name, gauge)| registry.add(name, gauge).unwrap());
    registry.link(&source_part, &parse_part).unwrap();
    registry.link(&parse_part, &db_part).unwrap();
    tokio::spawn(async move {
        for item in 0.. {
            work_for(100).await;
            if source.send(item).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(item) = source_rx.recv().await {
            work_for(20).await;
            parse.send(item).await.unwrap();
        }
    });
    let to_db = db.clone();
    tokio::spawn(async move {
        while let Some(item) = parse_rx.recv().await {
            work_for(20).await;
            to_db.push(item).await.unwrap();
        }
    });
    for _ in 0..1000 {
        pass(20).await;
        registry.observe(now());
    }
    let stalled = registry.observe(now());
    let found = stalled.bottleneck.clone().unwrap();
    assert_eq!(found.sentence, "`db` is busy 100 %; `parse` and `source` are blocked by it");
    assert_eq!(stalled.part("parse").unwrap().state(), Some(State::Blocked));
    for part in &stalled.parts {
        let shares = part.shares.unwrap();
        assert!((shares.idle + shares.busy + shares.blocked - 1.0).abs() < 1e-9, "{shares:?}");
    }
    let shares = stalled.part("parse").unwrap().shares.unwrap();
    let near = |share: f64, truth: f64| (share - truth).abs() < 0.005;
    assert!(near(shares.busy, 0.05) && near(shares.blocked, 0.95), "20 of every 400 ms: {shares:?}");

    takes.send(20).unwrap();
    for _ in 0..1000 {
        pass(20).await;
        registry.observe(now());
    }
    settle().await;
    let recovered = registry.observe(now());
    assert_eq!(recovered.bottleneck, None);
    let busy = |name| recovered.part(name).unwrap().shares.unwrap().busy;
    assert!([busy("source"), busy("parse"), busy("db")].into_iter().all(|busy| near(busy, 0.2)), "20 of every 100 ms");
}
