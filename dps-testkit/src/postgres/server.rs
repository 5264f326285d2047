//! One server.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::process::{Folder, Programs, run, wait_until};
use super::{Options, ServerError};

/// A PostgreSQL server of one's own, on a free port of `127.0.0.1` and on a socket in its folder.
///
/// It ends, and everything of it is removed, when this is dropped, and also when the process that has it is killed.
/// Every user on this machine is its superuser `postgres` without a password: for tests only.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    port: u16,
    // The process before the folder: the folder goes with it.
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    postmaster: Option<Child>,
    folder: Folder,
}

/// What the server's own log ends with, for errors.
const LOG_BYTES: usize = 2000;

impl Server {
    /// Starts a server as it comes. It takes connections when this returns, about a second later.
    ///
    /// # Errors
    /// [`ServerError::Missing`] if PostgreSQL is not installed, and the rest of [`ServerError`]; nothing is left
    /// behind.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(&Options::default())
    }

    /// How a server is to be.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    pub(super) fn start_with(options: &Options) -> Result<Self, ServerError> {
        let programs = Programs::find()?;
        let folder = Folder::new()?;
        let mut initdb = programs.command("initdb");
        initdb
            .arg("--pgdata")
            .arg(folder.data())
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"]);
        run(folder.inside(&mut initdb))?;
        for file in &options.files {
            folder.write(&folder.data().join(&file.name), &file.contents)?;
        }
        let mut access = options.access.join("\n");
        access.push_str(
            "\nlocal all,replication all trust\nhost all,replication all 127.0.0.1/32 trust\n",
        );
        folder.write(&folder.data().join("pg_hba.conf"), &access)?;
        let mut settings = String::new();
        for (name, value) in &options.settings {
            settings.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        append(&folder.data().join("postgresql.conf"), &settings)?;
        Self::launch(programs, folder)
    }

    /// Starts what is in a folder, on a port that is free.
    fn launch(programs: Programs, folder: Folder) -> Result<Self, ServerError> {
        let mut server = Self {
            programs,
            port: 0,
            running: Mutex::new(Running {
                postmaster: None,
                folder,
            }),
        };
        for _ in 0..20 {
            server.port = free_port()?;
            match server.resume() {
                // Somebody was faster.
                Err(ServerError::Failed { output, .. }) if output.contains("could not bind") => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
        Err(ServerError::Slow("find a free port"))
    }

    /// The URL of a fresh database on it, for the superuser, without TLS.
    ///
    /// # Errors
    /// [`ServerError::Failed`], if the server does not run or cannot write.
    pub fn database(&self) -> Result<String, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("dps_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.psql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// The URL of a database on it that is there already, for the superuser, without TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The port on `127.0.0.1`; it stays the same as long as the server is there.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder in which its socket `.s.PGSQL.<port>` is.
    #[must_use]
    pub fn socket_folder(&self) -> std::path::PathBuf {
        self.running.lock().folder.path().to_owned()
    }

    /// Whom to pin to a processor, or to look at: the server's first process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.lock().postmaster.as_ref().map(Child::id)
    }

    /// Runs statements as superuser in the database `postgres`; what they return, one row a line, columns parted
    /// by `|`.
    ///
    /// # Errors
    /// [`ServerError::Failed`] with what the server says.
    pub fn psql(&self, statements: &str) -> Result<String, ServerError> {
        self.psql_in("postgres", statements)
    }

    /// [`Server::psql`] in another database, or at a URL of this server.
    ///
    /// # Errors
    /// [`ServerError::Failed`] with what the server says.
    pub fn psql_in(&self, database: &str, statements: &str) -> Result<String, ServerError> {
        let mut psql = self.programs.command("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres"])
            .arg("--host")
            .arg(self.socket_folder())
            .arg(format!("--port={}", self.port))
            .args(["--dbname", database, "--command", statements]);
        run(&mut psql).map(|text| text.trim().to_owned())
    }

    /// Ends it at once, as a crash would: nothing more is written, and it has to recover when it starts again.
    ///
    /// # Errors
    /// [`ServerError::Io`] or [`ServerError::Failed`].
    pub fn kill(&self) -> Result<(), ServerError> {
        self.end("QUIT")
    }

    /// Ends it in order; connections are cut. One that does not run is left alone.
    ///
    /// # Errors
    /// [`ServerError::Io`] or [`ServerError::Failed`].
    pub fn stop(&self) -> Result<(), ServerError> {
        self.end("INT")
    }

    /// Starts it again, whether it was killed, stopped, or still runs; it has the same port.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&self) -> Result<(), ServerError> {
        self.stop()?;
        self.resume()
    }

    /// A standby of this server, which has every commit before the primary acknowledges it.
    ///
    /// From now on commits here wait for it: stop it, and they wait until it is back, or until
    /// `synchronous_standby_names` is empty.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn standby(&self) -> Result<Self, ServerError> {
        let (standby, name) = self.follow()?;
        self.psql(&format!(
            "ALTER SYSTEM SET synchronous_standby_names = '{name}'"
        ))?;
        self.psql("SELECT pg_reload_conf()")?;
        self.wait_for_standby(&name, "AND sync_state = 'sync'")?;
        Ok(standby)
    }

    /// A standby of this server that may lack its latest commits.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn asynchronous_standby(&self) -> Result<Self, ServerError> {
        let (standby, name) = self.follow()?;
        self.wait_for_standby(&name, "")?;
        Ok(standby)
    }

    /// Makes a standby a server that takes commits.
    ///
    /// # Errors
    /// [`ServerError::Failed`] if it is none.
    pub fn promote(&self) -> Result<(), ServerError> {
        self.psql("SELECT pg_promote()").map(drop)
    }

    fn wait_for_standby(&self, name: &str, and: &str) -> Result<(), ServerError> {
        let question = format!(
            "SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming' {and}"
        );
        wait_until("follow its primary", || Ok(self.psql(&question)? == "1"))
    }

    fn follow(&self) -> Result<(Self, String), ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("standby_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder::new()?;
        let mut backup = self.programs.command("pg_basebackup");
        let primary = format!(
            "host=127.0.0.1 port={} user=postgres sslmode=disable application_name={name}",
            self.port
        );
        backup
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .arg("--pgdata")
            .arg(folder.data())
            .args(["--dbname", &primary]);
        run(folder.inside(&mut backup))?;
        // It has standbys of its own, or none.
        let own = "synchronous_standby_names = ''\n";
        append(&folder.data().join("postgresql.auto.conf"), own)?;
        let standby = Self::launch(self.programs.clone(), folder)?;
        Ok((standby, name))
    }

    /// Starts the process, and returns when it takes connections.
    fn resume(&self) -> Result<(), ServerError> {
        let running = &mut *self.running.lock();
        let folder = &mut running.folder;
        let log_path = folder.path().join("log");
        let log = File::create(&log_path)?;
        let mut command = self.programs.command("postgres");
        command
            .arg("-D")
            .arg(folder.data())
            .arg("-k")
            .arg(folder.path())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .process_group(0)
            .stdout(log.try_clone()?)
            .stderr(log);
        let postmaster = folder.inside(&mut command).spawn()?;
        let pid = postmaster.id();
        let postmaster = running.postmaster.insert(postmaster);
        folder.tell(Some(pid))?;
        let state = folder.data().join("postmaster.pid");
        let ready = wait_until("start", || {
            if postmaster.try_wait()?.is_some() {
                let text = fs::read_to_string(&log_path)?;
                let from = text.len().saturating_sub(LOG_BYTES);
                return Err(ServerError::Failed {
                    program: "postgres".to_owned(),
                    output: text.get(from..).unwrap_or(&text).to_owned(),
                });
            }
            // Its first line is the process, its eighth says how far it is.
            let text = fs::read_to_string(&state).unwrap_or_default();
            let mut lines = text.lines();
            let own = lines.next() == Some(pid.to_string().as_str());
            Ok(own && matches!(lines.nth(6).map(str::trim), Some("ready")))
        });
        if ready.is_err() {
            running.end(&self.programs, "QUIT")?;
        }
        ready
    }

    fn end(&self, signal: &str) -> Result<(), ServerError> {
        self.running.lock().end(&self.programs, signal)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is still there ends with the folder.
        let _ = self.kill();
    }
}

impl Running {
    fn end(&mut self, programs: &Programs, signal: &str) -> Result<(), ServerError> {
        let Some(postmaster) = &mut self.postmaster else {
            return Ok(());
        };
        if postmaster.try_wait()?.is_none() {
            let mut kill = programs.command("pg_ctl");
            kill.args(["kill", signal, &postmaster.id().to_string()]);
            run(self.folder.inside(&mut kill))?;
            postmaster.wait()?;
        }
        self.postmaster = None;
        Ok(self.folder.tell(None)?)
    }
}

fn append(path: &Path, text: &str) -> Result<(), ServerError> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Ports that the system gives to nobody who does not ask for them, so that a server that starts again finds its own.
pub(super) fn free_port() -> Result<u16, ServerError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(37);
    for _ in 0..12_000 {
        let nth = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (nth % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(ServerError::Slow("find a free port"))
}
