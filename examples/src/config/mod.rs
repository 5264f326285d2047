//! The configuration of `serve`: a TOML file, and files of enrollments in the JSON of the service API.
//!
//! Everything is checked before anything starts, and a complaint names the file, the key, and what is
//! the matter. Paths are relative to the file they stand in.

mod access;
mod entries;
mod file;
mod openid;
mod pem;
mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dps_core::access::IpMask;
use dps_core::allocate::Policy;
use dps_core::crypto::Crypto;
use dps_core::egress::Egress;
use dps_core::enrollment::Draft;
use dps_core::id::{HubName, IdScope};
use dps_core::instance::{CaCertificate, Instance, LinkedHub, MAX_HUBS, Quotas};
use dps_core::time::Timestamp;
use dps_transport::ServerTls;

pub use self::openid::Providers;
pub use self::store::{Backup, Backups, Opened, Records};

/// The longest grace time, in milliseconds: well below the ten seconds after which an answer is 503.
const MAX_GRACE_MS: u64 = 5_000;

/// How many attempts of an address may fail a minute unless the configuration says.
const FAILED_ATTEMPTS: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// A configuration that has been read and checked.
#[derive(Debug)]
pub struct Config {
    /// The server's certificate and key.
    pub tls: ServerTls,
    /// How long an answer waits for the work behind it; zero for never.
    pub grace: Duration,
    /// How many attempts of an address may fail a minute, and at once: devices' and operators' apart.
    pub failed_attempts: NonZeroU32,
    /// Where HTTPS listens, and MQTT and AMQP over WebSockets with it.
    pub https: SocketAddr,
    /// Where MQTT listens, if anywhere.
    pub mqtts: Option<SocketAddr>,
    /// Where AMQP listens, if anywhere.
    pub amqps: Option<SocketAddr>,
    /// Where operators are served, if not where HTTPS listens.
    pub operators: Option<SocketAddr>,
    /// Where records are kept.
    pub records: Records,
    /// Which hubs and OpenID providers operators may name.
    pub egress: Egress,
    /// How OpenID providers are reached, if tokens of any are taken.
    pub openid: Option<Providers>,
    /// At least one.
    pub instances: Vec<ConfiguredInstance>,
    /// What is allowed and yet probably not meant.
    pub notes: Vec<Complaint>,
}

/// One tenant and its entries.
#[derive(Debug)]
pub struct ConfiguredInstance {
    /// What devices name it by.
    pub scope: IdScope,
    /// Hubs, policy, certificates.
    pub instance: Instance,
    /// Individual enrollments.
    pub enrollments: Vec<Draft>,
    /// Enrollment groups.
    pub groups: Vec<Draft>,
}

/// What is the matter with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file.
    pub file: PathBuf,
    /// The key or the JSON path in it; empty for the file as a whole.
    pub key: String,
    /// What is the matter.
    pub what: String,
}

impl Complaint {
    /// Says that `key` of `file` is not as it has to be.
    pub fn new(file: &Path, key: impl Into<String>, what: impl fmt::Display) -> Self {
        Self {
            file: file.to_owned(),
            key: key.into(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Complaint {}

impl Config {
    /// Reads `path` and all that it names. Entries are dated `now`; keys they leave out come from
    /// `crypto`.
    ///
    /// # Errors
    /// [`Complaint`] about the first thing that is wrong.
    pub fn load(path: &Path, crypto: Crypto, now: Timestamp) -> Result<Self, Complaint> {
        let file = file::read(path)?;
        let context = Context { path, crypto, now };
        let grace_ms = file.grace_ms.unwrap_or(250);
        if grace_ms > MAX_GRACE_MS {
            let what = format!("must be at most {MAX_GRACE_MS}");
            return Err(context.complaint("grace_ms", what));
        }
        if file.instance.is_empty() {
            return Err(context.complaint("instance", "there has to be at least one"));
        }
        let listen = &file.listen;
        context.apart(listen)?;
        let mut config = Self {
            tls: pem::server(&context, &file.certificate, &file.private_key)?,
            grace: Duration::from_millis(grace_ms),
            failed_attempts: file.failed_attempts.unwrap_or(FAILED_ATTEMPTS),
            https: listen.https,
            mqtts: listen.mqtts,
            amqps: listen.amqps,
            operators: listen.operators,
            records: store::read(&context, file.store.as_ref(), file.seal.as_ref())?,
            egress: context.egress(&file.permit)?,
            openid: match &file.openid {
                Some(table) => Some(openid::providers(&context, table)?),
                None => None,
            },
            instances: Vec::new(),
            notes: Vec::new(),
        };
        let (mut scopes, mut hosts) = (BTreeSet::new(), BTreeSet::new());
        for (nth, table) in file.instance.iter().enumerate() {
            let key = format!("instance[{nth}]");
            let instance = context.instance(&key, table, &mut config.notes)?;
            if config.openid.is_none() && !table.issuer.is_empty() {
                let what = "there is no [openid] that says how providers are reached";
                return Err(context.complaint(format!("{key}.issuer"), what));
            }
            if !scopes.insert(instance.scope.clone()) {
                let what = format!("{} is the scope of an instance above", instance.scope);
                return Err(context.complaint(format!("{key}.id_scope"), what));
            }
            if !hosts.insert(table.service_host.to_ascii_lowercase()) {
                let what = format!("{} is the host of an instance above", table.service_host);
                return Err(context.complaint(format!("{key}.service_host"), what));
            }
            config.instances.push(instance);
        }
        Ok(config)
    }
}

/// What reading needs to know everywhere.
struct Context<'a> {
    path: &'a Path,
    crypto: Crypto,
    now: Timestamp,
}

impl Context<'_> {
    fn egress(&self, permitted: &[String]) -> Result<Egress, Complaint> {
        let mut egress = Egress::default();
        for (nth, text) in permitted.iter().enumerate() {
            let range = IpMask::parse(text);
            let range = range.map_err(|error| self.complaint(format!("permit[{nth}]"), error))?;
            egress = egress.with_range(range);
        }
        Ok(egress)
    }

    fn complaint(&self, key: impl Into<String>, what: impl fmt::Display) -> Complaint {
        Complaint::new(self.path, key, what)
    }

    /// A path as written, seen from the configuration.
    fn beside(&self, written: &Path) -> PathBuf {
        self.path
            .parent()
            .unwrap_or_else(|| Path::new(""))
            .join(written)
    }

    /// Holds that no two of them listen at the same address.
    fn apart(&self, listen: &file::ListenTable) -> Result<(), Complaint> {
        let mut taken = vec![("listen.https", listen.https)];
        for (key, address) in [
            ("listen.mqtts", listen.mqtts),
            ("listen.amqps", listen.amqps),
            ("listen.operators", listen.operators),
        ] {
            let Some(address) = address else { continue };
            let there = taken.iter().find(|(_, other)| *other == address);
            if let Some((other, _)) = there
                && address.port() != 0
            {
                return Err(self.complaint(key, format!("{other} is there already")));
            }
            taken.push((key, address));
        }
        Ok(())
    }

    fn instance(
        &self,
        key: &str,
        table: &file::InstanceTable,
        notes: &mut Vec<Complaint>,
    ) -> Result<ConfiguredInstance, Complaint> {
        let at = |name: &str| format!("{key}.{name}");
        let scope = IdScope::parse(&table.id_scope)
            .map_err(|error| self.complaint(at("id_scope"), error))?;
        HubName::parse(&table.service_host)
            .map_err(|error| self.complaint(at("service_host"), error))?;
        let policy = Policy::parse(&table.allocation_policy).ok_or_else(|| {
            let what = "must be one of hashed, geoLatency, static, custom";
            self.complaint(at("allocation_policy"), what)
        })?;
        let instance = Instance {
            service_host: Arc::from(table.service_host.to_ascii_lowercase()),
            policy,
            hubs: self.hubs(key, &table.hub)?,
            certificates: self.certificates(key, &table.certificate)?,
            access: access::read(self, key, table)?,
            quotas: Quotas::default(),
        };
        let (enrollments, groups) = entries::read(self, key, table, &instance, notes)?;
        Ok(ConfiguredInstance {
            scope,
            instance,
            enrollments,
            groups,
        })
    }

    fn hubs(&self, key: &str, tables: &[file::HubTable]) -> Result<Vec<LinkedHub>, Complaint> {
        let key = format!("{key}.hub");
        if tables.is_empty() {
            return Err(self.complaint(key, "there has to be at least one linked hub"));
        }
        if tables.len() > MAX_HUBS {
            return Err(self.complaint(key, format!("there may be at most {MAX_HUBS}")));
        }
        let mut hubs: Vec<LinkedHub> = Vec::new();
        for (nth, table) in tables.iter().enumerate() {
            let at = format!("{key}[{nth}].name");
            let name = HubName::parse(&table.name).map_err(|error| self.complaint(&at, error))?;
            if hubs.iter().any(|hub| hub.name == name) {
                return Err(self.complaint(at, format!("{name} is linked already")));
            }
            hubs.push(LinkedHub {
                name,
                location: Arc::from(table.location.as_str()),
                weight: table.weight,
                in_policy: table.in_policy,
                credential: None,
            });
        }
        if !hubs.iter().any(|hub| hub.in_policy && hub.weight > 0) {
            let what = "no hub is in policy with a weight above 0";
            return Err(self.complaint(key, what));
        }
        Ok(hubs)
    }

    fn certificates(
        &self,
        key: &str,
        tables: &[file::CertificateTable],
    ) -> Result<Vec<CaCertificate>, Complaint> {
        let mut found: Vec<CaCertificate> = Vec::new();
        for (nth, table) in tables.iter().enumerate() {
            let at = |name: &str| format!("{key}.certificate[{nth}].{name}");
            if table.name.is_empty() {
                return Err(self.complaint(at("name"), "the name is empty"));
            }
            if found
                .iter()
                .any(|other| other.name.eq_ignore_ascii_case(&table.name))
            {
                let what = format!("{} is the name of another certificate", table.name);
                return Err(self.complaint(at("name"), what));
            }
            let certificate = pem::certificate(self, &at("file"), &table.file)?;
            if certificate.authority().is_none() {
                let what = format!("{} is not a CA certificate", table.file.display());
                return Err(self.complaint(at("file"), what));
            }
            found.push(CaCertificate {
                name: Arc::from(table.name.as_str()),
                certificate,
                // Whoever can write the configuration is the operator, and vouches for it.
                verified: true,
            });
        }
        Ok(found)
    }
}
