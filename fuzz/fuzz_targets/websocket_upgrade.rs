//! The wish for a WebSocket, as the headers of a request, one a line: what is granted is granted with
//! the proof that tungstenite would give, and what tungstenite would grant is.
#![no_main]

use dps_transport_http::fuzzing::{Wish, upgrade};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::server::create_response;

fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines().take(50) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.trim_matches([' ', '\t']));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fuzz_target!(|text: &str| {
    let headers = headers(text);
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).into_iter();
        let values = values.filter_map(|value| Some(value.to_str().ok()?.to_owned()));
        values.collect()
    };
    let offers = texts("sec-websocket-protocol").join(",");
    let offer = offers
        .split(',')
        .map(|offer| offer.trim_matches([' ', '\t']))
        .find(|offer| offer.eq_ignore_ascii_case("mqtt"));
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    let theirs = create_response(&request);
    match (upgrade(headers.clone()), theirs) {
        (Wish::Granted(proof, subprotocol), theirs) => {
            assert_eq!(Some(&*subprotocol), offer);
            match theirs {
                Ok(theirs) => assert_eq!(theirs.headers()["sec-websocket-accept"], *proof),
                // It reads no lists, and holds keys to their length.
                Err(Error::Protocol(
                    ProtocolError::MissingConnectionUpgradeHeader
                    | ProtocolError::MissingUpgradeWebSocketHeader
                    | ProtocolError::InvalidSecWebSocketKey,
                )) => {}
                Err(error) => panic!("granted, and not by tungstenite: {error}"),
            }
        }
        (wish, Ok(_)) => {
            // It takes blanks for commas.
            let connection = texts("connection").join(",");
            let connected = connection
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
            assert!(offer.is_none() || !connected, "{wish:?}");
            assert_eq!(wish, Wish::Refused(400));
        }
        (Wish::Refused(status), Err(_)) => assert!(matches!(status, 400 | 426)),
        (Wish::None, Err(_)) => assert!(
            !texts("upgrade")
                .join(",")
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("websocket"))
        ),
    }
});
