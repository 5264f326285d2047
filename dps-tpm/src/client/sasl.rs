//! The SASL mechanism `TPM`: the keys go up, the challenge comes down in parts, the token goes up.
//!
//! Source: azure-iot-sdk-node, `provisioning/transport/amqp/src/sasl_tpm.ts`; azure-iot-sdk-c,
//! `provisioning_client/src/prov_sasl_tpm.c`.

use fe2o3_amqp::types::primitives::{Binary, Symbol};
use fe2o3_amqp_types::sasl::{
    SaslChallenge, SaslCode, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse,
};
use serde_amqp::serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Keys;
use super::error::Error;
use super::stream::Stream;

const HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";

/// The largest frame of SASL: AMQP 1.0, part 5, section 3.3.1.
const FRAME_BYTES: usize = 512;

/// Size of a frame's own header, its data offset in words, and its type: part 2, section 3.1.
const FRAME_HEADER: [u8; 4] = [2, 1, 0, 0];

// The first byte of each part of the challenge.
const IS_KEY: u8 = 0x80;
const IS_LAST: u8 = 0x40;
const SEQUENCE: u8 = 0x03;

/// How many parts a challenge may have: the sequence number has two bits.
const PARTS: u8 = 4;

/// Has the device believed on this connection.
///
/// * `names`: ID scope and registration id.
/// * `prove`: makes a token of the challenge.
pub(super) async fn authenticate(
    stream: &mut dyn Stream,
    host: &str,
    names: [&str; 2],
    keys: &Keys,
    prove: impl FnOnce(&[u8]) -> Result<String, crate::Error>,
) -> Result<(), Error> {
    stream.write_all(&HEADER).await?;
    stream.flush().await?;
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    if header != HEADER {
        return Err(Error::Unreadable("protocol header"));
    }
    let offered: SaslMechanisms = read(stream).await?;
    let mechanism = Symbol::from("TPM");
    if !offered.sasl_server_mechanisms.0.contains(&mechanism) {
        return Err(Error::Missing("SASL mechanism TPM"));
    }
    let [scope, registration] = names.map(str::as_bytes);
    let who = [&[0], scope, &[0], registration, &[0], &keys.endorsement].concat();
    let init = SaslInit {
        mechanism,
        initial_response: Some(Binary::from(who)),
        hostname: Some(host.to_owned()),
    };
    write(stream, framed(&init)?).await?;
    // One byte that asks for the other key.
    challenge(stream).await?;
    respond(stream, &keys.storage).await?;
    let mut key = Vec::new();
    for number in 0..PARTS {
        let part = challenge(stream).await?;
        let Some((control, part)) = part.split_first() else {
            return Err(Error::Unreadable("challenge"));
        };
        if control & IS_KEY == 0 || control & SEQUENCE != number {
            return Err(Error::Unreadable("challenge"));
        }
        key.extend_from_slice(part);
        if control & IS_LAST != 0 {
            break;
        }
        respond(stream, &[]).await?;
    }
    let token = prove(&key)?;
    respond(stream, token.as_bytes()).await?;
    let outcome: SaslOutcome = read(stream).await?;
    outcome_of(&outcome)
}

async fn challenge(stream: &mut dyn Stream) -> Result<Vec<u8>, Error> {
    let frame = read_frame(stream).await?;
    if let Ok(outcome) = serde_amqp::from_slice::<SaslOutcome>(&frame) {
        outcome_of(&outcome)?;
    }
    let challenge: SaslChallenge = decoded(&frame)?;
    Ok(challenge.challenge.into_vec())
}

fn outcome_of(outcome: &SaslOutcome) -> Result<(), Error> {
    let status = match outcome.code {
        SaslCode::Ok => return Ok(()),
        SaslCode::Auth | SaslCode::SysPerm => 401,
        SaslCode::Sys | SaslCode::SysTemp => 503,
    };
    let body = Value::Null;
    Err(Error::Refused { status, body })
}

/// All that a device says after its first words begins with a zero.
async fn respond(stream: &mut dyn Stream, what: &[u8]) -> Result<(), Error> {
    let response = SaslResponse {
        response: Binary::from([&[0], what].concat()),
    };
    write(stream, framed(&response)?).await
}

/// A frame with a performative in it.
fn framed(performative: &impl Serialize) -> Result<Vec<u8>, Error> {
    let body = serde_amqp::to_vec(performative).map_err(|error| Error::Amqp(Box::new(error)))?;
    let size = u32::try_from(body.len() + 8).expect("names and keys have some hundred bytes");
    Ok([&size.to_be_bytes(), &FRAME_HEADER, body.as_slice()].concat())
}

async fn write(stream: &mut dyn Stream, frame: Vec<u8>) -> Result<(), Error> {
    stream.write_all(&frame).await?;
    stream.flush().await?;
    Ok(())
}

async fn read<T: for<'de> Deserialize<'de>>(stream: &mut dyn Stream) -> Result<T, Error> {
    decoded(&read_frame(stream).await?)
}

/// What is in the next frame. Not a byte more is read: what follows SASL is somebody else's.
async fn read_frame(stream: &mut dyn Stream) -> Result<Vec<u8>, Error> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    let [size @ .., _, _, _, _] = header;
    let size = u32::from_be_bytes(size) as usize;
    if header[4..6] != FRAME_HEADER[..2] || !(header.len()..=FRAME_BYTES).contains(&size) {
        return Err(Error::Unreadable("SASL frame"));
    }
    let mut body = vec![0; size - header.len()];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

fn decoded<T: for<'de> Deserialize<'de>>(frame: &[u8]) -> Result<T, Error> {
    serde_amqp::from_slice(frame).map_err(|error| Error::Amqp(Box::new(error)))
}
