use proptest::prelude::*;

use super::*;

#[test]
fn a_header_names_columns_once_in_any_order_and_case() {
    assert!(Header::parse(b" Attestation ,\"REGISTRATIONID\"").is_ok());
    let error = |line: &[u8]| Header::parse(line).map(|_| ()).unwrap_err();
    assert_eq!(
        error(b"registrationId,attestation,color"),
        HeaderError::Unknown { nth: 3 }
    );
    assert_eq!(
        error(b"registrationId,attestation,"),
        HeaderError::Unknown { nth: 3 }
    );
    let twice = error(b"registrationId,attestation,deviceId,DEVICEID");
    assert_eq!(twice, HeaderError::Twice("deviceId"));
    assert_eq!(
        error(b"registrationId"),
        HeaderError::Without("attestation")
    );
    assert_eq!(
        error(b"attestation"),
        HeaderError::Without("registrationId")
    );
    assert!(matches!(
        error(b"\"registrationId"),
        HeaderError::Unreadable(_)
    ));
    assert!(matches!(
        error(b"registrationId,\xff"),
        HeaderError::Unreadable(_)
    ));
    assert!(matches!(
        error(&b",".repeat(1000)),
        HeaderError::Unreadable(_)
    ));
}

#[test]
fn a_line_is_a_document() {
    let line = b"registrationId,attestation,iotHubs,iotEdge,initialTwin,deviceId,primaryKey";
    let mut header = Header::parse(line).unwrap();
    let line = br#"a,symmetricKey,w.example; e.example,TRUE,"{""tags"":{""x"":""y,z""}}",,"AA==""#;
    let expected = serde_json::json!({
        "registrationId": "a",
        "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": "AA==" } },
        "iotHubs": ["w.example", "e.example"],
        "capabilities": { "iotEdge": true },
        "initialTwin": { "tags": { "x": "y,z" } },
    });
    assert_eq!(header.document(line).unwrap(), expected);
    let mut why = |line: &[u8]| header.document(line).unwrap_err().to_string();
    assert_eq!(
        why(b"a,tpm"),
        "it does not have 7 fields, as the first line has"
    );
    assert_eq!(
        why(b"a,tpm,,,,,,"),
        "it does not have 7 fields, as the first line has"
    );
    assert_eq!(
        why(&b",".repeat(99)),
        "it does not have 7 fields, as the first line has"
    );
    assert_eq!(why(b"a,tpm,,yes,,,"), "iotEdge: must be true or false");
    assert_eq!(why(b"a,tpm,,,[],,"), "initialTwin: must be a JSON object");
    assert_eq!(why(b"a,tpm,,,{,,"), "initialTwin: must be a JSON object");
    assert_eq!(
        why(b"a,\"tpm,,,,,"),
        "a quoted field does not end in its line"
    );
    assert_eq!(why(b"\xff,tpm,,,,,"), "the line is not UTF-8");
}

proptest! {
    #[test]
    fn any_bytes_are_a_document_or_an_error(
        first in proptest::collection::vec(any::<u8>(), 0..50),
        line in proptest::collection::vec(prop_oneof![Just(b','), Just(b'"'), any::<u8>()], 0..200),
    ) {
        let _ = Header::parse(&first);
        let mut header = Header::parse(b"registrationId,attestation,deviceId,iotEdge,iotHubs").unwrap();
        if let Ok(document) = header.document(&line) {
            prop_assert!(document.is_object());
        }
    }

    /// What `csv` writes is what is read.
    #[test]
    fn fields_are_read_as_they_were_written(fields in proptest::collection::vec("[^\r\n]{0,20}", 1..20)) {
        let mut line = Vec::new();
        let mut writer = csv::WriterBuilder::new().from_writer(&mut line);
        writer.write_record(&fields).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let line = line.strip_suffix(b"\n").unwrap();
        let mut read = Fields::new();
        prop_assert_eq!(read.split(line).unwrap(), fields.len());
        for (nth, field) in fields.iter().enumerate() {
            prop_assert_eq!(read.get(nth).unwrap(), field);
        }
    }
}
