//! What operators are shown of how the service signs in to a hub.
//!
//! To the core it is a secret without a form: what it is only the hub linker knows. Here it may be a
//! connection string, of which everything but the key can be shown. Of anything else nothing is, but that
//! it is there.

use dps_core::id::{HubName, SecretBytes};

/// What stands in the place of a secret.
///
/// # Source
/// *How to manage linked IoT hubs* of the service.
const MASK: &str = "****";

/// The longest name of a policy that is shown, in bytes.
const MAX_POLICY_NAME: usize = 64;

/// A connection string of a hub's shared access policy, and nothing else.
#[derive(Debug)]
struct Parts<'a> {
    host: HubName,
    policy: Option<&'a str>,
    /// Not in `Debug` by its value: only whether it is there.
    has_key: bool,
}

impl<'a> Parts<'a> {
    /// Reads `HostName=..;SharedAccessKeyName=..;SharedAccessKey=..`, the parts in any order, their names
    /// in any case of letters. `None` if anything else is in it, which might be secret.
    fn read(text: &'a str) -> Option<Self> {
        let (mut host, mut policy, mut key) = (None, None, None);
        let text = text.strip_suffix(';').unwrap_or(text);
        for part in text.split(';') {
            let (name, value) = part.split_once('=')?;
            let slot = match name {
                name if name.eq_ignore_ascii_case("HostName") => &mut host,
                name if name.eq_ignore_ascii_case("SharedAccessKeyName") => &mut policy,
                name if name.eq_ignore_ascii_case("SharedAccessKey") => &mut key,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let plain = |name: &str| {
            name.len() <= MAX_POLICY_NAME && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !policy.is_none_or(plain) {
            return None;
        }
        Some(Self {
            host: HubName::parse(host?).ok()?,
            policy,
            has_key: key.is_some(),
        })
    }
}

/// A credential without what is secret of it.
pub(super) fn shown(credential: &SecretBytes) -> String {
    let text = std::str::from_utf8(credential.expose()).ok();
    let Some(parts) = text.and_then(Parts::read) else {
        return MASK.to_owned();
    };
    let mut shown = format!("HostName={}", parts.host);
    if let Some(policy) = parts.policy {
        shown.push_str(";SharedAccessKeyName=");
        shown.push_str(policy);
    }
    if parts.has_key {
        shown.push_str(";SharedAccessKey=");
        shown.push_str(MASK);
    }
    shown
}

/// Whether a text is one that was [`shown`], not one to sign in with.
pub(super) fn is_shown(text: &str) -> bool {
    let masked = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or(("", part));
        value == MASK && (name.is_empty() || name.eq_ignore_ascii_case("SharedAccessKey"))
    };
    text.split(';').any(masked)
}

/// Which hub a connection string is of; `None` if it is none.
pub(super) fn host(text: &str) -> Option<HubName> {
    Parts::read(text).map(|parts| parts.host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> String {
        shown(&SecretBytes::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn of_a_connection_string_everything_but_the_key_is_shown() {
        let whole = "HostName=a.hub.example;SharedAccessKeyName=iothubowner;SharedAccessKey=";
        for key in ["c2VjcmV0", "c2VjcmV0Og==", ""] {
            assert_eq!(of(&format!("{whole}{key}")), format!("{whole}****"));
            assert_eq!(of(&format!("{whole}{key};")), format!("{whole}****"));
        }
        let turned =
            "sharedaccesskey=c2VjcmV0;HOSTNAME=a.hub.example;SharedAccessKeyName=iothubowner";
        assert_eq!(of(turned), format!("{whole}****"));
        assert_eq!(of("HostName=a.hub.example"), "HostName=a.hub.example");
    }

    #[test]
    fn of_anything_else_nothing_is_shown() {
        for text in [
            "",
            "hunter2",
            "hunter2=hunter2",
            "HostName=a.hub.example;hunter2",
            "HostName=a.hub.example;Password=hunter2",
            "HostName=a.hub.example;SharedAccessSignature=hunter2",
            "HostName=a.hub.example;SharedAccessKey=x;SharedAccessKey=hunter2",
            "HostName=a.hub.example;HostName=hunter2;SharedAccessKey=x",
            "HostName=hunter2!;SharedAccessKey=x",
            "HostName=a.hub.example;SharedAccessKeyName=hunter2 hunter2;SharedAccessKey=x",
            "HostName=a.hub.example;;SharedAccessKey=hunter2",
            "SharedAccessKeyName=hunter2;SharedAccessKey=hunter2",
            "{\"HostName\":\"hunter2\"}",
        ] {
            assert_eq!(of(text), "****", "{text}");
        }
        assert_eq!(shown(&SecretBytes::new(vec![0xff; 9])), "****");
    }

    #[test]
    fn what_was_shown_is_told_from_what_is_given() {
        for text in [
            "****",
            "HostName=a.hub.example;SharedAccessKey=****",
            "HostName=a;sharedaccesskey=****;x=y",
        ] {
            assert!(is_shown(text), "{text}");
        }
        for text in [
            "",
            "***",
            "*****",
            "HostName=a;SharedAccessKey=x",
            "Password=****",
        ] {
            assert!(!is_shown(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_never_shown(
            before in "(HostName=[a-z]{0,3};|hostname=a;|SharedAccessKeyName=o;|x=y;|;){0,3}",
            name in "(?i)SharedAccessKey|SharedAccessSignature|Password|",
            after in "(;HostName=a|;SharedAccessKeyName=o|;z|;){0,2}",
        ) {
            let text = format!("{before}{name}=hunter2{after}");
            prop_assert!(!of(&text).contains("hunter2"), "{}", text);
        }

        #[test]
        fn what_is_shown_of_a_key_is_known_again(text in ".{0,40}") {
            let text = format!("HostName=a;SharedAccessKey={text}");
            prop_assert!(is_shown(&of(&text)));
        }
    }
}
