//! Names of devices, as they stand in addresses of links and in SASL.

use dps_core::id::{IdScope, RegistrationId};
use dps_transport::percent_decode;

/// The longest address that is looked at, in bytes. Our choice.
const MAX_BYTES: usize = 512;

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) scope: IdScope,
    pub(crate) registration: RegistrationId,
}

impl Name {
    /// Reads the address of a link: `{scope}/registrations/{registration}`, perhaps with a slash before
    /// it, or as the path of an `amqps` URL. `None` if it names nobody.
    ///
    /// # Source
    /// `prov_transport_amqp_common.c` (C: URL), `amqp.ts` (Node.js), `AmqpClientConnection.cs` (C#),
    /// `ProvisioningAmqpOperations.java` (Java: with a slash).
    pub(crate) fn of_address(address: &str) -> Option<Self> {
        if address.len() > MAX_BYTES {
            return None;
        }
        let path = ["amqps://", "amqp://"]
            .iter()
            .find_map(|scheme| strip_prefix_in_any_case(address, scheme))
            .map_or(Some(address), |rest| {
                rest.split_once('/').map(|(_, path)| path)
            })?;
        Self::of_path(&percent_decode(path.trim_start_matches('/'))?)
    }

    /// Reads a name as it stands in SASL PLAIN: `{scope}/registrations/{registration}`.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let (scope, fixed, registration) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !fixed.eq_ignore_ascii_case("registrations") {
            return None;
        }
        Self::of(scope, registration)
    }

    /// The device of that name in that scope; `None` if there can be none.
    pub(crate) fn of(scope: &str, registration: &str) -> Option<Self> {
        Some(Self {
            scope: IdScope::parse(scope).ok()?,
            registration: RegistrationId::parse(registration).ok()?,
        })
    }
}

fn strip_prefix_in_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (begin, rest) = text.split_at_checked(prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(address: &str) -> Option<(String, String)> {
        let name = Name::of_address(address)?;
        Some((
            name.scope.as_str().to_owned(),
            name.registration.as_str().to_owned(),
        ))
    }

    #[test]
    fn every_sdk_is_understood() {
        let wanted = Some(("0neS".to_owned(), "Press-1".to_owned()));
        for address in [
            "amqps://global.example.com/0neS/registrations/Press-1",
            "AMQP://global.example.com:5671/0neS/Registrations/Press-1",
            "0neS/registrations/Press-1",
            "/0neS/registrations/Press-1",
            "0neS%2Fregistrations%2fPress%2D1",
        ] {
            assert_eq!(names(address), wanted, "{address}");
        }
    }

    #[test]
    fn other_addresses_name_nobody() {
        let long = format!("0neS/registrations/{}", "a".repeat(600));
        for address in [
            "",
            "/",
            "0neS",
            "0neS/registrations",
            "0neS/registrations/",
            "0neS/devices/a",
            "0neS/registrations/a/b",
            "0 S/registrations/a",
            "0neS/registrations/a b",
            "0neS/registrations/%zz",
            "amqps://host",
            "amqps:///registrations/a",
            "\u{e9}mqps://host/0neS/registrations/a",
            &long,
        ] {
            assert_eq!(names(address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn any_text_names_somebody_or_nobody(text in "\\PC{0,80}") {
            let _ = names(&text);
        }
    }
}
