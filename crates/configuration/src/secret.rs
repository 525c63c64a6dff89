//! Strength of secrets.

/// How a secret is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// By its length only.
    Long,
    /// By its length, and by whether it looks random.
    Random,
}

/// Words of placeholder secrets, and access keys from guides.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "replace",
    "placeholder",
    "example",
    "insecure",
    "secret",
    "password",
    "passw0rd",
    "default",
    "letmein",
    "qwerty",
    "minioadmin",
    "your-",
    "your_",
];

/// The weakness of a secret, in words that follow its name and source: "looks like a placeholder". `length` is the minimum in bytes.
#[must_use]
pub fn weakness(secret: &str, strength: Strength, length: usize) -> Option<String> {
    if secret.len() < length {
        return Some(format!("has only {} of at least {length} characters", secret.len()));
    }
    if strength == Strength::Long {
        return None;
    }
    let lower = secret.to_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Some("looks like a placeholder".to_owned());
    }
    // Access keys may be short; a pattern needs some length to be recognised.
    (length > 0 && is_pattern(secret.as_bytes())).then(|| "is a pattern that can be guessed".to_owned())
}

/// Few different characters, a shorter text repeated, or mostly a run such as `abcdef` or `987654`.
fn is_pattern(secret: &[u8]) -> bool {
    let mut distinct = secret.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let repeats =
        (1..=secret.len() / 2).any(|period| secret.iter().zip(&secret[period..]).all(|(a, b)| a == b));
    let is_step = |pair: &[u8]| pair[0].abs_diff(pair[1]) <= 1;
    let steps = secret.windows(2).filter(|pair| is_step(pair)).count();
    distinct.len() < 6 || repeats || steps * 2 > secret.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_told_from_random_ones() {
        let weakness = |secret: &str| weakness(secret, Strength::Random, 32).unwrap_or_default();
        assert_eq!(weakness("short"), "has only 5 of at least 32 characters");
        for placeholder in ["changeme-changeme-changeme-12345678", "My-Super-SECRET-key-of-32-characters"] {
            assert_eq!(weakness(placeholder), "looks like a placeholder", "{placeholder}");
        }
        for pattern in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "00000000000000000000000000012345",
        ] {
            assert_eq!(weakness(pattern), "is a pattern that can be guessed", "{pattern}");
        }
        for random in [
            "Zq3vXw8rT1nLk5sYb7cHd2fGj9mPa4eU",
            "00049173628401957362840571936284",
            "9f86d081884c7d659a2feaa0c55ad015",
        ] {
            assert_eq!(weakness(random), "", "{random}");
        }
    }
}
