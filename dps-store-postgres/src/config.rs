//! Which database, and how much of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use tokio_postgres::config::{Host, SslMode};

/// Which database, who comes, and how much is asked of it.
#[derive(Clone)]
pub struct Config {
    pub(crate) target: tokio_postgres::Config,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) provider: Option<Arc<CryptoProvider>>,
    pub(crate) connections: usize,
    pub(crate) connect_limit: Duration,
    pub(crate) statement_limit: Duration,
    pub(crate) patience: Duration,
    pub(crate) waiting: usize,
    pub(crate) pooler: bool,
    pub(crate) layout: Option<Layout>,
}

/// Where certificates are.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) roots: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Where rows lie; decides what goes into one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// On one server: a statement takes whatever waits, as arrays.
    Together,
    /// On several, by shard, as in Citus, CockroachDB and YugabyteDB: a statement keeps to one shard, and has a
    /// list of values that such databases can plan.
    Spread,
}

/// Why a URL is not one of a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It does not begin with `postgres://` or `postgresql://`.
    #[error("a database is named by a URL that begins with postgres://")]
    NotAUrl,
    /// It has a setting that is not understood, or a value that does not fit. Values are not shown.
    #[error("the URL of the database: {0}")]
    Url(String),
    /// `sslmode` is one that would not verify the server.
    #[error(
        "sslmode={0} does not say for sure that the server is verified: write verify-full, or disable"
    )]
    SslMode(String),
    /// A certificate without its key, or a key without its certificate.
    #[error("sslcert and sslkey come together")]
    HalfAnIdentity,
}

impl Config {
    /// Reads a URL: `postgres://role:password@host:port/database?setting=value&…`.
    ///
    /// Several hosts stand with commas between them (`a:5432,b:5432`); the first that takes writes is used, and when
    /// it no longer does, another. A socket's folder is a host too, with `%2F` for `/`.
    ///
    /// | setting | means |
    /// |---|---|
    /// | `sslmode=verify-full` | the default: TLS, with a certificate for the host's name |
    /// | `sslmode=disable` | no TLS |
    /// | `sslrootcert=path` | PEM with the CAs to trust; without it, those of the operating system |
    /// | `sslcert=path`, `sslkey=path` | PEM with a certificate to show, and its key |
    ///
    /// Other values of libpq's `sslmode` are refused, because none of them verifies that the server is the one
    /// that was meant. What else may stand there is described at [`tokio_postgres::Config`].
    ///
    /// # Errors
    /// [`ConfigError`]. Nothing outside is touched: files and host are looked for when a store connects.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(ConfigError::NotAUrl);
        }
        let (mut rest, settings) = match url.split_once('?') {
            Some((rest, settings)) => (rest.to_owned(), settings),
            None => (url.to_owned(), ""),
        };
        let mut verified = true;
        let mut files = TlsFiles::default();
        let mut separator = '?';
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let path = || Some(PathBuf::from(decoded(value)));
            match name {
                "sslmode" => match value {
                    "verify-full" => verified = true,
                    "disable" => verified = false,
                    other => return Err(ConfigError::SslMode(other.to_owned())),
                },
                "sslrootcert" if value == "system" => files.roots = None,
                "sslrootcert" => files.roots = path(),
                "sslcert" => files.certificate = path(),
                "sslkey" => files.key = path(),
                _ => {
                    rest.push(separator);
                    rest.push_str(setting);
                    separator = '&';
                }
            }
        }
        if files.certificate.is_some() != files.key.is_some() {
            return Err(ConfigError::HalfAnIdentity);
        }
        let mut target: tokio_postgres::Config =
            rest.parse().map_err(|error: tokio_postgres::Error| {
                ConfigError::Url(crate::error::chain(&error))
            })?;
        if target.get_hosts().is_empty() && target.get_hostaddrs().is_empty() {
            return Err(ConfigError::Url("it names no host".to_owned()));
        }
        if target.get_application_name().is_none() {
            target.application_name("dps");
        }
        target.ssl_mode(if verified {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        Ok(Self {
            target,
            tls: verified.then_some(files),
            provider: None,
            connections: 8,
            connect_limit: Duration::from_secs(5),
            statement_limit: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            waiting: 10_000,
            pooler: false,
            layout: None,
        })
    }

    /// Sets the role's password, so that it need not be in the URL.
    #[must_use]
    pub fn with_password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.target.password(password);
        self
    }

    /// Whether there is a password, in the URL or by [`with_password`](Self::with_password).
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.target.get_password().is_some()
    }

    /// Sets how many connections one store keeps open: 3 to 1000, 8 unless set.
    ///
    /// Half of them are for commits, one in eight for scans, the rest for reads. Each that is for commits has one
    /// statement under way, and what comes meanwhile goes out together in the next: more of them make for smaller
    /// statements, and so for more work of the server in the end.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(3, 1000);
        self
    }

    /// Sets how long one host may take to take a connection: 5 s unless set.
    #[must_use]
    pub const fn with_connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }

    /// Sets how long a statement may take: 10 s unless set. The server is told as well, but for poolers.
    #[must_use]
    pub const fn with_statement_limit(mut self, limit: Duration) -> Self {
        self.statement_limit = limit;
        self
    }

    /// Sets how long a call may wait for a connection, one that is lost for instance to come back: 5 s unless set.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how many calls of a kind (reads, commits, scans) may wait for a connection: 10 000 unless set. Those
    /// beyond are refused at once.
    #[must_use]
    pub const fn with_waiting(mut self, calls: usize) -> Self {
        self.waiting = calls;
        self
    }

    /// Goes without prepared statements and settings of the session, for a pooler that gives each transaction another
    /// connection to the server, such as PgBouncer with `pool_mode = transaction`.
    #[must_use]
    pub const fn with_transaction_pooler(mut self, pooler: bool) -> Self {
        self.pooler = pooler;
        self
    }

    /// Says where rows lie. The database is asked unless this is set.
    #[must_use]
    pub const fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Sets with which cryptography TLS is done; without, with the one that this crate was built with.
    #[must_use]
    pub fn with_crypto_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// One host after the other, each with all that is not the host.
    pub(crate) fn hosts(&self) -> Vec<tokio_postgres::Config> {
        let all = &self.target;
        let (names, addresses, ports) = (all.get_hosts(), all.get_hostaddrs(), all.get_ports());
        let count = names.len().max(addresses.len());
        (0..count)
            .map(|nth| {
                let mut one = self.without_host();
                match names.get(nth) {
                    Some(Host::Tcp(name)) => drop(one.host(name)),
                    #[cfg(unix)]
                    Some(Host::Unix(path)) => {
                        // Nobody can listen on it from outside, and PostgreSQL has no TLS there.
                        one.host_path(path).ssl_mode(SslMode::Disable);
                    }
                    None => {}
                }
                if let Some(address) = addresses.get(nth) {
                    one.hostaddr(*address);
                }
                if let Some(port) = ports.get(nth).or_else(|| ports.first()) {
                    one.port(*port);
                }
                one
            })
            .collect()
    }

    fn without_host(&self) -> tokio_postgres::Config {
        let all = &self.target;
        let mut one = tokio_postgres::Config::new();
        if let Some(user) = all.get_user() {
            one.user(user);
        }
        if let Some(password) = all.get_password() {
            one.password(password);
        }
        if let Some(database) = all.get_dbname() {
            one.dbname(database);
        }
        if let Some(options) = all.get_options() {
            one.options(options);
        }
        if let Some(name) = all.get_application_name() {
            one.application_name(name);
        }
        if let Some(limit) = all.get_tcp_user_timeout() {
            one.tcp_user_timeout(*limit);
        }
        if let Some(interval) = all.get_keepalives_interval() {
            one.keepalives_interval(interval);
        }
        if let Some(retries) = all.get_keepalives_retries() {
            one.keepalives_retries(retries);
        }
        one.ssl_mode(all.get_ssl_mode())
            .ssl_negotiation(all.get_ssl_negotiation())
            .keepalives(all.get_keepalives())
            .keepalives_idle(all.get_keepalives_idle())
            .channel_binding(all.get_channel_binding())
            .load_balance_hosts(all.get_load_balance_hosts())
            .target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        one
    }
}

/// Without the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("hosts", &self.target.get_hosts())
            .field("ports", &self.target.get_ports())
            .field("user", &self.target.get_user())
            .field("database", &self.target.get_dbname())
            .field("tls", &self.tls)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://dps:hunter2@a.example:5433,b.example:5434/fleet";

    #[test]
    fn a_url_is_verified_unless_it_says_otherwise() {
        assert!(Config::parse(URL).unwrap().tls.is_some());
        let with = |settings: &str| Config::parse(&format!("{URL}?{settings}"));
        assert!(with("sslmode=disable").unwrap().tls.is_none());
        for weak in ["allow", "prefer", "require", "verify-ca", "none", ""] {
            let refused = with(&format!("sslmode={weak}")).unwrap_err();
            assert_eq!(refused, ConfigError::SslMode(weak.to_owned()));
        }
        let files = with("sslrootcert=%2Fetc%2Fca.pem&sslcert=c.pem&sslkey=k.pem")
            .unwrap()
            .tls;
        let files = files.unwrap();
        assert_eq!(files.roots, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(files.key, Some(PathBuf::from("k.pem")));
        assert_eq!(
            with("sslkey=k.pem").unwrap_err(),
            ConfigError::HalfAnIdentity
        );
        assert!(
            with("sslrootcert=system")
                .unwrap()
                .tls
                .unwrap()
                .roots
                .is_none()
        );
    }

    #[test]
    fn each_host_keeps_its_port_and_all_else() {
        let hosts = Config::parse(&format!("{URL}?application_name=x&keepalives_idle=7"))
            .unwrap()
            .hosts();
        let shown: Vec<_> = hosts
            .iter()
            .map(|host| (host.get_hosts().to_vec(), host.get_ports().to_vec()))
            .collect();
        let host = |name: &str| vec![Host::Tcp(name.to_owned())];
        assert_eq!(
            shown,
            [
                (host("a.example"), vec![5433]),
                (host("b.example"), vec![5434])
            ]
        );
        assert_eq!(hosts[1].get_password(), Some(&b"hunter2"[..]));
        assert_eq!(hosts[1].get_application_name(), Some("x"));
        assert_eq!(hosts[1].get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(hosts[1].get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn a_password_need_not_be_in_the_url() {
        let without = Config::parse("postgres://dps@a.example/fleet").unwrap();
        assert!(!without.has_password());
        let with = without.with_password("hunter2");
        assert!(with.has_password() && Config::parse(URL).unwrap().has_password());
        assert_eq!(with.hosts()[0].get_password(), Some(&b"hunter2"[..]));
        assert!(!format!("{with:?}").contains("hunter2"));
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_needs_no_tls() {
        let hosts = Config::parse("postgres://dps@%2Frun%2Fpg/fleet")
            .unwrap()
            .hosts();
        assert_eq!(hosts[0].get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!(hosts[0].get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_the_password() {
        assert_eq!(
            Config::parse("host=a password=hunter2").unwrap_err(),
            ConfigError::NotAUrl
        );
        for url in [
            "postgres://dps:hunter2@host:x/db",
            "postgres://dps:hunter2@host/db?no_such=1",
            "postgres:///db",
            "postgres://dps:hunter2@host/db?keepalives=x",
        ] {
            let said = Config::parse(url).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!(!format!("{:?}", Config::parse(URL).unwrap()).contains("hunter2"));
    }
}
