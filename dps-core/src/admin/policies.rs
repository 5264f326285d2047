//! Shared access policies, one at a time, and their keys.

use std::sync::Arc;

use super::check::KEY_BYTES;
use super::{Admin, AdminError, Precondition, Revision};
use crate::access::{AccessPolicy, Rights};
use crate::crypto::{Crypto, CryptoError};
use crate::id::SecretBytes;

/// The most shared access policies of an instance. Our choice.
pub const MAX_POLICIES: usize = 50;

/// Bytes of the name of a policy.
///
/// # Source
/// What Terraform's azurerm takes as the name of a shared access policy, for the characters as well.
const NAME_BYTES: std::ops::RangeInclusive<usize> = 1..=64;
const NAME_MARKS: &[u8] = b"!.-_";

/// Bytes of the keys that are made, as of those of enrollments.
const MADE_KEY_BYTES: usize = 64;

/// A shared access policy as an operator writes it.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    /// Its name, 1 to 64 ASCII letters, digits and `! . - _`; policies are told apart by it, without regard
    /// to case.
    pub name: Arc<str>,
    /// 16 to 64 bytes. A key that is not said stays, or is made.
    pub primary: Option<SecretBytes>,
    /// 16 to 64 bytes. A key that is not said stays, or is made.
    pub secondary: Option<SecretBytes>,
    /// What it is good for.
    pub rights: Rights,
}

/// One of the two keys of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySlot {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

impl Admin {
    /// The shared access policies with their keys, and the version of the instance.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance.
    pub async fn policies(&self) -> Result<Revision<Vec<AccessPolicy>>, AdminError> {
        let Revision { version, value } = self.settings().await?;
        let value = value.access.policies;
        Ok(Revision { version, value })
    }

    /// Makes a policy, or changes one. Counts from the next request of any operator.
    ///
    /// * `precondition`: of the policy, whether it is there; of the instance, its version.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a name or a key out of its bounds; [`AdminError::Full`] for more than
    /// [`MAX_POLICIES`]; [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or
    /// [`AdminError::Changed`] if `precondition` does not hold.
    ///
    /// # Source
    /// That keys are made if none are said: what Terraform relies on when it makes policies. That they stay
    /// is ours: whoever reads a policy is not told them.
    pub async fn put_policy(
        &self,
        draft: PolicyDraft,
        precondition: Precondition,
    ) -> Result<Revision<AccessPolicy>, AdminError> {
        check(&draft)?;
        let crypto = self.crypto.ok_or(CryptoError)?;
        self.change_instance(|instance, version| {
            let policies = &mut instance.access.policies;
            let count = policies.len();
            let mut named = policies.iter_mut();
            let before = named.find(|policy| policy.name.eq_ignore_ascii_case(&draft.name));
            precondition.holds(version, before.is_some())?;
            let key = |said: &Option<SecretBytes>, kept: Option<&SecretBytes>| {
                said.as_ref()
                    .or(kept)
                    .map_or_else(|| made(&crypto), |key| Ok(key.clone()))
            };
            let policy = AccessPolicy {
                name: Arc::clone(&draft.name),
                primary: key(
                    &draft.primary,
                    before.as_ref().map(|policy| &policy.primary),
                )?,
                secondary: key(
                    &draft.secondary,
                    before.as_ref().map(|policy| &policy.secondary),
                )?,
                rights: draft.rights,
            };
            match before {
                Some(before) => before.clone_from(&policy),
                None if count >= MAX_POLICIES => {
                    let limit = MAX_POLICIES as u64;
                    return Err(AdminError::Full { limit });
                }
                None => policies.push(policy.clone()),
            }
            Ok(policy)
        })
        .await
    }

    /// Removes a policy: tokens signed with its keys are good for nothing from the next request on.
    ///
    /// The last policy with [`Rights::SERVICE_CONFIG`] can be removed as any other. Nobody can change the
    /// instance from outside then: what helps is [`Admin::put_instance`], by a program.
    ///
    /// * `precondition`: as with [`Admin::put_policy`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if it is not there; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn remove_policy(
        &self,
        name: &str,
        precondition: Precondition,
    ) -> Result<Revision<()>, AdminError> {
        self.change_instance(|instance, version| {
            let policies = &mut instance.access.policies;
            let mut all = policies.iter();
            let nth = all.position(|policy| policy.name.eq_ignore_ascii_case(name));
            let nth = nth.ok_or(AdminError::NotFound)?;
            precondition.holds(version, true)?;
            policies.remove(nth);
            Ok(())
        })
        .await
    }

    /// Makes one key of a policy anew. The other one goes on to work.
    ///
    /// * `precondition`: as with [`Admin::put_policy`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] if the policy is not there; [`AdminError::Exists`] or
    /// [`AdminError::Changed`] if `precondition` does not hold.
    pub async fn roll_key(
        &self,
        name: &str,
        slot: KeySlot,
        precondition: Precondition,
    ) -> Result<Revision<AccessPolicy>, AdminError> {
        let key = made(&self.crypto.ok_or(CryptoError)?)?;
        self.change_instance(|instance, version| {
            let mut all = instance.access.policies.iter_mut();
            let policy = all.find(|policy| policy.name.eq_ignore_ascii_case(name));
            let policy = policy.ok_or(AdminError::NotFound)?;
            precondition.holds(version, true)?;
            match slot {
                KeySlot::Primary => policy.primary = key.clone(),
                KeySlot::Secondary => policy.secondary = key.clone(),
            }
            Ok(policy.clone())
        })
        .await
    }
}

fn made(crypto: &Crypto) -> Result<SecretBytes, CryptoError> {
    let key: [u8; MADE_KEY_BYTES] = crypto.random()?;
    Ok(SecretBytes::new(key.to_vec()))
}

fn check(draft: &PolicyDraft) -> Result<(), AdminError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || NAME_MARKS.contains(&byte);
    if !NAME_BYTES.contains(&draft.name.len()) || !draft.name.bytes().all(known) {
        return Err(AdminError::invalid(
            "the name of a shared access policy has 1 to 64 ASCII letters, digits and ! . - _",
        ));
    }
    let mut keys = [&draft.primary, &draft.secondary].into_iter().flatten();
    if !keys.all(|key| KEY_BYTES.contains(&key.expose().len())) {
        return Err(AdminError::invalid(
            "a key of a shared access policy has 16 to 64 bytes",
        ));
    }
    Ok(())
}

/// That names stand once, as they are looked up.
pub(super) fn check_names(policies: &[AccessPolicy]) -> Result<(), AdminError> {
    for (nth, policy) in policies.iter().enumerate() {
        let same = |other: &AccessPolicy| other.name.eq_ignore_ascii_case(&policy.name);
        if policies.iter().take(nth).any(same) {
            return Err(AdminError::invalid(
                "two shared access policies have the same name",
            ));
        }
    }
    Ok(())
}
