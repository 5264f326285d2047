//! The parts of a server's URL, as they are written.

use std::fmt;

/// `scheme://user:password@host:port/database?options`, of which everything but the host may be missing.
#[derive(Clone, Copy)]
pub(super) struct Url<'a> {
    scheme: &'a str,
    user: Option<(&'a str, &'a str)>,
    host: &'a str,
    database: &'a str,
    options: Option<&'a str>,
}

impl<'a> Url<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("postgres", text));
        let (rest, options) = match rest.split_once('?') {
            Some((rest, options)) => (rest, Some(options)),
            None => (rest, None),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.split_once(':').unwrap_or((user, ""))), host),
            None => (None, authority),
        };
        Self {
            scheme,
            user,
            host,
            database,
            options,
        }
    }

    pub(super) fn with_host(self, host: &'a str) -> Self {
        Self { host, ..self }
    }

    pub(super) fn with_database(self, database: &'a str) -> Self {
        Self { database, ..self }
    }

    /// Host and port.
    pub(super) fn host(&self) -> (&'a str, &'a str) {
        self.host.split_once(':').unwrap_or((self.host, "5432"))
    }

    /// Name and password; an empty one is none.
    pub(super) fn user(&self) -> (&'a str, &'a str) {
        self.user.unwrap_or(("postgres", ""))
    }
}

impl fmt::Display for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, .. } = self;
        write!(f, "{scheme}://")?;
        match self.user {
            Some((user, "")) => write!(f, "{user}@")?,
            Some((user, password)) => write!(f, "{user}:{password}@")?,
            None => {}
        }
        write!(f, "{host}/{}", self.database)?;
        match self.options {
            Some(options) => write!(f, "?{options}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_url_is_given_another_database_or_host_and_keeps_the_rest() {
        for (url, database, host) in [
            (
                "postgres://me:pw@host:1/old?sslmode=disable",
                "postgres://me:pw@host:1/new?sslmode=disable",
                "postgres://me:pw@other:2/old?sslmode=disable",
            ),
            (
                "postgres://me@host",
                "postgres://me@host/new",
                "postgres://me@other:2/",
            ),
            (
                "postgresql://host?sslmode=require",
                "postgresql://host/new?sslmode=require",
                "postgresql://other:2/?sslmode=require",
            ),
        ] {
            let of = Url::of(url);
            assert_eq!(of.with_database("new").to_string(), database);
            assert_eq!(of.with_host("other:2").to_string(), host);
        }
    }
}
