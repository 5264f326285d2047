//! PostgreSQL's programs, whose they are, and who ends them.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::ServerError;

/// Where the programs are, and for whom they run.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds all that a server needs.
    pub(super) fn find() -> Result<Self, ServerError> {
        Self::having(&["initdb", "pg_basebackup", "pg_ctl", "postgres", "psql"])
    }

    /// Finds what talks to a server.
    pub(super) fn find_client() -> Result<Self, ServerError> {
        Self::having(&["psql"])
    }

    fn having(names: &[&str]) -> Result<Self, ServerError> {
        let told = Command::new("pg_config").arg("--bindir").output();
        let told = told
            .ok()
            .and_then(|out| String::from_utf8(out.stdout).ok())
            .map(|text| PathBuf::from(text.trim()));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folder = told
            .into_iter()
            .chain(std::env::split_paths(&path))
            .chain(debian())
            .find(|folder| names.iter().all(|name| folder.join(name).is_file()))
            .ok_or(ServerError::Missing)?;
        Ok(Self { folder })
    }

    /// One of them, with nothing of the environment that could change what it does.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

/// Debian keeps each version in a folder of its own; the newest first.
fn debian() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Runs a program to its end; what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, ServerError> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let program = Path::new(command.get_program()).file_name();
    Err(ServerError::Failed {
        program: program.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Asks again and again, up to a minute.
pub(super) fn wait_until(
    what: &'static str,
    mut ready: impl FnMut() -> Result<bool, ServerError>,
) -> Result<(), ServerError> {
    let begun = Instant::now();
    while !ready()? {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(ServerError::Slow(what));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A folder for a server, and a process that ends the server and removes the folder when this is dropped, and also
/// when the process that has it is killed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The user for whom the server runs, where it cannot be one's own.
    user: Option<(u32, u32)>,
    told: Option<ChildStdin>,
    guard: Child,
}

/// Reads which process the server is, an empty line for none. The pipe ends with the process that writes into it.
const GUARD: &str = r#"
pid=
while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -QUIT "$pid"
n=0
while [ -n "$pid" ] && kill -0 "$pid" && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
n=0
until rm -rf "$1" || [ $n -ge 200 ]; do sleep 0.05; n=$((n + 1)); done
"#;

impl Folder {
    pub(super) fn new() -> Result<Self, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = loop {
            let nth = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("dps-postgres-{}-{nth}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        };
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&path)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut guard = guard.inspect_err(|_| drop(fs::remove_dir(&path)))?;
        let mut folder = Self {
            told: guard.stdin.take(),
            guard,
            user: None,
            path,
        };
        if fs::metadata(&folder.path)?.uid() == 0 {
            let user = (number("-u")?, number("-g")?);
            chown(&folder.path, Some(user.0), Some(user.1))?;
            folder.user = Some(user);
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server has its data.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Makes a program run in the folder, for its owner.
    pub(super) fn inside<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.path)
    }

    /// Writes a file of the folder, for its owner alone.
    pub(super) fn write(&self, path: &Path, contents: &str) -> io::Result<()> {
        fs::write(path, contents)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        match self.user {
            Some((user, group)) => chown(path, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    /// Which process is to end with the folder.
    pub(super) fn tell(&mut self, pid: Option<u32>) -> io::Result<()> {
        let line = pid.map_or_else(String::new, |pid| pid.to_string());
        match &mut self.told {
            Some(pipe) => writeln!(pipe, "{line}"),
            None => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.told.take());
        // Nothing is left to be told, so nobody is.
        let _ = self.guard.wait();
    }
}

/// A number of the user `postgres`.
fn number(which: &str) -> Result<u32, ServerError> {
    let output = Command::new("id").args([which, "postgres"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| ServerError::NoUser)
}
