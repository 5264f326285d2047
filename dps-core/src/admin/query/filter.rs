//! What of a list is wanted.

use std::fmt;

use super::Listing;
use crate::enrollment::{Attestation, Enrollment, Subject};
use crate::registration::{Registration, Status};
use crate::time::Timestamp;

/// A condition that records are held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(pub(super) Condition);

/// At least two conditions in `All` and `Any`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Field, Test),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Compare(Compare, Literal),
    In(Vec<Literal>),
    StartsWith(Literal),
}

/// A value of a query, in the form in which its field is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(Box<str>),
    Moment(Timestamp),
}

/// A value of a record.
#[derive(Clone, Copy)]
pub(super) enum Value<'r> {
    Text(&'r str),
    Moment(Timestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    RegistrationId,
    EnrollmentGroupId,
    DeviceId,
    ProvisioningStatus,
    IotHubs,
    AllocationPolicy,
    AttestationType,
    Created,
    Updated,
    Status,
    AssignedHub,
}

/// How the values of a field are compared.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Without regard to case.
    Name,
    /// Byte by byte.
    Exact,
    /// One of these; and that those are expected.
    Word(&'static [&'static str], &'static str),
    Moment,
}

/// A record that has fields.
pub(super) trait Record {
    /// Whether `holds` is true of any value of `field`.
    fn any(&self, field: Field, holds: &mut dyn FnMut(Value<'_>) -> bool) -> bool;
}

impl Filter {
    pub(super) fn keeps(&self, record: &impl Record) -> bool {
        self.0.holds(record)
    }
}

impl Condition {
    fn holds(&self, record: &impl Record) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(record)),
            Self::Any(all) => all.iter().any(|one| one.holds(record)),
            Self::Not(one) => !one.holds(record),
            Self::Test(field, Test::Compare(Compare::Ne, value)) => {
                !record.any(*field, &mut |found| Compare::Eq.holds(found, value))
            }
            Self::Test(field, test) => record.any(*field, &mut |found| match test {
                Test::Compare(compare, value) => compare.holds(found, value),
                Test::In(values) => values.iter().any(|value| Compare::Eq.holds(found, value)),
                Test::StartsWith(Literal::Text(beginning)) => {
                    matches!(found, Value::Text(text) if text.starts_with(&**beginning))
                }
                Test::StartsWith(Literal::Moment(_)) => false,
            }),
        }
    }
}

impl Compare {
    const SIGNS: [(&'static str, Self); 7] = [
        ("=", Self::Eq),
        ("!=", Self::Ne),
        ("<", Self::Lt),
        ("<=", Self::Le),
        (">", Self::Gt),
        (">=", Self::Ge),
        ("<>", Self::Ne),
    ];

    pub(super) fn parse(sign: &str) -> Option<Self> {
        let mut all = Self::SIGNS.iter();
        all.find(|(known, _)| *known == sign).map(|(_, one)| *one)
    }

    fn holds(self, found: Value<'_>, value: &Literal) -> bool {
        let order = match (found, value) {
            (Value::Text(found), Literal::Text(value)) => found.cmp(value),
            (Value::Moment(found), Literal::Moment(value)) => found.cmp(value),
            _ => return false,
        };
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

impl Field {
    const ENROLLMENTS: [Self; 8] = [
        Self::RegistrationId,
        Self::DeviceId,
        Self::ProvisioningStatus,
        Self::IotHubs,
        Self::AllocationPolicy,
        Self::AttestationType,
        Self::Created,
        Self::Updated,
    ];
    const GROUPS: [Self; 7] = [
        Self::EnrollmentGroupId,
        Self::ProvisioningStatus,
        Self::IotHubs,
        Self::AllocationPolicy,
        Self::AttestationType,
        Self::Created,
        Self::Updated,
    ];
    const REGISTRATIONS: [Self; 7] = [
        Self::RegistrationId,
        Self::EnrollmentGroupId,
        Self::DeviceId,
        Self::Status,
        Self::AssignedHub,
        Self::Created,
        Self::Updated,
    ];

    fn of(listing: &Listing) -> &'static [Self] {
        match listing {
            Listing::Enrollments => &Self::ENROLLMENTS,
            Listing::Groups => &Self::GROUPS,
            Listing::Registrations | Listing::RegistrationsOf(_) => &Self::REGISTRATIONS,
        }
    }

    pub(super) const fn expected(listing: &Listing) -> &'static str {
        match listing {
            Listing::Enrollments => {
                "expected registrationId, deviceId, provisioningStatus, iotHubs, allocationPolicy, \
                 attestation.type, createdDateTimeUtc or lastUpdatedDateTimeUtc"
            }
            Listing::Groups => {
                "expected enrollmentGroupId, provisioningStatus, iotHubs, allocationPolicy, \
                 attestation.type, createdDateTimeUtc or lastUpdatedDateTimeUtc"
            }
            Listing::Registrations | Listing::RegistrationsOf(_) => {
                "expected registrationId, enrollmentGroupId, deviceId, status, assignedHub, \
                 createdDateTimeUtc or lastUpdatedDateTimeUtc"
            }
        }
    }

    /// The field of this name, if what is listed has it.
    pub(super) fn parse(listing: &Listing, name: &str) -> Option<Self> {
        let mut all = Self::of(listing).iter().copied();
        all.find(|field| field.name().eq_ignore_ascii_case(name))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::RegistrationId => "registrationId",
            Self::EnrollmentGroupId => "enrollmentGroupId",
            Self::DeviceId => "deviceId",
            Self::ProvisioningStatus => "provisioningStatus",
            Self::IotHubs => "iotHubs",
            Self::AllocationPolicy => "allocationPolicy",
            Self::AttestationType => "attestation.type",
            Self::Created => "createdDateTimeUtc",
            Self::Updated => "lastUpdatedDateTimeUtc",
            Self::Status => "status",
            Self::AssignedHub => "assignedHub",
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::RegistrationId | Self::EnrollmentGroupId | Self::IotHubs | Self::AssignedHub => {
                Kind::Name
            }
            Self::DeviceId => Kind::Exact,
            Self::ProvisioningStatus => {
                Kind::Word(&["enabled", "disabled"], "expected 'enabled' or 'disabled'")
            }
            Self::AllocationPolicy => Kind::Word(
                &["hashed", "geoLatency", "static", "custom"],
                "expected 'hashed', 'geoLatency', 'static' or 'custom'",
            ),
            Self::AttestationType => Kind::Word(
                &["tpm", "x509", "symmetricKey"],
                "expected 'tpm', 'x509' or 'symmetricKey'",
            ),
            Self::Status => Kind::Word(
                &["unassigned", "assigning", "assigned", "failed", "disabled"],
                "expected 'unassigned', 'assigning', 'assigned', 'failed' or 'disabled'",
            ),
            Self::Created | Self::Updated => Kind::Moment,
        }
    }
}

impl Record for Enrollment {
    fn any(&self, field: Field, holds: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        match (field, &self.subject) {
            (Field::RegistrationId, Subject::Individual { registration, .. }) => {
                holds(Value::Text(registration.folded()))
            }
            (Field::EnrollmentGroupId, Subject::Group { id }) => holds(Value::Text(id.folded())),
            (
                Field::DeviceId,
                Subject::Individual {
                    device: Some(device),
                    ..
                },
            ) => holds(Value::Text(device.as_str())),
            (Field::ProvisioningStatus, _) => holds(Value::Text(if self.enabled {
                "enabled"
            } else {
                "disabled"
            })),
            (Field::IotHubs, _) => {
                let mut hubs = self.hubs.iter();
                hubs.any(|hub| holds(Value::Text(hub.folded())))
            }
            (Field::AllocationPolicy, _) => self
                .policy
                .is_some_and(|policy| holds(Value::Text(policy.word()))),
            (Field::AttestationType, _) => holds(Value::Text(match &self.attestation {
                Attestation::X509(_) => "x509",
                Attestation::SymmetricKey { .. } => "symmetricKey",
                Attestation::Tpm { .. } => "tpm",
            })),
            (Field::Created, _) => holds(Value::Moment(self.created)),
            (Field::Updated, _) => holds(Value::Moment(self.updated)),
            _ => false,
        }
    }
}

impl Record for Registration {
    fn any(&self, field: Field, holds: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        let status = self.operation.status();
        // Where the device is is told when it is assigned, and so it is here.
        let place = || {
            let assignment = self.assignment.as_ref();
            assignment
                .filter(|_| status == Status::Assigned)
                .map(|at| &at.place)
        };
        match field {
            Field::RegistrationId => holds(Value::Text(self.id.folded())),
            Field::EnrollmentGroupId => {
                let group = self.owner.group.as_ref();
                group.is_some_and(|group| holds(Value::Text(group.folded())))
            }
            Field::DeviceId => place().is_some_and(|at| holds(Value::Text(at.device.as_str()))),
            Field::AssignedHub => place().is_some_and(|at| holds(Value::Text(at.hub.folded()))),
            Field::Status => holds(Value::Text(status.word())),
            Field::Created => holds(Value::Moment(self.created)),
            Field::Updated => holds(Value::Moment(self.updated)),
            _ => false,
        }
    }
}

impl fmt::Display for Filter {
    /// As it could have been written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Self], word: &str| {
            for (nth, one) in all.iter().enumerate() {
                if nth > 0 {
                    f.write_str(word)?;
                }
                match one {
                    Self::All(_) | Self::Any(_) => write!(f, "({one})")?,
                    Self::Not(_) | Self::Test(..) => one.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(all) => joined(f, all, " AND "),
            Self::Any(all) => joined(f, all, " OR "),
            Self::Not(one) => match &**one {
                Self::Test(field, Test::In(values)) => {
                    write!(f, "{} NOT IN ", field.name())?;
                    listed(f, values)
                }
                Self::Test(..) | Self::Not(_) => write!(f, "NOT {one}"),
                Self::All(_) | Self::Any(_) => write!(f, "NOT ({one})"),
            },
            Self::Test(field, Test::Compare(compare, value)) => {
                let mut all = Compare::SIGNS.iter();
                let sign = all
                    .find(|(_, one)| one == compare)
                    .map_or("=", |(sign, _)| *sign);
                write!(f, "{} {sign} {value}", field.name())
            }
            Self::Test(field, Test::In(values)) => {
                write!(f, "{} IN ", field.name())?;
                listed(f, values)
            }
            Self::Test(field, Test::StartsWith(beginning)) => {
                write!(f, "STARTSWITH({}, {beginning})", field.name())
            }
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, values: &[Literal]) -> fmt::Result {
    for (nth, value) in values.iter().enumerate() {
        let before = if nth == 0 { "(" } else { ", " };
        write!(f, "{before}{value}")?;
    }
    f.write_str(")")
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moment(moment) => write!(f, "'{moment}'"),
            Self::Text(text) => {
                let text = text.replace('\\', r"\\").replace('\'', r"\'");
                write!(f, "'{text}'")
            }
        }
    }
}
