//! One transport, and what was seen of it.

use std::any::Any;
use std::pin::Pin;

use anyhow::{Context, Result};
use backpressure_core::State;

use crate::fate::Fate;
use crate::reach::Reach;
use crate::{kernel, settle};

/// The sizes of items, in bytes.
pub const SIZES: [usize; 3] = [32, 1024, 40 * 1024];

/// Whatever has to stay alive while the count is watched.
pub type Held = Box<dyn Any>;
pub type Setup = Pin<Box<dyn Future<Output = Result<Held>>>>;

/// How far two runs may be apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// The bound is a number in a library: 2 % or two items.
    Counted,
    /// The kernel holds a part, and sizes its buffers as it sees fit: a factor of 3.
    Kernel,
}

/// A producer, a transport, and a consumer that reads nothing.
pub struct Case {
    /// What identifies it in the table.
    pub name: &'static str,
    /// Where the items lie.
    pub lies: &'static str,
    /// What changes how many they are.
    pub setting: &'static str,
    pub tolerance: Tolerance,
    pub start: fn(Reach) -> Setup,
}

/// What was seen with items of one size.
#[derive(Debug, Clone)]
pub struct Seen {
    pub fate: Fate,
    pub bytes: usize,
    /// Bytes in the socket buffers, framing included.
    pub in_kernel: usize,
    pub why: Option<String>,
    pub state: Option<State>,
}

/// What was seen of a case, for each of [`SIZES`].
#[derive(Debug, Clone)]
pub struct Row {
    pub name: &'static str,
    pub lies: &'static str,
    pub setting: &'static str,
    pub tolerance: Tolerance,
    pub seen: Vec<Seen>,
}

impl Row {
    pub fn measure(case: &Case) -> Result<Self> {
        Self::measure_at(case, &SIZES)
    }

    pub fn measure_at(case: &Case, sizes: &[usize]) -> Result<Self> {
        let seen = sizes.iter().map(|&size| Seen::measure(case, size)).collect::<Result<_>>();
        let seen = seen.with_context(|| case.name)?;
        Ok(Self { name: case.name, lies: case.lies, setting: case.setting, tolerance: case.tolerance, seen })
    }
}

impl Seen {
    /// In a runtime of its own, so that nothing of one measurement is left over for the next.
    fn measure(case: &Case, size: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let reach = Reach::of(size);
            let start = (case.start)(reach.clone());
            let held = tokio::time::timeout(settle::LONGEST, start).await.context("it does not start")??;
            let fate = settle::settled(&reach).await?;
            let in_kernel = kernel::held(&reach.ports());
            let state = reach.gauge().map(|gauge| gauge.state());
            drop(held);
            Ok(Self { fate, bytes: reach.made() * size, in_kernel, why: reach.lost(), state })
        })
    }
}
