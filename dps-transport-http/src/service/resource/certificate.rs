//! Certificates of the instance, and the proof that somebody holds their keys.

use dps_core::admin::{CaDraft, Precondition, Revision};
use dps_core::certificate::Certificate;
use dps_core::error::ServiceError;
use dps_core::instance::HeldCertificate;

use super::fault::unmade;
use super::{Done, Question, What, document, fault, malformed, members, missing, named, stale};
use crate::service::certificate;
use crate::service::error::{EnrollmentError, Problem};
use crate::service::object::Object;
use crate::service::precondition::{self, IfMatch};
use crate::service::shape::{CaCertificate, List};

pub(super) async fn list(question: &Question<'_>) -> Result<Done, ServiceError> {
    let found = question.admin.certificates().await;
    let found = found.map_err(|error| fault(error, What::Certificate))?;
    let value = found.iter().map(CaCertificate::of).collect();
    Ok(Done::with(&List { value }))
}

pub(super) async fn read(question: &Question<'_>) -> Result<Done, ServiceError> {
    Ok(shown(&question.held().await?))
}

/// Makes a certificate, or replaces the one that a tag names; without a tag it replaces none, as the resource
/// API has it.
pub(super) async fn write(question: &Question<'_>) -> Result<Done, ServiceError> {
    let expected = precondition::of_write(question.headers, Precondition::Absent)?;
    let document = document(question)?;
    let draft = members(&document, |members| draft(question, members))?;
    let expected = expected.ok_or_else(stale)?;
    let (admin, now) = (question.admin, question.operators.now());
    let written = admin.put_certificate(draft, expected, now).await;
    let written = written.map_err(|error| unmade(error, What::Certificate))?;
    Ok(shown(&written))
}

pub(super) async fn remove(question: &Question<'_>) -> Result<Done, ServiceError> {
    let expected = question.seen().await?;
    let removed = question.admin.remove_certificate(question.id, expected);
    let removed = removed.await;
    removed.map_err(|error| fault(error, What::Certificate))?;
    Ok(Done::empty())
}

pub(super) async fn generate_code(question: &Question<'_>) -> Result<Done, ServiceError> {
    let expected = question.seen().await?;
    let (admin, now) = (question.admin, question.operators.now());
    let made = admin.generate_code(question.id, expected, now).await;
    let made = made.map_err(|error| fault(error, What::Certificate))?;
    Ok(Done::with(&CaCertificate::with_code(&made)))
}

pub(super) async fn verify(question: &Question<'_>) -> Result<Done, ServiceError> {
    let document = document(question)?;
    let proof = members(&document, one)?;
    let expected = question.seen().await?;
    let (admin, now) = (question.admin, question.operators.now());
    let verified = admin.verify_certificate(question.id, &proof, expected, now);
    let verified = verified.await;
    let verified = verified.map_err(|error| fault(error, What::Certificate))?;
    Ok(shown(&verified))
}

fn shown(held: &Revision<HeldCertificate>) -> Done {
    Done::with(&CaCertificate::of(held))
}

fn draft(question: &Question<'_>, members: &Object<'_>) -> Result<CaDraft, EnrollmentError> {
    let name = named(question, members, "name")?;
    let properties = members.object("properties")?;
    let properties = members.required("properties", properties)?;
    Ok(CaDraft {
        name: name.into(),
        certificate: one(&properties)?,
        verified: properties.flag("isVerified")?,
    })
}

/// The member `certificate`. What follows the certificate in PEM may be its key: nobody should think that
/// this were the place for it.
fn one(members: &Object<'_>) -> Result<Certificate, EnrollmentError> {
    const NAME: &str = "certificate";
    let text = members.required(NAME, members.text(NAME)?)?;
    let found = certificate::read(text).map_err(|problem| members.fault(NAME, problem))?;
    if found.more {
        let problem = Problem::Unfit("holds more than one certificate");
        return Err(members.fault(NAME, problem));
    }
    Ok(found.certificate)
}

impl Question<'_> {
    async fn held(&self) -> Result<Revision<HeldCertificate>, ServiceError> {
        let found = self.admin.certificate(self.id).await;
        found
            .map_err(|error| fault(error, What::Certificate))?
            .ok_or_else(|| missing(What::Certificate))
    }

    /// Which version of a certificate the request means. It has to say.
    ///
    /// # Source
    /// `If-Match` is required by the resource API for all that changes a certificate that is there.
    async fn seen(&self) -> Result<Precondition, ServiceError> {
        match IfMatch::read(self.headers)? {
            IfMatch::Unsaid => Err(malformed(
                "If-Match has to say which version of the certificate is meant, or *",
            )),
            IfMatch::Star => Ok(Precondition::Any),
            IfMatch::Tag(version) => Ok(Precondition::Version(version)),
            IfMatch::Unknown => {
                self.held().await?;
                Err(stale())
            }
        }
    }
}
