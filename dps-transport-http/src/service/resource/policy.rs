//! Shared access policies and their keys. Keys are told when they are asked for by name, and in no other
//! answer.

use dps_core::access::{AccessPolicy, Rights};
use dps_core::admin::{KeySlot, PolicyDraft, Precondition, Revision};
use dps_core::error::ServiceError;

use super::fault::unmade;
use super::{Done, Question, What, document, fault, members, missing, named, stale};
use crate::service::attestation;
use crate::service::error::{EnrollmentError, Problem};
use crate::service::object::Object;
use crate::service::precondition::{self, IfMatch};
use crate::service::shape::{Keys, List, Policy, Tagged};

pub(super) async fn list(question: &Question<'_>) -> Result<Done, ServiceError> {
    question.policies(Keys::Hidden).await
}

pub(super) async fn list_keys(question: &Question<'_>) -> Result<Done, ServiceError> {
    question.policies(Keys::Told).await
}

pub(super) async fn read(question: &Question<'_>) -> Result<Done, ServiceError> {
    question.policy(Keys::Hidden).await
}

pub(super) async fn read_keys(question: &Question<'_>) -> Result<Done, ServiceError> {
    question.policy(Keys::Told).await
}

/// Makes a policy, or changes one: without a tag, whoever writes last wins. Keys that are not said stay, or
/// are made.
pub(super) async fn write(question: &Question<'_>) -> Result<Done, ServiceError> {
    let expected = precondition::of_write(question.headers, Precondition::Any)?;
    let document = document(question)?;
    let draft = members(&document, |members| draft(question, members))?;
    let expected = expected.ok_or_else(stale)?;
    let written = question.admin.put_policy(draft, expected).await;
    let written = written.map_err(|error| unmade(error, What::Policy))?;
    Ok(shown(&written, Keys::Hidden))
}

pub(super) async fn remove(question: &Question<'_>) -> Result<Done, ServiceError> {
    let expected = question.expected().await?;
    let removed = question.admin.remove_policy(question.id, expected).await;
    removed.map_err(|error| fault(error, What::Policy))?;
    Ok(Done::empty())
}

/// Makes one key anew, and tells both.
///
/// # Source
/// Ours: the resource API has no such operation. `keyType` and its words are those of
/// `RegenerateKeyParameters`, by which Azure Communication Services does it.
pub(super) async fn regenerate(question: &Question<'_>) -> Result<Done, ServiceError> {
    let document = document(question)?;
    let slot = members(&document, slot)?;
    let expected = question.expected().await?;
    let rolled = question.admin.roll_key(question.id, slot, expected).await;
    let rolled = rolled.map_err(|error| fault(error, What::Policy))?;
    Ok(shown(&rolled, Keys::Told))
}

fn shown(policy: &Revision<AccessPolicy>, keys: Keys) -> Done {
    let shape = Policy::of(&policy.value, keys);
    Done::with(&Tagged::of(shape, policy.version))
}

fn draft(question: &Question<'_>, members: &Object<'_>) -> Result<PolicyDraft, EnrollmentError> {
    const RIGHTS: Problem = Problem::Unfit(
        "must be a list of ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, \
         RegistrationStatusRead and RegistrationStatusWrite, with commas between them",
    );
    let name = named(question, members, "keyName")?;
    let rights = members.required("rights", members.text("rights")?)?;
    Ok(PolicyDraft {
        name: name.into(),
        primary: attestation::key(members, "primaryKey")?,
        secondary: attestation::key(members, "secondaryKey")?,
        rights: Rights::parse(rights).map_err(|_| members.fault("rights", RIGHTS))?,
    })
}

fn slot(members: &Object<'_>) -> Result<KeySlot, EnrollmentError> {
    const NAME: &str = "keyType";
    match members.required(NAME, members.text(NAME)?)? {
        word if word.eq_ignore_ascii_case("Primary") => Ok(KeySlot::Primary),
        word if word.eq_ignore_ascii_case("Secondary") => Ok(KeySlot::Secondary),
        _ => Err(members.fault(NAME, Problem::NotAWord("Primary, Secondary"))),
    }
}

impl Question<'_> {
    async fn policies(&self, keys: Keys) -> Result<Done, ServiceError> {
        let found = self.admin.policies().await;
        let found = found.map_err(|error| fault(error, What::Instance))?;
        let all = found.value.iter();
        let value = all.map(|policy| Policy::of(policy, keys)).collect();
        Ok(Done::with(&Tagged::of(List { value }, found.version)))
    }

    async fn policy(&self, keys: Keys) -> Result<Done, ServiceError> {
        let found = self.admin.policies().await;
        let Revision { version, value } = found.map_err(|error| fault(error, What::Instance))?;
        let mut all = value.into_iter();
        let value = all.find(|policy| policy.name.eq_ignore_ascii_case(self.id));
        let value = value.ok_or_else(|| missing(What::Policy))?;
        Ok(shown(&Revision { version, value }, keys))
    }

    /// What the request expects of a policy that has to be there.
    async fn expected(&self) -> Result<Precondition, ServiceError> {
        Ok(match IfMatch::read(self.headers)? {
            IfMatch::Unsaid | IfMatch::Star => Precondition::Any,
            IfMatch::Tag(version) => Precondition::Version(version),
            IfMatch::Unknown => {
                self.policy(Keys::Hidden).await?;
                return Err(stale());
            }
        })
    }
}
