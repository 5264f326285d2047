//! What is still there when the example server comes back.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use dps_core::admin::Admin;
use dps_core::id::{IdScope, RegistrationId, SecretBytes};
use dps_core::store::Store;
use dps_examples::device::Device;
use dps_store_redb::RedbStore;

use crate::assigned;
use crate::running::{Running, program, service};
use crate::support::{Folder, SOUND, key};

/// A configuration whose records are in a file.
fn on_file() -> Folder {
    let folder = Folder::new();
    let text = SOUND.replace("memory = true", "path = \"dps.redb\"");
    folder.write("serve.toml", &text);
    folder
}

/// The records, while no server has them.
fn admin(folder: &Folder) -> Admin {
    let store = RedbStore::open(folder.config().with_file_name("dps.redb")).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    Admin::new(store, IdScope::parse("0ne00000001").unwrap())
}

pub(super) fn press(number: u32) -> Device {
    Device::with_key(&format!("press-{number}"), SecretBytes::new(vec![0; 32]))
}

fn id(device: &Device) -> RegistrationId {
    RegistrationId::parse(&device.registration).unwrap()
}

async fn told(folder: &Folder, running: &Running, device: &Device) -> u16 {
    let answer = service(folder, running).register(device, None).await;
    answer.unwrap().status
}

#[tokio::test]
async fn what_a_device_was_told_is_there_after_kill_9() {
    let folder = on_file();
    let running = Running::start(&folder);
    let answer = service(&folder, &running).register(&press(1), None).await;
    assigned(&answer.unwrap(), "press-1");
    running.signal("KILL");

    let before = admin(&folder).registration(&id(&press(1))).await.unwrap();
    let before = before.unwrap();
    let assignment = before.assignment.unwrap();
    assert_eq!(assignment.place.hub.as_str(), "west.example.net");

    let running = Running::start(&folder);
    let answer = service(&folder, &running).register(&press(1), None).await;
    assigned(&answer.unwrap(), "press-1");
    running.signal("KILL");
    let after = admin(&folder).registration(&id(&press(1))).await.unwrap();
    assert_eq!(
        after.unwrap().created,
        before.created,
        "it is the same registration"
    );
}

#[tokio::test]
async fn an_instance_that_is_there_stays_as_operators_left_it_unless_told_otherwise() {
    let folder = on_file();
    let running = Running::start(&folder);
    assert_eq!(told(&folder, &running, &press(2)).await, 202);
    running.signal("TERM");

    // An operator removes a device that the configuration names.
    let operator = admin(&folder);
    operator.delete_enrollment(&id(&press(2))).await.unwrap();
    drop(operator);
    let running = Running::start(&folder);
    assert_eq!(
        told(&folder, &running, &press(2)).await,
        401,
        "it does not come back"
    );
    assert_eq!(told(&folder, &running, &press(1)).await, 202);
    running.signal("TERM");

    let running = Running::start_with(&folder, &["--overwrite"]);
    assert_eq!(told(&folder, &running, &press(2)).await, 202);
    running.signal("TERM");
}

#[tokio::test]
async fn what_a_configuration_cannot_say_is_not_overwritten() {
    use dps_core::access::{IpAction, IpMask, IpRule};
    use dps_core::admin::{HubDraft, Precondition};
    use dps_core::instance::Quotas;

    let folder = on_file();
    Running::start(&folder).signal("TERM");
    let operator = admin(&folder);
    let rule = IpRule {
        name: "elsewhere".into(),
        action: IpAction::Reject,
        mask: IpMask::parse("192.0.2.0/24").unwrap(),
        target: None,
    };
    let quotas = Quotas {
        enrollments: 77,
        ..Quotas::default()
    };
    let any = Precondition::Any;
    operator
        .set_ip_rules(vec![rule.clone()], any)
        .await
        .unwrap();
    operator.set_quotas(quotas, any).await.unwrap();
    operator
        .set_private_endpoints(vec!["plant".into()], any)
        .await
        .unwrap();
    let there = operator.instance().await.unwrap().unwrap().value;
    let west = &there.hubs[0];
    let draft = HubDraft {
        name: west.name.clone(),
        location: "moved".into(),
        weight: Some(9),
        in_policy: None,
        credential: Some(SecretBytes::new(b"a secret of the hub".to_vec())),
    };
    operator.put_hub(draft, any).await.unwrap();
    drop(operator);

    Running::start_with(&folder, &["--overwrite"]).signal("TERM");
    let now = admin(&folder).instance().await.unwrap().unwrap().value;
    assert_eq!((&*now.hubs[0].location, now.hubs[0].weight), ("westus", 1));
    assert!(now.hubs[0].credential.is_some());
    assert_eq!(now.access.rules, [rule]);
    assert_eq!(now.access.network.private, ["plant".into()]);
    assert_eq!(now.quotas, quotas);
}

#[test]
fn a_check_makes_no_file() {
    let folder = on_file();
    let checked = Command::new(program())
        .arg(folder.config())
        .arg("--check")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert!(!folder.config().with_file_name("dps.redb").exists());
}

#[test]
fn what_cannot_be_written_is_complained_of_before_the_store_is_touched() {
    use serde_json::json;

    let folder = on_file();
    let same_key = json!([
        crate::support::group("line-1", &json!({})),
        crate::support::group("line-2", &json!({})),
    ]);
    folder.json("groups.json", &same_key);
    for more in [&[][..], &["--check"]] {
        let serve = Command::new(program())
            .arg(folder.config())
            .args(more)
            .output();
        let serve = serve.unwrap();
        assert_eq!(serve.status.code(), Some(1));
        let said = String::from_utf8(serve.stderr).unwrap();
        let expected = "serve: 0ne00000001: group line-2: group line-1 has the same symmetric key";
        assert_eq!(said.trim_end(), expected);
    }
    assert!(!folder.config().with_file_name("dps.redb").exists());
}

/// What the server complains of instead of starting.
pub(super) fn complaint(folder: &Folder) -> String {
    let serve = Command::new(program())
        .arg(folder.config())
        .env("RUST_LOG", "warn")
        .output()
        .unwrap();
    assert_eq!(serve.status.code(), Some(1), "{serve:?}");
    let said = String::from_utf8(serve.stderr).unwrap();
    let place = format!("{}/", folder.config().parent().unwrap().display());
    said.replace(&place, "")
}

#[test]
fn a_file_that_cannot_be_had_is_complained_of_in_one_line() {
    let folder = on_file();
    let running = Running::start(&folder);
    let in_use = "the file is in use: only one process may have it open, stop the other one";
    assert_eq!(complaint(&folder), format!("serve: dps.redb: {in_use}\n"));
    running.signal("TERM");

    folder.write("dps.redb", "This is a letter, and no database.");
    let foreign = "this is not a file of a store: name another, or move it away";
    assert_eq!(complaint(&folder), format!("serve: dps.redb: {foreign}\n"));

    let elsewhere = SOUND.replace("memory = true", "path = \"nowhere/dps.redb\"");
    folder.write("serve.toml", &elsewhere);
    let said = complaint(&folder);
    assert!(
        said.starts_with("serve: nowhere/dps.redb: there is no folder nowhere"),
        "{said}"
    );
}

const SEALED: &str = "path = \"dps.redb\"\n[seal]\nkeys = \"keys.txt\"";

#[tokio::test]
async fn a_sealed_store_shows_nothing_and_opens_with_its_keys_alone() {
    let folder = Folder::new();
    folder.write("serve.toml", &SOUND.replace("memory = true", SEALED));
    folder.secret("keys.txt", &key("first", 1));
    let running = Running::start(&folder);
    assert_eq!(told(&folder, &running, &press(1)).await, 202);
    running.signal("TERM");
    let file = fs::read(folder.config().with_file_name("dps.redb")).unwrap();
    let shows = |word: &str| {
        file.windows(word.len())
            .any(|bytes| bytes == word.as_bytes())
    };
    assert!(shows("press-1"), "ids are looked up");
    assert!(!shows("west.example.net"));

    // Another key of the same name, another key, and none.
    let begin = "serve: a stored value cannot be read back: Instance record instance ";
    folder.secret("keys.txt", &key("first", 2));
    let said = complaint(&folder);
    assert!(
        said.starts_with(&format!("{begin}does not open with key first")),
        "{said}"
    );
    folder.secret("keys.txt", &key("second", 2));
    let unknown = "serve: the store is unavailable: Instance record instance is sealed with key first: \
                   there is no key first\n";
    assert_eq!(complaint(&folder), unknown);
    folder.write(
        "serve.toml",
        &SOUND.replace("memory = true", "path = \"dps.redb\""),
    );
    let without = "serve: a stored value cannot be read back: it is sealed, and the store was opened without keys\n";
    assert_eq!(complaint(&folder), without);
}

#[tokio::test]
async fn keys_are_turned_while_devices_register() {
    let folder = Folder::new();
    folder.write("serve.toml", &SOUND.replace("memory = true", SEALED));
    let (first, second) = (key("first", 1), key("second", 2));
    folder.secret("keys.txt", &first);
    let mut running = Running::start(&folder);
    assert_eq!(told(&folder, &running, &press(1)).await, 202);

    folder.secret(
        "keys.txt",
        &format!("{second}{}", first.lines().next().unwrap()),
    );
    running.tell("HUP");
    running.hear("keys read");
    assert_eq!(told(&folder, &running, &press(2)).await, 202);
    folder.secret("keys.txt", &second.replace('C', "D"));
    running.tell("HUP");
    running.hear("keys stay as they were");
    assert_eq!(told(&folder, &running, &press(2)).await, 202);
    running.signal("TERM");

    folder.secret(
        "keys.txt",
        &format!("{second}{}", first.lines().next().unwrap()),
    );
    let mut running = Running::start_with(&folder, &["--reseal"]);
    running.hear("resealed");
    running.signal("TERM");
    // The old key is needed no more.
    folder.secret("keys.txt", &second);
    let running = Running::start(&folder);
    assert_eq!(told(&folder, &running, &press(1)).await, 202);
    running.signal("TERM");
}

#[tokio::test]
async fn a_backup_is_made_while_devices_register() {
    let folder = Folder::new();
    let text = SOUND.replace(
        "memory = true",
        "path = \"dps.redb\"\nbackups = \"backups\"",
    );
    folder.write("serve.toml", &text);
    let mut running = Running::start(&folder);
    assert_eq!(told(&folder, &running, &press(1)).await, 202);
    running.tell("USR1");
    running.hear("backup made");
    assert_eq!(told(&folder, &running, &press(2)).await, 202);
    running.signal("KILL");

    let backups = folder.config().with_file_name("backups");
    let backups: Vec<_> = fs::read_dir(backups).unwrap().collect();
    let [Ok(backup)] = backups.as_slice() else {
        panic!("{backups:?}")
    };
    let name = backup.file_name().into_string().unwrap();
    assert_eq!(
        name.len(),
        "dps-2026-11-21T201500.0000000Z.redb".len(),
        "{name}"
    );
    fs::rename(backup.path(), folder.config().with_file_name("dps.redb")).unwrap();
    let there = admin(&folder).registration(&id(&press(1))).await.unwrap();
    assert!(there.is_some(), "it is as it was when it was asked for");
    let later = admin(&folder).registration(&id(&press(2))).await.unwrap();
    assert!(later.is_none());
}

#[tokio::test]
async fn a_backup_that_nobody_said_where_to_put_is_none_and_ends_nothing() {
    let folder = on_file();
    let mut running = Running::start(&folder);
    running.tell("USR1");
    running.hear("no [store] backups says where");
    assert_eq!(told(&folder, &running, &press(1)).await, 202);
    running.signal("TERM");
}
