//! The stage that holds up the others.

use std::fmt;

use super::work::WorkShares;

/// A stage that spends this share of its time blocked is blocked.
const BLOCKED: f64 = 0.1;

/// A stage that is busy for this share of its time has nothing to spare.
const BUSY: f64 = 0.9;

/// A stage that others are blocked by is the cause from this share on: the rest of the time is theirs, by turns.
const BUSY_WHILE_OTHERS_WAIT: f64 = 0.5;

/// Of more stages that are blocked the sentence names all but the last of so many, and counts the rest.
const MOST_NAMED: usize = 6;

/// One stage of a pipeline, as [`bottleneck`] sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its time goes; `None` for one that does not say, which is passed over.
    pub shares: Option<WorkShares>,
}

/// The stage that the others wait for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Bottleneck {
    /// Which stage it is, by its number.
    pub stage: usize,
    /// Why.
    pub cause: Cause,
    /// The stages that are blocked by it, directly or through others, the nearest first.
    pub blocks: Vec<usize>,
    /// All that in words: "`db` is busy 97 %; `parse` and `source` are blocked by it".
    pub sentence: String,
}

/// Why a stage is the bottleneck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It works as fast as it can.
    Busy,
    /// It is blocked itself, by something that is no stage of the pipeline: a service that is not ready.
    Outside,
}

/// Finds the first stage, in the order of the flow, that is busy and not blocked: busy 90 % of its time, or half of it while
/// others are blocked by it. If there is none, the first that is blocked although no stage behind it is to blame.
///
/// `links` are pairs of numbers: the first feeds the second. Stages that are not linked come in the order of the slice.
///
/// ```
/// use backpressure_core::{Stage, WorkShares, bottleneck};
///
/// let stage = |name, idle, busy, blocked| Stage { name, shares: Some(WorkShares { idle, busy, blocked }) };
/// let stages = [stage("source", 0.0, 0.1, 0.9), stage("parse", 0.1, 0.2, 0.7), stage("db", 0.03, 0.97, 0.0)];
/// let found = bottleneck(&stages, &[(0, 1), (1, 2)]).unwrap();
/// assert_eq!(found.sentence, "`db` is busy 97 %; `parse` and `source` are blocked by it");
/// ```
pub fn bottleneck(stages: &[Stage<'_>], links: &[(usize, usize)]) -> Option<Bottleneck> {
    let flow = Flow::new(stages, links);
    let order = flow.order();
    let first = |cause: Cause| order.iter().copied().find(|&stage| flow.is(stage, cause)).map(|stage| (stage, cause));
    let (stage, cause) = first(Cause::Busy).or_else(|| first(Cause::Outside))?;
    let blocks = flow.blocked_by(stage);
    let sentence = flow.sentence(stage, cause, &blocks);
    Some(Bottleneck { stage, cause, blocks, sentence })
}

struct Flow<'a> {
    stages: &'a [Stage<'a>],
    /// Of each stage, those that it feeds, and those that feed it.
    behind: Neighbours,
    before: Neighbours,
}

impl<'a> Flow<'a> {
    fn new(stages: &'a [Stage<'a>], links: &[(usize, usize)]) -> Self {
        let links = links.iter().copied().filter(|&(from, to)| from.max(to) < stages.len());
        let behind = Neighbours::new(stages.len(), links.clone());
        let before = Neighbours::new(stages.len(), links.map(|(from, to)| (to, from)));
        Self { stages, behind, before }
    }

    /// Every stage after all that feed it; those of a circle, which there should not be, last.
    fn order(&self) -> Vec<usize> {
        let mut feeders: Vec<_> = (0..self.stages.len()).map(|stage| self.before.of(stage).len()).collect();
        let mut order: Vec<_> = (0..feeders.len()).filter(|&stage| feeders[stage] == 0).collect();
        let mut next = 0;
        while let Some(&stage) = order.get(next) {
            next += 1;
            for &to in self.behind.of(stage) {
                feeders[to] -= 1;
                if feeders[to] == 0 {
                    order.push(to);
                }
            }
        }
        order.extend((0..feeders.len()).filter(|&stage| feeders[stage] > 0));
        order
    }

    fn is_blocked(&self, stage: usize) -> bool {
        self.stages[stage].shares.is_some_and(|shares| shares.blocked >= BLOCKED)
    }

    fn any_blocked(&self, stages: &[usize]) -> bool {
        stages.iter().any(|&stage| self.is_blocked(stage))
    }

    fn is(&self, stage: usize, cause: Cause) -> bool {
        let Some(shares) = self.stages[stage].shares else { return false };
        match cause {
            Cause::Busy if self.is_blocked(stage) => false,
            Cause::Busy if shares.busy >= BUSY => true,
            Cause::Busy => shares.busy >= BUSY_WHILE_OTHERS_WAIT && self.any_blocked(self.before.of(stage)),
            Cause::Outside => self.is_blocked(stage) && !self.any_blocked(self.behind.of(stage)),
        }
    }

    /// The blocked stages in front of this one, the nearest first. Beyond one that is not blocked nobody is blocked by this.
    fn blocked_by(&self, stage: usize) -> Vec<usize> {
        let mut blocked = Vec::new();
        let mut is_seen = vec![false; self.stages.len()];
        is_seen[stage] = true;
        let mut next = 0;
        let mut at = stage;
        loop {
            for &from in self.before.of(at) {
                if self.is_blocked(from) && !std::mem::replace(&mut is_seen[from], true) {
                    blocked.push(from);
                }
            }
            let Some(&nearest) = blocked.get(next) else { return blocked };
            at = nearest;
            next += 1;
        }
    }

    fn sentence(&self, stage: usize, cause: Cause, blocks: &[usize]) -> String {
        let name = |stage: usize| self.stages[stage].name;
        let shares = self.stages[stage].shares.unwrap_or(WorkShares { idle: 1.0, busy: 0.0, blocked: 0.0 });
        let first = match cause {
            Cause::Busy => format!("`{}` is busy {}", name(stage), Percent(shares.busy)),
            Cause::Outside => {
                format!("`{}` is blocked {} by what is behind it", name(stage), Percent(shares.blocked))
            }
        };
        let named = if blocks.len() > MOST_NAMED { MOST_NAMED - 1 } else { blocks.len() };
        let mut names: Vec<_> = blocks[..named].iter().map(|&stage| format!("`{}`", name(stage))).collect();
        if named < blocks.len() {
            names.push(format!("{} more", blocks.len() - named));
        }
        match &names[..] {
            [] => first,
            [only] => format!("{first}; {only} is blocked by it"),
            [all @ .., last] => format!("{first}; {} and {last} are blocked by it", all.join(", ")),
        }
    }
}

/// Who is beside whom, in two lists, however many stages there are.
struct Neighbours {
    /// Those of the first stage, then those of the second, and so on.
    all: Vec<usize>,
    /// Where those of each stage end.
    ends: Vec<usize>,
}

impl Neighbours {
    /// Of pairs of a stage and one beside it.
    fn new(stages: usize, pairs: impl Iterator<Item = (usize, usize)> + Clone) -> Self {
        let mut begins = vec![0; stages + 1];
        pairs.clone().for_each(|(stage, _)| begins[stage + 1] += 1);
        (0..stages).for_each(|stage| begins[stage + 1] += begins[stage]);
        // As the places are taken, where those of a stage begin becomes where they end.
        let mut all = vec![0; begins[stages]];
        for (stage, beside) in pairs {
            all[begins[stage]] = beside;
            begins[stage] += 1;
        }
        begins.truncate(stages);
        Self { all, ends: begins }
    }

    fn of(&self, stage: usize) -> &[usize] {
        let begin = stage.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[begin..self.ends[stage]]
    }
}

struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.0 * 100.0)
    }
}
