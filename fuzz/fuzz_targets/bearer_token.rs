//! Tokens of OpenID providers, whoever wrote them.
#![no_main]

use dps_core::access::{BearerToken, Issuer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(token) = BearerToken::parse(text) else {
        return;
    };
    assert!(text.ends_with(token.expose()));
    assert_eq!(token.expose().matches('.').count(), 2);
    assert!(token.expose().starts_with(token.signed()));
    let _ = (token.header(), token.signature());
    assert_eq!(token.issuer(), token.unverified().text("iss"));
    let issuer = Issuer::new("https://login.example");
    let may = issuer.actions(token.unverified());
    // Roles that nobody names are good for nothing.
    if token.unverified().texts("roles").is_empty() {
        assert_eq!(may.iter().count(), 0);
    }
    // Nothing of it is shown.
    assert_eq!(format!("{token:?}"), "BearerToken(..)");
});
