use proptest::prelude::*;

use super::*;

const A: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const B: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// `(line, error)` of a file that is refused; line 0 if it is none's.
fn refused(text: impl AsRef<[u8]>) -> (usize, Option<LineError>) {
    match parse(text.as_ref()) {
        Ok(parsed) => panic!("{} keys were taken", parsed.keys.len()),
        Err(Fault::Line(line, error)) => (line, Some(error)),
        Err(Fault::NoCurrent) => (0, None),
    }
}

#[test]
fn a_file_is_read_as_it_says() {
    let text = format!(
        "# keys\n\nkey a {A} # of May\r\n\t current  b\nkey b/2:x.y_z-1 {B}\nkey b {}",
        "A".repeat(43) + "="
    );
    let parsed = parse(text.as_bytes())
        .map_err(|fault| fault.to_string())
        .unwrap();
    let keys: Vec<_> = parsed
        .keys
        .iter()
        .map(|line| (line.number, line.name.as_str(), line.bytes[31]))
        .collect();
    assert_eq!(keys, [(3, "a", 1), (5, "b/2:x.y_z-1", 2), (6, "b", 0)]);
    assert_eq!(parsed.current.as_str(), "b");
}

#[test]
fn each_fault_is_told_with_its_line() {
    let key = |name: &str| format!("key {name} {A}\n");
    let good = key("a") + "current a\n";
    for (text, line, error) in [
        (String::new(), 0, None),
        (key("a"), 0, None),
        (format!("{good}keys b {B}"), 3, Some(LineError::UnknownWord)),
        (format!("{good}{B}"), 3, Some(LineError::UnknownWord)),
        (format!("{good}key b"), 3, Some(LineError::Words)),
        (format!("{good}key b {B} x"), 3, Some(LineError::Words)),
        (format!("{good}current"), 3, Some(LineError::Words)),
        (format!("{good}current a b"), 3, Some(LineError::Words)),
        (format!("{good}key {B} b"), 3, Some(LineError::Name)),
        (format!("{good}key b {}", &B[1..]), 3, Some(LineError::Key)),
        (format!("{good}key b {}", &B[..43]), 3, Some(LineError::Key)),
        (format!("{good}key b {B}="), 3, Some(LineError::Key)),
        (
            format!("{good}key b {}", B.replace("AgI=", "AgJ=")),
            3,
            Some(LineError::Key),
        ),
        (
            format!("{good}key b {}", B.replace('=', "A")),
            3,
            Some(LineError::Key),
        ),
        (
            format!("{good}key b {}", B.replace('A', "-")),
            3,
            Some(LineError::Key),
        ),
        (format!("{good}key a {B}"), 3, Some(LineError::SameName)),
        (format!("{good}key b {A}"), 3, Some(LineError::SameKey)),
        (
            format!("{good}current a"),
            3,
            Some(LineError::SecondCurrent),
        ),
        (key("a") + "current b", 2, Some(LineError::CurrentUnknown)),
        (key("a") + "current A", 2, Some(LineError::CurrentUnknown)),
    ] {
        assert_eq!(refused(&text), (line, error), "{text}");
    }
    assert_eq!(refused(b"# \xff\n"), (1, Some(LineError::NoText)));
}

#[test]
fn a_file_has_a_thousand_keys_at_the_most() {
    let line = |n: u16| {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&n.to_le_bytes());
        format!("key k{n} {}\n", STANDARD.encode(bytes))
    };
    let thousand: String = (0..1000).map(line).collect();
    assert!(parse(format!("{thousand}current k0").as_bytes()).is_ok());
    let more = format!("{thousand}{}current k0", line(1000));
    assert_eq!(refused(&more), (1001, Some(LineError::TooMany)));
}

proptest! {
    #[test]
    fn no_bytes_are_an_accident_and_none_are_shown(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(fault) = parse(&bytes) {
            let shown = format!("{fault} {fault:?}");
            prop_assert!(shown.len() < 200);
        }
    }

    #[test]
    fn what_is_written_is_read(
        keys in proptest::collection::btree_map("[A-Za-z0-9._:/-]{1,64}", any::<[u8; 32]>(), 1..20),
        pick in any::<prop::sample::Index>(),
        blank in "[ \t]{1,3}",
    ) {
        let distinct: BTreeSet<_> = keys.values().collect();
        prop_assume!(distinct.len() == keys.len());
        let names: Vec<_> = keys.keys().collect();
        let current = names[pick.index(names.len())];
        let line = |(name, bytes): (&String, &[u8; 32])| format!("key{blank}{name}{blank}{}{blank}\n", STANDARD.encode(bytes));
        let text: String = keys.iter().map(line).collect();
        let parsed = parse(format!("{text}current {current}\n").as_bytes());
        let parsed = parsed.map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert_eq!(parsed.current.as_str(), current);
        let read: Vec<_> = parsed.keys.iter().map(|line| (line.name.as_str(), *line.bytes)).collect();
        let written: Vec<_> = keys.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        prop_assert_eq!(read, written);
    }

    /// Words of good lines, in any order.
    #[test]
    fn lines_that_are_nearly_good_show_none_of_their_words(
        words in proptest::collection::vec(prop_oneof![
            Just("key".to_owned()), Just("current".to_owned()), Just("\n".to_owned()), Just("#".to_owned()),
            any::<[u8; 32]>().prop_map(|bytes| STANDARD.encode(bytes)), "[a-z]{12}",
        ], 0..12),
    ) {
        if let Err(fault) = parse(words.join(" ").as_bytes()) {
            let shown = format!("{fault} {fault:?}");
            for word in words.iter().filter(|word| word.len() > 8) {
                prop_assert!(!shown.contains(word.as_str()), "{} shows {}", shown, word);
            }
        }
    }
}
