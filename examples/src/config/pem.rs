//! PEM files that the configuration names.

use std::path::Path;

use dps_core::certificate::Certificate;
use dps_transport::{ServerTls, TlsError, TlsProvider};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{Complaint, Context};

/// The server's certificate and key, which have to belong together.
pub(super) fn server(
    context: &Context<'_>,
    certificate: &Path,
    private_key: &Path,
) -> Result<ServerTls, Complaint> {
    let chain = read(context, "certificate", certificate)?;
    let key = read(context, "private_key", private_key)?;
    ServerTls::from_pem(&TlsProvider::aws_lc(), &chain, &key).map_err(|error| {
        let (name, path) = match error {
            TlsError::NoCertificate | TlsError::ChainPem(_) | TlsError::Certificate(_) => {
                ("certificate", certificate)
            }
            _ => ("private_key", private_key),
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        about(
            context,
            name,
            path,
            format!("{error}{}", cause.unwrap_or_default()),
        )
    })
}

/// The one certificate in a file.
pub(super) fn certificate(
    context: &Context<'_>,
    key: &str,
    path: &Path,
) -> Result<Certificate, Complaint> {
    let found = certificates(context, key, path)?;
    let der = match found.as_slice() {
        [] => return Err(about(context, key, path, "holds no certificate in PEM")),
        [der] => der,
        _ => return Err(about(context, key, path, "holds more than one certificate")),
    };
    Certificate::parse(der).map_err(|error| about(context, key, path, error))
}

/// All certificates in a file.
pub(super) fn certificates(
    context: &Context<'_>,
    key: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Complaint> {
    let bytes = read(context, key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    found.map_err(|error| about(context, key, path, error))
}

fn read(context: &Context<'_>, key: &str, path: &Path) -> Result<Vec<u8>, Complaint> {
    std::fs::read(context.beside(path)).map_err(|error| about(context, key, path, error))
}

fn about(context: &Context<'_>, key: &str, path: &Path, what: impl std::fmt::Display) -> Complaint {
    context.complaint(key, format!("{}: {what}", path.display()))
}
