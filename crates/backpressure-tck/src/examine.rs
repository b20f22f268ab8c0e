//! Random schedules, and the smallest that breaks a law.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::law::{D6, Law};
use crate::report::{Broken, Finding, Report};

/// How many random schedules a subject is led through.
const SCHEDULES: u32 = 256;

/// Which laws a run broke, and how.
#[derive(Debug, Default)]
pub(crate) struct Wrongs(RefCell<BTreeMap<Law, String>>);

impl Wrongs {
    pub(crate) fn add(&self, law: Law, what: impl Into<String>) {
        self.0.borrow_mut().entry(law).or_insert_with(|| what.into());
    }

    pub(crate) fn unless(&self, holds: bool, law: Law, what: impl FnOnce() -> String) {
        if !holds {
            self.add(law, what());
        }
    }
}

/// Something to be led through schedules.
pub(crate) trait Subject {
    type Step: Clone + Debug;

    /// All laws that a run can find broken.
    fn laws(&self) -> Vec<Law>;

    fn schedules(&self) -> BoxedStrategy<Vec<Self::Step>>;

    /// Goes through a schedule and then to the end.
    fn run(&self, schedule: &[Self::Step], wrongs: &Wrongs) -> impl Future<Output = ()>;

    /// What is not a matter of schedules: each with its name.
    fn probes(&self, wrongs: &Wrongs) -> impl Future<Output = ()> {
        let _ = wrongs;
        async {}
    }
}

pub(crate) fn examine<S: Subject>(name: &str, subject: &S) -> Report {
    let probed = isolated(async |wrongs| subject.probes(wrongs).await);
    let broken_by = |schedule: &Vec<S::Step>| isolated(async |wrongs| subject.run(schedule, wrongs).await);
    let seen = RefCell::new(BTreeSet::new());
    let _ = runner().run(&subject.schedules(), |schedule| {
        seen.borrow_mut().extend(broken_by(&schedule).into_keys());
        Ok(())
    });
    let smallest = |law: Law| {
        let search = |schedule: Vec<S::Step>| match broken_by(&schedule).remove(&law) {
            Some(what) => Err(TestCaseError::fail(what)),
            None => Ok(()),
        };
        match runner().run(&subject.schedules(), search) {
            Err(TestError::Fail(what, schedule)) => {
                Some(Broken { schedule: format!("{schedule:?}"), what: what.message().to_owned() })
            }
            _ => None,
        }
    };
    let mut laws: BTreeSet<Law> = subject.laws().into_iter().chain([D6]).collect();
    laws.extend(probed.keys());
    let finding = |law: Law| Finding {
        law,
        broken: match probed.get(&law) {
            Some(what) => Some(Broken { schedule: "a scene of its own".into(), what: what.clone() }),
            None if seen.borrow().contains(&law) => smallest(law),
            None => None,
        },
    };
    Report { subject: name.into(), findings: laws.into_iter().map(finding).collect() }
}

fn runner() -> TestRunner {
    let config = Config { cases: SCHEDULES, failure_persistence: None, max_shrink_iters: 1024, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Runs on a paused clock of its own.
fn isolated(run: impl AsyncFnOnce(&Wrongs)) -> BTreeMap<Law, String> {
    let wrongs = Wrongs::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return [(D6, "no runtime can be built".into())].into() };
    let local = tokio::task::LocalSet::new();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| local.block_on(&runtime, run(&wrongs)))) {
        let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        wrongs.add(D6, format!("it panics: {}", said.unwrap_or_default()));
    }
    wrongs.0.into_inner()
}

/// Lets spawned tasks do what they can.
pub(crate) async fn settle() {
    for _ in 0..12 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass.
pub(crate) async fn advance(time: std::time::Duration) {
    tokio::time::advance(time).await;
    settle().await;
}
