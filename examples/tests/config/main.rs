//! What `serve` says of a bad configuration.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod store;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use dps_core::access::Issuer;
use dps_core::crypto::AWS_LC;
use dps_core::time::{Clock, SystemClock};
use dps_examples::config::Config;
use dps_testkit::certs::{Ca, Identity};
use serde_json::json;

use self::support::{Folder, SOUND, group, individual};

#[test]
fn a_sound_configuration_has_what_it_says_and_defaults_for_the_rest() {
    let config = Folder::new().load().unwrap();
    assert_eq!(config.notes, []);
    assert_eq!(config.grace.as_millis(), 250);
    assert_eq!((config.mqtts, config.amqps), (None, None));
    let [one] = config.instances.as_slice() else {
        panic!("one instance")
    };
    assert_eq!(one.scope.as_str(), "0ne00000001");
    assert_eq!((one.enrollments.len(), one.groups.len()), (2, 1));
    let [west, north] = one.instance.hubs.as_slice() else {
        panic!("two hubs")
    };
    assert_eq!(
        (west.weight, west.in_policy, &*west.location),
        (1, true, "westus")
    );
    assert_eq!((north.weight, north.in_policy), (3, false));
    assert!(one.instance.certificates[0].verified);
}

#[test]
fn each_listens_where_it_is_told_to_and_not_where_another_does() {
    let folder = Folder::new();
    let listen = "https = \"127.0.0.1:443\"\nmqtts = \"127.0.0.1:8883\"\n\
        amqps = \"127.0.0.1:5671\"\noperators = \"127.0.0.1:8443\"";
    let sound = SOUND.replace("https = \"127.0.0.1:0\"", listen);
    folder.write("serve.toml", &sound);
    let config = folder.load().unwrap();
    assert_eq!(config.mqtts, Some(([127, 0, 0, 1], 8883).into()));
    assert_eq!(config.amqps, Some(([127, 0, 0, 1], 5671).into()));
    assert_eq!(config.operators, Some(([127, 0, 0, 1], 8443).into()));
    for (port, other, complaint) in [
        (
            ":8883",
            ":443",
            "listen.mqtts: listen.https is there already",
        ),
        (
            ":5671",
            ":443",
            "listen.amqps: listen.https is there already",
        ),
        (
            ":5671",
            ":8883",
            "listen.amqps: listen.mqtts is there already",
        ),
        (
            ":8443",
            ":443",
            "listen.operators: listen.https is there already",
        ),
    ] {
        folder.write("serve.toml", &sound.replace(port, other));
        assert_eq!(folder.complaint(), format!("serve.toml: {complaint}"));
    }
    for (port, key) in [
        (":8883", "mqtts"),
        (":5671", "amqps"),
        (":8443", "operators"),
    ] {
        folder.write("serve.toml", &sound.replace(port, ""));
        let complaint = folder.complaint();
        assert!(
            complaint.contains(&format!("{key} = \"127.0.0.1\"")),
            "{complaint}"
        );
    }
}

#[test]
fn sixty_attempts_may_fail_unless_said_and_never_none() {
    let folder = Folder::new();
    assert_eq!(folder.load().unwrap().failed_attempts.get(), 60);
    folder.write("serve.toml", &format!("failed_attempts = 7\n{SOUND}"));
    assert_eq!(folder.load().unwrap().failed_attempts.get(), 7);
    folder.write("serve.toml", &format!("failed_attempts = 0\n{SOUND}"));
    assert!(folder.complaint().contains("failed_attempts = 0"));
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let error = Config::load(Path::new("nowhere.toml"), AWS_LC, SystemClock.now()).unwrap_err();
    assert!(
        error.to_string().starts_with("nowhere.toml: No such file"),
        "{error}"
    );
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    let folder = Folder::new();
    for (at, key) in [
        ("[listen]", "grace = 1\n[listen]"),
        ("[listen]", "[listen]\nhttp = \"127.0.0.1:80\""),
        ("[[instance]]", "[[instance]]\nhubs = []"),
        ("[[instance.hub]]", "[[instance.hub]]\nwieght = 2"),
        (
            "[[instance.certificate]]",
            "[[instance.certificate]]\nverified = true",
        ),
    ] {
        let complaint = folder.changed(at, key);
        assert!(
            complaint.starts_with("serve.toml: TOML parse error at line"),
            "{complaint}"
        );
        assert!(complaint.contains("unknown field"), "{complaint}");
    }
}

#[test]
fn each_complaint_names_the_key() {
    let folder = Folder::new();
    folder.write("other.key", &Identity::self_signed("other").key_pem());
    folder.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let cases = [
        (
            "server.pem",
            "server.pom",
            "certificate: server.pom: No such file or directory (os error 2)",
        ),
        (
            "server.pem",
            "server.key",
            "certificate: server.key: there is no certificate in the chain (no \"BEGIN CERTIFICATE\" section)",
        ),
        (
            "server.key",
            "server.pem",
            "private_key: server.pem: there is no private key (no \"BEGIN PRIVATE KEY\" section)",
        ),
        (
            "server.key",
            "other.key",
            "private_key: other.key: the private key does not belong to the first certificate of the \
             chain",
        ),
        (
            "server.pem",
            "broken.pem",
            "certificate: broken.pem: the first certificate of the chain cannot be read: invalid peer \
             certificate: BadEncoding",
        ),
        (
            "[listen]",
            "grace_ms = 60000\n[listen]",
            "grace_ms: must be at most 5000",
        ),
        (
            "0ne00000001",
            "enrollments",
            "instance[0].id_scope: the name is a reserved word",
        ),
        (
            "one.example.net",
            "",
            "instance[0].service_host: the name is empty",
        ),
        (
            "id_scope",
            "allocation_policy = \"nearest\"\nid_scope",
            "instance[0].allocation_policy: must be one of hashed, geoLatency, static, custom",
        ),
        (
            "west.example.net",
            "-",
            "instance[0].hub[0].name: character 0 of the name is not allowed there",
        ),
        (
            "north.example.net",
            "West.example.net",
            "instance[0].hub[1].name: West.example.net is linked already",
        ),
        (
            "location = \"westus\"",
            "weight = 0",
            "instance[0].hub: no hub is in policy with a weight above 0",
        ),
        (
            "\"root\"",
            "\"\"",
            "instance[0].certificate[0].name: the name is empty",
        ),
        (
            "root.pem",
            "server.key",
            "instance[0].certificate[0].file: server.key: holds no certificate in PEM",
        ),
        (
            "root.pem",
            "leaf.pem",
            "instance[0].certificate[0].file: leaf.pem is not a CA certificate",
        ),
        (
            "devices/*.json",
            "devices/*.txt",
            "instance[0].enrollments: devices/*.txt: matches no file",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(folder.changed(from, to), format!("serve.toml: {expected}"));
    }
}

/// The sound configuration with policies.
fn with_policies(policies: &[&str]) -> String {
    let mut text = SOUND.to_owned();
    for policy in policies {
        text.push_str(&format!("\n[[instance.policy]]\n{policy}\n"));
    }
    text
}

const OWNER: &str = "name = \"owner\"\nrights = \"enrollmentwrite, ServiceConfig\"\n\
                     primary_key = \"AAECAwQFBgcICQoLDA0ODw==\"";

#[test]
fn operators_are_let_in_by_policies_whose_second_key_may_be_left_out() {
    let folder = Folder::new();
    assert!(
        folder.load().unwrap().instances[0]
            .instance
            .access
            .policies
            .is_empty()
    );
    let second = format!("{OWNER}\nsecondary_key = \"{}\"", "A".repeat(64)).replace("owner", "b");
    folder.write("serve.toml", &with_policies(&[OWNER, &second]));
    let config = folder.load().unwrap();
    let [owner, b] = config.instances[0].instance.access.policies.as_slice() else {
        panic!("two policies")
    };
    assert_eq!(&*owner.name, "owner");
    assert_eq!(owner.rights.to_string(), "ServiceConfig, EnrollmentWrite");
    assert_eq!(owner.primary.expose(), (0..16).collect::<Vec<u8>>());
    assert_eq!(owner.secondary.expose().len(), 64);
    assert_eq!(b.secondary.expose(), [0; 48]);
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("AAEC") && !shown.contains("0, 1, 2, 3"),
        "{shown}"
    );
}

#[test]
fn a_complaint_about_a_policy_shows_no_key() {
    let folder = Folder::new();
    let key = "AAECAwQFBgcICQoLDA0ODw==";
    for (from, to, expected) in [
        (
            "\"owner\"",
            "\"\"",
            "instance[0].policy[0].name: a name has letters, digits and - _ @ . only",
        ),
        (
            "owner",
            "own er",
            "instance[0].policy[0].name: a name has letters, digits and - _ @ . only",
        ),
        (
            "ServiceConfig",
            "all",
            "instance[0].policy[0].rights: rights are a list of ServiceConfig, EnrollmentRead, \
             EnrollmentWrite, DeviceConnect, RegistrationStatusRead and RegistrationStatusWrite, with \
             commas between them",
        ),
        (
            key,
            "c2hvcnQ=",
            "instance[0].policy[0].primary_key: 5 bytes, must have 16 to 64",
        ),
        (
            key,
            "#hunter2#",
            "instance[0].policy[0].primary_key: is not base64",
        ),
    ] {
        folder.write("serve.toml", &with_policies(&[&OWNER.replace(from, to)]));
        assert_eq!(folder.complaint(), format!("serve.toml: {expected}"));
    }
    folder.write(
        "serve.toml",
        &with_policies(&[OWNER, &OWNER.replace("owner", "OWNER")]),
    );
    let twice = "serve.toml: instance[0].policy[1].name: OWNER is the name of another policy";
    assert_eq!(folder.complaint(), twice);
    // Not even what cannot be read is shown, because it may be most of a key.
    for broken in [
        "primary_key = hunter2",
        "primary_key = \"hunter2",
        "key = \"hunter2\"",
    ] {
        let (names, _) = OWNER.rsplit_once('\n').unwrap();
        let text = with_policies(&[&format!("{names}\n{broken}")]);
        let line = text.lines().position(|line| line == broken).unwrap() + 1;
        folder.write("serve.toml", &text);
        let complaint = folder.complaint();
        let expected = format!("serve.toml: line {line}: has a key that is not as it has to be");
        assert!(complaint.starts_with(&expected), "{complaint}");
        assert!(!complaint.contains("hunter2"));
    }
}

#[test]
fn an_instance_needs_a_scope_a_host_and_a_hub_of_its_own() {
    let folder = Folder::new();
    let complaint = |text: &str| {
        folder.write("serve.toml", text);
        folder.complaint()
    };
    let (head, tables) = SOUND.split_once("[[instance]]").unwrap();
    assert_eq!(
        complaint(head),
        "serve.toml: instance: there has to be at least one"
    );
    let (without_hubs, _) = SOUND.split_once("[[instance.hub]]").unwrap();
    assert_eq!(
        complaint(without_hubs),
        "serve.toml: instance[0].hub: there has to be at least one linked hub"
    );
    folder.json("none.json", &json!([]));
    let empty = tables
        .replace("devices/*", "none")
        .replace("groups.json", "none.json");
    let second = |from: &str, to: &str| format!("{SOUND}[[instance]]{}", empty.replace(from, to));
    assert_eq!(
        complaint(&second("one.example", "two.example")),
        "serve.toml: instance[1].id_scope: 0ne00000001 is the scope of an instance above"
    );
    assert_eq!(
        complaint(&second("0ne00000001", "0ne00000002")),
        "serve.toml: instance[1].service_host: one.example.net is the host of an instance above"
    );
}

#[test]
fn a_complaint_about_an_entry_names_file_index_and_member() {
    let folder = Folder::new();
    let short = json!({"attestation": {"type": "symmetricKey", "symmetricKey":
        {"primaryKey": "AAAAAAAAAAAAAAAA"}}});
    folder.json(
        "devices/b.json",
        &json!([individual("ok", &json!({})), individual("p", &short)]),
    );
    assert_eq!(
        folder.complaint(),
        "devices/b.json: [1].attestation.symmetricKey.primaryKey: 12 bytes, must have 16 to 64"
    );
    folder.json("devices/b.json", &individual("p", &short));
    assert_eq!(
        folder.complaint(),
        "devices/b.json: attestation.symmetricKey.primaryKey: 12 bytes, must have 16 to 64"
    );
    folder.json("devices/b.json", &json!([7]));
    assert_eq!(folder.complaint(), "devices/b.json: [0]: must be an object");
    folder.write("devices/b.json", "{");
    assert!(
        folder
            .complaint()
            .starts_with("devices/b.json: not acceptable JSON")
    );
    folder.json("devices/b.json", &individual("PRESS-1", &json!({})));
    assert_eq!(
        folder.complaint(),
        "devices/b.json: registrationId: PRESS-1 is in devices/a.json already"
    );
}

#[test]
fn an_entry_that_could_never_assign_a_device_is_refused() {
    let folder = Folder::new();
    let cases = [
        (
            json!({"allocationPolicy": "static"}),
            "iotHubs: the allocation policy is static, so one hub has to be named",
        ),
        (
            json!({"allocationPolicy": "static", "iotHubs": ["east.example.net"]}),
            "iotHubs: east.example.net is not a linked hub",
        ),
        (
            json!({"iotHubHostName": "east.example.net"}),
            "iotHubHostName: east.example.net is not a linked hub",
        ),
        (
            json!({"attestation": {"type": "x509", "x509": {"caReferences": {"primary": "rot"}}}}),
            "attestation.x509.caReferences: the instance has no certificate named rot",
        ),
    ];
    for (changes, expected) in cases {
        folder.json("groups.json", &group("line-1", &changes));
        assert_eq!(folder.complaint(), format!("groups.json: {expected}"));
    }
}

#[test]
fn what_is_allowed_and_probably_not_meant_is_noted() {
    let folder = Folder::new();
    let both = json!({"iotHubs": ["east.example.net", "west.example.net"]});
    let made = json!({"attestation": {"type": "symmetricKey"}});
    folder.json(
        "groups.json",
        &json!([group("a", &both), group("b", &made)]),
    );
    let notes = folder.load().unwrap().notes;
    let notes: Vec<_> = notes
        .iter()
        .map(|note| format!("{}: {}", note.key, note.what))
        .collect();
    assert_eq!(
        notes,
        [
            "[0]: iotHubs: east.example.net is not a linked hub",
            "[1]: attestation: its keys are made with it, and told to operators alone",
        ]
    );
}

#[test]
fn openid_providers_have_what_they_say_and_the_usual_for_the_rest() {
    let folder = Folder::new();
    let (table, issuers) = (
        "[openid]\nroots = \"roots.pem\"\n",
        "[[instance.issuer]]\nissuer = \"https://login.example\"\n\
         [[instance.issuer]]\nissuer = \"https://id.example\"\naudience = \"plant\"\nrole_claim = \"groups\"\n\
         [[instance.issuer.role]]\nrole = \"guests\"\nactions = [\"*/read\", \"configure\"]\n",
    );
    let roots = [Ca::root("One"), Ca::root("Two")].map(|ca| ca.certificate_pem());
    folder.write("roots.pem", &roots.concat());
    let with = |table: &str, issuers: &str| {
        let sound = SOUND.replace("[[instance]]", &format!("{table}[[instance]]"));
        folder.write("serve.toml", &format!("{sound}\n{issuers}"));
    };
    with(table, issuers);
    let config = folder.load().unwrap();
    assert!(config.openid.is_some());
    let access = &config.instances[0].instance.access;
    assert!(!access.disable_local_auth);
    let [usual, own] = access.issuers.as_slice() else {
        panic!("two providers")
    };
    assert_eq!(*usual, Issuer::new("https://login.example"));
    assert_eq!((&*own.audience, &*own.claim), ("plant", "groups"));
    assert_eq!(
        (own.roles.len(), own.roles[0].actions.iter().count()),
        (1, 4)
    );

    with("", issuers);
    assert_eq!(
        folder.complaint(),
        "serve.toml: instance[0].issuer: there is no [openid] that says how providers are reached"
    );
    with(table, &issuers.replace("*/read", "fly"));
    let complaint = folder.complaint();
    let at = "serve.toml: instance[0].issuer[1].role[0].actions: an action is one";
    assert!(complaint.starts_with(at), "{complaint}");
    folder.write("roots.pem", "");
    with(table, issuers);
    assert_eq!(
        folder.complaint(),
        "serve.toml: openid.roots: holds no certificate to trust"
    );
}

#[test]
fn operators_may_name_public_addresses_and_those_that_are_permitted() {
    let folder = Folder::new();
    folder.write(
        "serve.toml",
        &format!("permit = [\"10.20.0.0/16\"]\n{SOUND}"),
    );
    let egress = folder.load().unwrap().egress;
    assert!(egress.permits_address([10, 20, 0, 7].into()));
    assert!(!egress.permits_address([10, 21, 0, 7].into()));
    folder.write(
        "serve.toml",
        &format!("permit = [\"10.20.0.0/99\"]\n{SOUND}"),
    );
    let complaint = folder.complaint();
    assert!(
        complaint.starts_with("serve.toml: permit[0]: a mask"),
        "{complaint}"
    );
}
