//! What each call takes along.

use std::sync::Arc;

use super::budget::RetryBudget;
use super::rule::Rule;
use crate::random::Random;

#[derive(Debug, Clone)]
pub(super) struct Plan<J> {
    pub(super) budget: RetryBudget,
    pub(super) rule: Rule,
    pub(super) random: Arc<Random>,
    pub(super) judge: J,
}
