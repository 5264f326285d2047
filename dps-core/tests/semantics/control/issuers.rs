//! OpenID providers of an instance, and tokens of theirs.

use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use dps_core::access::{
    Action, BearerToken, Claims, Ingress, Issuer, MAX_ISSUERS, MAX_ROLES, Role, TokenError,
    TokenVerifier,
};
use dps_core::admin::Precondition;
use dps_core::egress::Egress;
use dps_core::error::Reason;
use dps_core::time::Timestamp;

use super::*;

const PROVIDER: &str = "https://login.example/tenant";

/// Believes everybody, and remembers who was asked.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<(Issuer, Timestamp)>>);

#[async_trait]
impl TokenVerifier for Asked {
    async fn verify(
        &self,
        token: &BearerToken<'_>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        self.0.lock().unwrap().push((issuer.clone(), now));
        Ok(token.unverified().clone())
    }
}

fn bearer(issuer: &str) -> String {
    let claims =
        format!(r#"{{"iss":"{issuer}","roles":"Device Provisioning Service Data Reader"}}"#);
    let [head, claims] = ["{}", &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("Bearer {head}.{claims}.c2ln")
}

fn set(world: &World, issuers: Vec<Issuer>) -> Result<(), AdminError> {
    block_on(world.admin.set_issuers(issuers, ANY)).map(drop)
}

fn ask(operators: &Operators, token: &str, actions: &[Action]) -> Option<Reason> {
    let hello = OperatorHello {
        host: HOST,
        path: "/",
        authorization: Some(token),
        address: [192, 0, 2, 7].into(),
        ingress: &Ingress::Public,
    };
    let admitted = block_on(operators.admit(&hello, actions));
    admitted.err().map(|error| error.told().reason())
}

#[test]
fn nobody_is_asked_about_tokens_but_for_a_provider_that_the_instance_names() {
    let world = World::new();
    let verifier = Arc::new(Asked::default());
    let with = operators(&world).with_tokens(verifier.clone());
    let refused = Some(Reason::NotAllowed);
    let read = &[Action::ReadGroups, Action::ReadEnrollments];
    assert_eq!(ask(&with, &bearer(PROVIDER), read), refused);
    set(&world, vec![Issuer::new(PROVIDER)]).unwrap();
    for other in [
        "https://login.example/tenant/",
        "https://LOGIN.example/tenant",
        "",
    ] {
        assert_eq!(ask(&with, &bearer(other), read), refused, "{other}");
    }
    assert_eq!(verifier.0.lock().unwrap().len(), 0);
    assert_eq!(ask(&with, &bearer(PROVIDER), read), None);
    let asked = verifier.0.lock().unwrap()[0].clone();
    assert_eq!(asked, (Issuer::new(PROVIDER), world.clock.now()));
    // All of them are needed.
    let more = &[Action::ReadGroups, Action::WriteGroups];
    assert_eq!(ask(&with, &bearer(PROVIDER), more), refused);
    // Whoever has no verifier takes no tokens.
    assert_eq!(ask(&operators(&world), &bearer(PROVIDER), read), refused);
    set(&world, Vec::new()).unwrap();
    assert_eq!(ask(&with, &bearer(PROVIDER), read), refused);
}

#[test]
fn providers_are_held_to_their_bounds_by_whoever_sets_them() {
    let world = World::new();
    let usual = || Issuer::new(PROVIDER);
    let many = |count: usize| {
        let url = |nth| Issuer::new(&format!("{PROVIDER}/{nth}"));
        (0..count).map(url).collect::<Vec<_>>()
    };
    let roles = |count: usize| {
        let role = |nth: usize| Role {
            name: nth.to_string().into(),
            ..Role::reader()
        };
        let roles = (0..count).map(role).collect();
        vec![Issuer { roles, ..usual() }]
    };
    for (issuers, word) in [
        (vec![usual(), usual()], "invalid"),
        (vec![Issuer::new("http://login.example")], "invalid"),
        (
            vec![Issuer {
                audience: "".into(),
                ..usual()
            }],
            "invalid",
        ),
        (
            vec![Issuer {
                claim: "".into(),
                ..usual()
            }],
            "invalid",
        ),
        (many(MAX_ISSUERS + 1), "full"),
        (roles(MAX_ROLES + 1), "full"),
    ] {
        assert_eq!(fault(set(&world, issuers.clone())), word, "{issuers:?}");
        let mut value = block_on(world.admin.instance()).unwrap().unwrap().value;
        value.access.issuers = issuers;
        assert_eq!(fault(block_on(world.admin.put_instance(&value))), word);
    }
    set(&world, many(MAX_ISSUERS)).unwrap();
    set(&world, roles(MAX_ROLES)).unwrap();
    // Whom the service may not call is nobody that an operator can name.
    let near = vec![Issuer::new("https://10.20.0.7:8443/tenant")];
    assert_eq!(fault(set(&world, near.clone())), "invalid");
    let admin = world.admin.with_egress(Egress::anywhere());
    block_on(admin.set_issuers(near, ANY)).unwrap();
}

#[test]
fn of_two_who_set_providers_as_they_saw_them_one_wins() {
    let world = World::new();
    let seen = Precondition::Version(version(&world));
    let admin = world.admin.clone();
    world.store.before_next_commit(move || {
        block_on(admin.set_disable_local_auth(true, seen)).unwrap();
    });
    let second = world.admin.set_issuers(vec![Issuer::new(PROVIDER)], seen);
    assert_eq!(fault(block_on(second)), "changed");
    let access = block_on(world.admin.instance())
        .unwrap()
        .unwrap()
        .value
        .access;
    assert!(access.disable_local_auth);
    assert!(access.issuers.is_empty());
}
