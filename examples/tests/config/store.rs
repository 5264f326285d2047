//! Where records are kept.

use dps_examples::place::Place;

use crate::support::{Folder, SOUND, key};

const STORE: &str = "[store]\nmemory = true\n";

/// The complaint about a configuration with this instead of its store.
fn complaint(folder: &Folder, tables: &str) -> String {
    assert!(SOUND.contains(STORE));
    folder.write("serve.toml", &SOUND.replace(STORE, tables));
    folder.complaint()
}

fn place(folder: &Folder, tables: &str) -> Place {
    folder.write("serve.toml", &SOUND.replace(STORE, tables));
    folder.load().unwrap().records.place
}

#[test]
fn nothing_is_kept_where_nobody_said() {
    let folder = Folder::new();
    let said = complaint(&folder, "");
    assert!(
        said.starts_with(
            "serve.toml: store: there is no [store] that says where records are kept: path ="
        ),
        "{said}"
    );
    for empty in [
        "[store]\n",
        "[store]\nmemory = false\n",
        "[store]\ncache_mib = 1\n",
    ] {
        assert_eq!(
            complaint(&folder, empty),
            "serve.toml: store: has to say path, postgres or memory = true"
        );
    }
}

#[test]
fn records_are_kept_in_one_place_and_its_settings_are_those_of_that() {
    let folder = Folder::new();
    for (table, expected) in [
        (
            "path = \"dps.redb\"\nmemory = true",
            "store: says path and memory: records are kept in one place",
        ),
        (
            "postgres = \"postgres://dps@localhost/dps\"\npath = \"dps.redb\"\nmemory = true",
            "store: says path and postgres and memory: records are kept in one place",
        ),
        (
            "memory = true\ncache_mib = 8",
            "store.cache_mib: is for path, and records are kept by memory",
        ),
        (
            "path = \"dps.redb\"\npassword_file = \"password\"",
            "store.password_file: is for postgres, and records are kept by path",
        ),
        (
            "path = \"dps.redb\"\nconnections = 3",
            "store.connections: is for postgres, and records are kept by path",
        ),
        (
            "memory = true\nbackups = \"here\"",
            "store.backups: is for path, and records are kept by memory",
        ),
        (
            "memory = true\npooler = true",
            "store.pooler: is for postgres, and records are kept by memory",
        ),
        (
            "memory = true\nmigrate = false",
            "store.migrate: is for postgres, and records are kept by memory",
        ),
    ] {
        let said = complaint(&folder, &format!("[store]\n{table}\n"));
        assert_eq!(said, format!("serve.toml: {expected}"));
    }
    for table in [
        "path = \"dps.redb\"\ncache_mib = 0",
        "memory = true\nsize = 3",
    ] {
        let said = complaint(&folder, &format!("[store]\n{table}\n"));
        assert!(
            said.contains("cache_mib = 0") || said.contains("size"),
            "{said}"
        );
    }
}

#[test]
fn a_file_is_beside_the_configuration() {
    let folder = Folder::new();
    let Place::File(file) = place(
        &folder,
        "[store]\npath = \"data/dps.redb\"\ncache_mib = 8\n",
    ) else {
        panic!("a file")
    };
    assert_eq!(file.path, folder.config().with_file_name("data/dps.redb"));
    assert_eq!(file.cache, Some(8 << 20));
    assert!(!file.path.exists(), "nothing is made by reading");
}

#[test]
fn what_is_told_of_a_database_shows_no_password() {
    let folder = Folder::new();
    let table = "[store]\npostgres = \"postgres://dps:hunter2@localhost/dps\"\nconnections = 3\n";
    let told = format!("{:?}", place(&folder, table));
    assert!(!told.contains("hunter2"), "{told}");

    folder.write("password", "hunter2\n");
    let table =
        "[store]\npostgres = \"postgres://dps@localhost/dps\"\npassword_file = \"password\"\n";
    let told = format!("{:?}", place(&folder, table));
    assert!(!told.contains("hunter2"), "{told}");

    for broken in ["postgres = hunter2", "postgres = \"hunter2"] {
        let said = complaint(&folder, &format!("[store]\n{broken}\n"));
        let expected =
            "is not as it has to be, such as postgres = \"postgres://dps@db.example.net/dps\"";
        assert!(said.ends_with(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = complaint(
        &folder,
        "[store]\npostgres = \"http://dps:hunter2@localhost/\"\n",
    );
    assert!(said.starts_with("serve.toml: store.postgres: "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_password_that_is_not_there_is_complained_of() {
    let folder = Folder::new();
    let table =
        "[store]\npostgres = \"postgres://dps@localhost/dps\"\npassword_file = \"password\"\n";
    let said = complaint(&folder, table);
    assert!(
        said.starts_with("serve.toml: store.password_file: password: No such file"),
        "{said}"
    );
    folder.write("password", "\n");
    assert_eq!(
        complaint(&folder, table),
        "serve.toml: store.password_file: password: is empty"
    );
}

#[test]
fn keys_that_cannot_be_read_are_complained_of_and_not_shown() {
    let folder = Folder::new();
    let seal = "[store]\nmemory = true\n[seal]\nkeys = \"keys.txt\"\n";
    let said = complaint(&folder, seal);
    assert!(
        said.starts_with("serve.toml: seal.keys: keys.txt cannot be read: No such file"),
        "{said}"
    );
    folder.secret("keys.txt", "key 2026-11 hunter2\ncurrent 2026-11\n");
    let said = complaint(&folder, seal);
    assert_eq!(
        said,
        "serve.toml: seal.keys: keys.txt line 1: the key is not 32 bytes in base64, which are 44 characters"
    );
    folder.secret("keys.txt", &key("2026-11", 1));
    folder.write("serve.toml", &SOUND.replace(STORE, seal));
    assert!(folder.load().unwrap().records.keys.is_some());
}
