//! Servers of PostgreSQL start, do as they are told, and leave nothing behind.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dps_testkit::certs::Ca;
use dps_testkit::postgres::{Server, ServerError, database};

fn fast() -> Server {
    Server::options().with_fsync(false).start().unwrap()
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn what_was_committed_is_there_after_the_server_was_killed() {
    let server = Server::start().unwrap();
    let url = server.database().unwrap();
    server.psql_in(&url, "CREATE TABLE t (n int)").unwrap();
    server
        .psql_in(&url, "INSERT INTO t VALUES (7), (8)")
        .unwrap();
    server.kill().unwrap();
    assert!(server.pid().is_none());
    assert!(matches!(
        server.psql("SELECT 1"),
        Err(ServerError::Failed { .. })
    ));
    server.restart().unwrap();
    assert_eq!(
        server.psql_in(&url, "SELECT n FROM t ORDER BY n").unwrap(),
        "7\n8"
    );
    server.stop().unwrap();
    server.stop().unwrap();
    server.restart().unwrap();
    assert_eq!(server.psql_in(&url, "SELECT count(*) FROM t").unwrap(), "2");
}

#[test]
fn a_standby_has_what_was_acknowledged_and_can_take_over() {
    let primary = fast();
    primary.psql("CREATE TABLE t (n int)").unwrap();
    let standby = primary.standby().unwrap();
    primary.psql("INSERT INTO t VALUES (7)").unwrap();
    primary.kill().unwrap();
    let refused = standby.psql("INSERT INTO t VALUES (8)").unwrap_err();
    assert!(
        refused.to_string().contains("read-only transaction"),
        "{refused}"
    );
    standby.promote().unwrap();
    // Waits for nobody: its own list of standbys is empty.
    standby.psql("INSERT INTO t VALUES (8)").unwrap();
    assert_eq!(standby.psql("SELECT n FROM t ORDER BY n").unwrap(), "7\n8");
}

#[test]
fn settings_files_and_access_are_as_asked_for() {
    let identity = Ca::root("root").server(&["localhost"]).unwrap();
    let options = Server::options()
        .with_tls(&identity)
        .with_setting("max_connections", "17")
        .with_setting("cluster_name", "it's mine")
        .with_access("host all nobody 127.0.0.1/32 reject");
    let server = options.with_fsync(false).start().unwrap();
    assert_eq!(server.psql("SHOW max_connections").unwrap(), "17");
    assert_eq!(server.psql("SHOW cluster_name").unwrap(), "it's mine");
    assert_eq!(server.psql("SHOW ssl").unwrap(), "on");
    assert_eq!(server.psql("SHOW fsync").unwrap(), "off");
    let rules =
        server.psql("SELECT auth_method FROM pg_hba_file_rules ORDER BY line_number LIMIT 1");
    assert_eq!(rules.unwrap(), "reject");
}

#[test]
fn a_setting_that_is_none_is_told_in_the_servers_own_words() {
    let refused = Server::options()
        .with_setting("no_such_setting", "1")
        .start();
    assert!(refused.unwrap_err().to_string().contains("no_such_setting"));
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let server = fast();
    let (pid, folder) = (server.pid().unwrap(), server.socket_folder());
    assert!(is_running(pid) && folder.exists());
    drop(server);
    assert!(!is_running(pid) && !folder.exists());
}

#[test]
fn a_database_is_fresh_and_goes_with_its_guard() {
    let (one, two) = (database().unwrap(), database().unwrap());
    assert_ne!(one.url(), two.url());
    one.psql("CREATE TABLE t (n int)").unwrap();
    assert!(two.psql("SELECT * FROM t").is_err());
    let name = one.name().to_owned();
    drop(one);
    let there = two.psql(&format!(
        "SELECT count(*) FROM pg_database WHERE datname = '{name}'"
    ));
    assert_eq!(there.unwrap(), "0");
}

/// Run by the next one, in a process of its own.
#[test]
fn a_server_that_is_left_alone() {
    if std::env::var_os("DPS_TEST_LEAVE").is_some() {
        let server = fast();
        println!(
            "{} {}",
            server.pid().unwrap(),
            server.socket_folder().display()
        );
        std::thread::park();
    }
}

#[test]
fn a_server_ends_with_the_process_that_has_it_even_if_that_is_killed() {
    use std::io::{BufRead as _, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_that_is_left_alone", "--nocapture"])
        .env("DPS_TEST_LEAVE", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines
        .map_while(Result::ok)
        .find(|line| line.contains("dps-postgres-"))
        .unwrap();
    let mut words = said.split_whitespace().rev();
    let folder = PathBuf::from(words.next().unwrap());
    let pid = words.next().unwrap().parse().unwrap();
    assert!(is_running(pid) && folder.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    while is_running(pid) || folder.exists() {
        std::thread::yield_now();
    }
}
