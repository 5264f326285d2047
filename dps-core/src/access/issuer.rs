//! OpenID providers whose tokens let operators in.

use std::sync::Arc;

use super::Actions;
use super::bearer::Claims;

/// The most OpenID providers of an instance. Our choice.
pub const MAX_ISSUERS: usize = 10;

/// The most roles that tokens of one provider may stand for. Our choice.
pub const MAX_ROLES: usize = 20;

/// The audience that operators' clients ask tokens for.
///
/// # Source
/// The scope `https://azure-devices-provisioning.net/.default` in `provisioningserviceclient.ts` of the SDK for
/// Node.js.
pub const USUAL_AUDIENCE: &str = "https://azure-devices-provisioning.net";

/// An OpenID provider, and what its tokens are good for at one instance.
///
/// The audience is the same for every instance of everybody. What a token is good for is therefore said by each
/// instance of its own: one tenant's provider is nobody at another's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens say as `iss`, to the letter: an `https` URL without query, at most 512 characters. Each
    /// provider once.
    pub url: Arc<str>,
    /// What its tokens have to say as `aud`, at most 256 characters.
    pub audience: Arc<str>,
    /// The claim that lists roles, at most 128 characters: a text, which is one role, or an array of texts.
    pub claim: Arc<str>,
    /// What the roles are good for, at most [`MAX_ROLES`]. A role that is not here is good for nothing.
    pub roles: Vec<Role>,
}

/// What a token may say, and what that is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// A value of the claim, to the letter, at most 128 characters. Each once.
    pub name: Arc<str>,
    /// What it is good for.
    pub actions: Actions,
}

impl Issuer {
    /// A provider as the service has it: the usual audience, the claim `roles`, and its two built-in roles
    /// by their names.
    ///
    /// # Source
    /// *Control access to DPS with Microsoft Entra ID*; `roles` is where Entra ID puts roles of an
    /// application.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: Arc::from(url),
            audience: USUAL_AUDIENCE.into(),
            claim: "roles".into(),
            roles: vec![Role::contributor(), Role::reader()],
        }
    }

    /// What a token with these claims is good for: all that its roles are good for together.
    #[must_use]
    pub fn actions(&self, claims: &Claims) -> Actions {
        let names = claims.texts(&self.claim);
        let named = self
            .roles
            .iter()
            .filter(|role| names.contains(&&*role.name));
        named.fold(Actions::NONE, |sum, role| sum.and(role.actions))
    }
}

impl Role {
    /// "Device Provisioning Service Data Contributor": every data action.
    #[must_use]
    pub fn contributor() -> Self {
        Self::built_in("Device Provisioning Service Data Contributor", "*")
    }

    /// "Device Provisioning Service Data Reader": whatever reads, but for keys.
    #[must_use]
    pub fn reader() -> Self {
        Self::built_in("Device Provisioning Service Data Reader", "*/read")
    }

    fn built_in(name: &str, actions: &str) -> Self {
        Self {
            name: name.into(),
            actions: Actions::parse(actions).unwrap_or_default(),
        }
    }
}

impl super::Access {
    /// The provider that calls itself `url`.
    #[must_use]
    pub fn issuer(&self, url: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| *issuer.url == *url)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::Action;

    fn good_for(claims: &serde_json::Value) -> Vec<&'static str> {
        let issuer = Issuer::new("https://login.example");
        let claims = Claims::new(claims.as_object().unwrap().clone());
        let actions = issuer.actions(&claims);
        actions.iter().map(Action::name).collect()
    }

    #[test]
    fn the_built_in_roles_read_and_contribute() {
        let reads = [
            "enrollments/read",
            "enrollmentGroups/read",
            "registrationStates/read",
        ];
        let reader = "Device Provisioning Service Data Reader";
        let contributor = "Device Provisioning Service Data Contributor";
        assert_eq!(good_for(&json!({"roles": [reader]})), reads);
        assert_eq!(good_for(&json!({"roles": reader})), reads);
        assert_eq!(
            good_for(&json!({"roles": ["x", contributor, reader]})).len(),
            9
        );
    }

    #[test]
    fn what_lists_no_role_is_good_for_nothing() {
        let reader = "Device Provisioning Service Data Reader";
        for claims in [
            json!({}),
            json!({"role": [reader]}),
            json!({"Roles": [reader]}),
            json!({"roles": []}),
            json!({"roles": null}),
            json!({"roles": ["Reader", "device provisioning service data reader"]}),
            json!({"roles": [[reader]]}),
            json!({"roles": [reader, 7]}),
            json!({"roles": {reader: true}}),
            json!({"roles": format!("{reader} other")}),
        ] {
            assert!(good_for(&claims).is_empty(), "{claims}");
        }
    }
}
