//! Linked hubs.

use dps_core::admin::{HubDraft, MAX_CREDENTIAL_BYTES, MAX_LOCATION_BYTES, Precondition};
use dps_core::error::ServiceError;
use dps_core::id::{HubName, SecretBytes};
use dps_core::instance::LinkedHub;

use super::fault::unmade;
use super::{Done, Question, What, document, fault, malformed, members, missing, named, stale};
use crate::service::connection_string;
use crate::service::error::{EnrollmentError, Problem};
use crate::service::object::Object;
use crate::service::precondition::{self, IfMatch};
use crate::service::shape::{Hub, List, Tagged};

const CONNECTION: &str = "connectionString";

pub(super) async fn list(question: &Question<'_>) -> Result<Done, ServiceError> {
    let found = question.admin.hubs().await;
    let found = found.map_err(|error| fault(error, What::Instance))?;
    let value = found.value.iter().map(Hub::of).collect();
    Ok(Done::with(&Tagged::of(List { value }, found.version)))
}

pub(super) async fn read(question: &Question<'_>) -> Result<Done, ServiceError> {
    let name = question.hub_name()?;
    let found = question.admin.hubs().await;
    let found = found.map_err(|error| fault(error, What::Instance))?;
    let mut hubs = found.value.iter();
    let hub = hubs.find(|hub| hub.name == name);
    let hub = hub.ok_or_else(|| missing(What::Hub))?;
    Ok(Done::with(&Tagged::of(Hub::of(hub), found.version)))
}

/// Links a hub, or changes how it is linked: without a tag, whoever writes last wins.
pub(super) async fn write(question: &Question<'_>) -> Result<Done, ServiceError> {
    let name = question.hub_name()?;
    let expected = precondition::of_write(question.headers, Precondition::Any)?;
    let document = document(question)?;
    let said = members(&document, |members| Said::read(question, members))?;
    let expected = expected.ok_or_else(stale)?;
    let credential = match said.credential {
        Credential::Unsaid => None,
        Credential::Given(credential) => Some(credential),
        Credential::Shown(text) => {
            question.holds_shown(&name, text).await?;
            None
        }
    };
    let draft = HubDraft {
        credential,
        ..said.draft
    };
    let written = question.admin.put_hub(draft, expected).await;
    let written = written.map_err(|error| unmade(error, What::Hub))?;
    let hub = Hub::of(&written.value);
    Ok(Done::with(&Tagged::of(hub, written.version)))
}

pub(super) async fn remove(question: &Question<'_>) -> Result<Done, ServiceError> {
    let name = question.hub_name()?;
    let expected = match IfMatch::read(question.headers)? {
        IfMatch::Unsaid | IfMatch::Star => Precondition::Any,
        IfMatch::Tag(version) => Precondition::Version(version),
        IfMatch::Unknown => {
            read(question).await?;
            return Err(stale());
        }
    };
    let removed = question.admin.remove_hub(&name, expected).await;
    removed.map_err(|error| fault(error, What::Hub))?;
    Ok(Done::empty())
}

/// A hub as a document says it.
struct Said<'a> {
    /// Without its credential.
    draft: HubDraft,
    credential: Credential<'a>,
}

/// What a document says of how the service signs in.
enum Credential<'a> {
    Unsaid,
    /// What a reader was shown: the one that is there is meant.
    Shown(&'a str),
    Given(SecretBytes),
}

impl<'a> Said<'a> {
    fn read(question: &Question<'a>, members: &Object<'a>) -> Result<Self, EnrollmentError> {
        let name = HubName::parse(named(question, members, "name")?);
        let name = name.map_err(|error| members.fault("name", error.into()))?;
        let location = members.short("location", MAX_LOCATION_BYTES)?;
        let location = members.required("location", location)?;
        let weight = members.count("allocationWeight", u64::from(u32::MAX))?;
        let credential = credential(&name, members)?;
        let draft = HubDraft {
            name,
            location: location.into(),
            weight: weight.map(|weight| u32::try_from(weight).unwrap_or(u32::MAX)),
            in_policy: members.flag("applyAllocationPolicy")?,
            credential: None,
        };
        Ok(Self { draft, credential })
    }
}

/// Reads `connectionString`: that of another hub is refused; what is no connection string is taken, for the
/// hub linker may sign in in another way.
fn credential<'a>(name: &HubName, members: &Object<'a>) -> Result<Credential<'a>, EnrollmentError> {
    let unfit = |text| Err(members.fault(CONNECTION, Problem::Unfit(text)));
    let Some(text) = members.short(CONNECTION, MAX_CREDENTIAL_BYTES)? else {
        return Ok(Credential::Unsaid);
    };
    if text.is_empty() {
        return unfit("is empty; leave it out to keep the one that is there");
    }
    if connection_string::is_shown(text) {
        return Ok(Credential::Shown(text));
    }
    if connection_string::host(text).is_some_and(|host| host != *name) {
        return unfit("is of another hub than the one in the path");
    }
    let secret = text.as_bytes().to_vec();
    Ok(Credential::Given(SecretBytes::new(secret)))
}

impl Question<'_> {
    fn hub_name(&self) -> Result<HubName, ServiceError> {
        let name = HubName::parse(self.id);
        name.map_err(|error| malformed(format!("name: {error}")))
    }

    /// Holds that `text` is what is shown of the credential that is there: with anything else in it, somebody
    /// wants to change what cannot be changed without the key.
    async fn holds_shown(&self, name: &HubName, text: &str) -> Result<(), ServiceError> {
        let found = self.admin.hubs().await;
        let found = found.map_err(|error| fault(error, What::Instance))?;
        let same = |hub: &LinkedHub| {
            let credential = hub.credential.as_ref().map(connection_string::shown);
            hub.name == *name && credential.as_deref() == Some(text)
        };
        if found.value.iter().any(same) {
            return Ok(());
        }
        Err(malformed(format!(
            "{CONNECTION}: hides its key, and is not as the one that is there is shown"
        )))
    }
}
