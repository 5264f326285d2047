//! The server has to be the one that was meant.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

mod common;

use std::fs;
use std::path::PathBuf;

use dps_store_postgres::{Config, DatabaseError, PostgresStore};
use dps_testkit::certs::{Ca, Identity};
use dps_testkit::postgres::{Options, Server};

use common::words::create;
use common::{connect, run};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("dps-postgres-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path.display().to_string().replace('/', "%2F")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn only_tls(identity: &Identity) -> Options {
    Server::options()
        .with_fsync(false)
        .with_tls(identity)
        .with_access("hostnossl all all 127.0.0.1/32 reject")
}

/// As `sslmode=verify-full` for `localhost`, with more settings.
fn url(server: &Server, more: &str) -> String {
    let plain = format!(
        "postgres://postgres@localhost:{}/postgres?hostaddr=127.0.0.1",
        server.port()
    );
    format!("{plain}&{more}")
}

fn refused(url: &str) -> String {
    let refused = run(PostgresStore::migrate(&Config::parse(url).unwrap())).unwrap_err();
    assert!(
        matches!(
            refused,
            DatabaseError::Unreachable(_) | DatabaseError::Refused { .. }
        ),
        "{refused:?}"
    );
    refused.to_string()
}

#[test]
fn a_server_is_verified_by_its_name_and_its_ca() {
    let folder = Folder::new("names");
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let roots = folder.file("root.pem", &root.certificate_pem());
    let others = folder.file("other.pem", &other.certificate_pem());
    let server = only_tls(&root.server(&["localhost"]).unwrap())
        .start()
        .unwrap();
    let good = url(&server, &format!("sslrootcert={roots}"));
    run(async {
        let config = Config::parse(&good).unwrap();
        PostgresStore::migrate(&config).await.unwrap();
        let store = connect(config).await.unwrap();
        create(&store, 1, "a").await.unwrap();
    });
    let used = server.psql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'dps'");
    assert!(matches!(&*used.unwrap(), "t" | ""));

    assert!(refused(&url(&server, &format!("sslrootcert={others}"))).contains("UnknownIssuer"));
    // Nor is it trusted by the operating system, which is asked when nothing is given.
    assert!(!refused(&url(&server, "")).is_empty());
    let by_address = good.replace("localhost", "127.0.0.1");
    assert!(
        refused(&by_address).contains("not valid for name"),
        "{}",
        refused(&by_address)
    );
    let missing = refused(&url(&server, "sslrootcert=%2Fno%2Fsuch"));
    assert!(missing.contains("/no/such"), "{missing}");
    let without = refused(&url(&server, "sslmode=disable"));
    assert!(without.contains("no encryption"), "{without}");
}

#[test]
fn a_server_without_tls_is_not_spoken_to() {
    let server = Server::options().with_fsync(false).start().unwrap();
    let folder = Folder::new("plain");
    let roots = folder.file("root.pem", &Ca::root("root").certificate_pem());
    let said = refused(&url(&server, &format!("sslrootcert={roots}")));
    assert!(said.contains("server does not support TLS"), "{said}");
}

#[test]
fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let folder = Folder::new("client");
    let root = Ca::root("root");
    let roots = folder.file("root.pem", &root.certificate_pem());
    let client = root.device("postgres");
    let (certificate, key) = (
        folder.file("client.pem", &client.chain_pem()),
        folder.file("client.key", &client.key_pem()),
    );
    let server = only_tls(&root.server(&["localhost"]).unwrap())
        .with_file("clients.pem", &root.certificate_pem())
        .with_setting("ssl_ca_file", "clients.pem")
        .with_access("hostssl all all 127.0.0.1/32 cert")
        .start()
        .unwrap();
    let without = url(&server, &format!("sslrootcert={roots}"));
    assert!(!refused(&without).is_empty());
    let with = format!("{without}&sslcert={certificate}&sslkey={key}");
    run(PostgresStore::migrate(&Config::parse(&with).unwrap())).unwrap();
}
