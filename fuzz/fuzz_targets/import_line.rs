//! Lines of files that are imported: NDJSON, and CSV with its first line.
#![no_main]

use dps_core::crypto::RING;
use dps_core::time::Timestamp;
use dps_import::LineReader;
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp(1_763_683_200_000);

fuzz_target!(|bytes: &[u8]| {
    let all: &[u8] = b"registrationId,attestation,primaryKey,secondaryKey,primaryCertificate,iotHubs,iotEdge,\
        initialTwin,deviceId,updateHubAssignment,migrateDeviceData";
    let mut readers = vec![
        LineReader::ndjson(RING, NOW),
        LineReader::csv(RING, NOW, all).expect("columns"),
    ];
    // The first line may name the columns of the others.
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    readers.extend(LineReader::csv(RING, NOW, first));
    for line in lines.clone().chain([first]) {
        for reader in &mut readers {
            // A line stands for itself: what came before does not matter.
            let found = reader.read(line);
            let again = reader.read(line);
            match (found, again) {
                (Ok(found), Ok(again)) => {
                    assert_eq!(found.draft.subject, again.draft.subject);
                }
                (Err(why), Err(again)) => assert_eq!(why.to_string(), again.to_string()),
                (found, again) => panic!("{found:?} and then {again:?}"),
            }
        }
    }
});
