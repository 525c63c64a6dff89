//! Calendar dates.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::Month;
use utoipa::ToSchema;

use crate::field::{self, TextField, ValidationError};

/// A date of the Gregorian calendar, in the years 0001 to 9999, without a time zone: a birthday, a due date.
///
/// Its text is a `full-date` of RFC 3339, section 5.6: `2026-01-31`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = Date, examples("2026-01-31"))]
pub struct Date(time::Date);

/// The text is not a valid date, or not in the required format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a date as in 2026-01-31")]
pub struct InvalidDate;

impl Date {
    /// A date; `None` outside the supported years.
    #[must_use]
    pub const fn new(day: time::Date) -> Option<Self> {
        match day.year() {
            1..=9_999 => Some(Self(day)),
            _ => None,
        }
    }

    /// A date from a literal: `const { Date::from_valid("2026-01-31") }` compiles only if the text is valid.
    ///
    /// # Panics
    ///
    /// If the text is invalid; outside of constants, at run time.
    #[must_use]
    #[expect(clippy::panic, reason = "in a constant this is an error of the compiler")]
    pub const fn from_valid(text: &'static str) -> Self {
        match Self::read(text.as_bytes()) {
            Some(day) => day,
            None => panic!("it has to be a day as in 2026-01-31"),
        }
    }

    /// The same date as a type of the crate `time`, for calculations.
    #[must_use]
    pub const fn to_date(self) -> time::Date {
        self.0
    }

    const fn read(text: &[u8]) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
        let (Some(century), Some(year)) = (two_digits(*y1, *y2), two_digits(*y3, *y4)) else { return None };
        let (Some(month @ 1..=12), Some(day)) = (two_digits(*m1, *m2), two_digits(*d1, *d2)) else {
            return None;
        };
        let year = century as i32 * 100 + year as i32;
        match time::Date::from_calendar_date(year, Month::January.nth_next(month - 1), day) {
            Ok(day) => Self::new(day),
            Err(_) => None,
        }
    }
}

const fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() { Some((tens - b'0') * 10 + ones - b'0') } else { None }
}

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        Self::read(text.as_bytes()).ok_or(InvalidDate)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TextField for Date {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        text.parse().map_err(|error: InvalidDate| ValidationError::new("invalid", error.to_string()))
    }

    fn example() -> Cow<'static, str> {
        "2026-01-31".into()
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        field::deserialize_text(deserializer)
    }
}

// In the database. SQLite stores the text, which sorts like the dates because every year has four digits.
impl From<Date> for Value {
    fn from(Date(day): Date) -> Self {
        Self::TimeDate(Some(day))
    }
}

impl TryGetable for Date {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let beyond =
            || TryGetError::DbErr(DbErr::Type("the day is not in the years 0001 to 9999".to_owned()));
        Self::new(time::Date::try_get_by(row, index)?).ok_or_else(beyond)
    }
}

impl ValueType for Date {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        Self::new(<time::Date as ValueType>::try_from(value)?).ok_or(ValueTypeErr)
    }

    fn type_name() -> String {
        "Date".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::TimeDate
    }

    fn column_type() -> ColumnType {
        ColumnType::Date
    }
}

impl Nullable for Date {
    fn null() -> Value {
        Value::TimeDate(None)
    }
}

impl TryFromU64 for Date {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("a day is not a number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;

    #[test]
    fn a_day_is_read_and_written_in_one_way() {
        for text in ["0001-01-01", "0099-12-31", "1970-01-01", "2000-02-29", "2024-02-29", "9999-12-31"] {
            let day: Date = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(day).unwrap(), text);
            assert_eq!((day.to_string(), format!("{day:?}")), (text.to_owned(), text.to_owned()));
            assert_eq!(<Date as ValueType>::try_from(Value::from(day)).unwrap(), day);
        }
        assert_eq!(const { Date::from_valid("2026-01-31") }, Date::new(date!(2026 - 01 - 31)).unwrap());
        assert!("2026-01-31".parse::<Date>().unwrap() < "2026-02-01".parse().unwrap());
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026-1-1",
            "2026-02-30",
            "2023-02-29",
            "1900-02-29",
            "2026-00-01",
            "2026-13-01",
            "2026-01-00",
            "2026-01-32",
            "0000-01-01",
            "-001-01-01",
            "+2026-01-01",
            "10000-01-01",
            "2026-01-01T00:00:00Z",
            "2026-01-01 ",
            "2026/01/01",
            "20260101",
            "2026-W01-1",
            "\u{0662}026-01-01",
            "2026-01-\u{0661}",
        ] {
            assert_eq!(text.parse::<Date>(), Err(InvalidDate), "{text:?}");
        }
        for value in [serde_json::json!(20_260_101), serde_json::json!(null), serde_json::json!([2026, 1])] {
            let error = serde_json::from_value::<Date>(value).unwrap_err().to_string();
            assert!(error.starts_with("invalid type"), "{error}");
        }
        assert_eq!(Date::new(date!(0000 - 12 - 31)), None);
        assert_eq!(Date::new(date!(-0001 - 01 - 01)), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_prints_as_it_was(text in ".{0,12}|[0-9]{4}-[0-9]{2}-[0-9]{2}") {
            if let Ok(day) = text.parse::<Date>() {
                prop_assert_eq!(day.to_string(), text);
            }
        }

        #[test]
        fn every_day_is_read(julian in date!(0001 - 01 - 01).to_julian_day()..=date!(9999 - 12 - 31).to_julian_day()) {
            let day = Date::new(time::Date::from_julian_day(julian).unwrap()).unwrap();
            prop_assert_eq!(day.to_string().parse(), Ok(day));
        }
    }
}
