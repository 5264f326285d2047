//! What operators send.

use bytes::Bytes;
use dps_core::admin::query::{Listing, Position};

use super::{device_id, handshake, in_turn, over_http};
use crate::client::Visits;
use crate::world::{SERVICE_HOST, operators_token, registration};

const VERSION: &str = "api-version=2021-10-01";

/// How every answer to an operator begins.
const FOUND: &str = "HTTP/1.1 200";

/// Each reads one individual enrollment.
///
/// * `numbers`: which; when all had their turn they come again.
/// * `tls`: over TLS or as it is.
/// * `close`: say in the request that it is the last of its connection.
pub fn reading(numbers: impl IntoIterator<Item = u64>, tls: bool, close: bool) -> Visits {
    let path = |n| format!("/enrollments/{}", device_id(n));
    let requests = numbers
        .into_iter()
        .map(|n| asking("GET", &path(n), "", close));
    visits(requests, tls)
}

/// Each asks for a page of `size` of a list of `count` records.
///
/// * `step`: after each page, go on by so many pages; 1 is one after the other.
pub fn listing(listing: &Listing, (size, count): (u64, u64), step: u64, close: bool) -> Visits {
    let path = match listing {
        Listing::RegistrationsOf(group) => format!("/registrations/{group}/query"),
        _ => "/enrollments/query".to_owned(),
    };
    let pages = count / size;
    let requests = (0..pages).map(|nth| {
        let page = nth * step % pages;
        let mut headers = format!("x-ms-max-item-count: {size}\r\n");
        if let Some(last) = (page * size).checked_sub(1) {
            let from = Position::after(listing, &registration(last));
            headers.push_str(&format!("x-ms-continuation: {from}\r\n"));
        }
        headers.push_str("content-type: application/json\r\ncontent-length: 2\r\n");
        asking("POST", &path, &headers, close)
    });
    let requests = requests.map(|request| [&request[..], b"{}"].concat().into());
    visits(requests, true)
}

fn visits(requests: impl Iterator<Item = Bytes>, tls: bool) -> Visits {
    let tls = tls.then(|| handshake(None, false));
    in_turn(
        requests
            .map(|said| over_http(tls.clone(), FOUND, said))
            .collect(),
    )
}

fn asking(method: &str, path: &str, headers: &str, close: bool) -> Bytes {
    let connection = if close { "close" } else { "keep-alive" };
    let token = operators_token();
    Bytes::from(format!(
        "{method} {path}?{VERSION} HTTP/1.1\r\nhost: {SERVICE_HOST}\r\nuser-agent: bench\r\n\
         accept: application/json\r\nauthorization: {token}\r\nconnection: {connection}\r\n\
         {headers}\r\n"
    ))
}
