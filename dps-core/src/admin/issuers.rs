//! OpenID providers whose tokens let operators in, and whether shared access policies do.

use super::{Admin, AdminError, Precondition, Revision};
use crate::access::{Issuer, MAX_ISSUERS, MAX_ROLES, Role};

/// The longest texts that an operator writes of a provider, in characters. Our choices.
const MAX_URL: usize = 512;
const MAX_AUDIENCE: usize = 256;
const MAX_NAME: usize = 128;

impl Admin {
    /// Sets the OpenID providers whose tokens are taken, all of them. Counts from the next request.
    ///
    /// # Errors
    /// [`AdminError::Full`] for more than [`MAX_ISSUERS`], or more than [`MAX_ROLES`] of one;
    /// [`AdminError::Invalid`] for a provider or a role that stands twice, for a URL that is not `https`, or has
    /// a query, a fragment or a user, or a host that the service may not call ([`Admin::with_egress`]), and for a
    /// text that is empty or longer than [`Issuer`] says;
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn set_issuers(
        &self,
        issuers: Vec<Issuer>,
        precondition: Precondition,
    ) -> Result<Revision<Vec<Issuer>>, AdminError> {
        check_issuers(&issuers)?;
        if !issuers
            .iter()
            .all(|issuer| self.egress.permits_host(host(&issuer.url)))
        {
            return Err(AdminError::invalid(
                "the service may not call an OpenID provider of this name",
            ));
        }
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.access.issuers.clone_from(&issuers);
            Ok(issuers.clone())
        })
        .await
    }

    /// Sets whether shared access policies are good for nothing. Counts from the next request.
    ///
    /// Whoever disables them without a provider whose tokens can configure has locked itself out: what helps
    /// then is [`Admin::put_instance`], by a program.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] without an instance; [`AdminError::Exists`] or [`AdminError::Changed`] if
    /// `precondition` does not hold.
    pub async fn set_disable_local_auth(
        &self,
        disabled: bool,
        precondition: Precondition,
    ) -> Result<Revision<bool>, AdminError> {
        self.change_instance(|instance, version| {
            precondition.holds(version, true)?;
            instance.access.disable_local_auth = disabled;
            Ok(disabled)
        })
        .await
    }
}

pub(super) fn check_issuers(issuers: &[Issuer]) -> Result<(), AdminError> {
    at_most(MAX_ISSUERS, issuers.len())?;
    for (nth, issuer) in issuers.iter().enumerate() {
        if !is_url(&issuer.url) {
            return Err(AdminError::invalid(
                "an OpenID provider is an https URL of at most 512 ASCII characters, without user, query and fragment",
            ));
        }
        if issuers
            .iter()
            .take(nth)
            .any(|other| other.url == issuer.url)
        {
            return Err(AdminError::invalid("an OpenID provider stands twice"));
        }
        if !is_short(&issuer.audience, MAX_AUDIENCE) {
            return Err(AdminError::invalid("an audience has 1 to 256 characters"));
        }
        if !is_short(&issuer.claim, MAX_NAME) {
            return Err(AdminError::invalid(
                "the name of a claim has 1 to 128 characters",
            ));
        }
        check_roles(&issuer.roles)?;
    }
    Ok(())
}

fn check_roles(roles: &[Role]) -> Result<(), AdminError> {
    at_most(MAX_ROLES, roles.len())?;
    for (nth, role) in roles.iter().enumerate() {
        if !is_short(&role.name, MAX_NAME) {
            return Err(AdminError::invalid("a role has 1 to 128 characters"));
        }
        if roles.iter().take(nth).any(|other| other.name == role.name) {
            return Err(AdminError::invalid("a role stands twice"));
        }
    }
    Ok(())
}

fn is_short(text: &str, max: usize) -> bool {
    // Counted no further than has to be.
    !text.is_empty() && text.chars().nth(max).is_none()
}

fn at_most(limit: usize, count: usize) -> Result<(), AdminError> {
    if count > limit {
        let limit = limit as u64;
        return Err(AdminError::Full { limit });
    }
    Ok(())
}

fn is_url(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&byte);
    let rest = text.strip_prefix("https://");
    text.len() <= MAX_URL
        && text.bytes().all(plain)
        && rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']))
}

/// The host of a URL that [`is_url`].
fn host(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}
