//! The instance: all that it is set to, and the parts of it that are set by themselves.

use std::sync::Arc;

use dps_core::access::{
    Endpoint, IpAction, IpMask, IpRule, Issuer, MAX_IP_RULES, MAX_PRIVATE_ENDPOINTS,
};
use dps_core::admin::Precondition;
use dps_core::allocate::Policy;
use dps_core::error::ServiceError;
use dps_core::instance::Quotas;
use serde_json::Value;

use super::fault::unmade;
use super::{Done, Question, What, document, fault, issuer, members, stale};
use crate::service::error::{EnrollmentError, Problem};
use crate::service::object::Object;
use crate::service::precondition;
use crate::service::route::Part;
use crate::service::shape;

pub(super) async fn read(question: &Question<'_>) -> Result<Done, ServiceError> {
    let found = question.admin.settings().await;
    let found = found.map_err(|error| fault(error, What::Instance))?;
    let instance = shape::Instance::of(question.admin.scope(), &found.value);
    Ok(Done::with(&shape::Tagged::of(instance, found.version)))
}

pub(super) async fn read_part(question: &Question<'_>, part: Part) -> Result<Done, ServiceError> {
    let found = question.admin.settings().await;
    let found = found.map_err(|error| fault(error, What::Instance))?;
    let instance = &found.value;
    let shape = match part {
        Part::AllocationPolicy => shape::Part::policy(instance.policy),
        Part::Quotas => shape::Part::quotas(instance.quotas),
        Part::IpFilterRules => shape::Part::rules(&instance.access.rules),
        Part::TokenIssuers => shape::Part::issuers(&instance.access.issuers),
        Part::DisableLocalAuth => shape::Part::DisableLocalAuth(instance.access.disable_local_auth),
        Part::PublicNetworkAccess => shape::Part::public(instance.access.network.public),
        Part::PrivateEndpoints => shape::Part::PrivateEndpoints(&instance.access.network.private),
    };
    Ok(Done::with(&shape::Tagged::of(shape, found.version)))
}

/// Sets one part; the others stay, whatever became of them meanwhile. Without a tag, whoever writes last
/// wins.
pub(super) async fn write_part(question: &Question<'_>, part: Part) -> Result<Done, ServiceError> {
    let expected = precondition::of_write(question.headers, Precondition::Any)?;
    let said = Said::read(part, &document(question)?)?;
    let expected = expected.ok_or_else(stale)?;
    let admin = question.admin;
    let unset = |error| unmade(error, What::Instance);
    match said {
        Said::Policy(policy) => {
            let set = admin.set_policy(policy, expected).await.map_err(unset)?;
            let shape = shape::Part::policy(set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::Quotas(quotas) => {
            let set = admin.set_quotas(quotas, expected).await.map_err(unset)?;
            let shape = shape::Part::quotas(set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::Rules(rules) => {
            let set = admin.set_ip_rules(rules, expected).await.map_err(unset)?;
            let shape = shape::Part::rules(&set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::Issuers(issuers) => {
            let set = admin.set_issuers(issuers, expected).await.map_err(unset)?;
            let shape = shape::Part::issuers(&set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::DisableLocalAuth(disabled) => {
            let set = admin.set_disable_local_auth(disabled, expected);
            let set = set.await.map_err(unset)?;
            let shape = shape::Part::DisableLocalAuth(set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::PublicNetworkAccess(public) => {
            let set = admin.set_public_access(public, expected);
            let set = set.await.map_err(unset)?;
            let shape = shape::Part::public(set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
        Said::PrivateEndpoints(names) => {
            let set = admin.set_private_endpoints(names, expected);
            let set = set.await.map_err(unset)?;
            let shape = shape::Part::PrivateEndpoints(&set.value);
            Ok(Done::with(&shape::Tagged::of(shape, set.version)))
        }
    }
}

/// A part as a document says it.
enum Said {
    Policy(Policy),
    Quotas(Quotas),
    Rules(Vec<IpRule>),
    Issuers(Vec<Issuer>),
    DisableLocalAuth(bool),
    PublicNetworkAccess(bool),
    PrivateEndpoints(Vec<Arc<str>>),
}

impl Said {
    fn read(part: Part, document: &Value) -> Result<Self, ServiceError> {
        members(document, |members| match part {
            Part::AllocationPolicy => policy(members).map(Self::Policy),
            Part::Quotas => quotas(members).map(Self::Quotas),
            Part::IpFilterRules => rules(members).map(Self::Rules),
            Part::TokenIssuers => issuer::read(members).map(Self::Issuers),
            Part::DisableLocalAuth => disabled(members).map(Self::DisableLocalAuth),
            Part::PublicNetworkAccess => public(members).map(Self::PublicNetworkAccess),
            Part::PrivateEndpoints => endpoints(members).map(Self::PrivateEndpoints),
        })
    }
}

fn policy(members: &Object<'_>) -> Result<Policy, EnrollmentError> {
    const NAME: &str = "allocationPolicy";
    const WORDS: Problem = Problem::NotAWord("Hashed, GeoLatency, Static");
    let word = members.required(NAME, members.text(NAME)?)?;
    let policy = Policy::parse(word).filter(|policy| *policy != Policy::Custom);
    policy.ok_or_else(|| members.fault(NAME, WORDS))
}

/// What is left out is as many as the service allows.
fn quotas(members: &Object<'_>) -> Result<Quotas, EnrollmentError> {
    let quotas = members.required("quotas", members.object("quotas")?)?;
    let count = |name, usual| -> Result<u64, EnrollmentError> {
        Ok(quotas.count(name, u64::MAX)?.unwrap_or(usual))
    };
    let usual = Quotas::default();
    Ok(Quotas {
        enrollments: count("enrollments", usual.enrollments)?,
        x509_groups: count("x509Groups", usual.x509_groups)?,
        symmetric_key_groups: count("symmetricKeyGroups", usual.symmetric_key_groups)?,
        certificates: count("certificates", usual.certificates)?,
        registrations: count("registrations", usual.registrations)?,
    })
}

fn disabled(members: &Object<'_>) -> Result<bool, EnrollmentError> {
    const NAME: &str = "disableLocalAuth";
    members.required(NAME, members.flag(NAME)?)
}

fn public(members: &Object<'_>) -> Result<bool, EnrollmentError> {
    const NAME: &str = "publicNetworkAccess";
    match members.required(NAME, members.text(NAME)?)? {
        word if word.eq_ignore_ascii_case("Enabled") => Ok(true),
        word if word.eq_ignore_ascii_case("Disabled") => Ok(false),
        _ => Err(members.fault(NAME, Problem::NotAWord("Enabled, Disabled"))),
    }
}

fn endpoints(members: &Object<'_>) -> Result<Vec<Arc<str>>, EnrollmentError> {
    const NAME: &str = "privateEndpoints";
    if !members.has(NAME) {
        return Err(members.fault(NAME, Problem::Missing));
    }
    members.texts(NAME, MAX_PRIVATE_ENDPOINTS, |name| Ok(name.into()))
}

fn rules(members: &Object<'_>) -> Result<Vec<IpRule>, EnrollmentError> {
    const NAME: &str = "ipFilterRules";
    let rules = members.required(NAME, members.objects(NAME, MAX_IP_RULES)?)?;
    rules.iter().map(rule).collect()
}

fn rule(rule: &Object<'_>) -> Result<IpRule, EnrollmentError> {
    let text = |name| rule.required(name, rule.text(name)?);
    let name = text("filterName")?.into();
    let action = match text("action")? {
        word if word.eq_ignore_ascii_case("Accept") => IpAction::Accept,
        word if word.eq_ignore_ascii_case("Reject") => IpAction::Reject,
        _ => return Err(rule.fault("action", Problem::NotAWord("Accept, Reject"))),
    };
    let mask = IpMask::parse(text("ipMask")?)
        .map_err(|error| rule.fault("ipMask", Problem::IpMask(error)))?;
    let target = match rule.text("target")? {
        None => None,
        Some(word) if word.eq_ignore_ascii_case("all") => None,
        Some(word) if word.eq_ignore_ascii_case("serviceApi") => Some(Endpoint::Service),
        Some(word) if word.eq_ignore_ascii_case("deviceApi") => Some(Endpoint::Device),
        Some(_) => {
            let words = Problem::NotAWord("all, serviceApi, deviceApi");
            return Err(rule.fault("target", words));
        }
    };
    Ok(IpRule {
        name,
        action,
        mask,
        target,
    })
}
