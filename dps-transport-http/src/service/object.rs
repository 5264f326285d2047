//! JSON objects that know where they are, so that errors can say it.

use dps_core::id::IdError;
use serde_json::{Map, Number, Value};

use super::error::{EnrollmentError, Problem};

/// An object of the document. A member that is null counts as absent: generated clients write nulls.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl<'a> Object<'a> {
    pub(super) fn root(document: &'a Value) -> Result<Self, EnrollmentError> {
        Self::at(document, String::new())
    }

    fn at(value: &'a Value, path: String) -> Result<Self, EnrollmentError> {
        match value {
            Value::Object(members) => Ok(Self { members, path }),
            _ => Err(problem_at(&path, Problem::NotA("an object"))),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The error that this object itself is not as it has to be.
    pub(super) fn unfit(&self, problem: Problem) -> EnrollmentError {
        problem_at(&self.path, problem)
    }

    /// The error that a member is not as it has to be.
    pub(super) fn fault(&self, name: &str, problem: Problem) -> EnrollmentError {
        problem_at(&self.path(name), problem)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    fn member(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, EnrollmentError> {
        let member = self.member(name);
        member
            .map(|value| Self::at(value, self.path(name)))
            .transpose()
    }

    /// The free JSON object `name`.
    pub(super) fn free(&self, name: &str) -> Result<Option<Map<String, Value>>, EnrollmentError> {
        Ok(self.object(name)?.map(|object| object.members.clone()))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, EnrollmentError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(name, Problem::NotA("a string"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, EnrollmentError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.fault(name, Problem::NotA("true or false"))),
        }
    }

    /// The number `name`, from 0 to `max`.
    pub(super) fn count(&self, name: &str, max: u64) -> Result<Option<u64>, EnrollmentError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match whole(number) {
                Some(number) if number <= max => Ok(Some(number)),
                _ => Err(self.fault(name, Problem::NotACount { max })),
            },
            Some(_) => Err(self.fault(name, Problem::NotA("a whole number"))),
        }
    }

    /// The array of objects `name`, of at most `max`.
    pub(super) fn objects(
        &self,
        name: &str,
        max: usize,
    ) -> Result<Option<Vec<Self>>, EnrollmentError> {
        let items = match self.member(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.fault(name, Problem::NotA("an array of objects"))),
        };
        if items.len() > max {
            let unit = "items";
            return Err(self.fault(name, Problem::TooMany { max, unit }));
        }
        let read = |(nth, item)| Self::at(item, format!("{}[{nth}]", self.path(name)));
        items
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The text `name`, of at most `max` bytes.
    pub(super) fn short(&self, name: &str, max: usize) -> Result<Option<&'a str>, EnrollmentError> {
        let text = self.text(name)?;
        if text.is_some_and(|text| text.len() > max) {
            let unit = "bytes";
            return Err(self.fault(name, Problem::TooMany { max, unit }));
        }
        Ok(text)
    }

    pub(super) fn id<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, IdError>,
    ) -> Result<Option<T>, EnrollmentError> {
        let text = self.text(name)?;
        text.map(|text| parse(text).map_err(|error| self.fault(name, error.into())))
            .transpose()
    }

    /// The array of names `name`, of at most `max`; empty if it is absent.
    pub(super) fn ids<T>(
        &self,
        name: &str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, IdError>,
    ) -> Result<Vec<T>, EnrollmentError> {
        self.texts(name, max, |text| parse(text).map_err(Problem::from))
    }

    /// The array of texts `name`, of at most `max`; empty if it is absent.
    pub(super) fn texts<T>(
        &self,
        name: &str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Result<Vec<T>, EnrollmentError> {
        let items = match self.member(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.fault(name, Problem::NotA("an array of strings"))),
        };
        if items.len() > max {
            let unit = "items";
            return Err(self.fault(name, Problem::TooMany { max, unit }));
        }
        let read = |(nth, item): (usize, &Value)| {
            let fault = |problem| problem_at(&format!("{}[{nth}]", self.path(name)), problem);
            let text = item.as_str();
            let text = text.ok_or_else(|| fault(Problem::NotA("a string")))?;
            parse(text).map_err(fault)
        };
        items.iter().enumerate().map(read).collect()
    }

    /// What is there, or the error that it is missing.
    pub(super) fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, EnrollmentError> {
        found.ok_or_else(|| self.fault(name, Problem::Missing))
    }
}

/// A number that is whole, also if it is written with a fraction of zero: JSON knows one kind of number alone.
fn whole(number: &Number) -> Option<u64> {
    /// The first number that a double cannot tell from its neighbours.
    const UNSURE: f64 = 9_007_199_254_740_992.0;
    let told = |number: &f64| (0.0..UNSURE).contains(number) && number.fract() == 0.0;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and in a range in which both are exact"
    )]
    let read = |number: f64| number as u64;
    number
        .as_u64()
        .or_else(|| number.as_f64().filter(told).map(read))
}

fn problem_at(path: &str, problem: Problem) -> EnrollmentError {
    let path = if path.is_empty() { "$" } else { path };
    EnrollmentError::Member {
        path: path.into(),
        problem,
    }
}
