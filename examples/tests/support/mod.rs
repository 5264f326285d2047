//! A folder with all that `serve` reads.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "tests")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dps_core::crypto::AWS_LC;
use dps_core::time::{Clock, SystemClock};
use dps_examples::config::{Complaint, Config};
use dps_testkit::certs::{Ca, Identity};
use serde_json::{Value, json};

/// A folder with a sound configuration, removed in the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("dps-config-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join("devices")).unwrap();
        let root = Ca::root("Root");
        let server = root.server(&["localhost"]).unwrap();
        folder.write("server.pem", &server.chain_pem());
        folder.write("server.key", &server.key_pem());
        folder.write("root.pem", &root.certificate_pem());
        folder.write("leaf.pem", &Identity::self_signed("leaf").certificate_pem());
        folder.json("devices/a.json", &individual("press-1", &json!({})));
        folder.json(
            "devices/b.json",
            &json!([individual("press-2", &json!({}))]),
        );
        folder.json("groups.json", &json!([group("line-1", &json!({}))]));
        folder.write("serve.toml", SOUND);
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// The same for a file that nobody else may read.
    pub fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let alone = fs::Permissions::from_mode(0o600);
            fs::set_permissions(self.0.join(name), alone).unwrap();
        }
    }

    pub fn json(&self, name: &str, document: &Value) {
        self.write(name, &document.to_string());
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("serve.toml")
    }

    pub fn load(&self) -> Result<Config, Complaint> {
        Config::load(&self.config(), AWS_LC, SystemClock.now())
    }

    /// The complaint, with the folder's own path taken out.
    pub fn complaint(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        text.replace(&format!("{}/", self.0.display()), "")
    }

    /// The complaint after `from` of the sound configuration became `to`.
    pub fn changed(&self, from: &str, to: &str) -> String {
        assert!(SOUND.contains(from), "{from}");
        self.write("serve.toml", &SOUND.replacen(from, to, 1));
        self.complaint()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn entry(id: &str, name: &str, changes: &Value) -> Value {
    let mut entry = json!({
        id: name,
        "attestation": {"type": "symmetricKey", "symmetricKey": {
            "primaryKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        }},
    });
    for (member, value) in changes.as_object().unwrap() {
        entry[member] = value.clone();
    }
    entry
}

pub fn individual(name: &str, changes: &Value) -> Value {
    entry("registrationId", name, changes)
}

pub fn group(name: &str, changes: &Value) -> Value {
    entry("enrollmentGroupId", name, changes)
}

/// What [`Folder::new`] writes.
pub const SOUND: &str = r#"
certificate = "server.pem"
private_key = "server.key"

[listen]
https = "127.0.0.1:0"

[store]
memory = true

[[instance]]
id_scope = "0ne00000001"
service_host = "one.example.net"
enrollments = ["devices/*.json"]
enrollment_groups = ["groups.json"]

[[instance.hub]]
name = "west.example.net"
location = "westus"

[[instance.hub]]
name = "north.example.net"
weight = 3
in_policy = false

[[instance.certificate]]
name = "root"
file = "root.pem"
"#;

/// A file of keys with one, which is current.
pub fn key(name: &str, byte: u8) -> String {
    let bytes = BASE64_STANDARD.encode([byte; 32]);
    format!("key {name} {bytes}\ncurrent {name}\n")
}
