//! The nginx of the distribution, answering a constant: what a device would meet elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use super::{Answer, Spawned};
use crate::Bench;
use crate::pki::PkiFiles;

/// An nginx that is installed.
#[derive(Clone, Debug)]
pub struct Nginx {
    program: &'static str,
    version: String,
}

/// How nginx is to shake hands; always TLS 1.3 over X25519, without tickets and session cache.
#[derive(Clone, Copy, Debug)]
pub struct NginxTls {
    /// Require a client certificate and verify it up to the root.
    pub mutual: bool,
    /// Allow only AES-128-GCM-SHA256, which is cheaper; otherwise the client's order decides.
    pub aes128: bool,
}

impl Nginx {
    /// Looks for nginx.
    ///
    /// # Errors
    /// A sentence for the reader that says what is missing.
    pub fn find() -> Result<Self, String> {
        // Debian keeps it where only root looks.
        let found = ["nginx", "/usr/sbin/nginx"]
            .into_iter()
            .find_map(|program| Some((program, Command::new(program).arg("-v").output().ok()?)));
        let (program, output) = found.ok_or_else(|| {
            "nginx is not installed (Debian, Ubuntu: apt-get install nginx-light); \
             the comparison with it is left out"
                .to_owned()
        })?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.trim().rsplit('/').next().unwrap_or("?").to_owned();
        Ok(Self { program, version })
    }

    /// Its version, as in `1.22.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts it with one worker, pinned like all servers, for an answer of `body` bytes.
    ///
    /// # Errors
    /// When it does not start; nginx itself has then said why.
    pub fn start(&self, bench: &Bench, tls: NginxTls, body: usize) -> io::Result<Spawned> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let folder = bench.folder().join(format!("nginx-{port}"));
        fs::create_dir(&folder)?;
        let file = folder.join("nginx.conf");
        fs::write(
            &file,
            configuration(&folder, bench.pki().files(), tls, body, port),
        )?;
        let command = [self.program, "-e", "stderr", "-p"].map(OsStr::new);
        let command = [
            &command[..],
            &[folder.as_os_str(), OsStr::new("-c"), file.as_os_str()],
        ];
        Spawned::foreign(bench.on_server_cpu("sh"), &command.concat(), port)
    }
}

fn configuration(folder: &Path, files: &PkiFiles, tls: NginxTls, body: usize, port: u16) -> String {
    let client = if tls.mutual {
        let root = files.root();
        let root = root.display();
        format!("ssl_client_certificate {root}; ssl_verify_client on; ssl_verify_depth 3;")
    } else {
        String::new()
    };
    let suites = if tls.aes128 {
        "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;"
    } else {
        ""
    };
    let (chain, key) = (files.server_chain(), files.server_key());
    let (chain, key, folder) = (chain.display(), key.display(), folder.display());
    let answer = Answer::of(body);
    let answer = std::str::from_utf8(answer.body()).expect("the answer is ASCII");
    let kind = Answer::CONTENT_TYPE;
    format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 16000; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on; default_type \"{kind}\";
  keepalive_timeout 300s; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    ssl_certificate {chain}; ssl_certificate_key {key};
    ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; {suites} {client}
    ssl_session_tickets off; ssl_session_cache off; ssl_conf_command NumTickets 0;
    location / {{ return 202 '{answer}'; }}
  }}
}}
"
    )
}
