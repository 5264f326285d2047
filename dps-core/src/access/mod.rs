//! Who may operate an instance, and what for.

mod actions;
mod address;
mod bearer;
mod issuer;
mod network;
mod token;

use std::fmt;
use std::sync::Arc;

pub use self::actions::{Actions, ActionsError};
pub use self::address::{Endpoint, IpAction, IpMask, IpMaskError, IpRule, MAX_IP_RULES};
pub use self::bearer::{BearerToken, Claims, MAX_BEARER_TOKEN_BYTES, TokenError, TokenVerifier};
pub use self::issuer::{Issuer, MAX_ISSUERS, MAX_ROLES, Role, USUAL_AUDIENCE};
pub use self::network::{Ingress, MAX_PRIVATE_ENDPOINTS, Network, Rejection};
pub use self::token::{MAX_POLICY_TOKEN_BYTES, PolicyToken};
use crate::id::SecretBytes;

/// Who may do what with an instance, and from where. By default nobody may do anything, from anywhere in the
/// public network.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Shared access policies, each name once without regard to case.
    pub policies: Vec<AccessPolicy>,
    /// Rules about callers' addresses, operators' and devices', in the order in which they are asked.
    pub rules: Vec<IpRule>,
    /// OpenID providers whose tokens are taken.
    pub issuers: Vec<Issuer>,
    /// Whether shared access policies are good for nothing, so that operators come with tokens of `issuers`
    /// or not at all. Devices are not concerned.
    ///
    /// # Source
    /// `disableLocalAuth` of the resource API, version 2026-08-01.
    pub disable_local_auth: bool,
    /// By which doors it can be reached.
    pub network: Network,
}

impl Access {
    /// The policy of this name, in any case of letters.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&AccessPolicy> {
        self.policies
            .iter()
            .find(|policy| policy.name.eq_ignore_ascii_case(name))
    }
}

/// A shared access policy: two keys, and what whoever signs with one of them may do.
#[derive(Clone, Debug)]
pub struct AccessPolicy {
    /// Its name; tokens say it as `skn`.
    pub name: Arc<str>,
    /// The first key.
    pub primary: SecretBytes,
    /// The second one, good at the same time, so that one can be rolled while the other works.
    pub secondary: SecretBytes,
    /// What it is good for.
    pub rights: Rights,
}

/// Rights, as shared access policies have them. Closed: what a right implies is in it.
///
/// # Source
/// `SharedAccessSignatureAuthorizationRule` of the resource API; what implies what, from the answers
/// reported in Azure/azure-rest-api-specs issues 9285 and 10356.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

/// A text is not a list of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "rights are a list of ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, \
     RegistrationStatusRead and RegistrationStatusWrite, with commas between them"
)]
pub struct RightsError;

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// To change the instance.
    pub const SERVICE_CONFIG: Self = Self(1);
    /// To read enrollments, and registrations.
    pub const ENROLLMENT_READ: Self = Self(2 | 8);
    /// To change enrollments and registrations, and to read them.
    pub const ENROLLMENT_WRITE: Self = Self(2 | 4 | 8 | 16);
    /// To read registrations.
    pub const REGISTRATION_READ: Self = Self(8);
    /// To remove registrations, and to read them.
    pub const REGISTRATION_WRITE: Self = Self(8 | 16);
    /// Kept, and good for nothing: no operation asks for it.
    pub const DEVICE_CONNECT: Self = Self(32);
    /// Every right there is.
    pub const ALL: Self = Self(63);

    /// In the order in which the service names them.
    const NAMES: [(&'static str, Self); 6] = [
        ("ServiceConfig", Self::SERVICE_CONFIG),
        ("DeviceConnect", Self::DEVICE_CONNECT),
        ("EnrollmentWrite", Self::ENROLLMENT_WRITE),
        ("EnrollmentRead", Self::ENROLLMENT_READ),
        ("RegistrationStatusWrite", Self::REGISTRATION_WRITE),
        ("RegistrationStatusRead", Self::REGISTRATION_READ),
    ];

    /// Reads names with commas between them, in any case of letters.
    ///
    /// # Errors
    /// [`RightsError`] if there is none, or one that nobody knows.
    pub fn parse(text: &str) -> Result<Self, RightsError> {
        text.split(',').try_fold(Self::NONE, |sum, name| {
            let name = name.trim();
            let known = Self::NAMES
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            let (_, right) = known.ok_or(RightsError)?;
            Ok(sum.and(*right))
        })
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is among these.
    #[must_use]
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether whoever has these may do that.
    #[must_use]
    pub const fn allow(self, action: Action) -> bool {
        self.include(action.needs())
    }
}

impl fmt::Display for Rights {
    /// The names, without those that others imply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = Self::NONE;
        for (name, right) in Self::NAMES {
            if self.include(right) && !said.include(right) {
                let comma = if said == Self::NONE { "" } else { ", " };
                write!(f, "{comma}{name}")?;
                said = said.and(right);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// What an operator can ask. Each route of the service API is one of these.
///
/// # Source
/// The data actions of `Microsoft.Devices/provisioningServices` in *Control access to DPS with
/// Microsoft Entra ID*; the last is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// To read individual enrollments.
    ReadEnrollments,
    /// To make and change individual enrollments.
    WriteEnrollments,
    /// To remove individual enrollments.
    DeleteEnrollments,
    /// To read enrollment groups.
    ReadGroups,
    /// To make and change enrollment groups.
    WriteGroups,
    /// To remove enrollment groups.
    DeleteGroups,
    /// To read what is known of devices, and why.
    ReadRegistrations,
    /// To forget what is known of devices.
    DeleteRegistrations,
    /// To read the keys of an enrollment.
    ReadAttestation,
    /// To read and change the instance.
    Configure,
}

impl Action {
    /// The right that it takes.
    ///
    /// # Source
    /// The table of permissions in *Control access to DPS with shared access signatures*; for
    /// [`Action::ReadAttestation`], of which it says nothing, our choice: it tells keys.
    #[must_use]
    pub const fn needs(self) -> Rights {
        match self {
            Self::ReadEnrollments | Self::ReadGroups => Rights::ENROLLMENT_READ,
            Self::WriteEnrollments
            | Self::DeleteEnrollments
            | Self::WriteGroups
            | Self::DeleteGroups
            | Self::ReadAttestation => Rights::ENROLLMENT_WRITE,
            Self::ReadRegistrations => Rights::REGISTRATION_READ,
            Self::DeleteRegistrations => Rights::REGISTRATION_WRITE,
            Self::Configure => Rights::SERVICE_CONFIG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_in_any_case_and_said_without_what_they_imply() {
        for (read, said) in [
            (
                "EnrollmentRead, EnrollmentWrite, RegistrationStatusRead, RegistrationStatusWrite, ServiceConfig",
                "ServiceConfig, EnrollmentWrite",
            ),
            (
                "serviceconfig,DEVICECONNECT,enrollmentwrite",
                "ServiceConfig, DeviceConnect, EnrollmentWrite",
            ),
            ("RegistrationStatusWrite", "RegistrationStatusWrite"),
            ("EnrollmentRead,RegistrationStatusRead", "EnrollmentRead"),
            (
                "EnrollmentRead,RegistrationStatusWrite",
                "EnrollmentRead, RegistrationStatusWrite",
            ),
        ] {
            assert_eq!(Rights::parse(read).unwrap().to_string(), said);
        }
        for text in ["", "EnrollmentRead,", "All"] {
            assert_eq!(Rights::parse(text), Err(RightsError), "{text}");
        }
    }

    #[test]
    fn what_is_said_is_read_as_the_same() {
        for bits in 0..64 {
            let names = Rights::NAMES
                .iter()
                .filter(|(_, right)| bits & right.0 != 0);
            let rights = names.fold(Rights::NONE, |sum, (_, right)| sum.and(*right));
            if rights != Rights::NONE {
                assert_eq!(Rights::parse(&rights.to_string()), Ok(rights));
            }
        }
    }

    #[test]
    fn each_action_takes_its_right_and_no_weaker_one() {
        use Action::*;
        let may = |rights: Rights| {
            [
                ReadEnrollments,
                WriteEnrollments,
                DeleteEnrollments,
                ReadGroups,
                WriteGroups,
                DeleteGroups,
                ReadRegistrations,
                DeleteRegistrations,
                ReadAttestation,
                Configure,
            ]
            .map(|action| rights.allow(action))
        };
        let (y, n) = (true, false);
        assert_eq!(may(Rights::ENROLLMENT_READ), [y, n, n, y, n, n, y, n, n, n]);
        assert_eq!(
            may(Rights::ENROLLMENT_WRITE),
            [y, y, y, y, y, y, y, y, y, n]
        );
        assert_eq!(
            may(Rights::REGISTRATION_READ),
            [n, n, n, n, n, n, y, n, n, n]
        );
        assert_eq!(
            may(Rights::REGISTRATION_WRITE),
            [n, n, n, n, n, n, y, y, n, n]
        );
        assert_eq!(may(Rights::SERVICE_CONFIG), [n, n, n, n, n, n, n, n, n, y]);
        assert_eq!(may(Rights::DEVICE_CONNECT), [n; 10]);
        assert_eq!(may(Rights::ALL), [y; 10]);
    }
}
