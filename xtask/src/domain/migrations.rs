//! The names of migrations: the next one, and the released ones.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// The file with the name of the last migration that was released.
pub(crate) const RELEASED: &str = "migration/RELEASED";

/// Now in UTC, as `20261121_101500`: the date and the time of day.
pub(crate) fn now() -> Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(moment(since.as_secs()))
}

/// Formats a number of seconds since 1970-01-01.
fn moment(seconds: u64) -> String {
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}_{hour:02}{minute:02}{second:02}", day(seconds / 86_400))
}

/// Formats a number of days since 1970-01-01.
fn day(mut days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}{month:02}{:02}", days + 1)
}

/// The module of a new migration, after all existing ones: `m20261121_101500_create_posts`.
///
/// The time of day makes names unique, also after the domain was removed: a database that ran the first migration would otherwise
/// confuse the second one with it.
pub(crate) fn next(listed: &[String], now: &str, what: &str) -> Result<String> {
    let last = listed.last().map(|last| parts(last)).transpose()?;
    Ok(match last {
        // A clock was ahead, or two migrations were written in one second; they stay in order nevertheless.
        Some((date, number)) if format!("{date}_{number:06}").as_str() >= now => {
            format!("m{date}_{:06}_{what}", number + 1)
        }
        _ => format!("m{now}_{what}"),
    })
}

fn parts(name: &str) -> Result<(&str, u32)> {
    let mut parts = name.strip_prefix('m').unwrap_or_default().splitn(3, '_');
    let digits = |part: Option<&'_ str>, count| {
        part.is_some_and(|part| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (date, number) = (parts.next(), parts.next());
    if !digits(date, 8) || !digits(number, 6) {
        bail!(
            "the name of the last migration, `{name}`, does not have the form `m20261121_101500_create_posts`: rename it"
        );
    }
    let number = number.and_then(|number| number.parse().ok()).context("six digits are a number")?;
    Ok((date.unwrap_or_default(), number))
}

/// The last released migration in the text of [`RELEASED`].
fn last_released(text: &str) -> Result<Option<&str>> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    match (lines.next(), lines.next()) {
        (Some("none"), None) => Ok(None),
        (Some(name), None) => Ok(Some(name)),
        _ => bail!(
            "{RELEASED} must have exactly one line that is not a comment: the name of the last released migration, or `none`"
        ),
    }
}

/// Those of `names` that were released, which are all up to the last released one.
pub(crate) fn released<'a>(text: &str, listed: &[String], names: &[&'a str]) -> Result<Vec<&'a str>> {
    let Some(last) = last_released(text)? else { return Ok(Vec::new()) };
    let Some(at) = listed.iter().position(|name| name == last) else {
        bail!(
            "{RELEASED} names `{last}`, but there is no such migration: write the name of one that is in `migrations!`, or `none`"
        );
    };
    let is_released = |name: &&&str| listed[..=at].iter().any(|released| released == **name);
    Ok(names.iter().filter(is_released).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn days_are_counted() {
        assert_eq!(day(0), "19700101");
        assert_eq!(day(59), "19700301");
        assert_eq!(day(11_016), "20000229");
        assert_eq!(day(11_017), "20000301");
        assert_eq!(day(20_778), "20261121");
        assert_eq!(day(20_818), "20261231");
        assert_eq!(day(20_819), "20270101");
        assert_eq!(moment(0), "19700101_000000");
        assert_eq!(moment(11_016 * 86_400 + 86_399), "20000229_235959");
        assert_eq!(now().unwrap().len(), 15);
    }

    #[test]
    fn the_next_one_comes_last() {
        let next = |names: &[&str]| next(&listed(names), "20261121_101500", "create_posts").unwrap();
        assert_eq!(next(&[]), "m20261121_101500_create_posts");
        assert_eq!(next(&["m20261120_235959_a"]), "m20261121_101500_create_posts");
        assert_eq!(next(&["m20261121_000001_a", "m20261121_000004_b_c"]), "m20261121_101500_create_posts");
        assert_eq!(next(&["m20261121_101500_a"]), "m20261121_101501_create_posts");
        assert_eq!(next(&["m20261201_000009_a"]), "m20261201_000010_create_posts");
    }

    #[test]
    fn a_strange_name_is_told() {
        for name in ["create_posts", "m2026_000001_a", "m20261121_01_a", "x20261121_000001_a"] {
            let error = next(&listed(&[name]), "20261121_101500", "a").unwrap_err().to_string();
            assert!(error.starts_with(&format!("the name of the last migration, `{name}`")), "{error}");
        }
    }

    #[test]
    fn what_was_released_is_known() {
        let all = listed(&["a", "b", "c"]);
        let released = |text: &str| released(text, &all, &["b", "c"]);
        assert!(released("# why\n\nnone\n").unwrap().is_empty());
        assert!(released("a\n").unwrap().is_empty());
        assert_eq!(released("# why\n b \n").unwrap(), ["b"]);
        assert_eq!(released("c").unwrap(), ["b", "c"]);
        assert!(released("d").unwrap_err().to_string().contains("names `d`, but there is no such migration"));
        for text in ["", "# only\n", "a\nb\n"] {
            assert!(released(text).unwrap_err().to_string().contains("must have exactly one line"), "{text}");
        }
    }
}
