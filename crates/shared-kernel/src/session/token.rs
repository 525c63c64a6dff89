//! The token of a write, which a later read sends back to see it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Timestamp;

/// Time of a commit, and the position of the primary in its write-ahead log after it where there are replicas. A read that sends it
/// back sees the write: a replica answers only if it has replayed that position, and recent rows are
/// used only if they were read later.
///
/// Its text is the time in milliseconds since 1970, and the position as PostgreSQL writes a `pg_lsn`: `19A8F3C2B10-16/B374D848`. Both are
/// hexadecimal. Clients treat it as opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistencyToken {
    committed_at: Timestamp,
    position: Option<Position>,
}

/// The text is not a valid token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct InvalidConsistencyToken;

/// Position of a PostgreSQL primary in its write-ahead log (`pg_lsn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(u64);

/// Tolerated difference between the clocks of two instances.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(1);

impl ConsistencyToken {
    pub(super) fn new(committed_at: Timestamp, position: Option<Position>) -> Self {
        // As it is written. What is cut off is little beside the tolerated difference.
        let committed_at = Timestamp::from_unix_millis(committed_at.unix_millis()).unwrap_or(committed_at);
        Self { committed_at, position }
    }

    /// The position that a replica must have replayed. A token of an instance without replicas has none, so no replica is known to
    /// have the write.
    pub(super) fn position(self) -> Position {
        self.position.unwrap_or(Position::UNREACHED)
    }

    /// Whether a read from the primary that began at that time sees the write, whichever instance's clock is ahead.
    pub(super) fn is_seen_at(self, began: Timestamp) -> bool {
        // Not a sum: the time in a token may be the last one that there is.
        began.since(self.committed_at) >= CLOCK_DIFFERENCE
    }
}

impl Position {
    /// A position that no standby has replayed: `FFFFFFFF/0`. A server that is not a standby is always current and counts as
    /// `FFFFFFFF/FFFFFFFF`, which is higher.
    pub(super) const UNREACHED: Self = Self(0xFFFF_FFFF << 32);
    /// The lowest position.
    pub(super) const START: Self = Self(0);
}

/// A hexadecimal number of at most so many digits, without a sign.
fn hexadecimal(text: &str, digits: usize) -> Result<u64, InvalidConsistencyToken> {
    // `from_str_radix` would accept a sign.
    if text.is_empty() || text.len() > digits || text.starts_with('+') {
        return Err(InvalidConsistencyToken);
    }
    u64::from_str_radix(text, 16).map_err(|_| InvalidConsistencyToken)
}

impl FromStr for ConsistencyToken {
    type Err = InvalidConsistencyToken;

    fn from_str(text: &str) -> Result<Self, InvalidConsistencyToken> {
        let (time, position) =
            text.split_once('-').map_or((text, None), |(time, position)| (time, Some(position)));
        let committed_at =
            Timestamp::from_unix_millis(hexadecimal(time, 12)?).ok_or(InvalidConsistencyToken)?;
        Ok(Self { committed_at, position: position.map(str::parse).transpose()? })
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.committed_at.unix_millis())?;
        self.position.map_or(Ok(()), |position| write!(f, "-{position}"))
    }
}

impl FromStr for Position {
    type Err = InvalidConsistencyToken;

    fn from_str(text: &str) -> Result<Self, InvalidConsistencyToken> {
        let (high, low) = text.split_once('/').ok_or(InvalidConsistencyToken)?;
        Ok(Self(hexadecimal(high, 8)? << 32 | hexadecimal(low, 8)?))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_that_is_not_known_is_one_that_no_replica_has() {
        assert_eq!(Position::UNREACHED.to_string(), "FFFFFFFF/0");
        assert!("FFFFFFFE/FFFFFFFF".parse::<Position>().unwrap() < Position::UNREACHED);
        let no_standby: Position = "FFFFFFFF/FFFFFFFF".parse().unwrap();
        assert!(no_standby >= Position::UNREACHED);
        assert_eq!("19A8F3C2B10".parse::<ConsistencyToken>().unwrap().position(), Position::UNREACHED);
    }

    #[test]
    fn invalid_tokens_are_rejected() {
        for text in [
            "",
            "-",
            "made up",
            "-1",
            "+1",
            "1-",
            "1-/",
            "1-0",
            "1-0/",
            "1-/0",
            "1-+1/0",
            "1-0/+1",
            "1-1/000000000",
            "1-G/0",
            "1-0/0/0",
            "1 -0/0",
            "FFFFFFFFFFFF",
            "0000000000000",
            "16/B374D848",
        ] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(InvalidConsistencyToken), "{text:?}");
        }
    }

    #[test]
    fn a_read_sees_a_write_that_was_committed_a_second_before() {
        let token: ConsistencyToken = "3E8".parse().unwrap();
        let at = |millis| Timestamp::from_unix_millis(millis).unwrap();
        assert!(token.is_seen_at(at(2_000)) && !token.is_seen_at(at(1_999)) && !token.is_seen_at(at(0)));
        let last: ConsistencyToken = format!("{:X}", 253_402_300_799_999_u64).parse().unwrap();
        assert!(!last.is_seen_at(at(2_000)));
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_is_written(millis in 0_u64..253_402_300_799_000, high: u32, low: u32, positioned: bool) {
            let position = if positioned { format!("-{high:X}/{low:X}") } else { String::new() };
            let text = format!("{millis:X}{position}");
            let token: ConsistencyToken = text.parse().unwrap();
            prop_assert_eq!(token.to_string(), text.clone());
            prop_assert_eq!(text.to_lowercase().parse(), Ok(token));
        }

        #[test]
        fn positions_are_in_the_order_of_the_log(a: (u32, u32), b: (u32, u32)) {
            let position = |(high, low): (u32, u32)| format!("{high:X}/{low:X}").parse::<Position>().unwrap();
            prop_assert_eq!(position(a).cmp(&position(b)), a.cmp(&b));
        }

        #[test]
        fn no_text_panics(text in "[0-9A-Fa-f/+ -]{0,24}") {
            if let Ok(token) = text.parse::<ConsistencyToken>() {
                prop_assert_eq!(token.to_string().parse(), Ok(token));
            }
        }
    }
}
