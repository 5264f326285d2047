use super::*;
use proptest::prelude::*;

const KEY: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];
const SIGNATURE: &str = "kgK%2FatO8STnEL4We%2BbUNjPQ6ioD5HAMdJ%2FajhXtC1jk%3D";
const RESOURCE: &str = "0ne00111111%2Fregistrations%2FDev-1";

fn token(parts: &str) -> String {
    format!("SharedAccessSignature {parts}")
}

fn good() -> String {
    token(&format!(
        "sr={RESOURCE}&sig={SIGNATURE}&se=1700000000&skn=registration"
    ))
}

fn refusal(text: &str) -> SasError {
    SasToken::parse(text).unwrap_err()
}

fn names(text: &str, scope: &str, registration: &str) -> bool {
    let (scope, registration) = (
        IdScope::parse(scope).unwrap(),
        RegistrationId::parse(registration).unwrap(),
    );
    SasToken::parse(text).unwrap().names(&scope, &registration)
}

fn signed(key: &[u8], resource: &str, expiry: &str) -> String {
    let signature = STANDARD.encode(hmac(key, &[resource, "\n", expiry]));
    let signature = signature.replace('+', "%2B").replace('/', "%2f");
    token(&format!(
        "sr={resource}&sig={}&se={expiry}",
        signature.replace('=', "%3D")
    ))
}

#[test]
fn every_spelling_of_the_resource_verifies_over_its_own_text() {
    for (resource, signature) in [
        (RESOURCE, "kgK/atO8STnEL4We+bUNjPQ6ioD5HAMdJ/ajhXtC1jk="),
        (
            "0ne00111111%2fregistrations%2fdev-1",
            "il86k1RNHOxjRX6aMoWZQAzJKB77GY6sdc9oRS+9JyU=",
        ),
        (
            "0ne00111111/registrations/dev-1",
            "HHU74ofC2MSBHoD9tnU+ZfN13Y8S66N8NaxX6SbtFng=",
        ),
    ] {
        for signature in [
            signature.to_owned(),
            signature
                .replace('/', "%2F")
                .replace('+', "%2B")
                .replace('=', "%3D"),
            signature
                .replace('/', "%2f")
                .replace('+', "%2b")
                .replace('=', "%3d"),
        ] {
            let text = token(&format!("sr={resource}&sig={signature}&se=1700000000"));
            let read = SasToken::parse(&text).unwrap();
            assert!(read.is_signed_with(&KEY), "{text}");
            assert!(!read.is_signed_with(&[7; 32]), "{text}");
            assert!(names(&text, "0ne00111111", "Dev-1"), "{text}");
            assert_eq!(read.expires(), Timestamp(1_700_000_000_000));
        }
    }
}

#[test]
fn parts_come_in_any_order_and_the_key_name_may_be_absent_or_empty() {
    for parts in [
        format!("sr={RESOURCE}&sig={SIGNATURE}&skn=registration&se=1700000000"),
        format!("sr={RESOURCE}&sig={SIGNATURE}&se=1700000000&skn="),
        format!("se=1700000000&sig={SIGNATURE}&sr={RESOURCE}"),
    ] {
        let text = token(&parts);
        assert!(SasToken::parse(&text).unwrap().is_signed_with(&KEY));
    }
}

#[test]
fn the_prefix_is_exact() {
    let parts = format!("sr={RESOURCE}&sig={SIGNATURE}&se=1700000000");
    for prefix in [
        "",
        "sharedaccesssignature ",
        "SharedAccessSignature",
        "Bearer ",
        " SharedAccessSignature ",
    ] {
        assert_eq!(refusal(&format!("{prefix}{parts}")), SasError::Prefix);
    }
    assert_eq!(
        refusal(&format!("SharedAccessSignature  {parts}")),
        SasError::Unknown
    );
}

#[test]
fn a_part_twice_is_refused_even_if_it_says_the_same() {
    for (part, name) in [
        (format!("sr={RESOURCE}"), "sr"),
        (format!("sig={SIGNATURE}"), "sig"),
        ("se=1700000000".to_owned(), "se"),
        ("skn=registration".to_owned(), "skn"),
    ] {
        assert_eq!(
            refusal(&format!("{}&{part}", good())),
            SasError::Twice(name)
        );
    }
}

#[test]
fn unknown_parts_are_refused() {
    for more in ["&x=1", "&SE=1", "&", "&sr", "&=", "&s%72=1"] {
        assert_eq!(refusal(&format!("{}{more}", good())), SasError::Unknown);
    }
}

#[test]
fn resource_signature_and_expiry_are_needed() {
    for name in ["sr", "sig", "se"] {
        let parts = [("sr", RESOURCE), ("sig", SIGNATURE), ("se", "1700000000")];
        let without: Vec<_> = parts
            .iter()
            .filter(|(part, _)| *part != name)
            .map(|(part, value)| format!("{part}={value}"))
            .collect();
        assert_eq!(refusal(&token(&without.join("&"))), SasError::Missing(name));
        let empty = format!("{}&{name}=", without.join("&"));
        assert_eq!(refusal(&token(&empty)), SasError::Missing(name));
    }
}

#[test]
fn another_key_name_is_refused() {
    for name in ["owner", "Registration", "%72egistration", "registration%00"] {
        let text = good().replace("skn=registration", &format!("skn={name}"));
        assert_eq!(refusal(&text), SasError::KeyName);
    }
}

#[test]
fn an_expiry_is_digits_alone() {
    for expiry in ["-1", "+1", "1.5", "1e9", " 1", "0x1", "%31", "\u{0661}"] {
        let text = good().replace("1700000000", expiry);
        assert_eq!(refusal(&text), SasError::Expiry);
    }
}

#[test]
fn an_expiry_too_large_to_count_is_the_far_future() {
    let text = good().replace("1700000000", &"9".repeat(60));
    let read = SasToken::parse(&text).unwrap();
    assert_eq!(read.expires(), Timestamp(u64::MAX));
}

#[test]
fn a_broken_escape_is_refused() {
    for broken in ["%", "%2", "%zz", "%2g", "%%2F"] {
        let resource = good().replace("%2FDev-1", broken);
        assert_eq!(refusal(&resource), SasError::Escape("sr"), "{broken}");
        let signature = good().replace("%2FatO8", broken);
        assert!(matches!(refusal(&signature), SasError::Escape("sig")));
    }
}

#[test]
fn a_signature_is_32_bytes() {
    for bytes in [0, 1, 31, 33, 64] {
        let text = token(&format!(
            "sr=a&se=1&sig={}",
            STANDARD.encode(vec![1; bytes])
        ));
        let wanted = if bytes == 0 {
            SasError::Missing("sig")
        } else {
            SasError::Signature
        };
        assert_eq!(refusal(&text), wanted);
    }
    let text = good().replace("kgK", "k_K");
    assert_eq!(refusal(&text), SasError::Signature);
}

#[test]
fn a_token_for_another_device_or_scope_does_not_name_this_one() {
    assert!(names(&good(), "0NE00111111", "dev-1"));
    assert!(!names(&good(), "0ne00111112", "dev-1"));
    assert!(!names(&good(), "0ne00111111", "dev-11"));
    assert!(!names(&good(), "0ne00111111", "dev"));
    let hub = good().replace("registrations", "devices");
    assert!(!names(&hub, "0ne00111111", "dev-1"));
    let longer = good().replace("Dev-1", "Dev-1%2Fregister");
    assert!(!names(&longer, "0ne00111111", "dev-1"));
    let encoded_twice = good().replace("%2Fregistrations%2F", "%252Fregistrations%252F");
    assert!(!names(&encoded_twice, "0ne00111111", "dev-1"));
}

#[test]
fn a_plus_in_the_resource_is_a_plus() {
    let text = good().replace("Dev-1", "Dev+1");
    assert_eq!(
        SasToken::parse(&text).unwrap().resource(),
        RESOURCE.replace("Dev-1", "Dev+1")
    );
    assert!(!names(&text, "0ne00111111", "dev-1"));
}

#[test]
fn the_size_is_bounded() {
    let filled = |length: usize| {
        let rest = token(&format!("sig={SIGNATURE}&se=1&sr=")).len();
        token(&format!(
            "sig={SIGNATURE}&se=1&sr={}",
            "a".repeat(length - rest)
        ))
    };
    assert!(SasToken::parse(&filled(MAX_TOKEN_BYTES)).is_ok());
    assert_eq!(refusal(&filled(MAX_TOKEN_BYTES + 1)), SasError::TooLong);
}

#[test]
fn debug_does_not_show_the_signature() {
    let text = good();
    let read = SasToken::parse(&text).unwrap();
    let shown = format!("{read:?} {:?}", refusal(&good().replace("kgK", "k_K")));
    assert!(shown.contains("Dev-1"));
    assert!(!shown.contains("kgK") && !shown.contains("atO8") && !shown.contains("146"));
}

fn spelled(text: &str, how: u8) -> String {
    let all = |escape: &dyn Fn(u8) -> String| {
        text.bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    char::from(b).to_string()
                }
                _ => escape(b),
            })
            .collect()
    };
    match how {
        0 => text.to_owned(),
        1 => all(&|b| format!("%{b:02X}")),
        2 => all(&|b| format!("%{b:02x}")),
        3 => text.to_ascii_lowercase().replace('/', "%2f"),
        _ => text.bytes().map(|b| format!("%{b:02X}")).collect(),
    }
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_an_error(text in ".{0,200}", parts in "(SharedAccessSignature )?((sr|sig|se|skn|x)?=?[%&=a-f0-9+/]{0,44}&?){0,5}") {
        let _ = (SasToken::parse(&text), SasToken::parse(&parts), SasToken::parse(&token(&text)));
    }

    #[test]
    fn a_token_of_any_device_verifies_in_every_spelling(
        scope in "[0-9A-Za-z-]{12,20}",
        id in "[0-9A-Za-z._:-]{0,127}[0-9A-Za-z-]",
        key in proptest::collection::vec(any::<u8>(), 0..100),
        expiry in any::<u64>(),
        how in 0..5_u8,
    ) {
        let resource = spelled(&format!("{scope}/registrations/{id}"), how);
        let text = signed(&key, &resource, &expiry.to_string());
        let read = SasToken::parse(&text).unwrap();
        prop_assert!(read.is_signed_with(&key));
        prop_assert!(names(&text, &scope, &id.to_ascii_uppercase()));
        let other = format!("{scope}x").chars().skip(1).collect::<String>();
        prop_assert!(scope.eq_ignore_ascii_case(&other) || !names(&text, &other, &id));
    }
}
