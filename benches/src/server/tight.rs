//! The tightest honest server: what a mutual TLS exchange costs when nothing is decided.
//!
//! rustls without a wrapper, one buffer, one task a connection, one write for the server's flight and
//! one for answer and close_notify together. Intermediates that were verified are remembered, so a known
//! chain costs one signature (the leaf's) besides the client's proof of possession.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll, ready};

use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Canned, Setup, accept_all, on_one_core, tls};

/// Serves constant answers as cheaply as we know how.
///
/// Options: those of [`Canned`], and `mutual` (require a client certificate, false).
///
/// # Errors
/// When the server cannot listen.
pub fn serve(setup: &Setup) -> io::Result<()> {
    let canned: Arc<Canned> = Canned::of(setup).into();
    let config = tls(setup);
    on_one_core(accept_all(setup, move |stream, _| {
        connection(stream, Arc::clone(&config), Arc::clone(&canned))
    }))
}

async fn connection(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    canned: Arc<Canned>,
) -> io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut part = Vec::new();
    poll_fn(|cx| {
        loop {
            while tls.wants_write() {
                ready!(poll_io(&mut stream, cx, |socket| tls.write_tls(socket)))?;
            }
            if ready!(poll_io(&mut stream, cx, |socket| tls.read_tls(socket)))? == 0 {
                return Poll::Ready(Ok(()));
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            if !answer(&mut tls, &mut part, &canned)? {
                continue;
            }
            tls.send_close_notify();
            while tls.wants_write() {
                ready!(poll_io(&mut stream, cx, |socket| tls.write_tls(socket)))?;
            }
            return Poll::Ready(Ok(()));
        }
    })
    .await
}

/// Answers what is whole of the plain text, and says whether that was the end; `part` holds what came
/// before and was not whole.
fn answer(tls: &mut ServerConnection, part: &mut Vec<u8>, canned: &Canned) -> io::Result<bool> {
    loop {
        let mut reader = tls.reader();
        let text = match reader.fill_buf() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        if text.is_empty() {
            return Ok(true);
        }
        if let (true, Some(said)) = (part.is_empty(), canned.answer(text)) {
            reader.consume(said.taken);
            tls.writer().write_all(said.answer)?;
            if said.last {
                return Ok(true);
            }
            continue;
        }
        part.extend_from_slice(text);
        let taken = text.len();
        reader.consume(taken);
        while let Some(said) = canned.answer(part) {
            tls.writer().write_all(said.answer)?;
            if said.last {
                return Ok(true);
            }
            part.drain(..said.taken);
        }
        if part.is_empty() {
            *part = Vec::new();
        }
    }
}

fn poll_io(
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
    step: impl FnOnce(&mut Socket<'_, '_>) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    match step(&mut Socket { stream, cx }) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}

/// The socket as rustls wants it: what would wait says so, after it has asked to be woken.
struct Socket<'a, 'b> {
    stream: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        or_would_block(Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.stream).poll_write_vectored(self.cx, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Verifies client chains up to one root, and an intermediate only once: for as long as a benchmark
/// runs nothing expires and nothing is withdrawn.
#[derive(Debug)]
pub struct Chain {
    root: TrustAnchor<'static>,
    provider: Arc<CryptoProvider>,
    intermediates: RwLock<HashMap<CertificateDer<'static>, TrustAnchor<'static>>>,
}

impl Chain {
    /// Trusts `root` alone.
    ///
    /// # Panics
    /// When `root` is not a certificate.
    pub fn new(root: &CertificateDer<'_>, provider: Arc<CryptoProvider>) -> Self {
        let root = anchor_from_trusted_cert(root)
            .expect("the run's own root")
            .to_owned();
        Self {
            root,
            provider,
            intermediates: RwLock::default(),
        }
    }

    /// Verifies the path from `leaf` up to `anchor`; returns the intermediate next to the leaf, if any.
    fn path(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        anchor: &TrustAnchor<'static>,
        now: UnixTime,
    ) -> Result<Option<CertificateDer<'static>>, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let anchors = std::slice::from_ref(anchor);
        let leaf = EndEntityCert::try_from(leaf).map_err(refused)?;
        let usage = KeyUsage::client_auth();
        let path = leaf
            .verify_for_usage(algorithms, anchors, above, now, usage, None, None)
            .map_err(refused)?;
        Ok(path
            .intermediate_certificates()
            .next()
            .map(|issuer| issuer.der().into_owned()))
    }
}

fn refused(error: webpki::Error) -> Error {
    CertificateError::Other(rustls::OtherError(Arc::new(error))).into()
}

impl ClientCertVerifier for Chain {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let known = self
            .intermediates
            .read()
            .expect("nobody panics while holding it");
        if let Some(anchor) = above.first().and_then(|first| known.get(first)) {
            self.path(leaf, &[], anchor, now)?;
            return Ok(ClientCertVerified::assertion());
        }
        drop(known);
        if let Some(issuer) = self.path(leaf, above, &self.root, now)? {
            let anchor = anchor_from_trusted_cert(&issuer)
                .map_err(refused)?
                .to_owned();
            let mut known = self
                .intermediates
                .write()
                .expect("nobody panics while holding it");
            known.insert(issuer, anchor);
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
