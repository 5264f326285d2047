//! Files of enrollments and groups, and whether they fit the instance.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use dps_core::allocate::Policy;
use dps_core::enrollment::{Attestation, Draft, Enrollment, Subject, X509Attestation};
use dps_core::instance::Instance;
use dps_core::json;
use dps_transport_http::service::{EnrollmentError, EnrollmentReader};
use serde_json::Value;

use super::file::InstanceTable;
use super::{Complaint, Context};

/// Individual enrollments and groups of one instance.
pub(super) fn read(
    context: &Context<'_>,
    key: &str,
    table: &InstanceTable,
    instance: &Instance,
    notes: &mut Vec<Complaint>,
) -> Result<(Vec<Draft>, Vec<Draft>), Complaint> {
    let mut reading = Reading {
        reader: EnrollmentReader::new(context.crypto, context.now),
        instance,
        seen: BTreeMap::new(),
        notes,
    };
    let mut read = |name: &str, written: &[PathBuf], group| {
        let mut entries = Vec::new();
        for path in written {
            for file in files(context, &format!("{key}.{name}"), path)? {
                reading.file(&file, group, &mut entries)?;
            }
        }
        Ok(entries)
    };
    let enrollments = read("enrollments", &table.enrollments, false)?;
    let groups = read("enrollment_groups", &table.enrollment_groups, true)?;
    Ok((enrollments, groups))
}

struct Reading<'a> {
    reader: EnrollmentReader,
    instance: &'a Instance,
    /// Where each entry was read, so that a second one of its name can say so.
    seen: BTreeMap<String, PathBuf>,
    notes: &'a mut Vec<Complaint>,
}

impl Reading<'_> {
    /// Reads a file with one entry or an array of them.
    fn file(
        &mut self,
        file: &Path,
        group: bool,
        entries: &mut Vec<Draft>,
    ) -> Result<(), Complaint> {
        let bytes = std::fs::read(file).map_err(|error| Complaint::new(file, "", error))?;
        let document = json::parse(&bytes).map_err(|error| Complaint::new(file, "", error))?;
        match &document {
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    entries.push(self.entry(file, &format!("[{nth}]"), item, group)?);
                }
            }
            one => entries.push(self.entry(file, "", one, group)?),
        }
        Ok(())
    }

    fn entry(
        &mut self,
        file: &Path,
        index: &str,
        document: &Value,
        group: bool,
    ) -> Result<Draft, Complaint> {
        let path = |member: &str| match (index, member) {
            (index, "" | "$") => index.to_owned(),
            ("", member) => member.to_owned(),
            (index, member) => format!("{index}.{member}"),
        };
        let complaint = |member: &str, what: String| Complaint::new(file, path(member), what);
        let complain = |error| match error {
            EnrollmentError::Member { path, problem } => complaint(&path, problem.to_string()),
            other => complaint("", other.to_string()),
        };
        let read = if group {
            self.reader.group(document)
        } else {
            self.reader.individual(document)
        };
        let read = read.map_err(complain)?;
        let entry = read.enrollment().map_err(complain)?;
        let (member, name, shown) = match &entry.subject {
            Subject::Individual {
                registration: id, ..
            } => (
                "registrationId",
                format!("device {}", id.folded()),
                id.as_str(),
            ),
            Subject::Group { id } => (
                "enrollmentGroupId",
                format!("group {}", id.folded()),
                id.as_str(),
            ),
        };
        if let Some(first) = self.seen.insert(name, file.to_owned()) {
            let what = format!("{shown} is in {} already", first.display());
            return Err(complaint(member, what));
        }
        fits(self.instance, &entry).map_err(|(member, what)| complaint(member, what))?;
        let mut notes: Vec<String> = read.notes;
        notes.extend(unlinked(self.instance, &entry));
        if has_only_made_keys(&entry, document) {
            notes
                .push("attestation: its keys are made with it, and told to operators alone".into());
        }
        self.notes.extend(
            notes
                .into_iter()
                .map(|note| Complaint::new(file, path(""), note)),
        );
        Ok(read.draft)
    }
}

/// Refuses what could never assign a device here.
fn fits(instance: &Instance, entry: &Enrollment) -> Result<(), (&'static str, String)> {
    if let Attestation::X509(X509Attestation::CaReferences(names)) = &entry.attestation
        && let Some(name) = names.iter().find(|name| {
            !instance
                .certificates
                .iter()
                .any(|own| own.name.eq_ignore_ascii_case(name))
        })
    {
        let what = format!("the instance has no certificate named {name}");
        return Err(("attestation.x509.caReferences", what));
    }
    let named: Vec<_> = entry.hubs.iter().chain(&entry.pinned_hub).collect();
    let pinned = entry.pinned_hub.is_some() && entry.hubs.is_empty();
    let policy = match entry.policy {
        None if pinned => Policy::Static,
        other => other.unwrap_or(instance.policy),
    };
    let member = if pinned { "iotHubHostName" } else { "iotHubs" };
    if policy == Policy::Static && named.is_empty() {
        let what = "the allocation policy is static, so one hub has to be named";
        return Err((member, what.to_owned()));
    }
    if !named.is_empty() && !named.iter().any(|name| instance.hub(name).is_some()) {
        let names: Vec<_> = named.iter().map(|name| name.as_str()).collect();
        return Err((member, format!("{} is not a linked hub", names.join(", "))));
    }
    Ok(())
}

/// Notes hubs that are named beside linked ones and are not linked themselves.
fn unlinked(instance: &Instance, entry: &Enrollment) -> Vec<String> {
    let unlinked = entry
        .hubs
        .iter()
        .filter(|name| instance.hub(name).is_none());
    unlinked
        .map(|name| format!("iotHubs: {name} is not a linked hub"))
        .collect()
}

fn has_only_made_keys(entry: &Enrollment, document: &Value) -> bool {
    let given = |slot| {
        let key = &document["attestation"]["symmetricKey"][slot];
        key.as_str().is_some_and(|text| !text.is_empty())
    };
    matches!(entry.attestation, Attestation::SymmetricKey { .. })
        && !given("primaryKey")
        && !given("secondaryKey")
}

/// The files that `written` means; its last component may contain `*`.
fn files(context: &Context<'_>, key: &str, written: &Path) -> Result<Vec<PathBuf>, Complaint> {
    let path = context.beside(written);
    let pattern = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if !pattern.contains('*') {
        return Ok(vec![path]);
    }
    let complaint = |what: String| context.complaint(key, format!("{}: {what}", written.display()));
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let listing = std::fs::read_dir(folder).map_err(|error| complaint(error.to_string()))?;
    let mut found = Vec::new();
    for item in listing {
        let item = item.map_err(|error| complaint(error.to_string()))?;
        if item
            .file_name()
            .to_str()
            .is_some_and(|name| matches(pattern, name))
        {
            found.push(item.path());
        }
    }
    if found.is_empty() {
        return Err(complaint("matches no file".to_owned()));
    }
    found.sort();
    Ok(found)
}

/// Whether `name` is `pattern` with each `*` standing for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    name.strip_prefix(start).is_some_and(|name| {
        let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
        ends.any(|at| matches(rest, &name[at..]))
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("*", ""),
            ("*.json", "a.json"),
            ("a*c*e", "abcde"),
            ("é*", "éé"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.json", "a.json~"), ("a*c", "ab"), ("a", "b")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
