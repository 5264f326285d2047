//! Duties about what ids look like.

use dps_core::store::{Expect, MAX_ID_BYTES, Scan, Store, Table};

use super::make::{asking, commit, delete, ids, key, put, read_many, shard, text};

const TABLE: Table = Table::Leaving;

/// Characters that some language of patterns, quotes or escapes knows, and those at the ends of the
/// ranges in which UTF-8 and UTF-16 sort differently.
fn characters() -> Vec<char> {
    let ends = [
        '\u{1}',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        '\u{e9}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
    ];
    (' '..='~').chain(ends).collect()
}

/// Alone, between others, and as the end of a prefix.
pub async fn an_id_may_have_any_character_but_nul(store: &dyn Store) {
    let here = shard("characters", 1);
    let mut names: Vec<String> = characters()
        .into_iter()
        .flat_map(|c| [format!("{c}"), format!("a{c}"), format!("a{c}b")])
        .collect();
    names.sort_unstable();
    names.dedup();
    for names in names.chunks(40) {
        let writes: Vec<_> = names
            .iter()
            .map(|name| put(TABLE, name, Expect::Absent, name))
            .collect();
        commit(store, &here, &writes).await;
    }
    let keys: Vec<_> = names.iter().map(|name| key(&here, TABLE, name)).collect();
    for (name, found) in names.iter().zip(read_many(store, &keys).await) {
        let value = found.map(|found| found.value);
        assert_eq!(value.as_deref(), Some(name.as_bytes()), "{name:?}");
    }
    let found = ids(store, asking("characters", TABLE, 100)).await;
    assert_eq!(found, names, "ids ascend by their bytes");
    for c in characters() {
        let prefix = format!("a{c}");
        let begins = |name: &&String| name.starts_with(&prefix);
        let wanted: Vec<_> = names.iter().filter(begins).cloned().collect();
        let scan = Scan {
            prefix: prefix.as_str().into(),
            ..asking("characters", TABLE, 2)
        };
        assert_eq!(ids(store, scan).await, wanted, "that begin with {prefix:?}");
    }
}

/// However a store finds where a prefix ends: the last character may have no successor.
pub async fn a_prefix_may_end_with_any_character(store: &dyn Store) {
    let here = shard("ends", 2);
    let ends = [
        "\u{7f}",
        "\u{7ff}",
        "\u{d7ff}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
        "p\u{10ffff}\u{10ffff}",
        "~",
        "/",
    ];
    let mut names = vec!["p".to_owned(), "q".to_owned()];
    for end in ends {
        for tail in ["", "a", "\u{1}", "\u{10ffff}", "\u{10ffff}z"] {
            names.push(format!("{end}{tail}"));
        }
    }
    names.sort_unstable();
    names.dedup();
    let writes: Vec<_> = names
        .iter()
        .map(|name| put(TABLE, name, Expect::Absent, ""))
        .collect();
    commit(store, &here, &writes).await;
    for prefix in ends.into_iter().chain(["", "p"]) {
        for after in [None, Some(prefix), Some("p"), Some("\u{10ffff}")] {
            let wanted: Vec<_> = names
                .iter()
                .filter(|name| name.starts_with(prefix))
                .filter(|name| after.is_none_or(|after| name.as_str() > after))
                .cloned()
                .collect();
            let scan = Scan {
                prefix: prefix.into(),
                after: after.map(Into::into),
                ..asking("ends", TABLE, 3)
            };
            assert_eq!(
                ids(store, scan).await,
                wanted,
                "that begin with {prefix:?}, after {after:?}"
            );
        }
    }
}

/// The longest there may be, which differ in one character at the end, the middle or the beginning.
pub async fn long_ids_are_apart_whichever_character_differs(store: &dyn Store) {
    let here = shard("long", 3);
    let mut names = Vec::new();
    for length in [128, 129, 255, 256, 257, MAX_ID_BYTES - 1, MAX_ID_BYTES] {
        for place in [0, length / 2, length - 1] {
            for letter in ["a", "b", "_"] {
                let mut name = "x".repeat(length);
                name.replace_range(place..=place, letter);
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    for names in names.chunks(40) {
        let writes: Vec<_> = names
            .iter()
            .map(|name| put(TABLE, name, Expect::Absent, name))
            .collect();
        commit(store, &here, &writes).await;
    }
    for name in &names {
        assert_eq!(text(store, &here, TABLE, name).await, *name);
    }
    assert_eq!(ids(store, asking("long", TABLE, 10)).await, names);
    let longest = "x".repeat(MAX_ID_BYTES - 1);
    let begins = |name: &&String| name.starts_with(&longest);
    let wanted: Vec<_> = names.iter().filter(begins).cloned().collect();
    assert_eq!(wanted.len(), 3);
    let scan = Scan {
        prefix: longest.as_str().into(),
        ..asking("long", TABLE, 1)
    };
    assert_eq!(ids(store, scan).await, wanted);
    let gone = [delete(TABLE, &wanted[0], Expect::Any)];
    commit(store, &here, &gone).await;
    assert_eq!(text(store, &here, TABLE, &wanted[1]).await, wanted[1]);
    assert_eq!(text(store, &here, TABLE, &wanted[0]).await, "(none)");
}
