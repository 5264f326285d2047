//! Which lines are not taken, and why; and that each keeps no other back.

use dps_import::HeaderError;
use dps_testkit::certs::{Ca, Identity};

use super::*;

fn reasons(file: impl AsRef<[u8]> + Send) -> Vec<(u64, String)> {
    ndjson(&admin(), file).1
}

fn why(line: impl AsRef<[u8]>) -> String {
    let file = [line.as_ref(), b"\n", keyed("next", 1).as_bytes()].concat();
    let (summary, rejected) = ndjson(&admin(), file);
    assert_eq!(counts(&summary), [1, 0, 0, 1], "the next line is taken");
    let [(1, why)] = rejected.as_slice() else {
        panic!("{rejected:?}");
    };
    why.clone()
}

#[test]
fn each_reason_is_told_with_its_line() {
    assert_eq!(
        why("x".repeat(10_000_000)),
        "the line is longer than 262144 bytes"
    );
    assert!(why(b"{\"registrationId\":\"\xff\"}").starts_with("not acceptable JSON"));
    assert!(why("{\"registrationId\":").starts_with("not acceptable JSON"));
    assert!(why(format!("{} {}", keyed("a", 1), keyed("b", 1))).starts_with("not acceptable JSON"));
    assert!(
        why(r#"{"registrationId":"a","registrationId":"b"}"#).starts_with("not acceptable JSON")
    );
    assert_eq!(why("[]"), "$: must be an object");
    assert_eq!(
        why("{}"),
        "it has neither registrationId nor enrollmentGroupId"
    );
    let both = r#"{"registrationId":"a","enrollmentGroupId":"b"}"#;
    assert_eq!(
        why(both),
        "it has both registrationId and enrollmentGroupId"
    );
    assert_eq!(why(r#"{"registrationId":"a"}"#), "attestation: is missing");
    let key = r#"{"registrationId":"a","attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"c2hvcnQ="}}}"#;
    let expected = "attestation.symmetricKey.primaryKey: 5 bytes, must have 16 to 64";
    assert_eq!(why(key), expected);
    let certificate = r#"{"registrationId":"a","attestation":{"type":"x509","x509":{"clientCertificates":{"primary":{"certificate":"AAAA"}}}}}"#;
    assert!(why(certificate).ends_with("not an X.509 certificate"));
    // Certificates of which only the thumbprint is said cannot be kept by an entry that is new.
    let info = r#"{"registrationId":"a","attestation":{"type":"x509","x509":{"clientCertificates":{"primary":{"info":{"sha256Thumbprint":"0000000000000000000000000000000000000000000000000000000000000000"}}}}}}"#;
    assert!(why(info).contains("names a certificate by its thumbprints"));
}

#[test]
fn ends_of_lines_and_blank_lines_are_as_programs_write_them() {
    let lines = [
        keyed("a", 1),
        String::new(),
        "  \t".into(),
        keyed("b", 1),
        keyed("c", 1),
    ];
    for (start, end, last) in [
        ("", "\n", "\n"),
        ("\u{feff}", "\r\n", ""),
        ("", "\r\n", "\r\n"),
    ] {
        let file = format!("{start}{}{last}", lines.join(end));
        let (summary, rejected) = ndjson(&admin(), &file);
        assert_eq!(
            (counts(&summary), summary.lines),
            ([3, 0, 0, 0], 5),
            "{rejected:?}"
        );
    }
    assert_eq!(ndjson(&admin(), "").0, Summary::default());
    assert_eq!(ndjson(&admin(), "\u{feff}").0.entries(), 0);
}

#[test]
fn the_second_line_with_an_id_is_told_however_far_it_is() {
    let mut lines: Vec<_> = (0..3000).map(|nth| keyed(&format!("d-{nth}"), 1)).collect();
    lines[1] = keyed("D-0", 1);
    lines[2999] = keyed("d-7", 2);
    let group = keyed("d-0", 3).replace("registrationId", "enrollmentGroupId");
    lines.push(group);
    let admin = admin();
    let replacing = importer(&admin, Format::Ndjson).replacing();
    let (summary, rejected) = run(&replacing, lines.join("\n")).unwrap();
    let text = "an earlier line has the same id".to_owned();
    assert_eq!(rejected, [(2, text.clone()), (3000, text)]);
    assert_eq!(summary.created, 2999);
}

#[test]
fn what_the_store_refuses_is_told_with_its_line() {
    let admin = admin();
    with_quotas(
        &admin,
        Quotas {
            enrollments: 2,
            ..Quotas::default()
        },
    );
    assert_eq!(ndjson(&admin, keyed("a", 1)).0.created, 1);
    let group = |id, byte| keyed(id, byte).replace("registrationId", "enrollmentGroupId");
    let file = [
        keyed("a", 2),
        keyed("b", 1),
        keyed("c", 1),
        group("g", 1),
        group("h", 1),
    ];
    let (summary, rejected) = ndjson(&admin, file.join("\n"));
    assert_eq!(counts(&summary), [2, 0, 0, 3]);
    let expected = [
        (1, "it is there already, and differs"),
        (3, "there are 2 already, which is as many as may be"),
        (5, "group g has the same symmetric key"),
    ];
    assert_eq!(rejected, expected.map(|(line, why)| (line, why.to_owned())));
}

#[test]
fn too_many_rejected_lines_end_it() {
    let mut lines = vec!["{}".to_owned(); 1100];
    lines.extend((0..2000).map(|nth| keyed(&format!("d-{nth}"), 1)));
    let file = lines.join("\n");
    let admin = admin();
    let stops = importer(&admin, Format::Ndjson).with_max_rejects(500);
    let mut rejected = 0;
    let count = |event: Event<'_>| rejected += u64::from(matches!(event, Event::Rejected { .. }));
    let summary = block_on(stops.run(Cursor::new(file.as_bytes()), count)).unwrap();
    assert!(
        summary.stopped && summary.lines == 1024 && rejected == 1024,
        "{summary:?}"
    );
    let (summary, _) = run(&stops.with_max_rejects(2000), &file).unwrap();
    assert_eq!((summary.created, summary.stopped), (2000, false));
}

#[test]
fn a_rehearsal_tells_the_same_and_writes_nothing() {
    let admin = admin();
    ndjson(&admin, keyed("a", 1));
    let file = [
        keyed("a", 2),
        keyed("b", 1),
        keyed("c", 1),
        "{}".into(),
        keyed("b", 1),
    ]
    .join("\n");
    let rehearsed = run(&importer(&admin, Format::Ndjson).rehearsed(), &file).unwrap();
    assert_eq!(entries(&admin).len(), 1);
    assert_eq!(rehearsed, ndjson(&admin, &file));
}

#[test]
fn tenants_have_their_own_entries() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let other = Admin::new(Arc::clone(&store), IdScope::parse("0ne00000002").unwrap());
    let one = admin_of(store);
    assert_eq!(ndjson(&one, keyed("a", 1)).0.created, 1);
    assert_eq!(ndjson(&other, keyed("a", 2)).0.created, 1);
    assert_ne!(entries(&one), entries(&other));
}

#[test]
fn csv_is_the_same_entries_as_ndjson() {
    let key = STANDARD.encode([7; 16]);
    let leaf = Identity::self_signed("x");
    let der = STANDARD.encode(leaf.certificate_der());
    let file = format!(
        "RegistrationId,attestation,primaryKey,secondaryKey,primaryCertificate,iotHubs,allocationPolicy,\
         initialTwin,provisioningStatus,deviceId,updateHubAssignment,migrateDeviceData,iotEdge\r\n\
         k,symmetricKey,{key},{key},,w.example;e.example,static,\"{{\"\"tags\"\":{{\"\"a\"\":1}}}}\",disabled,dev,true,false,true\r\n\
         x,X509,,,{der},,,,,,,,\r\n"
    );
    let (by_csv, by_json) = (admin(), admin());
    assert_eq!(counts(&csv(&by_csv, file).0), [2, 0, 0, 0]);
    let keys = format!(r#"{{"primaryKey":"{key}","secondaryKey":"{key}"}}"#);
    let file = format!(
        r#"{{"registrationId":"k","attestation":{{"type":"symmetricKey","symmetricKey":{keys}}},"iotHubs":["w.example","e.example"],"allocationPolicy":"static","initialTwin":{{"tags":{{"a":1}}}},"provisioningStatus":"disabled","deviceId":"dev","capabilities":{{"iotEdge":true}},"reprovisionPolicy":{{"updateHubAssignment":true,"migrateDeviceData":false}}}}
{{"registrationId":"x","attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":"{der}"}}}}}}}}}}"#
    );
    assert_eq!(counts(&ndjson(&by_json, file).0), [2, 0, 0, 0]);
    assert_eq!(entries(&by_csv), entries(&by_json));
}

#[test]
fn a_line_of_csv_that_is_wrong_spoils_no_other() {
    let file = "registrationId,attestation,iotEdge\n\
                a,symmetricKey,true\n\
                b,\"symmetricKey,true\n\
                c,symmetricKey\n\
                d,symmetricKey,perhaps\n\
                \n\
                e,magic,\n\
                ,symmetricKey,\n\
                A,symmetricKey,\n\
                f,symmetricKey,false";
    let (summary, rejected) = csv(&admin(), file);
    assert_eq!(counts(&summary), [2, 0, 0, 6]);
    let expected = [
        (3, "a quoted field does not end in its line"),
        (4, "it does not have 3 fields, as the first line has"),
        (5, "iotEdge: must be true or false"),
        (
            7,
            "attestation.type: must be one of x509, symmetricKey, tpm",
        ),
        (8, "registrationId: is missing"),
        (9, "an earlier line has the same id"),
    ];
    assert_eq!(rejected, expected.map(|(line, why)| (line, why.to_owned())));
}

#[test]
fn csv_without_its_columns_is_not_begun() {
    let error = |file: &str| match run(&importer(&admin(), Format::Csv), file) {
        Err(ImportError::Header(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(""), HeaderError::Missing);
    assert_eq!(
        error("registrationId,color,attestation\n"),
        HeaderError::Unknown { nth: 2 }
    );
    assert!(matches!(
        error(&"x".repeat(1_000_000)),
        HeaderError::Unreadable(_)
    ));
    let (summary, _) = csv(
        &admin(),
        "\u{feff}registrationId,attestation\r\na,symmetricKey",
    );
    assert_eq!(counts(&summary), [1, 0, 0, 0]);
}

#[test]
fn a_certificate_of_another_name_is_noted_and_taken() {
    let der = STANDARD.encode(Ca::root("Root").device("other").certificate_der());
    let file = format!("registrationId,attestation,primaryCertificate\na,x509,{der}\n");
    let mut notes = Vec::new();
    let admin = admin();
    let tell = |event: Event<'_>| {
        if let Event::Note { line, text } = event {
            notes.push((line, text.to_owned()));
        }
    };
    let summary =
        block_on(importer(&admin, Format::Csv).run(Cursor::new(file.as_bytes()), tell)).unwrap();
    assert_eq!(counts(&summary), [1, 0, 0, 0]);
    assert!(
        notes
            .iter()
            .any(|(line, text)| *line == 2 && text.contains("common name")),
        "{notes:?}"
    );
}

#[test]
fn no_reason_repeats_what_may_be_secret() {
    let secret = "hunter2hunter2hunter2";
    for line in [
        format!(
            r#"{{"registrationId":"a","attestation":{{"type":"symmetricKey","symmetricKey":{{"primaryKey":"{secret}!"}}}}}}"#
        ),
        format!(
            r#"{{"registrationId":"a","attestation":{{"type":"symmetricKey","primaryKey":{secret}"#
        ),
        secret.to_owned(),
    ] {
        let reasons = reasons(&line);
        assert!(
            reasons.len() == 1 && !reasons[0].1.contains("hunter2"),
            "{reasons:?}"
        );
    }
}
