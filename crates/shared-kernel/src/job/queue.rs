//! Names of queues, and priorities within them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Length of the longest name.
const LONGEST: usize = 40;

/// Name of a queue: 1 to 40 characters of `a` to `z`, digits and `_`.
///
/// A queue is a number of slots: jobs that wait for a slow service have a queue of their own, so that they do not hold up the others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue(Cow<'static, str>);

/// The text is not the name of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a queue has 1 to {LONGEST} characters of a to z, digits and _")]
pub struct InvalidQueue;

impl Queue {
    /// The queue of jobs that name no other.
    pub const DEFAULT: Self = Self::named("default");

    /// The queue of that name, for constants.
    ///
    /// # Panics
    ///
    /// It is not a name. In a constant that is an error of the compiler.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        assert!(is_name(name.as_bytes()), "not the name of a queue");
        Self(Cow::Borrowed(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_name(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= LONGEST
}

impl FromStr for Queue {
    type Err = InvalidQueue;

    fn from_str(text: &str) -> Result<Self, InvalidQueue> {
        if is_name(text.as_bytes()) { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(InvalidQueue) }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Priority of a job within its queue. Waiting does not raise it: a queue that is never empty of urgent jobs runs no others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others: a person waits for it.
    Urgent,
    /// The usual one.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl Priority {
    /// All, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Low];

    /// The number that is stored: 0, 1 or 2.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// The priority of a stored number. Any other number is the lowest.
    #[must_use]
    pub fn of_number(number: i16) -> Self {
        Self::ALL.into_iter().find(|priority| priority.number() == number).unwrap_or(Self::Low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "Mail", "a-b", "a.b", "a:b", "ä", &"a".repeat(41)] {
            assert_eq!(name.parse::<Queue>(), Err(InvalidQueue), "{name}");
        }
        assert_eq!("mail_2".parse::<Queue>().unwrap().as_str(), "mail_2");
    }

    #[test]
    fn a_stored_priority_is_read_back() {
        for priority in Priority::ALL {
            assert_eq!(Priority::of_number(priority.number()), priority);
        }
        assert!(Priority::ALL.is_sorted());
    }
}
