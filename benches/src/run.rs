//! One run of one benchmark: roles, CPUs, folder, certificates.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::rc::Rc;

use tokio::task::LocalSet;

use crate::measure::Pace;
use crate::pki::Pki;
use crate::server::{Role, Setup, Spawned};

/// Set in the environment of the run proper: the CPU of the servers, or empty if nothing is pinned.
const PINNED: &str = "DPS_BENCH_SERVER_CPU";

/// One run of a benchmark.
#[derive(Debug)]
pub struct Bench {
    quick: bool,
    parts: Vec<String>,
    server_cpu: Option<String>,
    folder: PathBuf,
    pki: Pki,
}

/// The `main` of a benchmark.
///
/// * `roles`: the servers this program can become, by name.
/// * `body`: the benchmark itself; it runs on a current-thread runtime, pinned to another CPU than the
///   servers if there are two.
///
/// Ends the process: with status 0, or 1 and a message if `body` failed.
pub fn bench_main(
    roles: &[(&str, Role)],
    body: impl AsyncFnOnce(&Bench, &LocalSet) -> io::Result<()>,
) -> ! {
    let arguments: Vec<String> = env::args().collect();
    if let [_, flag, name, pki, options @ ..] = arguments.as_slice()
        && flag == "--server-role"
    {
        let Some((_, role)) = roles.iter().find(|(known, _)| known == name) else {
            eprintln!("there is no server role {name}");
            exit(2);
        };
        let options = options.iter().filter_map(|option| option.split_once('='));
        let options: BTreeMap<_, _> = options
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        exit(status(role(&Setup::new(PathBuf::from(pki), options))));
    }
    let Ok(cpu) = env::var(PINNED) else {
        let error = pinned(&arguments[0], &arguments[1..]).exec();
        eprintln!("error: the benchmark could not start itself again: {error}");
        exit(1);
    };
    let asked = env::var("DPS_BENCH_QUICK").is_ok_and(|value| !value.is_empty() && value != "0");
    let quick = asked
        || arguments.iter().any(|argument| argument == "--quick")
        || !arguments.iter().any(|argument| argument == "--bench");
    let parts = arguments.into_iter().skip(1);
    let parts = parts
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    exit(status(run(quick, parts, cpu, body)));
}

fn run(
    quick: bool,
    parts: Vec<String>,
    cpu: String,
    body: impl AsyncFnOnce(&Bench, &LocalSet) -> io::Result<()>,
) -> io::Result<()> {
    let folder = env::temp_dir().join(format!("dps-benches-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let bench = Bench {
        quick,
        parts,
        server_cpu: Some(cpu).filter(|cpu| !cpu.is_empty()),
        pki: Pki::make(&folder)?,
        folder,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let set = LocalSet::new();
    let result = runtime.block_on(set.run_until(body(&bench, &set)));
    drop(set);
    drop(bench);
    result
}

fn status(result: io::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}

/// This program again, on the second of the CPUs it may use, with as many open files as it may have;
/// the first CPU is for the servers.
fn pinned(program: &str, arguments: &[String]) -> Command {
    let script = r#"
files=$(ulimit -Hn); if [ "$files" = unlimited ] || [ "$files" -gt 65536 ]; then files=65536; fi
ulimit -Sn "$files"
exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]);
    let cpus = usable_cpus();
    let has_taskset = Command::new("taskset").arg("--version").output().is_ok();
    if let ([server, client, ..], true) = (cpus.as_slice(), has_taskset) {
        command
            .args(["taskset", "-c", &client.to_string()])
            .env(PINNED, server.to_string());
    } else {
        command.env(PINNED, "");
    }
    command.arg(program).args(arguments);
    command
}

/// The CPUs this process may run on, from `Cpus_allowed_list` (as in `0-3,8`).
fn usable_cpus() -> Vec<u32> {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = text
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default()
        .trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
        })
        .flatten()
        .collect()
}

impl Bench {
    /// So many devices that none comes twice in a full run, so that each registration is a first one.
    pub fn distinct(&self, full: u64) -> u64 {
        if self.quick { full / 100 } else { full }
    }

    /// Whether to run once and briefly.
    pub fn quick(&self) -> bool {
        self.quick
    }

    /// Whether this part of the benchmark is to run: all are, unless some were named as arguments.
    pub fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|named| named == part)
    }

    /// How long to measure.
    pub fn pace(&self) -> Pace {
        if self.quick {
            Pace::quick()
        } else {
            Pace::full()
        }
    }

    /// The certificates of this run.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// A folder for this run, removed at its end.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Which CPU is whose, in words.
    pub fn pinning(&self) -> String {
        match &self.server_cpu {
            Some(cpu) => format!("each server alone on CPU {cpu}, the client on another"),
            None => "nothing is pinned (that needs taskset and two CPUs)".to_owned(),
        }
    }

    /// Moves the thread that calls to the servers' CPU, away from the client's.
    pub fn move_to_server_cpu(&self) {
        let me = fs::read_link("/proc/thread-self").unwrap_or_default();
        if let (Some(cpu), Some(thread)) = (&self.server_cpu, me.file_name()) {
            let mut command = Command::new("taskset");
            let _ = command.args(["-pc", cpu]).arg(thread).output();
        }
    }

    /// Moves a process, what it has started and what it will start to the servers' CPU.
    pub fn pin_to_server_cpu(&self, pid: u32) {
        let Some(cpu) = &self.server_cpu else { return };
        for pid in crate::process::family(pid) {
            let mut command = Command::new("taskset");
            let _ = command.args(["-apc", cpu, &pid.to_string()]).output();
        }
    }

    /// A command that will run on the servers' CPU.
    pub fn on_server_cpu(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.server_cpu {
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cpu]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// Starts one of the roles with `options` and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up; it has then said why.
    pub fn start(&self, role: &str, options: &[(&str, &str)]) -> io::Result<Rc<Spawned>> {
        let mut command = self.on_server_cpu(env::current_exe()?);
        command.args(["--server-role", role]).arg(&self.folder);
        command.args(
            options
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        Spawned::role(command).map(Rc::new)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
