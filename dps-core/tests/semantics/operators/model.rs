//! Any sequence of requests of several operators does what a list kept by hand would do.

use std::collections::BTreeMap;

use dps_core::admin::query::{Listing, Position, Query};
use dps_core::admin::{BulkItem, BulkMode};
use dps_core::instance::{Instance, Quotas};
use dps_core::store::Version;
use proptest::prelude::*;

use super::*;

const DEVICES: u8 = 6;
const GROUPS: u8 = 4;
const OPERATORS: usize = 3;
const MOST_DEVICES: usize = 4;
const MOST_GROUPS: usize = 3;

/// What an operator expects of an entry.
#[derive(Clone, Copy, Debug)]
enum When {
    Any,
    Absent,
    Present,
    /// As this operator saw it last.
    Seen,
}

#[derive(Clone, Debug)]
enum Request {
    Read(u8),
    Write(u8, Keys, When),
    Remove(u8, When),
    Bulk(BulkMode, Vec<(u8, Keys)>),
    /// A page of this many, from where this operator's last one ended, filtered or not.
    Page(bool, bool, u32),
}

/// The bytes of two keys; 0 for one that is not said.
type Keys = [u8; 2];

#[derive(Clone, Debug)]
struct Entry {
    /// `None` where the service has made one.
    keys: [Option<u8>; 2],
    created: u64,
    updated: u64,
    version: Version,
}

#[derive(Default)]
struct Operator {
    seen: BTreeMap<u8, Version>,
    /// Where the lists of devices and groups go on, filtered or not.
    positions: [[Option<(Position, String)>; 2]; 2],
}

/// Entries below `DEVICES` are devices, those above are groups.
fn id(nth: u8) -> EntryId {
    if nth < DEVICES {
        device(&format!("d-{nth}"))
    } else {
        group_id(&format!("g-{nth}"))
    }
}

fn name(nth: u8) -> String {
    let kind = if nth < DEVICES { "d" } else { "g" };
    format!("{kind}-{nth}")
}

fn written(nth: u8, keys: Keys) -> Draft {
    let said = |byte: u8| (byte > 0).then_some(byte);
    keyed(&id(nth), said(keys[0]), said(keys[1]))
}

struct Model {
    entries: BTreeMap<u8, Entry>,
    now: u64,
}

impl Model {
    /// What must become of a write, and the keys that the entry has then.
    fn write(
        &self,
        nth: u8,
        keys: Keys,
        when: Precondition,
    ) -> Result<[Option<u8>; 2], &'static str> {
        let there = self.entries.get(&nth);
        holds(there, when)?;
        let kept = |slot: usize| match keys[slot] {
            0 => there.and_then(|entry| entry.keys[slot]),
            said => Some(said),
        };
        let keys = [kept(0), kept(1)];
        let alike = |other: &u8| (*other < DEVICES) == (nth < DEVICES);
        let others = self
            .entries
            .iter()
            .filter(|(other, _)| alike(other) && **other != nth);
        if nth >= DEVICES {
            let mut taken = others.clone().flat_map(|(_, entry)| entry.keys).flatten();
            if taken.any(|taken| keys.contains(&Some(taken))) {
                return Err("duplicate");
            }
        }
        let most = if nth < DEVICES {
            MOST_DEVICES
        } else {
            MOST_GROUPS
        };
        if there.is_none() && others.count() >= most {
            return Err("full");
        }
        Ok(keys)
    }

    fn remove(&self, nth: u8, when: Precondition) -> Result<(), &'static str> {
        let there = self.entries.get(&nth);
        if there.is_none() {
            return Err("not found");
        }
        holds(there, when)
    }

    fn put(&mut self, nth: u8, keys: [Option<u8>; 2], version: Version) {
        let now = self.now;
        let created = self.entries.get(&nth).map_or(now, |entry| entry.created);
        self.entries.insert(
            nth,
            Entry {
                keys,
                created,
                updated: now,
                version,
            },
        );
    }
}

fn holds(there: Option<&Entry>, when: Precondition) -> Result<(), &'static str> {
    match (when, there) {
        (Precondition::Absent, Some(_)) => Err("exists"),
        (Precondition::Present | Precondition::Version(_), None) => Err("changed"),
        (Precondition::Version(version), Some(entry)) if entry.version != version => Err("changed"),
        _ => Ok(()),
    }
}

fn requests() -> impl Strategy<Value = (usize, Request)> {
    let nth = 0..DEVICES + GROUPS;
    let when = prop_oneof![
        Just(When::Any),
        Just(When::Absent),
        Just(When::Present),
        Just(When::Seen)
    ];
    let keys = || [0..5_u8, 0..5_u8];
    let mode = prop_oneof![
        Just(BulkMode::Create),
        Just(BulkMode::Update),
        Just(BulkMode::UpdateIfMatch),
        Just(BulkMode::Delete)
    ];
    let several = proptest::collection::vec((nth.clone(), keys()), 0..5);
    let request = prop_oneof![
        1 => nth.clone().prop_map(Request::Read),
        4 => (nth.clone(), keys(), when.clone()).prop_map(|(n, k, w)| Request::Write(n, k, w)),
        2 => (nth, when).prop_map(|(n, w)| Request::Remove(n, w)),
        1 => (mode, several).prop_map(|(mode, all)| Request::Bulk(mode, all)),
        2 => (any::<bool>(), any::<bool>(), 1..4_u32)
            .prop_map(|(groups, filtered, limit)| Request::Page(groups, filtered, limit)),
    ];
    (0..OPERATORS, request)
}

struct Run {
    admin: Admin,
    model: Model,
    operators: [Operator; OPERATORS],
}

impl Run {
    fn new() -> Self {
        let world = World::new();
        let quotas = Quotas {
            enrollments: MOST_DEVICES as u64,
            symmetric_key_groups: MOST_GROUPS as u64,
            ..Quotas::default()
        };
        world.put_instance(&Instance {
            quotas,
            ..instance(&[A])
        });
        Self {
            admin: world.admin,
            model: Model {
                entries: BTreeMap::new(),
                now: 0,
            },
            operators: Default::default(),
        }
    }

    fn when(&self, operator: usize, nth: u8, when: When) -> Precondition {
        let seen = self.operators[operator].seen.get(&nth);
        match (when, seen) {
            (When::Any, _) => Precondition::Any,
            (When::Absent, _) | (When::Seen, None) => Precondition::Absent,
            (When::Present, _) => Precondition::Present,
            (When::Seen, Some(version)) => Precondition::Version(*version),
        }
    }

    fn ask(&mut self, operator: usize, request: Request) {
        self.model.now += 1;
        match request {
            Request::Read(nth) => self.read(operator, nth),
            Request::Write(nth, keys, when) => {
                let when = self.when(operator, nth, when);
                let expected = self.model.write(nth, keys, when);
                let done = write(&self.admin, &written(nth, keys), when, self.model.now);
                assert_eq!(word(&done), expected.err().unwrap_or("done"));
                if let (Ok(done), Ok(keys)) = (done, expected) {
                    self.model.put(nth, keys, done.version);
                    self.operators[operator].seen.insert(nth, done.version);
                }
            }
            Request::Remove(nth, when) => {
                let when = self.when(operator, nth, when);
                let expected = self.model.remove(nth, when);
                let done = remove(&self.admin, &id(nth), when);
                assert_eq!(word(&done), expected.err().unwrap_or("done"));
                if expected.is_ok() {
                    self.model.entries.remove(&nth);
                }
            }
            Request::Bulk(mode, items) => self.bulk(operator, mode, &items),
            Request::Page(groups, filtered, limit) => self.page(operator, groups, filtered, limit),
        }
    }

    fn read(&mut self, operator: usize, nth: u8) {
        let there = read(&self.admin, &id(nth));
        let expected = self.model.entries.get(&nth);
        assert_eq!(there.is_some(), expected.is_some());
        let (Some(there), Some(expected)) = (there, expected) else {
            return;
        };
        assert_eq!(there.version, expected.version);
        assert_eq!(there.value.created, Timestamp(expected.created));
        assert_eq!(there.value.updated, Timestamp(expected.updated));
        for (found, said) in keys_of(&there.value).iter().zip(expected.keys) {
            match said {
                Some(byte) => assert_eq!(*found, key(byte)),
                None => assert_eq!(found.expose().len(), 64),
            }
        }
        self.operators[operator].seen.insert(nth, there.version);
    }

    fn bulk(&mut self, operator: usize, mode: BulkMode, items: &[(u8, Keys)]) {
        let seen = &self.operators[operator].seen;
        let all = items.iter().map(|(nth, keys)| BulkItem {
            id: id(*nth),
            draft: (mode != BulkMode::Delete).then(|| written(*nth, *keys)),
            version: seen.get(nth).copied(),
        });
        let done = block_on(
            self.admin
                .bulk(mode, all.collect(), Timestamp(self.model.now)),
        );
        let mut distinct: Vec<_> = items.iter().map(|(nth, _)| nth).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if items.is_empty() || distinct.len() < items.len() {
            assert_eq!(word(&done), "invalid");
            return;
        }
        let mut failed = done.unwrap().into_iter().peekable();
        for (nth, keys) in items {
            let expected = self.bulk_item(operator, mode, *nth, *keys);
            let told = failed.next_if(|failure| failure.id == id(*nth));
            let told = told.map(|failure| word::<()>(&Err(failure.error)));
            assert_eq!(told, expected.err(), "{mode:?} {nth}");
        }
        assert!(failed.next().is_none());
    }

    /// What must become of an item; what is written is looked up, for nobody is told its version.
    fn bulk_item(
        &mut self,
        operator: usize,
        mode: BulkMode,
        nth: u8,
        keys: Keys,
    ) -> Result<(), &'static str> {
        let when = match mode {
            BulkMode::Create => Precondition::Absent,
            BulkMode::Update if !self.model.entries.contains_key(&nth) => return Err("not found"),
            BulkMode::Update => Precondition::Present,
            BulkMode::UpdateIfMatch => {
                let seen = self.operators[operator].seen.get(&nth);
                Precondition::Version(*seen.ok_or("invalid")?)
            }
            BulkMode::Delete => {
                self.model.remove(nth, Precondition::Any)?;
                self.model.entries.remove(&nth);
                return Ok(());
            }
        };
        let keys = self.model.write(nth, keys, when)?;
        let version = read(&self.admin, &id(nth)).unwrap().version;
        self.model.put(nth, keys, version);
        Ok(())
    }

    fn page(&mut self, operator: usize, groups: bool, filtered: bool, limit: u32) {
        let (listing, field) = if groups {
            (Listing::Groups, "enrollmentGroupId")
        } else {
            (Listing::Enrollments, "registrationId")
        };
        // Every entry that is not the one of the middle.
        let middle = if groups {
            DEVICES + GROUPS / 2
        } else {
            DEVICES / 2
        };
        let text = match filtered {
            true => format!("SELECT * WHERE {field} <> '{}'", name(middle)),
            false => String::new(),
        };
        let query = Query::parse(listing.clone(), &text).unwrap();
        let place =
            &mut self.operators[operator].positions[usize::from(groups)][usize::from(filtered)];
        let (from, after) = place.take().unzip();
        // As it comes back from a client.
        let from = from.map(|from| Position::parse(&listing, &from.to_string()).unwrap());
        let page = block_on(self.admin.entries(&query, from.as_ref(), limit)).unwrap();
        let wanted = |nth: &u8| (*nth >= DEVICES) == groups && !(filtered && *nth == middle);
        let rest = self.model.entries.iter().filter(|(nth, _)| wanted(nth));
        let rest: Vec<_> = rest
            .map(|(nth, entry)| (name(*nth), entry.version))
            .filter(|(name, _)| after.as_ref().is_none_or(|after| name > after))
            .collect();
        let found = page.items.iter().map(|item| {
            let name = match &item.value.subject {
                Subject::Individual { registration, .. } => registration.to_string(),
                Subject::Group { id } => id.to_string(),
            };
            (name, item.version)
        });
        let found: Vec<_> = found.collect();
        assert_eq!(found[..], rest[..rest.len().min(limit as usize)]);
        assert!(page.next.is_some() || found.len() == rest.len());
        if let (Some(next), Some((last, _))) = (page.next, found.last()) {
            *place = Some((next, last.clone()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn several_operators_see_one_list(requests in proptest::collection::vec(requests(), 1..80)) {
        let mut run = Run::new();
        for (operator, request) in requests {
            run.ask(operator, request);
        }
        for nth in 0..DEVICES + GROUPS {
            run.read(0, nth);
        }
    }
}
