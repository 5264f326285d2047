//! The TOML file as written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Complaint;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) certificate: PathBuf,
    pub(super) private_key: PathBuf,
    pub(super) grace_ms: Option<u64>,
    pub(super) listen: ListenTable,
    #[serde(default)]
    pub(super) instance: Vec<InstanceTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenTable {
    pub(super) https: SocketAddr,
    pub(super) mqtts: Option<SocketAddr>,
    pub(super) amqps: Option<SocketAddr>,
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
    // The parser's message shows the line with the key in it.
    toml::from_str(&text).map_err(|error| Complaint::new(path, "", error.to_string().trim_end()))
}
