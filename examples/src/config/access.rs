//! Who may operate an instance.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::access::{Access, AccessPolicy, Rights};
use dps_core::id::SecretBytes;

use super::file::{InstanceTable, Secret};
use super::{Complaint, Context, openid};

/// How long a key may be, in bytes: as those of enrollments.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

pub(super) fn read(
    context: &Context<'_>,
    key: &str,
    instance: &InstanceTable,
) -> Result<Access, Complaint> {
    let mut access = Access {
        issuers: openid::issuers(context, key, &instance.issuer)?,
        disable_local_auth: instance.disable_local_auth,
        ..Access::default()
    };
    for (nth, table) in instance.policy.iter().enumerate() {
        let at = |name: &str| format!("{key}.policy[{nth}].{name}");
        // What clients take in a connection string (`ServiceConnectionStringBuilder.cs`).
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-@.".contains(&byte);
        if table.name.is_empty() || !table.name.bytes().all(plain) {
            let what = "a name has letters, digits and - _ @ . only";
            return Err(context.complaint(at("name"), what));
        }
        if access.policy(&table.name).is_some() {
            let what = format!("{} is the name of another policy", table.name);
            return Err(context.complaint(at("name"), what));
        }
        let rights = Rights::parse(&table.rights);
        let primary = secret(context, &at("primary_key"), &table.primary_key)?;
        let secondary = match &table.secondary_key {
            Some(given) => secret(context, &at("secondary_key"), given)?,
            // Nobody knows it, so nobody signs with it.
            None => made(context, &at("secondary_key"))?,
        };
        access.policies.push(AccessPolicy {
            name: Arc::from(table.name.as_str()),
            primary,
            secondary,
            rights: rights.map_err(|error| context.complaint(at("rights"), error))?,
        });
    }
    Ok(access)
}

fn secret(context: &Context<'_>, at: &str, text: &Secret) -> Result<SecretBytes, Complaint> {
    let bytes = STANDARD.decode(text.expose());
    let bytes = bytes.map_err(|_| context.complaint(at, "is not base64"))?;
    if !KEY_BYTES.contains(&bytes.len()) {
        let (min, max) = (KEY_BYTES.start(), KEY_BYTES.end());
        let what = format!("{} bytes, must have {min} to {max}", bytes.len());
        return Err(context.complaint(at, what));
    }
    Ok(SecretBytes::new(bytes))
}

fn made(context: &Context<'_>, at: &str) -> Result<SecretBytes, Complaint> {
    let made = context.crypto.random::<64>();
    let made = made.map_err(|error| context.complaint(at, error))?;
    Ok(SecretBytes::new(made.to_vec()))
}
