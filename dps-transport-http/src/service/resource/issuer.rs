//! OpenID providers whose tokens let operators in, as documents say them.

use std::sync::Arc;

use dps_core::access::{Actions, Issuer, MAX_ISSUERS, MAX_ROLES, Role};

use crate::service::error::{EnrollmentError, Problem};
use crate::service::object::Object;

/// As many patterns as a role may list: more than there are actions.
const MAX_PATTERNS: usize = 20;

/// What is left out of a provider is as [`Issuer::new`] has it.
pub(super) fn read(members: &Object<'_>) -> Result<Vec<Issuer>, EnrollmentError> {
    const NAME: &str = "tokenIssuers";
    let issuers = members.required(NAME, members.objects(NAME, MAX_ISSUERS)?)?;
    issuers.iter().map(issuer).collect()
}

fn issuer(issuer: &Object<'_>) -> Result<Issuer, EnrollmentError> {
    let usual = Issuer::new(issuer.required("issuer", issuer.text("issuer")?)?);
    Ok(Issuer {
        audience: issuer.text("audience")?.map_or(usual.audience, Arc::from),
        claim: issuer.text("roleClaim")?.map_or(usual.claim, Arc::from),
        roles: match issuer.objects("roles", MAX_ROLES)? {
            Some(roles) => roles.iter().map(role).collect::<Result<_, _>>()?,
            None => usual.roles,
        },
        url: usual.url,
    })
}

fn role(role: &Object<'_>) -> Result<Role, EnrollmentError> {
    let name = role.required("role", role.text("role")?)?;
    if !role.has("actions") {
        return Err(role.fault("actions", Problem::Missing));
    }
    let actions = role.texts("actions", MAX_PATTERNS, |text| {
        Actions::parse(text).map_err(Problem::Action)
    })?;
    Ok(Role {
        name: name.into(),
        actions: actions.into_iter().fold(Actions::NONE, Actions::and),
    })
}
