//! The example server on a database that comes and goes.

use dps_testkit::postgres::{Server, database};

use crate::records::{complaint, press};
use crate::running::{Running, service};
use crate::support::{Folder, SOUND};

fn on(url: &str) -> Folder {
    let folder = Folder::new();
    let text = SOUND.replace("memory = true", &format!("postgres = \"{url}\""));
    folder.write("serve.toml", &text);
    folder
}

async fn told(folder: &Folder, running: &Running, number: u32) -> u16 {
    let (service, device) = (service(folder, running), press(number));
    service.register(&device, None).await.unwrap().status
}

#[tokio::test]
async fn nodes_that_start_at_once_on_an_empty_database_serve_the_same_devices() {
    let database = database().unwrap();
    let folder = on(database.url());
    let nodes = std::thread::scope(|scope| {
        let starting = [(); 4].map(|()| scope.spawn(|| Running::start(&folder)));
        starting.map(|node| node.join().unwrap())
    });
    for node in &nodes {
        assert_eq!(told(&folder, node, 1).await, 202);
    }
    let registrations = database.psql("SELECT count(*) FROM dps_record WHERE tbl = 4");
    assert_eq!(registrations.unwrap(), "1");
    for node in nodes {
        assert_eq!(node.signal("TERM").code(), Some(0));
    }
}

#[tokio::test]
async fn a_database_that_goes_away_is_waited_for() {
    let server = Server::start().unwrap();
    let folder = on(&server.database().unwrap());
    let running = Running::start(&folder);
    assert_eq!(told(&folder, &running, 1).await, 202);
    server.kill().unwrap();
    let away = told(&folder, &running, 2).await;
    assert!(matches!(away, 429 | 503), "{away}");

    let refused =
        "serve: the database cannot be reached: error connecting to server: Connection refused";
    assert!(complaint(&folder).starts_with(refused));

    server.restart().unwrap();
    let mut status = 0;
    for _ in 0..100 {
        status = told(&folder, &running, 2).await;
        if status == 202 {
            break;
        }
    }
    assert_eq!(status, 202);
    running.signal("TERM");
}

#[test]
fn what_is_the_matter_with_a_database_is_said_in_one_line() {
    let database = database().unwrap();
    let folder = on(database.url());
    Running::start(&folder).signal("TERM");

    let nowhere = database.url().replace(database.name(), "nowhere");
    let without_tls = database
        .url()
        .replace("sslmode=disable", "sslmode=verify-full");
    for (url, expected) in [
        (
            nowhere.as_str(),
            "the database refuses the connection: database \"nowhere\" does not exist (3D000)\n",
        ),
        (
            "postgres://dps@127.0.0.1:1/dps?sslmode=disable",
            "the database cannot be reached: error connecting to server: Connection refused",
        ),
        (
            "postgres://dps@nowhere.invalid/dps",
            "the database cannot be reached: error connecting to server: failed to lookup address",
        ),
        (
            &without_tls,
            "the database cannot be reached: error performing TLS handshake",
        ),
    ] {
        let said = complaint(&on(url));
        assert!(said.starts_with(&format!("serve: {expected}")), "{said}");
    }
    database
        .psql("UPDATE dps_meta SET number = 99 WHERE name = 'schema'")
        .unwrap();
    let newer = "serve: the tables are of version 99, and this program knows no more than 1\n";
    assert_eq!(complaint(&folder), newer);
}

#[test]
fn tables_are_not_made_where_the_configuration_forbids_it() {
    let database = database().unwrap();
    let folder = on(&format!("{}\"\nmigrate = false #", database.url()));
    let without =
        "serve: the database has no tables for a store: make them with PostgresStore::migrate\n";
    assert_eq!(complaint(&folder), without);
    assert_eq!(
        database
            .psql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'dps_%'")
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn a_password_stands_in_a_file_of_its_own() {
    let options = Server::options().with_access("host all guarded 127.0.0.1/32 scram-sha-256");
    let server = options.start().unwrap();
    let url = server.database().unwrap();
    server
        .psql("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'hunter2'")
        .unwrap();
    let url = url.replace("postgres@", "guarded@");
    let folder = on(&format!("{url}\"\npassword_file = \"db.password\" #"));
    folder.secret("db.password", "hunter2\n");
    let running = Running::start(&folder);
    assert_eq!(told(&folder, &running, 1).await, 202);
    running.signal("TERM");
    folder.secret("db.password", "hunter3\n");
    let refused = "serve: the database refuses the connection: password authentication failed for user \"guarded\" (28P01)\n";
    assert_eq!(complaint(&folder), refused);
}
