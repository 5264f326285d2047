//! Reading a body: bounded in bytes and in time.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use dps_core::error::{Reason, ServiceError};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::limits::Limits;

/// Reads all of `body`.
///
/// * `most`: how many bytes it may have.
///
/// # Errors
/// [`Reason::TooLarge`], at once if the body announces its size; [`Reason::RequestTimeout`];
/// [`Reason::Malformed`] if it breaks off.
pub(crate) async fn read<B: Body<Data = Bytes>>(
    body: B,
    most: usize,
    limits: &Limits,
) -> Result<Bytes, ServiceError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > most as u64 {
        return Err(ServiceError::new(Reason::TooLarge));
    }
    timeout(limits.timeouts.request, collect(body, most))
        .await
        .unwrap_or(Err(ServiceError::new(Reason::RequestTimeout)))
}

/// Lets `body` pass without keeping it, so that the connection can go on. Returns whether it has ended:
/// one that is larger than devices may send, or slow, is given up.
pub(crate) async fn skip<B: Body<Data = Bytes>>(body: B, limits: &Limits) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let pass = async {
        let mut body = pin!(body);
        let mut left = limits.body_bytes;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout(limits.timeouts.request, pass)
        .await
        .unwrap_or(false)
}

async fn collect<B: Body<Data = Bytes>>(body: B, most: usize) -> Result<Bytes, ServiceError> {
    let mut body = pin!(body);
    let mut whole = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(ServiceError::new(Reason::Malformed)
                .with_message("the body breaks off or is not well framed"));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + more.len() + data.len() > most {
            return Err(ServiceError::new(Reason::TooLarge));
        }
        if whole.is_empty() && more.is_empty() {
            whole = data;
        } else {
            more.extend_from_slice(&std::mem::take(&mut whole));
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() {
        whole
    } else {
        more.freeze()
    })
}
