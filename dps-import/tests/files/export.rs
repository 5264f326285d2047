//! What is exported and imported elsewhere is the same.

use dps_core::enrollment::Attestation;
use dps_import::Exporter;
use dps_testkit::certs::{Ca, Identity};
use proptest::prelude::*;

use super::*;

fn export(admin: &Admin, format: Format, keys: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let exporter = Exporter::new(admin, format);
    let exporter = if keys { exporter.with_keys() } else { exporter };
    let mut told = 0;
    let count = block_on(exporter.run(&mut out, |count| told = count)).unwrap();
    assert_eq!(told, count);
    out
}

fn filled() -> Admin {
    let admin = admin();
    let der = |der: &[u8]| STANDARD.encode(der);
    let leaf = der(Identity::self_signed("x").certificate_der());
    let root = der(Ca::root("Root").certificate_der());
    let mut lines = vec![
        format!(r#"{{"registrationId":"X","attestation":{{"type":"x509","x509":{{"clientCertificates":{{"secondary":{{"certificate":"{leaf}"}}}}}}}},"optionalDeviceInformation":{{"line":7,"é":"ü,\"\n"}}}}"#),
        format!(r#"{{"enrollmentGroupId":"signed","attestation":{{"type":"x509","x509":{{"signingCertificates":{{"primary":{{"certificate":"{root}"}}}}}}}}}}"#),
        r#"{"enrollmentGroupId":"named","attestation":{"type":"x509","x509":{"caReferences":{"primary":"root"}}}}"#.into(),
        r#"{"registrationId":"k","attestation":{"type":"symmetricKey"},"iotHubHostName":"w.example","allocationPolicy":"custom","customAllocationDefinition":{"webhookUrl":"https://f.example/?code=1,2","apiVersion":"2021-10-01"},"initialTwin":{"tags":{"a":[1,{"b":null}]},"properties":{"desired":{"c":1.5}}},"provisioningStatus":"disabled","capabilities":{"iotEdge":true},"reprovisionPolicy":{"updateHubAssignment":false,"migrateDeviceData":true}}"#.into(),
    ];
    lines.extend((0..2500).map(|nth| unsaid(&format!("d-{nth}"))));
    let (summary, rejected) = ndjson(&admin, lines.join("\n"));
    assert_eq!(summary.created, 2504, "{rejected:?}");
    admin
}

#[test]
fn what_is_exported_with_keys_is_the_same_elsewhere() {
    let from = filled();
    let to = admin();
    let file = export(&from, Format::Ndjson, true);
    assert!(file.is_ascii());
    assert_eq!(counts(&ndjson(&to, &file).0), [2504, 0, 0, 0]);
    assert_eq!(entries(&to), entries(&from));
    // And the same again where it came from.
    assert_eq!(counts(&ndjson(&from, &file).0), [0, 0, 2504, 0]);
    let by_csv = admin();
    let file = export(&from, Format::Csv, true);
    assert_eq!(counts(&csv(&by_csv, &file).0), [2502, 0, 0, 0]);
    let individual: Vec<_> = entries(&from)
        .into_iter()
        .filter(|one| one.group().is_none())
        .collect();
    assert_eq!(entries(&by_csv), individual);
}

#[test]
fn keys_are_exported_only_if_that_is_asked_for() {
    let from = filled();
    for format in [Format::Ndjson, Format::Csv] {
        let file = String::from_utf8(export(&from, format, false)).unwrap();
        for entry in entries(&from) {
            if let Attestation::SymmetricKey { primary, secondary } = entry.attestation {
                for key in [primary, secondary] {
                    assert!(!file.contains(&STANDARD.encode(key.expose())));
                }
            }
        }
        // Where they came from, keys stay.
        let (summary, rejected) = run(&importer(&from, format), &file).unwrap();
        assert_eq!(summary.same, summary.entries(), "{rejected:?}");
    }
    assert!(export(&admin(), Format::Ndjson, true).is_empty());
}

fn any_entry(nth: usize, text: &str, flags: [bool; 3]) -> String {
    let mut document: serde_json::Value =
        serde_json::from_str(&keyed(&format!("d-{nth}"), 1)).unwrap();
    if flags[0] {
        document["initialTwin"] = serde_json::json!({ "tags": { text: text } });
    }
    if flags[1] {
        document["optionalDeviceInformation"] = serde_json::json!({ "x": [text, nth] });
    }
    if flags[2] {
        document["capabilities"] = serde_json::json!({ "iotEdge": true });
    }
    document.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_entries_are_the_same_elsewhere(
        many in proptest::collection::vec(("\\PC{0,12}", any::<[bool; 3]>()), 0..20),
    ) {
        let lines = many.iter().enumerate().map(|(nth, (text, flags))| any_entry(nth, text, *flags));
        let from = admin();
        let (summary, rejected) = ndjson(&from, lines.collect::<Vec<_>>().join("\n"));
        prop_assert_eq!(summary.created, many.len() as u64, "{:?}", rejected);
        for format in [Format::Ndjson, Format::Csv] {
            let to = admin();
            run(&importer(&to, format), export(&from, format, true)).unwrap();
            prop_assert_eq!(entries(&to), entries(&from));
        }
    }
}
