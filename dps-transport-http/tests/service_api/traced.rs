//! What those who run the node find of operators in its log, and what not.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use dps_core::id::SecretBytes;
use dps_core::time::Clock;
use dps_testkit::sas::policy_token;
use serde_json::json;
use tracing::level_filters::LevelFilter;

use crate::operator::{Operator, token};
use crate::site::{HOUR, ONE, Site, TWO, key};

/// Everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(lines))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn why_an_operator_was_refused_is_found_by_its_tracking_id() {
    let (log, _guard) = Log::begin();
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let rule = json!({"filterName": "plant-2", "action": "Reject", "ipMask": "192.0.2.7"});
    let rules = json!({"ipFilterRules": [rule]});
    owner.put("/instance/ipFilterRules", &rules).await.ok();
    let expires = site.clock.now().plus(HOUR);
    let of =
        |policy, host, expires| Some(policy_token(&key(ONE, "owner", 1), policy, host, expires));
    let wrong = policy_token(&SecretBytes::from([9; 32]), "owner", ONE, expires);
    let (here, there) = ("127.0.0.1", "192.0.2.7");
    for (from, host, shown, because) in [
        (
            there,
            ONE,
            of("owner", ONE, expires),
            "IP rule plant-2 rejects the caller's address",
        ),
        (here, ONE, None, "the caller shows no token"),
        (
            here,
            ONE,
            of("nobody", ONE, expires),
            "names a shared access policy that is not there",
        ),
        (
            here,
            ONE,
            Some(wrong),
            "is not signed with a key of shared access policy owner",
        ),
        (
            here,
            ONE,
            of("owner", TWO, expires),
            "policy owner is for another host or path",
        ),
        (
            here,
            ONE,
            of("owner", ONE, dps_core::time::Timestamp(0)),
            "policy owner has expired",
        ),
        (
            here,
            ONE,
            Some(token(&site, ONE, "reader")),
            "rights of shared access policy reader do not suffice",
        ),
        (
            here,
            "three.dps.test",
            None,
            "no tenant has the host that the caller names",
        ),
    ] {
        let mut caller = Operator::calling_from(&site, from, "owner").await;
        (caller.host, caller.token) = (host.to_owned(), shown);
        let refused = caller.get("/instance/iotHubs/a").await;
        assert_eq!(refused.code(), 401_000);
        assert!(refused.body.get("info").is_none(), "{refused:?}");
        let tracking = refused.body["trackingId"].as_str().unwrap();
        let text = log.text();
        let mut lines = text.lines().filter(|line| line.contains(tracking));
        let line = lines.next().unwrap_or_else(|| panic!("{because}: {text}"));
        for part in [
            "operator refused",
            because,
            from,
            host,
            "GET",
            "/instance/iotHubs/{id}",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[tokio::test]
async fn no_secret_that_an_operator_writes_is_logged_at_any_level() {
    let (log, _guard) = Log::begin();
    let site = Site::open().await;
    let mut owner = Operator::new(&site, ONE, "owner").await;
    let secret = "c2VjcmV0IG9mIHRoZSBodWI=";
    let connection =
        format!("HostName=b.hub.example;SharedAccessKeyName=o;SharedAccessKey={secret}");
    for document in [
        json!({"location": "x", "connectionString": connection}),
        json!({"location": "x", "connectionString": secret}),
        json!({"location": 7, "connectionString": connection}),
    ] {
        owner
            .put("/instance/iotHubs/b.hub.example", &document)
            .await;
    }
    let policy = "/instance/authorizationPolicies/new";
    for rights in ["EnrollmentRead", "none"] {
        let document = json!({"rights": rights, "primaryKey": secret, "secondaryKey": secret});
        owner.put(policy, &document).await;
    }
    let told = owner
        .post("/instance/keys/new/listkeys", &json!({}))
        .await
        .ok();
    assert_eq!(told["primaryKey"], secret);
    owner.get("/instance").await.ok();
    let text = log.text();
    assert!(!text.contains(&secret[..12]), "{text}");
    let own = owner.token.unwrap();
    let (_, signature) = own.split_once("sig=").unwrap();
    assert!(!text.contains(&signature[..12]));
}
