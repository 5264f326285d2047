//! An OpenID provider: a description, and keys.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dps_testkit::certs::Ca;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How it answers.
#[derive(Clone, Debug)]
pub enum Mood {
    Well,
    /// Takes no connection for longer than it takes to close it.
    Down,
    /// Answers never.
    Silent,
    Status(u16),
    /// Sends whoever asks elsewhere.
    Redirect(String),
    /// The body of every answer.
    Says(Vec<u8>),
}

#[derive(Debug)]
pub struct State {
    pub mood: Mood,
    pub description: Value,
    pub keys: Value,
    /// Connections, whatever became of them.
    pub connections: usize,
    /// Paths that were asked for.
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    pub root: Arc<Ca>,
    state: Arc<Mutex<State>>,
}

impl Provider {
    pub async fn open(keys: Value) -> Self {
        let root = Ca::root("Provider root");
        let server = root.server(&["127.0.0.1"]).unwrap();
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(server.chain_der().to_vec(), server.key_der())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/tenant", listener.local_addr().unwrap());
        let description = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let state = State {
            mood: Mood::Well,
            description,
            keys,
            connections: 0,
            asked: Vec::new(),
        };
        let provider = Self {
            url,
            root: Arc::new(root),
            state: Arc::new(Mutex::new(state)),
        };
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (provider, acceptor) = (serving.clone(), acceptor.clone());
                provider.change(|state| state.connections += 1);
                if matches!(provider.look(|state| state.mood.clone()), Mood::Down) {
                    continue;
                }
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let service = service_fn(|request| provider.answer(request));
                    let server = http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        provider
    }

    pub fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.state.lock().unwrap())
    }

    pub fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap());
    }

    pub fn set(&self, mood: Mood) {
        self.change(|state| state.mood = mood);
    }

    /// How often it was asked for its keys.
    pub fn fetches(&self) -> usize {
        self.look(|state| {
            state
                .asked
                .iter()
                .filter(|path| path.ends_with("/keys"))
                .count()
        })
    }

    /// One that trusts it.
    pub fn trusted(&self) -> Arc<ClientConfig> {
        trusting(&self.root)
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        self.change(|state| state.asked.push(path.clone()));
        let (mood, description, keys) = self.look(|state| {
            (
                state.mood.clone(),
                state.description.clone(),
                state.keys.clone(),
            )
        });
        let document = match path.as_str() {
            "/tenant/.well-known/openid-configuration" => description.to_string(),
            "/tenant/keys" => keys.to_string(),
            other => panic!("{other}"),
        };
        let body = |bytes: Vec<u8>| Full::new(Bytes::from(bytes));
        let answer = Response::builder();
        Ok(match mood {
            Mood::Well => answer.body(body(document.into())),
            Mood::Silent | Mood::Down => pending().await,
            Mood::Status(status) => answer.status(status).body(body(document.into())),
            Mood::Redirect(to) => answer
                .status(302)
                .header("location", to)
                .body(body(Vec::new())),
            Mood::Says(what) => answer.body(body(what)),
        }
        .unwrap())
    }
}

pub fn trusting(root: &Ca) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.certificate_der().clone()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
