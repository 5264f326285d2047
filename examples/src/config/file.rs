//! The TOML file as written.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Complaint;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
    pub(super) grace_ms: Option<u64>,
    pub(super) failed_attempts: Option<NonZeroU32>,
    #[serde(default)]
    pub(super) permit: Vec<String>,
    pub(super) listen: ListenTable,
    pub(super) store: Option<StoreTable>,
    pub(super) seal: Option<SealTable>,
    pub(super) openid: Option<OpenIdTable>,
    #[serde(default)]
    pub(super) instance: Vec<InstanceTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenTable {
    pub(super) https: SocketAddr,
    pub(super) mqtts: Option<SocketAddr>,
    pub(super) amqps: Option<SocketAddr>,
    pub(super) operators: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreTable {
    pub(super) path: Option<PathBuf>,
    pub(super) cache_mib: Option<NonZeroU32>,
    pub(super) backups: Option<PathBuf>,
    pub(super) postgres: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) connections: Option<NonZeroU32>,
    #[serde(default)]
    pub(super) pooler: bool,
    pub(super) migrate: Option<bool>,
    #[serde(default)]
    pub(super) memory: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SealTable {
    pub(super) keys: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenIdTable {
    pub(super) roots: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceTable {
    pub(super) id_scope: String,
    pub(super) service_host: String,
    #[serde(default = "hashed")]
    pub(super) allocation_policy: String,
    #[serde(default)]
    pub(super) enrollments: Vec<PathBuf>,
    #[serde(default)]
    pub(super) enrollment_groups: Vec<PathBuf>,
    #[serde(default)]
    pub(super) hub: Vec<HubTable>,
    #[serde(default)]
    pub(super) certificate: Vec<CertificateTable>,
    #[serde(default)]
    pub(super) policy: Vec<PolicyTable>,
    #[serde(default)]
    pub(super) issuer: Vec<IssuerTable>,
    #[serde(default)]
    pub(super) disable_local_auth: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HubTable {
    pub(super) name: String,
    #[serde(default)]
    pub(super) location: String,
    #[serde(default = "one")]
    pub(super) weight: u32,
    #[serde(default = "yes")]
    pub(super) in_policy: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateTable {
    pub(super) name: String,
    pub(super) file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    pub(super) name: String,
    pub(super) rights: String,
    pub(super) primary_key: Secret,
    pub(super) secondary_key: Option<Secret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerTable {
    pub(super) issuer: String,
    pub(super) audience: Option<String>,
    pub(super) role_claim: Option<String>,
    pub(super) role: Option<Vec<RoleTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleTable {
    pub(super) role: String,
    pub(super) actions: Vec<String>,
}

/// Text that is shown to nobody.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn hashed() -> String {
    "hashed".to_owned()
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

pub(super) fn read(path: &Path) -> Result<File, Complaint> {
    let text = std::fs::read_to_string(path).map_err(|error| Complaint::new(path, "", error))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| line_at(&text, span.start));
        match line {
            // The parser's message would show what stands in the line.
            Some((number, line)) if line.contains("key") => {
                let what = "has a key that is not as it has to be, such as \"c2VjcmV0...\"";
                Complaint::new(path, format!("line {number}"), what)
            }
            Some((number, line)) if line.contains("postgres") => {
                let what = "is not as it has to be, such as postgres = \"postgres://dps@db.example.net/dps\"";
                Complaint::new(path, format!("line {number}"), what)
            }
            _ => Complaint::new(path, "", error.to_string().trim_end()),
        }
    })
}

/// The line that a byte stands in, counted from 1, and its number.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let number = before.lines().count().max(1);
    let begins = before.rfind('\n').map_or(0, |end| end + 1);
    let number = if before.ends_with('\n') {
        number + 1
    } else {
        number
    };
    let line = text[begins..].lines().next().unwrap_or_default();
    (number, line)
}
