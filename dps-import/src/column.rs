//! Columns of CSV, and what they are in the service API's JSON.

use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use crate::report::LineError;

/// How many columns there are; a line has no more fields.
pub const MAX_COLUMNS: usize = COLUMNS.len();

/// How a field is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Flag,
    /// Texts with `;` between them.
    List,
    /// A JSON object.
    Object,
}

/// A column: its name, where its fields stand in a document, and how they are written.
#[derive(Debug)]
pub(crate) struct Column {
    name: &'static str,
    path: &'static [&'static str],
    kind: Kind,
}

const fn column(name: &'static str, path: &'static [&'static str], kind: Kind) -> Column {
    Column { name, path, kind }
}

/// All columns, in the order that they are written in.
static COLUMNS: [Column; 20] = {
    use Kind::{Flag, List, Object, Text};
    [
        column("registrationId", &["registrationId"], Text),
        column("attestation", &["attestation", "type"], Text),
        column(
            "primaryKey",
            &["attestation", "symmetricKey", "primaryKey"],
            Text,
        ),
        column(
            "secondaryKey",
            &["attestation", "symmetricKey", "secondaryKey"],
            Text,
        ),
        column(
            "primaryCertificate",
            &[
                "attestation",
                "x509",
                "clientCertificates",
                "primary",
                "certificate",
            ],
            Text,
        ),
        column(
            "secondaryCertificate",
            &[
                "attestation",
                "x509",
                "clientCertificates",
                "secondary",
                "certificate",
            ],
            Text,
        ),
        column(
            "endorsementKey",
            &["attestation", "tpm", "endorsementKey"],
            Text,
        ),
        column(
            "storageRootKey",
            &["attestation", "tpm", "storageRootKey"],
            Text,
        ),
        column("deviceId", &["deviceId"], Text),
        column("iotHubHostName", &["iotHubHostName"], Text),
        column("iotHubs", &["iotHubs"], List),
        column("allocationPolicy", &["allocationPolicy"], Text),
        column(
            "webhookUrl",
            &["customAllocationDefinition", "webhookUrl"],
            Text,
        ),
        column(
            "apiVersion",
            &["customAllocationDefinition", "apiVersion"],
            Text,
        ),
        column("provisioningStatus", &["provisioningStatus"], Text),
        column("iotEdge", &["capabilities", "iotEdge"], Flag),
        column(
            "updateHubAssignment",
            &["reprovisionPolicy", "updateHubAssignment"],
            Flag,
        ),
        column(
            "migrateDeviceData",
            &["reprovisionPolicy", "migrateDeviceData"],
            Flag,
        ),
        column("initialTwin", &["initialTwin"], Object),
        column(
            "optionalDeviceInformation",
            &["optionalDeviceInformation"],
            Object,
        ),
    ]
};

/// The first line does not name the columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// There is no first line.
    #[error("there is no line that names the columns")]
    Missing,
    /// It is too long, not UTF-8, or has a quote that does not end.
    #[error("the first line cannot be read: {0}")]
    Unreadable(&'static str),
    /// A column that there is not.
    #[error("column {nth} is none that is known")]
    Unknown {
        /// Which, from 1.
        nth: usize,
    },
    /// A column for the second time.
    #[error("the column {0} is there twice")]
    Twice(&'static str),
    /// A column that has to be there.
    #[error("there is no column {0}")]
    Without(&'static str),
}

/// Fields of one line, taken apart. Its buffers are used again.
#[derive(Debug)]
struct Fields {
    reader: csv_core::Reader,
    text: Vec<u8>,
    /// One more than there may be, and one that the reader does not fill.
    ends: [usize; MAX_COLUMNS + 2],
}

impl Fields {
    fn new() -> Self {
        Self {
            reader: fresh(),
            text: Vec::new(),
            ends: [0; MAX_COLUMNS + 2],
        }
    }

    /// Takes `line` apart. Returns how many fields it has.
    fn split(&mut self, line: &[u8]) -> Result<usize, LineError> {
        let found = self.split_at_start(line);
        if found.is_err() {
            self.reader = fresh();
        }
        found
    }

    fn split_at_start(&mut self, line: &[u8]) -> Result<usize, LineError> {
        // Fields are never longer than what they are written as.
        self.text.resize(line.len() + 1, 0);
        let too_many = || LineError::Fields {
            columns: MAX_COLUMNS,
        };
        let (mut filled, mut ended, mut rest) = (0, 0, line);
        loop {
            // The end of the line ends the record, unless a quote is open.
            let input = if rest.is_empty() { b"\n" } else { rest };
            let last = rest.is_empty();
            let (out, ends) = (&mut self.text[filled..], &mut self.ends[ended..]);
            let (found, read, written, fields) = self.reader.read_record(input, out, ends);
            (filled, ended) = (filled + written, ended + fields);
            match found {
                ReadRecordResult::Record => return Ok(ended),
                ReadRecordResult::InputEmpty if last => return Err(LineError::OpenQuote),
                ReadRecordResult::InputEmpty => rest = &rest[rest.len().min(read)..],
                _ => return Err(too_many()),
            }
        }
    }

    fn get(&self, nth: usize) -> Result<&str, LineError> {
        let end = |nth: usize| self.ends.get(nth).copied().unwrap_or_default();
        let start = nth.checked_sub(1).map_or(0, end);
        let bytes = self.text.get(start..end(nth)).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| LineError::NotText)
    }
}

/// A reader that has passed over an empty line: at its very first, it would drop a byte order mark.
fn fresh() -> csv_core::Reader {
    let mut reader = csv_core::Reader::new();
    let _ = reader.read_record(b"\n", &mut [0], &mut [0]);
    reader
}

/// The columns of one file.
#[derive(Debug)]
pub(crate) struct Header {
    columns: Vec<&'static Column>,
    fields: Fields,
}

impl Header {
    pub(crate) fn parse(line: &[u8]) -> Result<Self, HeaderError> {
        if line.trim_ascii().is_empty() {
            return Err(HeaderError::Missing);
        }
        let mut fields = Fields::new();
        let count = fields.split(line).map_err(|error| match error {
            LineError::OpenQuote => HeaderError::Unreadable("a quote does not end"),
            _ => HeaderError::Unreadable("it has more columns than there are"),
        })?;
        let mut columns: Vec<&'static Column> = Vec::with_capacity(count);
        for nth in 0..count {
            let name = fields.get(nth);
            let name = name
                .map_err(|_| HeaderError::Unreadable("it is not UTF-8"))?
                .trim();
            let found = COLUMNS
                .iter()
                .find(|column| column.name.eq_ignore_ascii_case(name));
            let found = found.ok_or(HeaderError::Unknown { nth: nth + 1 })?;
            if columns.iter().any(|column| column.name == found.name) {
                return Err(HeaderError::Twice(found.name));
            }
            columns.push(found);
        }
        for name in ["registrationId", "attestation"] {
            if !columns.iter().any(|column| column.name == name) {
                return Err(HeaderError::Without(name));
            }
        }
        Ok(Self { columns, fields })
    }

    /// The document that a line says.
    pub(crate) fn document(&mut self, line: &[u8]) -> Result<Value, LineError> {
        let columns = self.columns.len();
        let count = self.fields.split(line);
        let count = count.map_err(|error| match error {
            LineError::Fields { .. } => LineError::Fields { columns },
            other => other,
        })?;
        if count != columns {
            return Err(LineError::Fields { columns });
        }
        let mut document = Map::new();
        for (nth, column) in self.columns.iter().enumerate() {
            let text = self.fields.get(nth)?;
            if !text.is_empty() {
                insert(&mut document, column.path, column.value(text)?);
            }
        }
        Ok(Value::Object(document))
    }
}

impl Column {
    fn value(&self, text: &str) -> Result<Value, LineError> {
        let fault = |expected| LineError::Field {
            column: self.name,
            expected,
        };
        Ok(match self.kind {
            Kind::Text => Value::from(text),
            Kind::Flag if text.eq_ignore_ascii_case("true") => Value::from(true),
            Kind::Flag if text.eq_ignore_ascii_case("false") => Value::from(false),
            Kind::Flag => return Err(fault("true or false")),
            Kind::List => text
                .split(';')
                .map(|item| Value::from(item.trim()))
                .collect(),
            Kind::Object => dps_core::json::parse(text.as_bytes())
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| fault("a JSON object"))?,
        })
    }

    /// What stands in the field of `document`.
    fn text(&self, document: &Value) -> String {
        let mut found = document;
        for name in self.path {
            match found.get(name) {
                Some(member) => found = member,
                None => return String::new(),
            }
        }
        match (self.kind, found) {
            (_, Value::Null) => String::new(),
            (_, Value::String(text)) => text.clone(),
            (Kind::List, Value::Array(items)) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                items.join(";")
            }
            (_, other) => String::from_utf8(dps_core::json::to_ascii(other)).unwrap_or_default(),
        }
    }
}

/// Names of all columns.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name)
}

/// The fields of all columns, of an individual enrollment.
pub(crate) fn texts(document: &Value) -> impl Iterator<Item = String> {
    COLUMNS.iter().map(|column| column.text(document))
}

/// Puts `value` into an object in an object, and so on.
fn insert(members: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] => {
            members.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = members
                .entry(*name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
