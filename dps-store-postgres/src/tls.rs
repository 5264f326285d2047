//! TLS to the database: always verified, or not at all.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::TlsFiles;
use crate::{Config, DatabaseError};

/// How to make connections verified; `None` where there is no TLS.
pub(crate) fn connector(config: &Config) -> Result<Option<MakeRustlsConnect>, DatabaseError> {
    let Some(files) = &config.tls else {
        return Ok(None);
    };
    let provider = config.provider.clone().or_else(built_in);
    let provider = provider
        .ok_or_else(|| unusable("TLS needs a cryptography provider, and none is built in"))?;
    let roots = roots(files)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error.to_string()))?
        .with_root_certificates(roots);
    let client = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, &error))?;
            let client = builder.with_client_auth_cert(chain, key);
            client.map_err(|error| unusable(&format!("sslcert and sslkey: {error}")))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(MakeRustlsConnect::new(client)))
}

#[cfg(feature = "aws-lc")]
fn built_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn built_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
fn built_in() -> Option<Arc<CryptoProvider>> {
    None
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, DatabaseError> {
    let mut roots = RootCertStore::empty();
    match &files.roots {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| file(path, &error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(unusable(
            "there is no CA to trust: give one with sslrootcert",
        ));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DatabaseError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| file(path, &error))?
        .collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(unusable(&format!("{} has no certificate", path.display())))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(file(path, &error)),
    }
}

fn file(path: &Path, error: &dyn std::fmt::Display) -> DatabaseError {
    unusable(&format!("{}: {error}", path.display()))
}

fn unusable(what: &str) -> DatabaseError {
    DatabaseError::Unreachable(what.to_owned())
}
