//! A registration with its last operation.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::place::StoredPlace;
use super::{Base64, StoredTwin, corrupt, decode, encode, load_public_key, store_public_key};
use crate::error::Failure;
use crate::hub::DeviceAuth;
use crate::id::{ApiVersion, GroupId, OperationId, RegistrationId, SecretBytes};
use crate::registration::{
    Assignment, Extras, Linking, Mechanism, Operation, Owner, Phase, Registration, Substatus,
    TwinSource,
};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::trace::{Step, Trace};

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    id: Cow<'a, str>,
    created: u64,
    updated: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Cow<'a, str>>,
    by: StoredMechanism,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<StoredAssignment<'a>>,
    op: StoredOperation<'a>,
    #[serde(default)]
    trace: Cow<'a, Trace>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredMechanism {
    X509,
    SymmetricKey,
    Tpm,
}

#[derive(Serialize, Deserialize)]
struct StoredAssignment<'a> {
    place: StoredPlace<'a>,
    how: StoredSubstatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, Map<String, Value>>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredSubstatus {
    InitialAssignment,
    DeviceDataMigrated,
    DeviceDataReset,
    ReprovisionedToInitialAssignment,
}

#[derive(Serialize, Deserialize)]
struct StoredOperation<'a> {
    id: Cow<'a, str>,
    phase: StoredPhase<'a>,
    started: u64,
    since: u64,
    resume: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Base64<[u8; 32]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    srk: Option<Base64<Cow<'a, [u8]>>>,
    asked: Base64<[u8; 32]>,
    version: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, Map<String, Value>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm: Option<Base64<Cow<'a, [u8]>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issued: Vec<Base64<Cow<'a, [u8]>>>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredPhase<'a> {
    Accepted {
        auth: StoredAuth<'a>,
        origin: IpAddr,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Cow<'a, Value>>,
    },
    Linking {
        place: StoredPlace<'a>,
        auth: StoredAuth<'a>,
        #[serde(default)]
        edge: bool,
        twin: StoredTwinSource<'a>,
        how: StoredSubstatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leave: Option<StoredPlace<'a>>,
    },
    Leaving {
        leave: StoredPlace<'a>,
    },
    Done,
    Failed {
        code: u32,
        message: Cow<'a, str>,
    },
    Disabled,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredAuth<'a> {
    Thumbprints(Base64<[u8; 32]>, Base64<[u8; 32]>),
    Ca,
    Keys(Base64<Cow<'a, [u8]>>, Base64<Cow<'a, [u8]>>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredTwinSource<'a> {
    IfNew(StoredTwin<'a>),
    Reset(StoredTwin<'a>),
    Carry(StoredTwin<'a>),
}

pub(crate) fn encode_registration(record: &Registration) -> Result<Bytes, StoreError> {
    let op = &record.operation;
    encode(&Stored {
        id: record.id.as_str().into(),
        created: record.created.0,
        updated: record.updated.0,
        group: record
            .owner
            .group
            .as_ref()
            .map(|group| group.as_str().into()),
        by: match record.owner.mechanism {
            Mechanism::X509 => StoredMechanism::X509,
            Mechanism::SymmetricKey => StoredMechanism::SymmetricKey,
            Mechanism::Tpm => StoredMechanism::Tpm,
        },
        at: record.assignment.as_ref().map(|at| StoredAssignment {
            place: StoredPlace::of(&at.place),
            how: at.substatus.into(),
            payload: at.payload.as_ref().map(Cow::Borrowed),
        }),
        op: StoredOperation {
            id: op.id.as_str().into(),
            phase: store_phase(&op.phase),
            started: op.started.0,
            since: op.since.0,
            resume: op.resume_at.0,
            attempts: op.attempts,
            token: op.token.map(Base64),
            srk: op.storage_root_key.as_ref().map(store_public_key),
            asked: Base64(op.asked),
            version: op.version.as_str().into(),
            payload: op.extras.payload.as_ref().map(Cow::Borrowed),
            tpm: op
                .extras
                .tpm
                .as_ref()
                .map(|blob| Base64(Cow::Borrowed(&**blob))),
            issued: op
                .extras
                .issued
                .iter()
                .map(|der| Base64(Cow::Borrowed(&**der)))
                .collect(),
        },
        trace: Cow::Borrowed(&*record.trace),
    })
}

pub(crate) fn decode_registration(value: &[u8]) -> Result<Registration, StoreError> {
    let stored: Stored<'static> = match decode(value) {
        Ok(stored) => stored,
        Err(error) => without_unknown_steps(value).ok_or(error)?,
    };
    let assignment = stored.at.map(|at| -> Result<Assignment, StoreError> {
        Ok(Assignment {
            place: at.place.into_place()?,
            substatus: at.how.into(),
            payload: at.payload.map(Cow::into_owned),
        })
    });
    Ok(Registration {
        id: RegistrationId::parse(&stored.id).map_err(corrupt)?,
        created: Timestamp(stored.created),
        updated: Timestamp(stored.updated),
        owner: Owner {
            group: stored
                .group
                .map(|g| GroupId::parse(&g).map_err(corrupt))
                .transpose()?,
            mechanism: match stored.by {
                StoredMechanism::X509 => Mechanism::X509,
                StoredMechanism::SymmetricKey => Mechanism::SymmetricKey,
                StoredMechanism::Tpm => Mechanism::Tpm,
            },
        },
        assignment: assignment.transpose()?,
        operation: Operation {
            id: OperationId::parse(&stored.op.id).map_err(corrupt)?,
            phase: load_phase(stored.op.phase)?,
            started: Timestamp(stored.op.started),
            since: Timestamp(stored.op.since),
            resume_at: Timestamp(stored.op.resume),
            attempts: stored.op.attempts,
            token: stored.op.token.map(|hash| hash.0),
            storage_root_key: stored.op.srk.as_ref().map(load_public_key).transpose()?,
            asked: stored.op.asked.0,
            version: ApiVersion::parse(&stored.op.version).map_err(corrupt)?,
            extras: Extras {
                payload: stored.op.payload.map(Cow::into_owned),
                tpm: stored.op.tpm.map(|blob| blob.0.into_owned().into()),
                issued: stored
                    .op
                    .issued
                    .into_iter()
                    .map(|der| der.0.into_owned().into())
                    .collect(),
            },
        },
        trace: Arc::new(stored.trace.into_owned()),
    })
}

/// A later version may have written steps that this one does not know. They only tell why, so the record is read without
/// them; they count as dropped.
fn without_unknown_steps(value: &[u8]) -> Option<Stored<'static>> {
    let mut value: Value = serde_json::from_slice(value).ok()?;
    let trace = value.get_mut("trace")?.as_object_mut()?;
    let steps = trace.get_mut("steps")?.as_array_mut()?;
    let all = steps.len();
    steps.retain(|step| Step::deserialize(step).is_ok());
    let unknown = all - steps.len();
    let dropped = trace.get("dropped").and_then(Value::as_u64).unwrap_or(0);
    trace.insert("dropped".to_owned(), (dropped + unknown as u64).into());
    serde_json::from_value(value).ok()
}

fn store_phase(phase: &Phase) -> StoredPhase<'_> {
    match phase {
        Phase::Accepted {
            auth,
            origin,
            payload,
        } => StoredPhase::Accepted {
            auth: store_auth(auth),
            origin: *origin,
            payload: payload.as_ref().map(Cow::Borrowed),
        },
        Phase::Linking(linking) => StoredPhase::Linking {
            place: StoredPlace::of(&linking.place),
            auth: store_auth(&linking.auth),
            edge: linking.edge,
            twin: match &linking.twin {
                TwinSource::IfNew(twin) => StoredTwinSource::IfNew(StoredTwin::of(twin)),
                TwinSource::Reset(twin) => StoredTwinSource::Reset(StoredTwin::of(twin)),
                TwinSource::Carry { otherwise } => {
                    StoredTwinSource::Carry(StoredTwin::of(otherwise))
                }
            },
            how: linking.substatus.into(),
            leave: linking.leave.as_ref().map(StoredPlace::of),
        },
        Phase::Leaving { leave } => StoredPhase::Leaving {
            leave: StoredPlace::of(leave),
        },
        Phase::Done => StoredPhase::Done,
        Phase::Failed(failure) => StoredPhase::Failed {
            code: failure.code,
            message: Cow::Borrowed(&*failure.message),
        },
        Phase::Disabled => StoredPhase::Disabled,
    }
}

fn load_phase(stored: StoredPhase<'static>) -> Result<Phase, StoreError> {
    Ok(match stored {
        StoredPhase::Accepted {
            auth,
            origin,
            payload,
        } => Phase::Accepted {
            auth: load_auth(auth),
            origin,
            payload: payload.map(Cow::into_owned),
        },
        StoredPhase::Linking {
            place,
            auth,
            edge,
            twin,
            how,
            leave,
        } => Phase::Linking(Linking {
            place: place.into_place()?,
            auth: load_auth(auth),
            edge,
            twin: match twin {
                StoredTwinSource::IfNew(twin) => TwinSource::IfNew(twin.into_twin()),
                StoredTwinSource::Reset(twin) => TwinSource::Reset(twin.into_twin()),
                StoredTwinSource::Carry(twin) => TwinSource::Carry {
                    otherwise: twin.into_twin(),
                },
            },
            substatus: how.into(),
            leave: leave.map(StoredPlace::into_place).transpose()?,
        }),
        StoredPhase::Leaving { leave } => Phase::Leaving {
            leave: leave.into_place()?,
        },
        StoredPhase::Done => Phase::Done,
        StoredPhase::Failed { code, message } => {
            Phase::Failed(Failure::new(code, message.into_owned()))
        }
        StoredPhase::Disabled => Phase::Disabled,
    })
}

fn store_auth(auth: &DeviceAuth) -> StoredAuth<'_> {
    match auth {
        DeviceAuth::Thumbprints { primary, secondary } => {
            StoredAuth::Thumbprints(Base64(*primary), Base64(*secondary))
        }
        DeviceAuth::CertificateAuthority => StoredAuth::Ca,
        DeviceAuth::Keys { primary, secondary } => StoredAuth::Keys(
            Base64(Cow::Borrowed(primary.expose())),
            Base64(Cow::Borrowed(secondary.expose())),
        ),
    }
}

fn load_auth(stored: StoredAuth<'static>) -> DeviceAuth {
    match stored {
        StoredAuth::Thumbprints(primary, secondary) => DeviceAuth::Thumbprints {
            primary: primary.0,
            secondary: secondary.0,
        },
        StoredAuth::Ca => DeviceAuth::CertificateAuthority,
        StoredAuth::Keys(primary, secondary) => DeviceAuth::Keys {
            primary: SecretBytes::new(primary.0.into_owned()),
            secondary: SecretBytes::new(secondary.0.into_owned()),
        },
    }
}

macro_rules! same_names {
    ($domain:ident <-> $stored:ident: $($name:ident),+) => {
        impl From<$domain> for $stored {
            fn from(value: $domain) -> Self {
                match value { $($domain::$name => Self::$name),+ }
            }
        }
        impl From<$stored> for $domain {
            fn from(value: $stored) -> Self {
                match value { $($stored::$name => Self::$name),+ }
            }
        }
    };
}

same_names!(Substatus <-> StoredSubstatus:
    InitialAssignment, DeviceDataMigrated, DeviceDataReset, ReprovisionedToInitialAssignment);
