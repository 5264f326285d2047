//! PEM files that the configuration names.

use std::path::Path;

use dps_core::certificate::Certificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Complaint, Context};

pub(super) fn chain(
    context: &Context<'_>,
    key: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Complaint> {
    let bytes = read(context, key, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(about(context, key, path, "holds no certificate in PEM")),
        Err(error) => Err(about(context, key, path, error)),
    }
}

pub(super) fn private_key(
    context: &Context<'_>,
    key: &str,
    path: &Path,
) -> Result<PrivateKeyDer<'static>, Complaint> {
    let bytes = read(context, key, path)?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| about(context, key, path, "holds no private key in PEM"))
}

pub(super) fn certificate(
    context: &Context<'_>,
    key: &str,
    path: &Path,
) -> Result<Certificate, Complaint> {
    let chain = chain(context, key, path)?;
    let [der] = chain.as_slice() else {
        return Err(about(context, key, path, "holds more than one certificate"));
    };
    Certificate::parse(der).map_err(|error| about(context, key, path, error))
}

fn read(context: &Context<'_>, key: &str, path: &Path) -> Result<Vec<u8>, Complaint> {
    std::fs::read(context.beside(path)).map_err(|error| about(context, key, path, error))
}

fn about(context: &Context<'_>, key: &str, path: &Path, what: impl std::fmt::Display) -> Complaint {
    context.complaint(key, format!("{}: {what}", path.display()))
}
