//! What an instance is set to, as many operators change it at once.
//!
//! Hubs, shared access policies, IP rules, doors and quotas stand in one record, and have one version: that of the
//! instance. Certificates are records of their own.

use std::sync::Arc;

use super::{Admin, AdminError, Precondition, ROUNDS, Revision};
use crate::access::{IpRule, MAX_IP_RULES, MAX_PRIVATE_ENDPOINTS};
use crate::allocate::Policy;
use crate::instance::{Instance, Quotas};
use crate::record::{
    decode_certificate, decode_instance, encode_instance, epoch_key, instance_key,
};
use crate::snapshot::all;
use crate::store::{Change, Expect, Key, StoreError, Table, Version, Write};

/// Bytes of the name of an IP rule.
///
/// # Source
/// *Configure IP filter rules* of the service, for the characters as well.
const RULE_NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=128;
const RULE_NAME_MARKS: &[u8] = br"-:/\.+%_#*?!(),=@;'";

/// Bytes of the name of a private endpoint. Our choice.
const ENDPOINT_NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

impl Admin {
    /// The instance with its certificates, as it is now; `None` if there is none.
    ///
    /// The version is the instance's: certificates have their own ([`Admin::certificates`]).
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn instance(&self) -> Result<Option<Revision<Instance>>, AdminError> {
        let keys = [epoch_key(&self.scope), instance_key(&self.scope)];
        for _ in 0..ROUNDS {
            let mut found = self.store.get_many(&keys).await?.into_iter();
            let epoch = found.next().flatten().map(|epoch| epoch.version);
            let Some(stored) = found.next().flatten() else {
                return Ok(None);
            };
            let mut value = decode_instance(&stored.value)?;
            let (store, scope) = (&*self.store, &self.scope);
            value.certificates = all(store, scope, Table::Certificate, decode_certificate).await?;
            let after = self.read(epoch_key(&self.scope)).await?;
            if after.map(|epoch| epoch.version) == epoch {
                let version = stored.version;
                return Ok(Some(Revision { version, value }));
            }
        }
        Err(AdminError::restless())
    }

    /// Sets the policy for enrollments that name none of their own. Counts from the next registration.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for [`Policy::Custom`], which only enrollments can have;
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    ///
    /// # Source
    /// `allocationPolicy` of the resource API: `Hashed`, `GeoLatency` or `Static`.
    pub async fn set_policy(
        &self,
        policy: Policy,
        precondition: Precondition,
    ) -> Result<Revision<Policy>, AdminError> {
        if policy == Policy::Custom {
            return Err(AdminError::invalid(
                "the policy of an instance is hashed, geoLatency or static; enrollments can have custom ones",
            ));
        }
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.policy = policy;
            Ok(policy)
        })
        .await
    }

    /// Sets how much of everything there may be. What is there already stays.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn set_quotas(
        &self,
        quotas: Quotas,
        precondition: Precondition,
    ) -> Result<Revision<Quotas>, AdminError> {
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.quotas = quotas;
            Ok(quotas)
        })
        .await
    }

    /// Sets the IP rules, all of them, for their order counts. Counts from the next request, also of callers
    /// who have proven themselves before.
    ///
    /// Whoever rejects its own address for the service has locked itself out: what helps then is
    /// [`Admin::put_instance`], by a program.
    ///
    /// # Errors
    /// [`AdminError::Full`] for more than [`MAX_IP_RULES`]; [`AdminError::Invalid`] for a name that stands
    /// twice, or has other than 1 to 128 ASCII letters, digits and `- : / \ . + % _ # * ? ! ( ) , = @ ; '`;
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn set_ip_rules(
        &self,
        rules: Vec<IpRule>,
        precondition: Precondition,
    ) -> Result<Revision<Vec<IpRule>>, AdminError> {
        check_rules(&rules)?;
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.access.rules.clone_from(&rules);
            Ok(rules.clone())
        })
        .await
    }

    /// Sets whether the instance can be reached by the public network. Counts from the next request, also of
    /// callers who have proven themselves before.
    ///
    /// Whoever closes the door that it comes through has locked itself out, as with [`Admin::set_ip_rules`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn set_public_access(
        &self,
        public: bool,
        precondition: Precondition,
    ) -> Result<Revision<bool>, AdminError> {
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.access.network.public = public;
            Ok(public)
        })
        .await
    }

    /// Sets the private endpoints that the instance can be reached by, all of them. Counts as
    /// [`Admin::set_public_access`] does.
    ///
    /// # Errors
    /// [`AdminError::Full`] for more than [`MAX_PRIVATE_ENDPOINTS`]; [`AdminError::Invalid`] for a name that
    /// stands twice, or has other than 1 to 64 ASCII letters, digits and `- . _`; [`AdminError::NotFound`]
    /// without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn set_private_endpoints(
        &self,
        names: Vec<Arc<str>>,
        precondition: Precondition,
    ) -> Result<Revision<Vec<Arc<str>>>, AdminError> {
        check_endpoints(&names)?;
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.access.network.private.clone_from(&names);
            Ok(names.clone())
        })
        .await
    }

    /// The instance without its certificates, of which it says that there are none: one record is read.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance.
    pub async fn settings(&self) -> Result<Revision<Instance>, AdminError> {
        let stored = self.read(instance_key(&self.scope)).await?;
        let stored = stored.ok_or(AdminError::NotFound)?;
        Ok(Revision {
            version: stored.version,
            value: decode_instance(&stored.value)?,
        })
    }

    /// Writes what `change` makes of the instance as it is at a version; whatever else stands in it stays.
    pub(super) async fn change_instance<T>(
        &self,
        change: impl Fn(&mut Instance, Version) -> Result<T, AdminError> + Send + Sync,
    ) -> Result<Revision<T>, AdminError>
    where
        T: Send,
    {
        let Key { table, id, .. } = instance_key(&self.scope);
        for _ in 0..ROUNDS {
            let Revision { version, mut value } = self.settings().await?;
            let changed = change(&mut value, version)?;
            let write = Write {
                table,
                id: Arc::clone(&id),
                expect: Expect::Exactly(version),
                change: Change::Put(encode_instance(&value)?),
            };
            match self.configure(vec![write]).await {
                Ok(version) => {
                    let value = changed;
                    return Ok(Revision { version, value });
                }
                Err(AdminError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(AdminError::restless())
    }
}

impl Precondition {
    /// That it holds of something that stands in a record, which is at `version`.
    pub(super) fn holds(self, version: Version, there: bool) -> Result<(), AdminError> {
        match self {
            Self::Absent if there => Err(AdminError::Exists),
            Self::Present if !there => Err(AdminError::Changed),
            Self::Version(expected) if expected != version => Err(AdminError::Changed),
            _ => Ok(()),
        }
    }
}

pub(super) fn check_endpoints(names: &[Arc<str>]) -> Result<(), AdminError> {
    if names.len() > MAX_PRIVATE_ENDPOINTS {
        let limit = MAX_PRIVATE_ENDPOINTS as u64;
        return Err(AdminError::Full { limit });
    }
    for (nth, name) in names.iter().enumerate() {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !ENDPOINT_NAME_BYTES.contains(&name.len()) || !name.bytes().all(known) {
            return Err(AdminError::invalid(
                "the name of a private endpoint has 1 to 64 ASCII letters, digits and - . _",
            ));
        }
        if names.iter().take(nth).any(|other| other == name) {
            return Err(AdminError::invalid("a private endpoint is named twice"));
        }
    }
    Ok(())
}

pub(super) fn check_rules(rules: &[IpRule]) -> Result<(), AdminError> {
    if rules.len() > MAX_IP_RULES {
        let limit = MAX_IP_RULES as u64;
        return Err(AdminError::Full { limit });
    }
    for (nth, rule) in rules.iter().enumerate() {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || RULE_NAME_MARKS.contains(&byte);
        if !RULE_NAME_BYTES.contains(&rule.name.len()) || !rule.name.bytes().all(known) {
            return Err(AdminError::invalid(
                "the name of an IP rule has 1 to 128 ASCII letters, digits and - : / \\ . + % _ # * ? ! ( ) , = @ ; '",
            ));
        }
        let same = |other: &IpRule| other.name.eq_ignore_ascii_case(&rule.name);
        if rules.iter().take(nth).any(same) {
            return Err(AdminError::invalid("two IP rules have the same name"));
        }
    }
    Ok(())
}
