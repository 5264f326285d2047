//! hyper over rustls with a constant answer: what the HTTP stack itself costs.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Setup, accept_all, on_one_core, tls};

/// Serves a constant answer through hyper and tokio-rustls, both as they come.
///
/// Options: `body` (bytes of the answer's body, 600), `status` (of the answer, 202), `tls` (true), `mutual`
/// (require a client certificate, false).
/// Connections stay open or close as the client asks.
///
/// # Errors
/// When the server cannot listen.
pub fn serve(setup: &Setup) -> io::Result<()> {
    let body = Answer::of(setup.option("body", 600)).body().clone();
    let status = StatusCode::from_u16(setup.option("status", 202)).map_err(io::Error::other)?;
    let with_tls = setup.option("tls", true);
    let acceptor = TlsAcceptor::from(tls(setup));
    on_one_core(accept_all(setup, move |stream, _| {
        let (acceptor, body) = (acceptor.clone(), body.clone());
        async move {
            if with_tls {
                let stream = acceptor.accept(stream).await?;
                converse(stream, status, body).await
            } else {
                converse(stream, status, body).await
            }
        }
    }))
}

async fn converse<S>(stream: S, status: StatusCode, body: Bytes) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, status, body.clone()));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn answer(
    request: Request<Incoming>,
    status: StatusCode,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(Answer::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
