//! Exact decimals: prices, rates, quantities.
//!
//! In JSON a [`Decimal`] is a string, `"12.50"`: most clients read a JSON number as a binary float, which cannot represent `0.10`.
//! Input may have fewer decimals and is never rounded; output has all of them.
//!
//! In the database its column is a `ColumnDef::decimal_len(PRECISION, SCALE)`. SQLite stores a decimal as a double with
//! 15 exact digits, so a [`Decimal`] has at most 15. Models use [`Decimal`] too, because a [`rust_decimal::Decimal`] that sea-orm
//! reads from SQLite sometimes has a wrong sixteenth digit.
//!
//! A condition on the column itself compares numbers on both engines. A condition on an expression (`SUM(price) > ?`) does not:
//! the decimal is bound as text, and SQLite sorts every text after every number unless the column has a numeric type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use sea_orm::sea_query::{self, ArrayType, ColumnType, Nullable, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::field::{self, FieldSchema, TextField, ValidationError, schema_of, too_large, too_small};

/// A decimal with at most `PRECISION` digits (1 to 15), `SCALE` of them after the point, so that `PRECISION - SCALE` are
/// left before it.
///
/// Its text is an optional `-`, digits without leading zeros, and optionally a point and at most `SCALE` decimals.
/// `+`, an exponent and spaces are not allowed. `-0` is zero.
///
/// More than 15 digits do not compile:
///
/// ```compile_fail,E0080
/// use shared_kernel::decimal::Decimal;
/// "1".parse::<Decimal<16, 2>>().unwrap();
/// ```
// The value in units of the last decimal.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const PRECISION: u32, const SCALE: u32>(i64);

/// Why a value is not a valid [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not a decimal number, or not in the required format.
    #[error("must be a decimal number without leading zeros, as in 12.50")]
    Form,
    /// Too many digits.
    #[error("must have at most {whole} digits before the point and {decimals} after it")]
    Digits {
        /// Maximum number of digits before the point.
        whole: u32,
        /// Maximum number of digits after the point.
        decimals: u32,
    },
}

impl<const PRECISION: u32, const SCALE: u32> Decimal<PRECISION, SCALE> {
    /// Maximum number of digits before the point.
    const WHOLE: u32 = {
        assert!(matches!(PRECISION, 1..=15), "a double, which is how SQLite keeps it, has 15 digits");
        assert!(SCALE <= PRECISION, "there are no more decimals than digits");
        PRECISION - SCALE
    };
    /// The smallest number of units that is too large.
    const LIMIT: i64 = 10_i64.pow(Self::WHOLE + SCALE);
    const TOO_MANY_DIGITS: InvalidDecimal = InvalidDecimal::Digits { whole: Self::WHOLE, decimals: SCALE };

    /// A decimal from a literal: `const { Decimal::from_valid("12.50") }` compiles only if the text is valid.
    ///
    /// # Panics
    ///
    /// If the text is invalid; outside of constants, at run time.
    #[must_use]
    #[expect(clippy::panic, reason = "in a constant this is an error of the compiler")]
    pub const fn from_valid(text: &'static str) -> Self {
        match Self::read(text.as_bytes()) {
            Ok(value) => value,
            Err(_) => panic!("it has to be a decimal number with no more digits than the type has"),
        }
    }

    /// The value of a column of this precision and scale. Other values become the nearest that fits: SQLite does not enforce precision
    /// and scale, and reads about one value in some thousands back with a wrong sixteenth digit.
    #[must_use]
    pub fn from_stored(stored: rust_decimal::Decimal) -> Self {
        let most = Self::LIMIT - 1;
        let mut scaled = stored;
        scaled.rescale(SCALE);
        // A value that is far too large cannot be scaled to that many decimals.
        let units = if scaled.scale() == SCALE { scaled.mantissa().try_into().ok() } else { None };
        let beyond = if stored.is_sign_negative() { -most } else { most };
        Self(units.unwrap_or(beyond).clamp(-most, most))
    }

    /// The value for calculations and for columns.
    #[must_use]
    pub fn value(self) -> rust_decimal::Decimal {
        rust_decimal::Decimal::new(self.0, SCALE)
    }

    const fn read(text: &[u8]) -> Result<Self, InvalidDecimal> {
        let (negative, number) = match text {
            [b'-', number @ ..] => (true, number),
            number => (false, number),
        };
        let (whole, decimals) = match split(number) {
            ([] | [b'0', _, ..], _) | (_, Some([])) => return Err(InvalidDecimal::Form),
            (whole, Some(decimals)) => (whole, decimals),
            (whole, None) => (whole, [].as_slice()),
        };
        if !are_digits(whole) || !are_digits(decimals) {
            return Err(InvalidDecimal::Form);
        }
        // A zero before the point does not count as a digit.
        let fits = matches!(whole, [b'0']) || whole.len() <= Self::WHOLE as usize;
        if !fits || decimals.len() > SCALE as usize {
            return Err(Self::TOO_MANY_DIGITS);
        }
        let units = append(append(0, whole, whole.len()), decimals, SCALE as usize);
        Ok(Self(if negative { -units } else { units }))
    }

    /// Pattern of the accepted texts.
    fn pattern() -> String {
        let whole = match Self::WHOLE {
            0 => "0".to_owned(),
            1 => "[0-9]".to_owned(),
            digits => format!("(0|[1-9][0-9]{{0,{}}})", digits - 1),
        };
        match SCALE {
            0 => format!("^-?{whole}$"),
            decimals => format!("^-?{whole}(\\.[0-9]{{1,{decimals}}})?$"),
        }
    }
}

/// The digits before the point and, if there is one, after it.
const fn split(number: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut before = 0;
    while before < number.len() {
        if let (whole, [b'.', decimals @ ..]) = number.split_at(before) {
            return (whole, Some(decimals));
        }
        before += 1;
    }
    (number, None)
}

const fn are_digits(mut text: &[u8]) -> bool {
    while let [first, rest @ ..] = text {
        if !first.is_ascii_digit() {
            return false;
        }
        text = rest;
    }
    true
}

/// `number` with `count` digits appended: `digits`, padded with zeros.
const fn append(mut number: i64, digits: &[u8], count: usize) -> i64 {
    let mut index = 0;
    while index < count {
        let digit = if index < digits.len() { digits[index] - b'0' } else { 0 };
        number = number * 10 + digit as i64;
        index += 1;
    }
    number
}

impl<const PRECISION: u32, const SCALE: u32> FromStr for Decimal<PRECISION, SCALE> {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, InvalidDecimal> {
        Self::read(text.as_bytes())
    }
}

/// For calculated values: a value that would have to be rounded is refused, so round it first.
impl<const PRECISION: u32, const SCALE: u32> TryFrom<rust_decimal::Decimal> for Decimal<PRECISION, SCALE> {
    type Error = InvalidDecimal;

    fn try_from(value: rust_decimal::Decimal) -> Result<Self, InvalidDecimal> {
        let kept = Self::from_stored(value);
        if kept.value() == value { Ok(kept) } else { Err(Self::TOO_MANY_DIGITS) }
    }
}

impl<const PRECISION: u32, const SCALE: u32> From<Decimal<PRECISION, SCALE>> for rust_decimal::Decimal {
    fn from(fixed: Decimal<PRECISION, SCALE>) -> Self {
        fixed.value()
    }
}

/// With all decimals.
impl<const PRECISION: u32, const SCALE: u32> fmt::Display for Decimal<PRECISION, SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, one) = (self.0.unsigned_abs(), 10_u64.pow(SCALE));
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", units / one)?;
        if SCALE > 0 { write!(f, ".{:0width$}", units % one, width = SCALE as usize) } else { Ok(()) }
    }
}

impl<const PRECISION: u32, const SCALE: u32> fmt::Debug for Decimal<PRECISION, SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const PRECISION: u32, const SCALE: u32> Serialize for Decimal<PRECISION, SCALE> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<const PRECISION: u32, const SCALE: u32> TextField for Decimal<PRECISION, SCALE> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        text.parse().map_err(|error: InvalidDecimal| {
            let told = ValidationError::new("invalid", error.to_string());
            match error {
                InvalidDecimal::Form => told,
                InvalidDecimal::Digits { whole, decimals } => {
                    told.with("integer_digits", whole).with("decimals", decimals)
                }
            }
        })
    }

    /// 12.5 with all decimals, without the digits that do not fit.
    fn example() -> Cow<'static, str> {
        Self(125 * 10_i64.pow(SCALE) / 10 % Self::LIMIT).to_string().into()
    }
}

impl<'de, const PRECISION: u32, const SCALE: u32> Deserialize<'de> for Decimal<PRECISION, SCALE> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        field::deserialize_text(deserializer)
    }
}

impl<const PRECISION: u32, const SCALE: u32> From<Decimal<PRECISION, SCALE>> for Value {
    fn from(fixed: Decimal<PRECISION, SCALE>) -> Self {
        Self::Decimal(Some(fixed.value()))
    }
}

impl<const PRECISION: u32, const SCALE: u32> TryGetable for Decimal<PRECISION, SCALE> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        rust_decimal::Decimal::try_get_by(row, index).map(Self::from_stored)
    }
}

impl<const PRECISION: u32, const SCALE: u32> sea_query::ValueType for Decimal<PRECISION, SCALE> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <rust_decimal::Decimal as sea_query::ValueType>::try_from(value).map(Self::from_stored)
    }

    fn type_name() -> String {
        format!("Decimal<{PRECISION}, {SCALE}>")
    }

    fn array_type() -> ArrayType {
        ArrayType::Decimal
    }

    fn column_type() -> ColumnType {
        ColumnType::Decimal(Some((PRECISION, SCALE)))
    }
}

impl<const PRECISION: u32, const SCALE: u32> Nullable for Decimal<PRECISION, SCALE> {
    fn null() -> Value {
        Value::Decimal(None)
    }
}

impl<const PRECISION: u32, const SCALE: u32> TryFromU64 for Decimal<PRECISION, SCALE> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("a decimal does not count rows"))
    }
}

impl<const PRECISION: u32, const SCALE: u32> FieldSchema for Decimal<PRECISION, SCALE> {
    fn name() -> Cow<'static, str> {
        format!("Decimal_{PRECISION}_{SCALE}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.pattern(Some(Self::pattern()))
    }
}

impl<const PRECISION: u32, const SCALE: u32> PartialSchema for Decimal<PRECISION, SCALE> {
    fn schema() -> RefOr<Schema> {
        schema_of::<Self>(Type::String, Self::example())
    }
}

impl<const PRECISION: u32, const SCALE: u32> ToSchema for Decimal<PRECISION, SCALE> {
    fn name() -> Cow<'static, str> {
        <Self as FieldSchema>::name()
    }
}

/// `number`, with zero for negative zero: some column types keep the sign and others do not.
#[must_use]
pub fn plain_zero(number: f64) -> f64 {
    // IEEE 754, section 6.3: the sum of zeros of different signs is the positive one.
    number + 0.0
}

/// A garde rule: `#[garde(custom(decimal::within(Some("0.01"), None)))]`. The bounds are inclusive, and `None` is no bound. An
/// invalid bound refuses every value, so that any test of the field fails.
pub fn within<const PRECISION: u32, const SCALE: u32>(
    min: Option<&'static str>,
    max: Option<&'static str>,
) -> impl Fn(&Decimal<PRECISION, SCALE>, &()) -> garde::Result {
    let bound = |text: &str| {
        rust_decimal::Decimal::from_str_exact(text)
            .map_err(|_| garde::Error::new(format!("`{text}` is no bound")))
    };
    move |decimal, _context| {
        let value = decimal.value();
        if let Some(min) = min
            && value < bound(min)?
        {
            return Err(too_small(min).into());
        }
        if let Some(max) = max
            && value > bound(max)?
        {
            return Err(too_large(max).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use proptest::prelude::*;

    use super::*;
    use crate::json::{self, JsonError};
    use crate::patch::Patch;

    type Price = Decimal<15, 2>;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_with_all_decimals() {
        for (text, shown) in [
            ("0", "0.00"),
            ("-0", "0.00"),
            ("-0.00", "0.00"),
            ("12", "12.00"),
            ("12.5", "12.50"),
            ("-0.05", "-0.05"),
            ("-12.34", "-12.34"),
            ("9999999999999.99", "9999999999999.99"),
            ("-9999999999999.99", "-9999999999999.99"),
        ] {
            let fixed: Price = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(fixed).unwrap(), shown);
            assert_eq!((fixed.to_string(), format!("{fixed:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!(fixed.value(), text.parse().unwrap());
            assert_eq!(
                (Price::from_stored(fixed.value()), Price::try_from(fixed.value())),
                (fixed, Ok(fixed))
            );
        }
        assert_eq!("7".parse::<Decimal<1, 0>>().unwrap().to_string(), "7");
        assert_eq!("0.1".parse::<Decimal<1, 1>>().unwrap().to_string(), "0.1");
        assert_eq!("0.000000000000001".parse::<Decimal<15, 15>>().unwrap().to_string(), "0.000000000000001");
        assert_eq!(Price::default(), price("0"));
        assert!(price("-0.02") < price("-0.01") && price("9.99") < price("10"));
        assert_eq!(const { Price::from_valid("0.50") }, price("0.5"));
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        for text in [
            "", "-", ".", "-.", ".5", "5.", "-.5", "+5", "--5", "05", "00", "-00.5", "5e2", "5E2", "0x5",
            " 5", "5 ", "5,0", "1_000", "1.2.3", "1.-2", "5\n", "NaN", "inf", "\u{0665}", "\u{ff15}", "5\0",
        ] {
            assert_eq!(text.parse::<Price>(), Err(InvalidDecimal::Form), "{text:?}");
        }
        let digits = InvalidDecimal::Digits { whole: 13, decimals: 2 };
        for text in ["0.001", "1.000", "10000000000000", "-99999999999999.9", &"9".repeat(100_000)] {
            assert_eq!(text.parse::<Price>(), Err(digits));
        }
        assert_eq!("1".parse::<Decimal<2, 2>>(), Err(InvalidDecimal::Digits { whole: 0, decimals: 2 }));
        assert_eq!(digits.to_string(), "must have at most 13 digits before the point and 2 after it");
    }

    #[test]
    fn what_would_have_to_be_rounded_is_not_taken() {
        let decimal = |text: &str| rust_decimal::Decimal::from_str_exact(text).unwrap();
        assert_eq!(Price::try_from(decimal("1.2300")), Ok(price("1.23")));
        for text in ["1.234", "0.001", "10000000000000", "-9999999999999.991"] {
            assert!(Price::try_from(decimal(text)).is_err(), "{text}");
        }
        assert!(
            Price::try_from(rust_decimal::Decimal::MAX).is_err()
                && Price::try_from(rust_decimal::Decimal::MIN).is_err()
        );
        // What is there has to be shown.
        for (stored, shown) in [
            ("1.234", "1.23"),
            ("1.235", "1.24"),
            ("-1.235", "-1.24"),
            ("10000000000000", "9999999999999.99"),
            ("-79228162514264337593543950335", "-9999999999999.99"),
        ] {
            assert_eq!(Price::from_stored(decimal(stored)), price(shown));
        }
    }

    #[derive(Debug, serde::Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[garde(custom(within(Some("0.01"), Some("999.995"))))]
        price: Price,
        #[serde(default)]
        #[garde(inner(custom(within(Some("-1"), None))))]
        rate: Option<Decimal<5, 4>>,
        #[serde(default)]
        #[garde(inner(custom(within(None, Some("1")))))]
        share: Patch<Decimal<5, 4>>,
    }

    #[test]
    fn refusals_name_the_place_and_have_a_code() {
        let refused = |body: &str| match json::parse::<Body>(body.as_bytes()) {
            Err(JsonError::Invalid(invalid)) => invalid
                .0
                .into_iter()
                .map(|field| (field.pointer, field.code, field.message))
                .collect::<Vec<_>>(),
            other => panic!("{body}: {other:?}"),
        };
        let one = |pointer: &str, code: &'static str, message: &str| {
            vec![(pointer.to_owned(), code.into(), message.to_owned())]
        };
        for (value, called) in
            [("12.5", "a number"), ("12", "a number"), ("null", "null"), ("true", "a boolean")]
        {
            let message = format!("must be a string, not {called}");
            assert_eq!(refused(&format!(r#"{{"price": {value}}}"#)), one("/price", "type", &message));
        }
        assert_eq!(
            refused(r#"{"price": "1.234"}"#),
            one("/price", "invalid", "must have at most 13 digits before the point and 2 after it")
        );
        assert_eq!(refused(r#"{"price": "0"}"#), one("/price", "too_small", "must be at least 0.01"));
        assert_eq!(refused(r#"{"price": "1000"}"#), one("/price", "too_large", "must be at most 999.995"));
        assert_eq!(
            refused(r#"{"price": "1", "rate": "-1.0001"}"#),
            one("/rate", "too_small", "must be at least -1")
        );
        assert_eq!(
            refused(r#"{"price": "1", "share": "1.0001"}"#),
            one("/share", "too_large", "must be at most 1")
        );
        let body = json::parse::<Body>(br#"{"price": "0.01", "rate": "-1", "share": "1.0000"}"#).unwrap();
        assert_eq!((body.price, body.rate.is_some()), (price("0.01"), true));
        let no_bound = within(Some("x"), None)(&price("1"), &()).unwrap_err();
        assert_eq!(no_bound.message(), "`x` is no bound");
    }

    #[test]
    fn a_query_string_has_decimals_too() {
        // What a query string gives is text, and so is what serde keeps of flattened fields.
        #[derive(serde::Deserialize)]
        struct Filter {
            min_price: Option<Price>,
        }
        #[derive(serde::Deserialize)]
        struct Query {
            #[serde(flatten)]
            filter: Filter,
        }
        let pairs = [("min_price", "12.5")].into_iter();
        let pairs = serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(pairs);
        assert_eq!(Query::deserialize(pairs).unwrap().filter.min_price, Some(price("12.5")));
    }

    fn pattern_of<T: PartialSchema>() -> (String, serde_json::Value) {
        let schema = serde_json::to_value(T::schema()).unwrap();
        assert_eq!(schema["type"], "string");
        (schema["pattern"].as_str().unwrap().to_owned(), schema["examples"][0].clone())
    }

    #[test]
    fn the_schema_has_the_pattern_and_an_example_that_fits() {
        let check = |(pattern, example): (String, serde_json::Value), expected: (&str, &str)| {
            assert_eq!((&*pattern, example.as_str().unwrap()), expected);
        };
        check(pattern_of::<Price>(), (r"^-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,2})?$", "12.50"));
        check(pattern_of::<Decimal<3, 3>>(), (r"^-?0(\.[0-9]{1,3})?$", "0.500"));
        check(pattern_of::<Decimal<2, 1>>(), (r"^-?[0-9](\.[0-9]{1,1})?$", "2.5"));
        check(pattern_of::<Decimal<3, 0>>(), (r"^-?(0|[1-9][0-9]{0,2})$", "12"));
        check(pattern_of::<Decimal<15, 15>>(), (r"^-?0(\.[0-9]{1,15})?$", "0.500000000000000"));
        assert_eq!(<Price as ToSchema>::name(), "Decimal_15_2");
    }

    /// With the feature `decimal`, utoipa writes each field of a type with this name as a plain string.
    #[test]
    fn a_field_refers_to_the_schema() {
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Item {
            price: Price,
        }
        let schema = serde_json::to_value(Item::schema()).unwrap();
        assert_eq!(schema["properties"]["price"]["$ref"], "#/components/schemas/Decimal_15_2", "{schema}");
    }

    /// Whether the pattern in the schema matches, as garde reads patterns.
    fn matches<const PRECISION: u32, const SCALE: u32>(text: &str) -> bool {
        let (pattern, _) = pattern_of::<Decimal<PRECISION, SCALE>>();
        garde::rules::pattern::regex::Regex::new(&pattern).unwrap().is_match(text)
    }

    /// What becomes of so many units on their way through sea-orm and SQLite.
    fn through_a_double<const SCALE: u32>(units: i64) -> i64 {
        let double: f64 = Decimal::<15, SCALE>(units).to_string().parse().unwrap();
        Decimal::<15, SCALE>::from_stored(rust_decimal::Decimal::try_from(double).unwrap()).0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn the_pattern_matches_what_is_read_and_nothing_else(
            text in "-{0,2}[0-9]{0,4}\\.?[0-9]{0,4}|-?[0-9]{10,16}(\\.[0-9]{0,3})?|[-+.0-9e \n]{0,6}"
        ) {
            prop_assert_eq!(matches::<15, 2>(&text), text.parse::<Price>().is_ok());
            prop_assert_eq!(matches::<3, 3>(&text), text.parse::<Decimal<3, 3>>().is_ok());
            prop_assert_eq!(matches::<2, 1>(&text), text.parse::<Decimal<2, 1>>().is_ok());
            prop_assert_eq!(matches::<3, 0>(&text), text.parse::<Decimal<3, 0>>().is_ok());
        }

        #[test]
        fn what_matches_is_read_as_that_number(text in "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,2})?") {
            let fixed: Price = text.parse().unwrap();
            prop_assert_eq!(fixed.value(), rust_decimal::Decimal::from_str_exact(&text).unwrap());
            prop_assert_eq!(fixed.to_string().parse::<Price>(), Ok(fixed));
        }

        #[test]
        fn the_order_is_that_of_the_numbers(a in -999_999_i64..=999_999, b in -999_999_i64..=999_999) {
            let fixed = |units| Decimal::<6, 3>::try_from(rust_decimal::Decimal::new(units, 3)).unwrap();
            prop_assert_eq!(fixed(a).cmp(&fixed(b)), a.cmp(&b));
        }

        /// A double, which is how SQLite keeps a decimal, gives fifteen digits back as they were.
        #[test]
        fn a_double_keeps_it(units in -999_999_999_999_999_i64..=999_999_999_999_999) {
            prop_assert_eq!(through_a_double::<0>(units), units);
            prop_assert_eq!(through_a_double::<2>(units), units);
            prop_assert_eq!(through_a_double::<8>(units), units);
            prop_assert_eq!(through_a_double::<15>(units), units);
            prop_assert_eq!(through_a_double::<15>(units % 1_000), units % 1_000);
        }
    }
}
