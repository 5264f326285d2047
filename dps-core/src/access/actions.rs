//! Actions by name, and sets of them, as roles are good for.

use std::fmt;

use super::Action;

/// What the names of data actions begin with when they are written out.
const PREFIX: &str = "Microsoft.Devices/provisioningServices/";

impl Action {
    /// Every action there is.
    pub const ALL: [Self; 10] = [
        Self::ReadEnrollments,
        Self::WriteEnrollments,
        Self::DeleteEnrollments,
        Self::ReadGroups,
        Self::WriteGroups,
        Self::DeleteGroups,
        Self::ReadRegistrations,
        Self::DeleteRegistrations,
        Self::ReadAttestation,
        Self::Configure,
    ];

    /// Its name among the data actions, without `Microsoft.Devices/provisioningServices/` before it.
    ///
    /// # Source
    /// *Control access to DPS with Microsoft Entra ID*; `configure` is ours.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadEnrollments => "enrollments/read",
            Self::WriteEnrollments => "enrollments/write",
            Self::DeleteEnrollments => "enrollments/delete",
            Self::ReadGroups => "enrollmentGroups/read",
            Self::WriteGroups => "enrollmentGroups/write",
            Self::DeleteGroups => "enrollmentGroups/delete",
            Self::ReadRegistrations => "registrationStates/read",
            Self::DeleteRegistrations => "registrationStates/delete",
            Self::ReadAttestation => "attestationmechanism/details/action",
            Self::Configure => "configure",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of actions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Actions(u16);

/// A text names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an action is one such as enrollments/read, or several of them with a star such as */read, or configure"
)]
pub struct ActionsError;

impl Actions {
    /// None.
    pub const NONE: Self = Self(0);

    /// Reads one name, in any case of letters. With one star in it, which stands for any text, it is every
    /// data action that fits; [`Action::Configure`], which is more than any of them, only goes by its name.
    ///
    /// # Errors
    /// [`ActionsError`] if no action is meant.
    ///
    /// # Source
    /// The data actions of roles of Azure RBAC, for what a star means.
    pub fn parse(name: &str) -> Result<Self, ActionsError> {
        let name = match name.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => name,
        };
        let meant = Action::ALL.into_iter().filter(|action| {
            let known = action.name();
            match name.split_once('*') {
                Some((begin, end)) => *action != Action::Configure && spans(known, begin, end),
                None => known.eq_ignore_ascii_case(name),
            }
        });
        let meant: Self = meant.collect();
        if meant == Self::NONE {
            return Err(ActionsError);
        }
        Ok(meant)
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn allow(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Each of them, in the order of [`Action::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Action> {
        let all = Action::ALL.into_iter();
        all.filter(move |action| self.allow(*action))
    }
}

/// Whether `known` begins and ends so, without regard to case and without an overlap.
fn spans(known: &str, begin: &str, end: &str) -> bool {
    let Some(middle) = known.len().checked_sub(begin.len() + end.len()) else {
        return false;
    };
    let at = |from: usize, part: &str| {
        let found = known.get(from..from + part.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(part))
    };
    at(0, begin) && at(begin.len() + middle, end)
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let bits = actions.into_iter().map(Action::bit);
        Self(bits.fold(0, |sum, bit| sum | bit))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Action::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(pattern: &str) -> Vec<&'static str> {
        let actions = Actions::parse(pattern).unwrap();
        actions.iter().map(Action::name).collect()
    }

    #[test]
    fn every_action_goes_by_its_name_and_no_two_by_the_same() {
        for action in Action::ALL {
            for name in [
                action.name().to_owned(),
                action.name().to_ascii_uppercase(),
                format!("Microsoft.Devices/provisioningServices/{}", action.name()),
            ] {
                assert_eq!(Actions::parse(&name), Ok([action].into_iter().collect()));
            }
        }
        let all: Actions = Action::ALL.into_iter().collect();
        assert_eq!(all.iter().count(), Action::ALL.len());
    }

    #[test]
    fn a_star_stands_for_any_text_and_never_for_the_right_to_configure() {
        assert_eq!(names("*").len(), Action::ALL.len() - 1);
        assert!(!Actions::parse("*").unwrap().allow(Action::Configure));
        assert_eq!(
            names("Microsoft.Devices/provisioningServices/*"),
            names("*")
        );
        assert_eq!(
            names("*/read"),
            [
                "enrollments/read",
                "enrollmentGroups/read",
                "registrationStates/read"
            ]
        );
        assert_eq!(
            names("enrollmentgroups/*"),
            [
                "enrollmentGroups/read",
                "enrollmentGroups/write",
                "enrollmentGroups/delete"
            ]
        );
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for name in [
            "",
            "read",
            "enrollments",
            "enrollments/read ",
            "conf*",
            "**",
            "enrollments/read*read",
            "Microsoft.Devices/provisioningServices/",
            "Microsoft.Devices/iotHubs/*",
            "é*",
        ] {
            assert_eq!(Actions::parse(name), Err(ActionsError), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_set_or_an_error(name in "[a-z/*M.]{0,40}|\\PC{0,40}") {
            if let Ok(actions) = Actions::parse(&name) {
                prop_assert_ne!(actions, Actions::NONE);
                prop_assert!(name.contains('*') || actions.iter().count() == 1);
            }
        }
    }
}
