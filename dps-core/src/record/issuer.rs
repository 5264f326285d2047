//! OpenID providers of an instance.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::corrupt;
use crate::access::{Action, Actions, Issuer, Role};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredIssuer<'a> {
    url: Cow<'a, str>,
    audience: Cow<'a, str>,
    claim: Cow<'a, str>,
    roles: Vec<StoredRole<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredRole<'a> {
    name: Cow<'a, str>,
    /// One by one, by their names.
    actions: Vec<Cow<'a, str>>,
}

pub(super) fn store_issuer(issuer: &Issuer) -> StoredIssuer<'_> {
    let roles = issuer.roles.iter().map(|role| StoredRole {
        name: (*role.name).into(),
        actions: role.actions.iter().map(|a| a.name().into()).collect(),
    });
    StoredIssuer {
        url: (*issuer.url).into(),
        audience: (*issuer.audience).into(),
        claim: (*issuer.claim).into(),
        roles: roles.collect(),
    }
}

pub(super) fn load_issuer(stored: &StoredIssuer<'_>) -> Result<Issuer, StoreError> {
    let roles = stored.roles.iter().map(|role| {
        let known = |name: &str| Action::ALL.into_iter().find(|action| action.name() == name);
        let actions = role.actions.iter().map(|name| known(name));
        let actions: Option<Actions> = actions.collect();
        Ok(Role {
            name: Arc::from(&*role.name),
            actions: actions.ok_or_else(|| corrupt("unknown action"))?,
        })
    });
    Ok(Issuer {
        url: Arc::from(&*stored.url),
        audience: Arc::from(&*stored.audience),
        claim: Arc::from(&*stored.claim),
        roles: roles.collect::<Result<_, StoreError>>()?,
    })
}
