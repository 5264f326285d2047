//! The instance, and its secret.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::issuer::{StoredIssuer, load_issuer, store_issuer};
use super::rule::{StoredRule, load_rule, store_rule};
use super::{Base64, corrupt, decode, encode};
use crate::access::{Access, AccessPolicy, Network, Rights};
use crate::allocate::Policy;
use crate::id::{HubName, SecretBytes};
use crate::instance::{Instance, LinkedHub, Quotas};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    host: Cow<'a, str>,
    policy: Cow<'a, str>,
    hubs: Vec<StoredHub<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    policies: Vec<StoredPolicy<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<StoredRule<'a>>,
    /// Left out if it is the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<StoredNetwork<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    issuers: Vec<StoredIssuer<'a>>,
    /// Left out unless it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disable_local_auth: bool,
    /// Left out if they are the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quotas: Option<StoredQuotas>,
}

#[derive(Serialize, Deserialize)]
struct StoredNetwork<'a> {
    public: bool,
    private: Vec<Cow<'a, str>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct StoredQuotas {
    enrollments: u64,
    x509_groups: u64,
    symmetric_key_groups: u64,
    certificates: u64,
    /// Not written before there was such a quota.
    #[serde(default = "usual_registrations")]
    registrations: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredPolicy<'a> {
    name: Cow<'a, str>,
    keys: [Base64<Cow<'a, [u8]>>; 2],
    rights: String,
}

#[derive(Serialize, Deserialize)]
struct StoredHub<'a> {
    name: Cow<'a, str>,
    location: Cow<'a, str>,
    weight: u32,
    in_policy: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<Base64<Cow<'a, [u8]>>>,
}

/// Without its certificates, which are records of their own.
pub(crate) fn encode_instance(instance: &Instance) -> Result<Bytes, StoreError> {
    let hubs = instance.hubs.iter().map(|hub| StoredHub {
        name: hub.name.as_str().into(),
        location: (*hub.location).into(),
        weight: hub.weight,
        in_policy: hub.in_policy,
        credential: hub
            .credential
            .as_ref()
            .map(|secret| Base64(Cow::Borrowed(secret.expose()))),
    });
    encode(&Stored {
        host: (*instance.service_host).into(),
        policy: instance.policy.word().into(),
        hubs: hubs.collect(),
        policies: instance.access.policies.iter().map(store_policy).collect(),
        rules: instance.access.rules.iter().map(store_rule).collect(),
        network: (instance.access.network != Network::default())
            .then(|| store_network(&instance.access.network)),
        issuers: instance.access.issuers.iter().map(store_issuer).collect(),
        disable_local_auth: instance.access.disable_local_auth,
        quotas: (instance.quotas != Quotas::default()).then(|| store_quotas(instance.quotas)),
    })
}

/// Without its certificates.
pub(crate) fn decode_instance(value: &[u8]) -> Result<Instance, StoreError> {
    let stored: Stored<'static> = decode(value)?;
    let hubs = stored.hubs.into_iter().map(|hub| {
        Ok(LinkedHub {
            name: HubName::parse(&hub.name).map_err(corrupt)?,
            location: Arc::from(&*hub.location),
            weight: hub.weight,
            in_policy: hub.in_policy,
            credential: hub
                .credential
                .map(|secret| SecretBytes::new(secret.0.into_owned())),
        })
    });
    Ok(Instance {
        service_host: Arc::from(&*stored.host),
        policy: Policy::parse(&stored.policy).ok_or_else(|| corrupt("unknown policy"))?,
        hubs: hubs.collect::<Result<_, StoreError>>()?,
        certificates: Vec::new(),
        access: Access {
            policies: stored
                .policies
                .into_iter()
                .map(load_policy)
                .collect::<Result<_, _>>()?,
            rules: stored
                .rules
                .into_iter()
                .map(|rule| load_rule(&rule))
                .collect::<Result<_, _>>()?,
            network: stored
                .network
                .map_or_else(Network::default, |stored| load_network(&stored)),
            issuers: stored
                .issuers
                .into_iter()
                .map(|issuer| load_issuer(&issuer))
                .collect::<Result<_, _>>()?,
            disable_local_auth: stored.disable_local_auth,
        },
        quotas: stored.quotas.map_or_else(Quotas::default, load_quotas),
    })
}

fn store_network(network: &Network) -> StoredNetwork<'_> {
    StoredNetwork {
        public: network.public,
        private: network.private.iter().map(|name| (**name).into()).collect(),
    }
}

fn load_network(stored: &StoredNetwork<'_>) -> Network {
    Network {
        public: stored.public,
        private: stored
            .private
            .iter()
            .map(|name| Arc::from(&**name))
            .collect(),
    }
}

fn usual_registrations() -> u64 {
    Quotas::default().registrations
}

const fn store_quotas(quotas: Quotas) -> StoredQuotas {
    let Quotas {
        enrollments,
        x509_groups,
        symmetric_key_groups,
        certificates,
        registrations,
    } = quotas;
    StoredQuotas {
        enrollments,
        x509_groups,
        symmetric_key_groups,
        certificates,
        registrations,
    }
}

const fn load_quotas(stored: StoredQuotas) -> Quotas {
    let StoredQuotas {
        enrollments,
        x509_groups,
        symmetric_key_groups,
        certificates,
        registrations,
    } = stored;
    Quotas {
        enrollments,
        x509_groups,
        symmetric_key_groups,
        certificates,
        registrations,
    }
}

fn store_policy(policy: &AccessPolicy) -> StoredPolicy<'_> {
    StoredPolicy {
        name: (*policy.name).into(),
        keys: [&policy.primary, &policy.secondary].map(|key| Base64(Cow::Borrowed(key.expose()))),
        rights: policy.rights.to_string(),
    }
}

fn load_policy(stored: StoredPolicy<'static>) -> Result<AccessPolicy, StoreError> {
    let [primary, secondary] = stored.keys.map(|key| SecretBytes::new(key.0.into_owned()));
    Ok(AccessPolicy {
        name: Arc::from(&*stored.name),
        primary,
        secondary,
        rights: match &*stored.rights {
            "" => Rights::NONE,
            rights => Rights::parse(rights).map_err(corrupt)?,
        },
    })
}

#[derive(Serialize, Deserialize)]
struct StoredNonceKey<'a> {
    key: Base64<Cow<'a, [u8]>>,
}

pub(crate) fn encode_nonce_key(key: &SecretBytes) -> Result<Bytes, StoreError> {
    encode(&StoredNonceKey {
        key: Base64(Cow::Borrowed(key.expose())),
    })
}

pub(crate) fn decode_nonce_key(value: &[u8]) -> Result<SecretBytes, StoreError> {
    let stored: StoredNonceKey<'static> = decode(value)?;
    Ok(SecretBytes::new(stored.key.0.into_owned()))
}
