//! The instance, its linked hubs, its shared access policies, its rules.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::access::{self, AccessPolicy, Endpoint, IpAction, IpMask};
use dps_core::id::IdScope;
use dps_core::instance::{self, LinkedHub};
use dps_core::store::Version;
use serde::Serialize;

use super::{Keys, shown};
use crate::service::connection_string;
use crate::service::precondition::tag;

/// Something with the version of what it stands in.
#[derive(Serialize)]
pub(in crate::service) struct Tagged<T> {
    #[serde(flatten)]
    value: T,
    etag: String,
}

impl<T: Serialize> Tagged<T> {
    pub(in crate::service) fn of(value: T, version: Version) -> Self {
        let etag = tag(version);
        Self { value, etag }
    }
}

/// All there are of something, as the resource API lists it.
#[derive(Serialize)]
pub(in crate::service) struct List<T> {
    pub(in crate::service) value: Vec<T>,
}

/// The instance; members that the resource API has for what we have not are left out.
///
/// # Source
/// `IotDpsPropertiesDescription` of the resource API, version 2022-12-12; `disableLocalAuth`, version 2026-08-01; `quotas`,
/// `tokenIssuers` and `privateEndpoints` are ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Instance<'a> {
    id_scope: &'a str,
    service_operations_host_name: &'a str,
    allocation_policy: &'static str,
    iot_hubs: Vec<Hub<'a>>,
    authorization_policies: Vec<Policy<'a>>,
    ip_filter_rules: Vec<Rule<'a>>,
    token_issuers: Vec<Issuer<'a>>,
    disable_local_auth: bool,
    public_network_access: &'static str,
    private_endpoints: &'a [Arc<str>],
    quotas: Quotas,
}

impl<'a> Instance<'a> {
    pub(in crate::service) fn of(scope: &'a IdScope, instance: &'a instance::Instance) -> Self {
        let policies = instance.access.policies.iter();
        Self {
            id_scope: scope.as_str(),
            service_operations_host_name: &instance.service_host,
            allocation_policy: policy_word(instance.policy),
            iot_hubs: instance.hubs.iter().map(Hub::of).collect(),
            authorization_policies: policies.map(|one| Policy::of(one, Keys::Hidden)).collect(),
            ip_filter_rules: instance.access.rules.iter().map(Rule::of).collect(),
            token_issuers: instance.access.issuers.iter().map(Issuer::of).collect(),
            disable_local_auth: instance.access.disable_local_auth,
            public_network_access: switch(instance.access.network.public),
            private_endpoints: &instance.access.network.private,
            quotas: Quotas::of(instance.quotas),
        }
    }
}

/// One part of the instance, as it stands in the whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) enum Part<'a> {
    AllocationPolicy(&'static str),
    Quotas(Quotas),
    IpFilterRules(Vec<Rule<'a>>),
    TokenIssuers(Vec<Issuer<'a>>),
    DisableLocalAuth(bool),
    PublicNetworkAccess(&'static str),
    PrivateEndpoints(&'a [Arc<str>]),
}

impl<'a> Part<'a> {
    pub(in crate::service) fn policy(policy: dps_core::allocate::Policy) -> Self {
        Self::AllocationPolicy(policy_word(policy))
    }

    pub(in crate::service) const fn quotas(quotas: instance::Quotas) -> Self {
        Self::Quotas(Quotas::of(quotas))
    }

    pub(in crate::service) fn rules(rules: &'a [access::IpRule]) -> Self {
        Self::IpFilterRules(rules.iter().map(Rule::of).collect())
    }

    pub(in crate::service) const fn public(open: bool) -> Self {
        Self::PublicNetworkAccess(switch(open))
    }

    pub(in crate::service) fn issuers(issuers: &'a [access::Issuer]) -> Self {
        Self::TokenIssuers(issuers.iter().map(Issuer::of).collect())
    }
}

const fn switch(on: bool) -> &'static str {
    if on { "Enabled" } else { "Disabled" }
}

/// The resource API writes these words with a capital; enrollments have them without.
const fn policy_word(policy: dps_core::allocate::Policy) -> &'static str {
    use dps_core::allocate::Policy;
    match policy {
        Policy::Hashed => "Hashed",
        Policy::GeoLatency => "GeoLatency",
        Policy::Static => "Static",
        _ => "Custom",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Quotas {
    enrollments: u64,
    #[serde(rename = "x509Groups")]
    x509_groups: u64,
    symmetric_key_groups: u64,
    certificates: u64,
    registrations: u64,
}

impl Quotas {
    const fn of(quotas: instance::Quotas) -> Self {
        Self {
            enrollments: quotas.enrollments,
            x509_groups: quotas.x509_groups,
            symmetric_key_groups: quotas.symmetric_key_groups,
            certificates: quotas.certificates,
            registrations: quotas.registrations,
        }
    }
}

/// # Source
/// `IotHubDefinitionDescription` of the resource API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Hub<'a> {
    name: &'a str,
    /// Without what is secret of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_string: Option<String>,
    location: &'a str,
    apply_allocation_policy: bool,
    allocation_weight: u32,
}

impl<'a> Hub<'a> {
    pub(in crate::service) fn of(hub: &'a LinkedHub) -> Self {
        Self {
            name: hub.name.as_str(),
            connection_string: hub.credential.as_ref().map(connection_string::shown),
            location: &hub.location,
            apply_allocation_policy: hub.in_policy,
            allocation_weight: hub.weight,
        }
    }
}

/// # Source
/// `SharedAccessSignatureAuthorizationRule` of the resource API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Policy<'a> {
    key_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary_key: Option<String>,
    rights: String,
}

impl<'a> Policy<'a> {
    pub(in crate::service) fn of(policy: &'a AccessPolicy, keys: Keys) -> Self {
        let told = |key: &dps_core::id::SecretBytes| {
            (keys == Keys::Told).then(|| BASE64_STANDARD.encode(key.expose()))
        };
        Self {
            key_name: &policy.name,
            primary_key: told(&policy.primary),
            secondary_key: told(&policy.secondary),
            rights: policy.rights.to_string(),
        }
    }
}

/// # Source
/// `IpFilterRule` of the resource API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Rule<'a> {
    filter_name: &'a str,
    action: &'static str,
    #[serde(serialize_with = "shown")]
    ip_mask: IpMask,
    target: &'static str,
}

impl<'a> Rule<'a> {
    fn of(rule: &'a access::IpRule) -> Self {
        Self {
            filter_name: &rule.name,
            action: match rule.action {
                IpAction::Accept => "Accept",
                IpAction::Reject => "Reject",
            },
            ip_mask: rule.mask,
            target: match rule.target {
                None => "all",
                Some(Endpoint::Service) => "serviceApi",
                Some(Endpoint::Device) => "deviceApi",
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::service) struct Issuer<'a> {
    issuer: &'a str,
    audience: &'a str,
    role_claim: &'a str,
    roles: Vec<Role<'a>>,
}

#[derive(Serialize)]
struct Role<'a> {
    role: &'a str,
    actions: Vec<&'static str>,
}

impl<'a> Issuer<'a> {
    fn of(issuer: &'a access::Issuer) -> Self {
        let roles = issuer.roles.iter().map(|role| Role {
            role: &role.name,
            actions: role.actions.iter().map(access::Action::name).collect(),
        });
        Self {
            issuer: &issuer.url,
            audience: &issuer.audience,
            role_claim: &issuer.claim,
            roles: roles.collect(),
        }
    }
}
