//! Integers within bounds: [`Int`] where a column has 32 bits, [`BigInt`] where it has 64.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use crate::field::{FIELD, FieldSchema, ValidationError, check_range, too_large, too_small};
use crate::field_schema;

/// An integer of 32 bits, `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Int<const MIN: i32, const MAX: i32>(i32);

/// An integer of 64 bits, `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BigInt<const MIN: i64, const MAX: i64>(i64);

/// Any integer of 32 bits.
pub type AnyInt = Int<{ i32::MIN }, { i32::MAX }>;

/// The largest integer that JavaScript represents exactly (RFC 8259, section 6).
pub const SAFE: i64 = 9_007_199_254_740_991;

/// Any integer that JavaScript represents exactly.
pub type SafeInt = BigInt<{ -SAFE }, { SAFE }>;

/// An integer with bounds.
trait Bounded: Sized {
    fn lowest() -> i64;
    fn highest() -> i64;

    fn new(number: i64) -> Result<Self, ValidationError>;

    /// The allowed number that is nearest to zero.
    fn example() -> i64 {
        1.clamp(Self::lowest(), Self::highest())
    }
}

macro_rules! integer {
    ($name:ident, $number:ident, $format:ident) => {
        impl<const MIN: $number, const MAX: $number> $name<MIN, MAX> {
            /// The number, if it is within the bounds.
            ///
            /// # Errors
            ///
            /// `too_small` or `too_large`, with the bound.
            pub fn new(number: $number) -> Result<Self, ValidationError> {
                <Self as Bounded>::new(number.into())
            }

            /// A value from a literal: `const { Int::from_valid(5) }` compiles only if the number is within the bounds.
            ///
            /// # Panics
            ///
            /// If the number is not within the bounds; outside of constants, at run time.
            #[must_use]
            pub const fn from_valid(number: $number) -> Self {
                assert!(MIN <= number && number <= MAX, "it has to be within the bounds of its type");
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $number {
                self.0
            }
        }

        impl<const MIN: $number, const MAX: $number> Bounded for $name<MIN, MAX> {
            fn lowest() -> i64 {
                MIN.into()
            }

            fn highest() -> i64 {
                MAX.into()
            }

            fn new(number: i64) -> Result<Self, ValidationError> {
                check_range(&number, Some(Self::lowest()), Some(Self::highest()))?;
                number.try_into().map(Self).map_err(|_| too_large(MAX))
            }
        }

        impl<const MIN: $number, const MAX: $number> From<$name<MIN, MAX>> for $number {
            fn from(number: $name<MIN, MAX>) -> Self {
                number.0
            }
        }

        impl<const MIN: $number, const MAX: $number> fmt::Display for $name<MIN, MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<const MIN: $number, const MAX: $number> Serialize for $name<MIN, MAX> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de, const MIN: $number, const MAX: $number> Deserialize<'de> for $name<MIN, MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct(FIELD, Outer(PhantomData))
            }
        }

        impl<const MIN: $number, const MAX: $number> FieldSchema for $name<MIN, MAX> {
            fn name() -> Cow<'static, str> {
                format!("{}_{MIN}_{MAX}", stringify!($name)).into()
            }

            fn rules(schema: ObjectBuilder) -> ObjectBuilder {
                schema
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::$format)))
                    .minimum(Some(MIN))
                    .maximum(Some(MAX))
            }
        }

        field_schema!($name<const MIN: $number, const MAX: $number>, Integer, <Self as Bounded>::example());
    };
}

integer!(Int, i32, Int32);
integer!(BigInt, i64, Int64);

/// 2^63.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

struct Outer<T>(PhantomData<T>);
struct Number<T>(PhantomData<T>);

impl<'de, T: Bounded> Visitor<'de> for Outer<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_i64(Number(PhantomData))
    }

    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        T::new(T::example()).map_err(ValidationError::into_serde)
    }
}

impl<T: Bounded> Visitor<'_> for Number<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::new(number).map_err(ValidationError::into_serde)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(too_large(T::highest()).into_serde()),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        // The exact integer is unknown, unless the number fits into no integer type.
        if number.fract() != 0.0 || number.abs() < BEYOND {
            Err(E::invalid_type(de::Unexpected::Float(number), &self))
        } else if number < 0.0 {
            Err(too_small(T::lowest()).into_serde())
        } else {
            Err(too_large(T::highest()).into_serde())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, JsonError};

    #[derive(Debug, serde::Deserialize, garde::Validate)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[garde(dive)]
        rating: Option<Int<0, 5>>,
        #[garde(dive)]
        size: Option<BigInt<-7, { i64::MAX }>>,
        #[garde(dive)]
        safe: Option<SafeInt>,
    }

    fn read(field: &str, value: &str) -> Result<Body, String> {
        json::parse(format!("{{\"{field}\": {value}}}").as_bytes()).map_err(|error| match error {
            JsonError::Invalid(invalid) => serde_json::to_string(&invalid.0).unwrap(),
            JsonError::Malformed(reason) => reason,
        })
    }

    #[test]
    fn an_integer_is_within_its_bounds() {
        assert_eq!(read("rating", "5.0").unwrap().rating.map(Int::get), Some(5));
        assert_eq!(read("size", "9223372036854775807").unwrap().size.map(BigInt::get), Some(i64::MAX));
        assert_eq!(
            read("safe", "-9007199254740991").unwrap().safe.map(BigInt::get),
            Some(-9_007_199_254_740_991)
        );
        for (field, value, told) in [
            ("rating", "-1", r#""code":"too_small","message":"must be at least 0","params":{"min":0}"#),
            ("rating", "6", r#""code":"too_large","message":"must be at most 5","params":{"max":5}"#),
            ("rating", "3000000000", r#""params":{"max":5}"#),
            ("rating", "18446744073709551615", r#""params":{"max":5}"#),
            ("rating", "1e300", r#""params":{"max":5}"#),
            ("rating", "-1e300", r#""params":{"min":0}"#),
            ("size", "-8", r#""params":{"min":-7}"#),
            ("safe", "9007199254740992", r#""params":{"max":9007199254740991}"#),
            ("rating", "1.5", r#""code":"type","message":"must be an integer, not a fraction""#),
            ("rating", "\"1\"", r#""code":"type","message":"must be an integer, not a string""#),
        ] {
            let refused = read(field, value).unwrap_err();
            assert!(refused.contains(told), "{value}: {refused}");
        }
        assert!(Int::<0, 5>::new(6).is_err());
        assert_eq!(Int::<0, 5>::new(3).unwrap().to_string(), "3");
        assert_eq!((Int::<7, 9>::example(), Int::<-9, -7>::example(), Int::<0, 9>::example()), (7, -7, 1));
    }
}
