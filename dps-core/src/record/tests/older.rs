//! Records as earlier versions wrote them, and what holds all samples fast.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;
use crate::instance::Quotas;
use crate::store::RECORD_FORMAT;

/// SHA-256 over the names and texts of all samples, for each format of records.
const DIGESTS: [(u32, &str); 1] = [(
    1,
    "e641dcaf9e0392755ae9e2af91625108ee6fbc9e3cd67f0d71b6c95f72b6f348",
)];

/// What no test of a single sample notices: one that was changed together with its test, or removed.
#[test]
fn samples_do_not_change_without_a_thought_of_the_format() {
    let mut files = Vec::new();
    for folder in ["samples", "older"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/record/tests");
        for entry in fs::read_dir(path.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().display());
            files.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    files.sort();
    let mut all = Sha256::new();
    for (name, text) in &files {
        all.update(format!("{name} {}\n", text.len()));
        all.update(text);
    }
    let digest = all.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let (format, frozen) = DIGESTS[DIGESTS.len() - 1];
    assert_eq!(
        format, RECORD_FORMAT,
        "the samples are of another format: add a line with digest {digest}"
    );
    assert_eq!(
        digest, frozen,
        "Samples were added, changed or removed. If some were only added, write the new digest down. Otherwise: \
         {SHAPE_CHANGED}"
    );
}

#[test]
fn an_instance_with_quotas_from_before_there_was_one_of_registrations() {
    let read = decode_instance(include_bytes!("older/instance-quotas.json")).unwrap();
    assert_eq!(
        read.quotas,
        Quotas {
            enrollments: 5,
            x509_groups: 6,
            symmetric_key_groups: 0,
            certificates: 7,
            registrations: Quotas::default().registrations,
        }
    );
    // It had no doors, no providers, and let local keys in.
    assert_eq!(read.access.network, crate::access::Network::default());
    assert!(read.access.issuers.is_empty() && !read.access.disable_local_auth);
    let again = decode_instance(&encode_instance(&read).unwrap()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{read:?}"));
}

/// Each step has a name that stays, because registrations keep the steps of their last attempt.
#[test]
fn every_step_of_a_trace() {
    let steps = [
        Step::NoSuchScope,
        Step::AddressRejected {
            rule: "text".into(),
        },
        Step::IngressRejected,
        Step::NoEvidence,
        Step::Challenged { enrolled: true },
        Step::CannotChallenge {
            because: "text".into(),
        },
        Step::BadChain {
            because: "text".into(),
        },
        Step::NoIndividual,
        Step::NoGroup,
        Step::GroupNamed {
            group: "text".into(),
            certificate: "text".into(),
        },
        Step::NotBelieved {
            entry: Entry::Individual,
            because: "text".into(),
        },
        Step::Believed {
            entry: Entry::Individual,
            by: "text".into(),
        },
        Step::EntryDisabled {
            entry: Entry::Individual,
        },
        Step::EntryChanged {
            entry: Entry::Individual,
        },
        Step::TooManyRegistrations { limit: 4 },
        Step::Joined {
            operation: "text".into(),
        },
        Step::TookOver {
            operation: "text".into(),
        },
        Step::First,
        Step::MustStay { hub: "text".into() },
        Step::MayMove {
            hub: "text".into(),
            migrate: true,
        },
        Step::CurrentUnlinked { hub: "text".into() },
        Step::NotLinked { hub: "text".into() },
        Step::OutOfPolicy { hub: "text".into() },
        Step::NoCandidate,
        Step::Candidates {
            count: 3,
            policy: "text".into(),
        },
        Step::ChosenByScore {
            hub: "text".into(),
            score: 0.5,
            among: 3,
        },
        Step::ChosenByLatency {
            hub: "text".into(),
            millis: 4,
            ties: 3,
        },
        Step::LatencyUnknown,
        Step::ChosenByName { hub: "text".into() },
        Step::CannotChoose {
            because: "text".into(),
        },
        Step::HookAsked,
        Step::HookChose { hub: "text".into() },
        Step::HookAgain { seconds: 4 },
        Step::HookFailed {
            because: "text".into(),
        },
        Step::Stays {
            hub: "text".into(),
            device: "text".into(),
        },
        Step::Moves {
            from: "text".into(),
            to: "text".into(),
            device: "text".into(),
        },
        Step::Joins {
            hub: "text".into(),
            device: "text".into(),
        },
        Step::ComesBack { hub: "text".into() },
        Step::Linked {
            hub: "text".into(),
            created: true,
        },
        Step::HubAgain {
            hub: "text".into(),
            seconds: 4,
        },
        Step::HubRefused {
            hub: "text".into(),
            code: 3,
        },
        Step::Cleaned { hub: "text".into() },
        Step::OutOfTime,
    ];
    let mut written = String::new();
    for step in &steps {
        writeln!(written, "{}", serde_json::to_string(step).unwrap()).unwrap();
    }
    let sample = include_str!("samples/steps.ndjson");
    assert_eq!(written, sample, "{SHAPE_CHANGED}");
    for (line, step) in sample.lines().zip(&steps) {
        assert_eq!(serde_json::from_str::<Step>(line).unwrap(), *step);
    }
}

/// A node of the last version reads what one of the next has written beside it.
#[test]
fn steps_of_tomorrow_are_left_out_and_counted() {
    let today = include_str!("samples/registration-done.json");
    let steps = r#""steps":["#;
    assert!(today.contains(steps));
    let more = r#""steps":[{"tomorrow":{"a":[1]}},"unheardOf","#;
    let mut read = decode_registration(today.replace(steps, more).as_bytes()).unwrap();
    let expected = decode_registration(today.as_bytes()).unwrap();
    assert_eq!(read.trace.steps(), expected.trace.steps());
    assert!(read.trace.to_string().ends_with("\n2 more steps"));
    read.trace = Arc::clone(&expected.trace);
    assert_eq!(format!("{read:?}"), format!("{expected:?}"));
    // Whatever else is wrong is still said.
    let without = today.replacen("\"by\"", "\"bi\"", 1);
    for broken in [
        r#"{"id":"d"}"#,
        "",
        "[]",
        r#"{"trace":{"steps":[1]}}"#,
        &without,
    ] {
        let error = decode_registration(broken.as_bytes());
        assert!(matches!(error, Err(StoreError::Corrupt(_))), "{broken}");
    }
}
