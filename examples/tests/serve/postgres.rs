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
    let nodes: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Running::start(&folder)))
            .collect();
        starting
            .into_iter()
            .map(|node| node.join().unwrap())
            .collect()
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

    let said = complaint(&folder);
    println!("{said}");

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

    let elsewhere = database.url().replace(database.name(), "nowhere");
    println!("{}", complaint(&on(&elsewhere)));
    let role = database
        .url()
        .replace("postgres:", "nobody:")
        .replace("postgres@", "nobody@");
    println!("{}", complaint(&on(&role)));
    println!(
        "{}",
        complaint(&on("postgres://dps@127.0.0.1:1/dps?sslmode=disable"))
    );
    println!("{}", complaint(&on("postgres://dps@nowhere.invalid/dps")));
    let tls = database
        .url()
        .replace("sslmode=disable", "sslmode=verify-full");
    println!("{}", complaint(&on(&tls)));
    database.psql("UPDATE dps_meta SET number = 99").unwrap();
    println!("{}", complaint(&folder));
}
