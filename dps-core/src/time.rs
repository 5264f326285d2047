//! Time as a value.

use std::fmt::{self, Debug};
use std::time::Duration;

use rustls_pki_types::UnixTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in whole milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `delay` later; stays at the last moment there is instead of overflowing.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// For certificate checks.
    #[must_use]
    pub const fn unix(self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.seconds()))
    }

    /// As RFC 1123 has it, such as `Sat, 21 Nov 2026 08:00:00 GMT`: what HTTP and the resource API
    /// write. Empty after the year 9999, which has no such form.
    #[must_use]
    pub fn rfc1123(self) -> String {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let seconds = i64::try_from(self.seconds()).unwrap_or(i64::MAX);
        let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else {
            return String::new();
        };
        let (hour, minute, second) = at.to_hms();
        let day = DAYS[usize::from(at.weekday().number_days_from_monday())];
        let month = MONTHS[usize::from(u8::from(at.month())) - 1];
        let (date, year) = (at.day(), at.year());
        format!("{day}, {date:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// Reads an RFC 3339 time, such as `2026-11-21T08:00:00Z`.
    ///
    /// Returns `None` for any other text, and for times before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000)
            .ok()
            .map(Self)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with seven fractional digits, as the service writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        let mut text = *b"0000-00-00T00:00:00.0000000Z";
        let year = u16::try_from(at.year()).map_err(|_| fmt::Error)?;
        let parts = [
            (0..4, year),
            (5..7, u8::from(at.month()).into()),
            (8..10, at.day().into()),
            (11..13, at.hour().into()),
            (14..16, at.minute().into()),
            (17..19, at.second().into()),
            (20..23, at.millisecond()),
        ];
        for (place, mut value) in parts {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Tells the time. Read once at the beginning of each call.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where the core may look at a clock; nothing else names it"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_seven_fractional_digits() {
        assert_eq!(
            Timestamp(1_661_622_799_514).to_string(),
            "2022-08-27T17:53:19.5140000Z"
        );
        assert_eq!(
            Timestamp::parse("2022-08-27T17:53:19.5140000Z"),
            Some(Timestamp(1_661_622_799_514))
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    /// The first is the example of RFC 9110, section 5.6.7.
    #[test]
    fn times_are_written_as_http_has_them() {
        for (time, text) in [
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("2039-12-31T23:59:59.999Z", "Sat, 31 Dec 2039 23:59:59 GMT"),
            ("2024-02-29T00:00:00Z", "Thu, 29 Feb 2024 00:00:00 GMT"),
            ("9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(Timestamp::parse(time).unwrap().rfc1123(), text);
        }
        assert_eq!(
            Timestamp::default().rfc1123(),
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
        assert_eq!(Timestamp(u64::MAX).rfc1123(), "");
    }
}
