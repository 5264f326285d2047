//! Tokens that a TPM has signed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::tpm::Tpm;

/// How long a token is good, where nothing else is said: as in the device SDK for Node.js, one hour.
pub const LIFETIME: Duration = Duration::from_secs(3600);

/// A token for a device's registration, signed with the key that its TPM activated last.
///
/// * `scope`: the ID scope.
/// * `registration`: the registration id.
/// * `expires`: the moment from which it is good no more, to the second.
///
/// Returns `SharedAccessSignature sr={scope}%2Fregistrations%2F{registration}&sig=…&se=…&skn=registration`, the
/// form of the device SDKs (azure-iot-sdk-node, `provisioning/device/src/tpm_registration.ts`).
///
/// # Errors
/// Those of [`Tpm::sign`].
pub fn sign(
    tpm: &mut Tpm,
    scope: &str,
    registration: &str,
    expires: SystemTime,
) -> Result<String, Error> {
    let resource = format!("{scope}/registrations/{registration}");
    let token = signed(tpm, &resource, expires)?;
    Ok(format!("{token}&skn=registration"))
}

/// A token for a device's hub, signed with the key that its TPM activated last: the one that a registration
/// ends with.
///
/// * `hub`: the hub's host name.
/// * `device`: the device's name there.
/// * `expires`: the moment from which it is good no more, to the second.
///
/// # Errors
/// Those of [`Tpm::sign`].
///
/// # Source
/// "Control access to IoT Hub with shared access signatures" in the documentation of IoT Hub.
pub fn sign_for_hub(
    tpm: &mut Tpm,
    hub: &str,
    device: &str,
    expires: SystemTime,
) -> Result<String, Error> {
    signed(tpm, &format!("{hub}/devices/{device}"), expires)
}

fn signed(tpm: &mut Tpm, resource: &str, expires: SystemTime) -> Result<String, Error> {
    let resource = encoded(resource);
    let expires = expires
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let signature = tpm.sign(format!("{resource}\n{expires}").as_bytes())?;
    let signature = encoded(&STANDARD.encode(signature));
    Ok(format!(
        "SharedAccessSignature sr={resource}&sig={signature}&se={expires}"
    ))
}

/// All but unreserved characters as `%XX`: RFC 3986, section 2.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
