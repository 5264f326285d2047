//! A process that registers devices as fast as it can is killed, again and again, and goes on with the same file.
//!
//! `DPS_KILL_ROUNDS` says how often (50 without it), `DPS_KILL_SEED` begins another story.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that fails says so, and the child speaks to its parent"
)]

mod child;
mod lazy;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use dps_store_redb::RedbStore;
use dps_testkit::outage::{Journal, Town};
use dps_testkit::run::{Dice, block_on};

use self::child::{CHILD, Life};

/// How many rounds without `DPS_KILL_ROUNDS`.
const ROUNDS: u64 = 50;

#[test]
fn what_devices_were_told_holds_after_every_kill() {
    let name = "what_devices_were_told_holds_after_every_kill";
    if child::is_meant() {
        return child::live();
    }
    let rounds = number("DPS_KILL_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("DPS_KILL_SEED").unwrap_or(7);
    let told = kill_again_and_again(name, rounds, seed, false);
    assert!(told.is_ok(), "with seed {seed}: {told:?}");
}

/// The disk says that it has synced, and has not: what the test above checks finds out.
#[test]
fn a_store_that_answers_before_it_syncs_is_found() {
    let name = "a_store_that_answers_before_it_syncs_is_found";
    if child::is_meant() {
        return child::live();
    }
    let told = kill_again_and_again(name, 20, 7, true);
    let why = told.err().unwrap_or_default();
    let found = [
        "a device that was told its hub is not in the store",
        "the store has another hub than the device was told",
        "its hub does not have the device",
    ];
    assert!(found.iter().any(|found| why.contains(found)), "{why:?}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What the rounds met.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    told: u64,
    while_opening: u64,
    with_devices_asking: u64,
    with_commits: u64,
    commits: u64,
    most_commits: u64,
}

fn kill_again_and_again(test: &str, rounds: u64, seed: u64, lies: bool) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    let mut before = 0;
    let begun = Instant::now();
    for round in 0..rounds {
        let told = round_of(
            test,
            folder,
            round,
            &mut dice,
            lies,
            &mut tally,
            &mut before,
        );
        told.map_err(|why| format!("round {round}: {why}"))?;
        if (round + 1).is_multiple_of(100) {
            eprintln!("{:.0?}: {}", begun.elapsed(), tally.shown());
        }
    }
    eprintln!("{:.0?}, seed {seed}: {}", begun.elapsed(), tally.shown());
    if !lies && rounds >= ROUNDS {
        // A test that kills where nothing happens proves nothing.
        let met = tally.with_commits * 2 > rounds && tally.told > rounds;
        assert!(met, "too little was going on: {tally:?}");
    }
    Ok(())
}

fn round_of(
    test: &str,
    folder: &Path,
    round: u64,
    dice: &mut Dice,
    lies: bool,
    tally: &mut Tally,
    before: &mut u64,
) -> Result<(), String> {
    let life = Life {
        folder: folder.to_owned(),
        round,
        seed: dice.draw(),
        lies,
    };
    let mut child = start(test, &life);
    // Now and then it is killed before, while it opens the file, repairs it, or writes its configuration.
    let ready = round % 8 != 5;
    let moment = match ready {
        true => Duration::from_micros(dice.below(250_000)),
        false => Duration::from_micros(dice.below(40_000)),
    };
    let died = wait_or_die(&mut child, ready, moment);
    child.kill().unwrap();
    child.wait().unwrap();
    died?;

    let commits = life.commits_under_way();
    let journal = Journal::open(life.journal()).unwrap();
    tally.rounds += 1;
    tally.told += journal.told() - *before;

    tally.while_opening += u64::from(!ready);
    tally.with_devices_asking += u64::from(journal.asking() > 0);
    tally.with_commits += u64::from(commits > 0);
    tally.commits += commits;
    tally.most_commits = tally.most_commits.max(commits);

    let journal = Arc::new(journal);
    let store = RedbStore::open(life.records()).map_err(|error| format!("{error:?}"))?;
    let town = Town::new(Arc::new(store), Arc::clone(&journal), dice.draw());
    block_on(async {
        town.check_promises().await?;
        // Most go on from what the last one left; some see that it all comes to a good end.
        if round % 4 == 3 && journal.told() > 0 {
            town.set_up(round % 8 == 3)
                .await
                .map_err(|error| format!("{error:?}"))?;
            town.recover().await?;
            town.check_promises().await?;
            town.clean().await?;
            town.check_settled().await?;
        }
        Ok::<(), String>(())
    })?;
    journal.shorten().unwrap();
    *before = journal.told();
    Ok(())
}

fn start(test: &str, life: &Life) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, life.to_string())
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until devices are told their hubs, if so wished, and then for that long; says so if it ended by itself.
fn wait_or_die(child: &mut Child, ready: bool, moment: Duration) -> Result<(), String> {
    let (tell, lines) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let mut heard = String::new();
    let mut wait = match ready {
        true => Duration::from_secs(60),
        false => moment,
    };
    let mut since = Instant::now();
    loop {
        match lines.recv_timeout(wait.saturating_sub(since.elapsed())) {
            Ok(line) if ready && line.contains(child::READY) => {
                (since, wait) = (Instant::now(), moment);
            }
            Ok(line) => writeln!(heard, "{line}").unwrap(),
            Err(RecvTimeoutError::Timeout) if wait == moment => return Ok(()),
            Err(why) => return Err(format!("the child does not work: {why}\n{heard}")),
        }
    }
}

impl Tally {
    fn shown(&self) -> String {
        format!(
            "{} kills ({} while opening): {} with devices on their way, {} with commits under way \
             ({} on average, {} at most); {} registrations told",
            self.rounds,
            self.while_opening,
            self.with_devices_asking,
            self.with_commits,
            self.commits / self.with_commits.max(1),
            self.most_commits,
            self.told,
        )
    }
}
