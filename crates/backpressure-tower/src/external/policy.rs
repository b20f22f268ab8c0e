//! What a layer does in each state.

use backpressure_core::limit::Criticality;
use backpressure_core::{ConfigError, State};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::shed::{Action, Policy};

/// `ShedLayerBuilder` has the same keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyKeys {
    pub(super) on_normal: Option<String>,
    pub(super) on_elevated: Option<String>,
    pub(super) on_critical: Option<String>,
    pub(super) on_blocked: Option<String>,
    pub(super) on_draining: Option<String>,
}

impl PolicyKeys {
    pub(super) fn build(&self) -> Result<Policy, ConfigError> {
        let mut policy = Policy::default();
        for (field, state, action) in [
            ("on_normal", State::Normal, &self.on_normal),
            ("on_elevated", State::Elevated, &self.on_elevated),
            ("on_critical", State::Critical, &self.on_critical),
            ("on_blocked", State::Blocked, &self.on_blocked),
            ("on_draining", State::Draining, &self.on_draining),
        ] {
            if let Some(name) = action {
                policy = policy.on(state, action_of(field, name)?);
            }
        }
        Ok(policy)
    }
}

fn action_of(field: &'static str, name: &str) -> Result<Action, ConfigError> {
    let known = match name {
        "admit" => Some(Action::Admit),
        "admit-by-priority" => Some(Action::AdmitByPriority),
        "reserve" => Some(Action::Reserve),
        "shed" => Some(Action::Shed),
        _ => name.strip_prefix("admit-from-").and_then(Criticality::from_name).map(Action::AdmitFrom),
    };
    let names =
        "one of admit, admit-by-priority, admit-from- with the name of a class such as critical-plus, reserve, shed";
    known.ok_or_else(|| ConfigError::new(field, format_args!("{name:?}"), names))
}

/// The keys are `on_normal`, `on_elevated`, `on_critical`, `on_blocked` and `on_draining`, with the defaults of [`Policy`]. An
/// action is `admit`, `admit-by-priority`, `reserve`, `shed`, or `admit-from-` with the name of a class: `critical-plus`,
/// `critical`, `sheddable-plus` or `sheddable`.
///
/// ```
/// use backpressure_core::State;
/// use backpressure_tower::{Action, Policy};
///
/// let policy: Policy = toml::from_str("on_blocked = \"shed\"")?;
/// assert_eq!(policy, Policy::default().on(State::Blocked, Action::Shed));
/// # Ok::<(), toml::de::Error>(())
/// ```
impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PolicyKeys::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_name() {
        let of =
            |name: &str| toml::from_str::<Policy>(&format!("on_elevated = {name:?}")).unwrap().action(State::Elevated);
        assert_eq!(of("admit"), Action::Admit);
        assert_eq!(of("admit-by-priority"), Action::AdmitByPriority);
        assert_eq!(of("reserve"), Action::Reserve);
        assert_eq!(of("shed"), Action::Shed);
        for class in Criticality::ALL {
            assert_eq!(of(&format!("admit-from-{}", class.as_str().replace('_', "-"))), Action::AdmitFrom(class));
        }
    }

    #[test]
    fn every_state_has_its_key() {
        let shed = |key: &str| toml::from_str::<Policy>(&format!("{key} = \"admit-from-critical\"")).unwrap();
        for state in State::ALL {
            let built = Policy::default().on(state, Action::AdmitFrom(Criticality::Critical));
            assert_eq!(shed(&format!("on_{}", state.as_str())), built);
        }
        assert_eq!(toml::from_str::<Policy>("").unwrap(), Policy::default());
    }

    #[test]
    fn what_is_no_action_is_refused_under_its_key() {
        let refused = |text| toml::from_str::<Policy>(text).unwrap_err().message().to_owned();
        let expected = "on_blocked is \"drop\", but must be one of admit, admit-by-priority, ";
        assert!(refused("on_blocked = \"drop\"").starts_with(expected));
        assert!(refused("on_blocked = \"admit-from-nobody\"").starts_with("on_blocked is \"admit-from-nobody\""));
        assert!(refused("blocked = \"shed\"").starts_with("unknown field `blocked`"));
    }
}
