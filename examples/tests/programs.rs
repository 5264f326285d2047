//! The examples that need nothing outside run to their end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

/// Cargo builds examples beside the tests of their package, unless told to build one test only.
fn run(name: &str, arguments: &[&str]) -> Output {
    let tests = std::env::current_exe().unwrap();
    let built = tests
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples");
    Command::new(built.join(name))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn quickstart_ends_with_all_devices_assigned_and_shows_why() {
    let output = run("quickstart", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let last = if cfg!(feature = "tpm") {
        assert!(text.contains("6 devices with a TPM each"), "{text}");
        "406 of 406 devices assigned"
    } else {
        "400 of 400 devices assigned"
    };
    assert_eq!(text.lines().last(), Some(last));
    assert!(text.lines().count() <= 60, "{text}");
    for said in [
        "the individual enrollment accepts the caller's certificate",
        "initialAssignment",
        "80 over HTTPS",
        "80 over MQTT\n",
        "80 over MQTT in WebSockets",
        "80 over AMQP\n",
        "79 over AMQP in WebSockets",
        "tags {\"hall\":3}, desired {\"interval\":60}",
        "401 Unauthorized (401002)",
        "no enrollment group covers what the caller shows",
    ] {
        assert!(text.contains(said), "{said} is not in\n{text}");
    }
}

#[test]
fn embed_serves_its_own_route_and_devices() {
    let output = run("embed", &["--once"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("200 {\"hello\":\"from the application itself\"}"),
        "{text}"
    );
    assert!(
        text.contains("202 assigned to contoso.example.net"),
        "{text}"
    );
}

/// A folder of its own, with a file in it; it goes when it is dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(name: &str, text: &str) -> (Self, String) {
        let folder = format!("dps-example-import-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        (Self(folder), file)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn import_tells_of_each_wrong_line_and_exports_the_others() {
    let key = "MDEyMzQ1Njc4OWFiY2RlZg==";
    let text = format!(
        "registrationId,attestation,primaryKey,secondaryKey\n\
         press-1,symmetricKey,{key},{key}\n\
         press-2,magic,,\n\
         press-3,symmetricKey,,\n\
         PRESS-1,symmetricKey,,\n"
    );
    let (folder, file) = Folder::with("presses.csv", &text);
    let exported = folder.0.join("presses.ndjson");
    let exported = exported.to_str().unwrap();
    let output = run("import", &[&file, "--check-first", "--export", exported]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("checked: 2 new, 0 replaced, 0 there already, 2 rejected"));
    assert!(!Path::new(exported).exists(), "{text}");

    let output = run("import", &[&file, "--export", exported, "--with-keys"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for said in [
        "presses.csv:3: attestation.type: must be one of x509, symmetricKey, tpm",
        "presses.csv:5: an earlier line has the same id",
        "imported: 2 new, 0 replaced, 0 there already, 2 rejected",
        "presses.ndjson: 2 entries",
    ] {
        assert!(text.contains(said), "{said} is not in\n{text}");
    }
    assert!(
        output.stderr.is_empty(),
        "nobody watches, so no bar is drawn"
    );
    let lines = std::fs::read_to_string(exported).unwrap();
    assert!(lines.lines().count() == 2 && lines.contains(key), "{lines}");

    let output = run("import", &[exported]);
    assert!(output.status.success(), "{output:?}");
    let store = format!("redb:{}", folder.0.join("dps.redb").to_str().unwrap());
    for said in ["2 new, 0 replaced, 0 there", "0 new, 0 replaced, 2 there"] {
        let output = run("import", &[exported, "--store", &store]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(said), "{text}");
    }
    let output = run("import", &["there-is-no-such-file.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[tokio::test]
async fn transfer_copies_a_tenant_from_one_file_to_another() {
    use dps_examples::device::{Device, Proof};
    use dps_examples::factory;
    use dps_store_redb::RedbStore;

    let (folder, _) = Folder::with("transfer", "");
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    let store = std::sync::Arc::new(RedbStore::open(path("old.redb")).unwrap());
    let before = factory::devices(&factory::admin(store).unwrap(), 1).await;

    let [old, new] = ["old.redb", "new.redb"].map(|name| format!("redb:{}", path(name)));
    let transfer = |more: &[&str]| {
        let mut words = vec![old.as_str(), &new, "--scope", "0ne00000001"];
        words.extend(more);
        let output = run("transfer", &words);
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said, complained)
    };
    let (status, _, complained) = transfer(&["--compare"]);
    assert_eq!(status, Some(1));
    assert!(
        complained.ends_with("new.redb: there is no such file\n"),
        "{complained}"
    );
    assert!(!Path::new(&path("new.redb")).exists());

    let (status, said, complained) = transfer(&[]);
    assert_eq!(status, Some(0), "{complained}");
    assert!(
        said.contains(
            "0ne00000001: 4 records copied, 0 replaced, 0 deleted; both stores have the same 4 now"
        ),
        "{said}"
    );
    assert!(
        complained.is_empty(),
        "nobody watches, so nothing is drawn: {complained}"
    );

    let (status, said, _) = transfer(&["--compare"]);
    assert_eq!(status, Some(0), "{said}");
    let (status, _, complained) = transfer(&[]);
    assert_eq!(status, Some(1));
    assert!(
        complained.contains("the target has records of 0ne00000001 already"),
        "{complained}"
    );

    // And from plain to sealed.
    let keys = path("keys.txt");
    std::fs::write(&keys, format!("key k {}=\ncurrent k\n", "A".repeat(43))).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let sealed = format!("redb:{}", path("sealed.redb"));
    let transfer = |more: &[&str]| {
        let words = [&[old.as_str(), &sealed, "--scope", "0ne00000001"], more].concat();
        run("transfer", &words).status.code()
    };
    assert_eq!(transfer(&["--to-keys", &keys]), Some(0));
    assert_eq!(transfer(&["--to-keys", &keys, "--compare"]), Some(0));
    assert_eq!(
        transfer(&["--compare"]),
        Some(2),
        "what is sealed reads otherwise"
    );

    // A key is made when there is none: these were there.
    let store = std::sync::Arc::new(RedbStore::open(path("new.redb")).unwrap());
    let after = factory::devices(&factory::admin(store).unwrap(), 1).await;
    let key = |devices: &[Device]| match &devices[0].proof {
        Proof::Key(key) => key.expose().to_vec(),
        Proof::Certificate(_) => panic!("a key"),
    };
    assert_eq!(key(&after.unwrap()), key(&before.unwrap()));
}
