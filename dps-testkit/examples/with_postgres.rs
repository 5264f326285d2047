//! Runs a command with a PostgreSQL server of its own, for all of its tests together:
//!
//! ```sh
//! cargo run -p dps-testkit --example with_postgres -- cargo nextest run
//! ```
//!
//! Ends with the command's own status. Commits do not reach the disk; tests of durability start servers of their own.

use std::process::{Command, ExitCode};

use dps_testkit::postgres::{Server, VARIABLE};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with_postgres COMMAND [ARGUMENT…]");
        return ExitCode::from(2);
    };
    let server = Server::options()
        .with_fsync(false)
        .with_setting("max_connections", "400");
    let server = match server.start() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let status = Command::new(program)
        .args(arguments)
        .env(VARIABLE, server.url("postgres"))
        .status();
    drop(server);
    match status {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(127)
        }
    }
}
