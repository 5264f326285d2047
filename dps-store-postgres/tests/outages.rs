//! Servers that are killed, replaced and cut off while devices register: what devices were told is not contradicted.
//!
//! `DPS_OUTAGES` says how often each of them happens in its test (3 times, or once where a server is replaced).
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails says so"
)]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dps_store_postgres::{Config, PostgresStore};
use dps_testkit::outage::{Journal, Town};
use dps_testkit::postgres::Server;
use dps_testkit::run::block_on;

use self::common::{connect, run};

/// So many devices register at once, each of them one of several.
const AT_ONCE: usize = 24;
const EACH: usize = 4;

fn times(usual: u32) -> u32 {
    let times = std::env::var("DPS_OUTAGES");
    times.map_or(usual, |times| times.parse().unwrap())
}

fn config(url: &str) -> Config {
    let patience = Duration::from_millis(500);
    Config::parse(url).unwrap().with_patience(patience)
}

/// Two nodes on one database, and what their devices know.
struct Nodes {
    towns: [Town; 2],
    journal: Arc<Journal>,
    errors: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Nodes {
    fn start(url: &str) -> Self {
        run(PostgresStore::migrate(&config(url))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(Journal::open(folder.path().join("journal")).unwrap());
        let town = |seed| {
            let store = run(connect(config(url))).unwrap();
            Town::new(Arc::new(store), Arc::clone(&journal), seed)
        };
        let towns = [town(1), town(2)];
        block_on(towns[0].set_up(true)).unwrap();
        Self {
            towns,
            journal,
            errors: AtomicU64::new(0),
            _folder: folder,
        }
    }

    /// Lets devices register, at one node or the other, while `meanwhile` happens. They do not mind errors.
    fn while_devices_register(&self, meanwhile: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        // Also when it fails.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        thread::scope(|scope| {
            let _stop = Stop(&stop);
            for nth in 0..AT_ONCE {
                let stop = &stop;
                scope.spawn(move || {
                    for round in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        let town = &self.towns[(nth + round) % 2];
                        let device = nth * EACH + round * 7 % EACH;
                        if block_on(town.register(device)).is_err() {
                            self.errors.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            meanwhile();
        });
    }

    /// Waits until devices have been told so much more.
    fn wait_for(&self, more: u64) {
        let times = self.journal.told() + more;
        let told = self.journal.wait_until_told(times, Duration::from_secs(60));
        let errors = self.errors.load(Ordering::SeqCst);
        assert!(told, "devices cannot register; {errors} errors");
    }

    /// What the store has, at both nodes; and after all that were on their way have asked again.
    fn check(&self) -> Result<(), String> {
        for town in &self.towns {
            block_on(town.check_promises())?;
        }
        block_on(async {
            self.towns[0].recover().await?;
            self.towns[1].check_promises().await?;
            self.towns[1].clean().await?;
            self.towns[0].check_settled().await
        })
    }

    fn summary(&self, what: &str) {
        let errors = self.errors.load(Ordering::SeqCst);
        eprintln!(
            "{what}: {} registrations told, {errors} errors",
            self.journal.told()
        );
    }
}

#[test]
fn what_devices_were_told_holds_when_the_server_is_killed() {
    let server = Server::start().unwrap();
    let nodes = Nodes::start(&server.database().unwrap());
    for _ in 0..times(3) {
        nodes.while_devices_register(|| {
            nodes.wait_for(50);
            server.kill().unwrap();
            server.restart().unwrap();
            nodes.wait_for(50);
        });
        nodes.check().unwrap();
    }
    nodes.summary("killed");
}

#[test]
fn what_devices_were_told_holds_when_the_server_is_stopped_in_order() {
    let server = Server::start().unwrap();
    let nodes = Nodes::start(&server.database().unwrap());
    for _ in 0..times(3) {
        nodes.while_devices_register(|| {
            nodes.wait_for(50);
            server.restart().unwrap();
            nodes.wait_for(50);
        });
        nodes.check().unwrap();
    }
    nodes.summary("restarted");
}

/// One process of it dies in the middle of something, and the server starts anew by itself.
#[test]
fn what_devices_were_told_holds_when_a_process_of_the_server_is_killed() {
    let server = Server::start().unwrap();
    let nodes = Nodes::start(&server.database().unwrap());
    for round in 0..times(3) {
        nodes.while_devices_register(|| {
            nodes.wait_for(50);
            let order = ["ASC", "DESC"][round as usize % 2];
            let busy = format!(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'dps' \
                 ORDER BY state = 'active' DESC, pid {order} LIMIT 1"
            );
            let pid = server.psql(&busy).unwrap();
            let killed = Command::new("kill").args(["-KILL", &pid]).status();
            assert!(killed.unwrap().success());
            nodes.wait_for(50);
        });
        nodes.check().unwrap();
    }
    nodes.summary("a process killed");
}

/// An operator, or a pooler, ends all connections; nothing is wrong with the server.
#[test]
fn what_devices_were_told_holds_when_connections_are_ended() {
    let server = Server::start().unwrap();
    let nodes = Nodes::start(&server.database().unwrap());
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'dps'";
    for _ in 0..times(3) {
        nodes.while_devices_register(|| {
            for _ in 0..5 {
                nodes.wait_for(20);
                server.psql(all).unwrap();
            }
            nodes.wait_for(50);
        });
        nodes.check().unwrap();
    }
    nodes.summary("connections ended");
}

/// Both hosts are in the URL; whichever takes writes is used.
fn both(url: &str, primary: &Server, standby: &Server) -> String {
    let one = format!("127.0.0.1:{}", primary.port());
    let two = format!("{one},127.0.0.1:{}", standby.port());
    url.replacen(&one, &two, 1)
}

#[test]
fn what_devices_were_told_holds_when_a_synchronous_standby_takes_over() {
    for round in 0..times(1) {
        let primary = Server::start().unwrap();
        let url = primary.database().unwrap();
        let standby = primary.standby().unwrap();
        let nodes = Nodes::start(&both(&url, &primary, &standby));
        nodes.while_devices_register(|| {
            nodes.wait_for(100);
            match round % 2 {
                0 => primary.kill().unwrap(),
                _ => primary.stop().unwrap(),
            }
            standby.promote().unwrap();
            nodes.wait_for(100);
        });
        nodes.check().unwrap();
        nodes.summary("a synchronous standby took over");
    }
}

/// As the documentation says; and what the tests above look at is seen to be lost.
#[test]
fn an_asynchronous_standby_may_lack_what_devices_were_told() {
    let primary = Server::start().unwrap();
    let url = primary.database().unwrap();
    let standby = primary.asynchronous_standby().unwrap();
    let nodes = Nodes::start(&both(&url, &primary, &standby));
    nodes.while_devices_register(|| nodes.wait_for(100));
    // It is behind.
    standby.kill().unwrap();
    nodes.while_devices_register(|| nodes.wait_for(200));
    primary.kill().unwrap();
    standby.restart().unwrap();
    standby.promote().unwrap();
    let begun = Instant::now();
    let told = loop {
        match block_on(nodes.towns[0].check_promises()) {
            Err(why) if why.contains("cannot be read") => {
                assert!(begun.elapsed() < Duration::from_secs(30), "{why}");
            }
            told => break told,
        }
    };
    let why = told.expect_err("what the standby lacks is missed");
    eprintln!("an asynchronous standby took over: {why}");
}
