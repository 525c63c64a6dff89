//! The origin of changes: principal and trace.

use std::fmt;
use std::str::FromStr;

use sea_orm::DeriveValueType;

/// The principal and the trace that caused the changes of a session. Each event of the session has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The principal: `usr_…` for a user, `system:…` for a command or a job, `None` if nobody was signed in.
    pub principal: Option<String>,
    /// The trace of the request.
    pub traceparent: Option<Traceparent>,
}

impl Origin {
    /// A command or a job of the system: `system:admin-create`.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { principal: Some(format!("system:{name}")), traceparent: None }
    }
}

/// The position of a request in a trace, as the header `traceparent` has it (W3C Trace Context, section 3.2), written as
/// version `00` of the header.
#[derive(Clone, Debug, PartialEq, Eq, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct Traceparent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl Traceparent {
    /// The flags that the specification defines, sampled (level 1) and random trace id (level 2). Others are set to zero.
    const DEFINED_FLAGS: u8 = 0b11;
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

/// Not a valid `traceparent`; its receiver ignores it (W3C Trace Context, section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceparent;

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    /// Of a later version of the header, the fields of version `00` are read, and what follows them after a hyphen is left out
    /// (section 3.2.2.1, "Versioning").
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut fields = text.splitn(5, '-');
        let mut field = |digits| hexadecimal(fields.next(), digits);
        let (version, trace_id) = (field(2)?, field(32)?);
        let (parent_id, flags) = (field(16)?, field(2)?);
        let is_known = match version {
            0x00 => fields.next().is_none(),
            0xff => false,
            _ => true,
        };
        if !is_known || trace_id == 0 || parent_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
            trace_id,
            parent_id: parent_id.try_into().map_err(|_| InvalidTraceparent)?,
            flags: u8::try_from(flags).map_err(|_| InvalidTraceparent)? & Self::DEFINED_FLAGS,
        })
    }
}

/// A number of so many lower-case hexadecimal digits.
fn hexadecimal(field: Option<&str>, digits: usize) -> Result<u128, InvalidTraceparent> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let field = field.filter(|field| field.len() == digits && field.bytes().all(is_digit));
    u128::from_str_radix(field.ok_or(InvalidTraceparent)?, 16).map_err(|_| InvalidTraceparent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    #[test]
    fn a_valid_header_is_kept_as_it_is() {
        for flags in ["00", "01", "02", "03"] {
            let text = format!("00-{TRACE}-{flags}");
            assert_eq!(text.parse::<Traceparent>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for later in ["cc-TRACE-01", "cc-TRACE-01-what-the-future-will-be-like", "01-TRACE-09"] {
            let parsed = later.replace("TRACE", TRACE).parse::<Traceparent>().unwrap();
            assert_eq!(parsed.to_string(), format!("00-{TRACE}-01"));
        }
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        let zeros = (TRACE.replace(|c| c != '-', "0"), TRACE.replace("00f067aa0ba902b7", "0000000000000000"));
        for wrong in [
            String::new(),
            format!("00-{TRACE}"),
            format!("00-{TRACE}-01-more"),
            format!("00-{TRACE}-01-"),
            format!("ff-{TRACE}-01"),
            format!("cc-{TRACE}-01.more"),
            format!("00-{TRACE}-1"),
            format!("00-{TRACE}-001"),
            format!(" 00-{TRACE}-01"),
            format!("0-{TRACE}-01"),
            format!("00-{TRACE}-0x"),
            format!("00-{}-01", TRACE.to_uppercase()),
            format!("00-{}-01", TRACE.replace('4', "+")),
            format!("00-{}-01", zeros.0),
            format!("00-{}-01", zeros.1),
        ] {
            assert_eq!(wrong.parse::<Traceparent>(), Err(InvalidTraceparent), "{wrong}");
        }
    }
}
