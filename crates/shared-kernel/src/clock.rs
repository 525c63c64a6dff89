//! The only source of time. Code that needs the current time takes a [`Clock`]; tests pass one that stands still.

mod date;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{self, ArrayType, ColumnType, Nullable, ValueTypeErr};
use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, Value};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{OffsetDateTime, UtcOffset};
use utoipa::ToSchema;

pub use self::date::{Date, InvalidDate};
use crate::field::{self, TextField, ValidationError};

/// A timestamp in UTC with microsecond precision. PostgreSQL stores the same precision, so a value is read back unchanged.
///
/// In JSON it is a string in RFC 3339 format: written with `Z`, accepted with any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-01-31T12:34:56.789012Z"))]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// `moment` in UTC, truncated to whole microseconds.
    #[must_use]
    pub fn new(moment: OffsetDateTime) -> Self {
        let moment = moment.to_offset(UtcOffset::UTC);
        let cut = i64::from(moment.nanosecond() % 1_000);
        Self(moment - time::Duration::nanoseconds(cut))
    }

    /// The timestamp of a Unix time in milliseconds; `None` outside the years of RFC 3339 (0001 to 9999).
    #[must_use]
    pub fn from_unix_millis(millis: u64) -> Option<Self> {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()?;
        Some(Self(moment))
    }

    /// Unix time in milliseconds; 0 for anything before 1970.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// The timestamp of a Unix time in microseconds; `None` outside the years of RFC 3339 (0001 to 9999).
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?;
        Some(Self(moment))
    }

    /// Unix time in microseconds, negative before 1970.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        // The years 0001 to 9999 are a tenth of the range.
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000).unwrap_or(0)
    }

    /// Unix time in seconds, the `NumericDate` of JWTs (RFC 7519, section 2); 0 for anything before 1970.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        u64::try_from(self.0.unix_timestamp()).unwrap_or(0)
    }

    /// Duration from `earlier` to this timestamp; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or(Duration::ZERO)
    }

    /// The same timestamp as a type of the crate `time`, for calculations.
    #[must_use]
    pub fn to_datetime(self) -> OffsetDateTime {
        self.0
    }
}

impl TextField for Timestamp {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
            ValidationError::new("invalid", "must be a date and time as in 2026-01-31T12:00:00Z (RFC 3339)")
        })?;
        // The conversion to UTC can move a timestamp out of the supported years.
        let utc = moment.checked_to_offset(UtcOffset::UTC).filter(|utc| (1..=9_999).contains(&utc.year()));
        utc.map(Self::new)
            .ok_or_else(|| ValidationError::new("invalid", "must be in the years 0001 to 9999 in UTC"))
    }

    fn example() -> Cow<'static, str> {
        "2026-01-31T12:00:00Z".into()
    }
}

/// Length of the longest text of a timestamp, in bytes: `2026-01-31T12:34:56.789012345Z`.
const LONGEST_TEXT: usize = 30;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not `time::serde::rfc3339`, which allocates: a list has two for each row.
        let mut buffer = [0; LONGEST_TEXT];
        let mut free = buffer.as_mut_slice();
        // The number that it returns is too small where there are fractions of a second.
        self.0.format_into(&mut free, &Rfc3339).map_err(S::Error::custom)?;
        let written = LONGEST_TEXT - free.len();
        let text = buffer.get(..written).and_then(|text| std::str::from_utf8(text).ok());
        serializer.serialize_str(text.ok_or_else(|| S::Error::custom("a timestamp is not text"))?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        field::deserialize_text(deserializer)
    }
}

// In the database. SQLite compares timestamps as text, and `time` writes RFC 3339 without trailing zeros, so that
// `12:00:00.5Z` sorts before `12:00:00Z`. One nanosecond more makes every text nine digits long; reading rounds it off.
// PostgreSQL's driver cuts to microseconds towards its epoch, hence one less before that: the value arrives unchanged.
impl From<Timestamp> for Value {
    fn from(Timestamp(moment): Timestamp) -> Self {
        let nanosecond = time::Duration::NANOSECOND;
        let stored =
            if moment < datetime!(2000-01-01 0:00 UTC) { moment - nanosecond } else { moment + nanosecond };
        Self::TimeDateTimeWithTimeZone(Some(stored))
    }
}

impl Timestamp {
    /// The timestamp of a stored [`Value`].
    pub(crate) fn from_stored(moment: OffsetDateTime) -> Self {
        Self::new(moment + time::Duration::nanoseconds(500))
    }
}

impl TryGetable for Timestamp {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        OffsetDateTime::try_get_by(row, index).map(Self::from_stored)
    }
}

impl sea_query::ValueType for Timestamp {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <OffsetDateTime as sea_query::ValueType>::try_from(value).map(Self::from_stored)
    }

    fn type_name() -> String {
        "Timestamp".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::TimeDateTimeWithTimeZone
    }

    fn column_type() -> ColumnType {
        ColumnType::TimestampWithTimeZone
    }
}

impl Nullable for Timestamp {
    fn null() -> Value {
        Value::TimeDateTimeWithTimeZone(None)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self::new(self.0 + later)
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, earlier: Duration) -> Self {
        Self::new(self.0 - earlier)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// A source of the current time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// A shared clock of the operating system.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Timestamp {
        Timestamp::new(OffsetDateTime::now_utc())
    }
}

/// Measures durations with a monotonic clock. For logs and metrics, never for business rules.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_cut_to_microseconds_and_written_with_z() {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_123_456_789).unwrap();
        let timestamp = Timestamp::new(moment);
        assert_eq!(serde_json::to_value(timestamp).unwrap(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(timestamp.unix_millis(), 1_700_000_000_123);
    }

    #[test]
    fn any_offset_is_read_as_the_same_moment_in_utc() {
        let read = |text: &str| serde_json::from_value::<Timestamp>(text.into());
        let noon = read("2024-05-01T12:00:00.1234567Z").unwrap();
        assert_eq!(read("2024-05-01T14:00:00.123456+02:00").unwrap(), noon);
        assert_eq!(serde_json::to_value(noon).unwrap(), "2024-05-01T12:00:00.123456Z");
        for outside in ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"] {
            assert!(read(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_value_reads_back_as_it_was() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999Z",
            "1999-12-31T23:59:59.999999Z",
            "2000-01-01T00:00:00Z",
            "2024-05-01T12:00:00.5Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let moment: Timestamp = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(moment).unwrap(), text);
            assert_eq!(
                <Timestamp as sea_query::ValueType>::try_from(Value::from(moment)).unwrap(),
                moment,
                "{text}"
            );
        }
    }
}
