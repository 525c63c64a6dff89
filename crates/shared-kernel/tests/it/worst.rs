//! What the most expensive input costs, for everything that looks at a request before anybody is known. The bounds are generous:
//! they catch what grows with the square of the input, not a slow machine. The figures are in `docs/measurements.md`:
//! `cargo test --release -p shared-kernel --test it worst -- --nocapture`.

use std::time::Duration;

use garde::Validate;
use serde::Deserialize;
use shared_kernel::clock::Stopwatch;
use shared_kernel::contact::{Email, WebUrl};
use shared_kernel::field::TextField as _;
use shared_kernel::json::{self, JsonObject};
use shared_kernel::repository::contains;
use shared_kernel::text::{MultiLine, SingleLine, comparable, folded};

/// The largest body, in bytes.
const BODY: usize = 1_048_576;

/// The longest that a text field takes unless its author says otherwise, in characters.
const LONGEST_FIELD: usize = 10_000;

/// More than any of it takes on a busy machine without optimisation.
const BOUND: Duration = Duration::from_secs(10);

#[expect(clippy::print_stdout, reason = "the figures are what a person runs this for")]
fn measure<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let stopwatch = Stopwatch::start();
    let made = work();
    let took = stopwatch.elapsed();
    println!("{what:<60} {:>9.3} ms", took.as_secs_f64() * 1_000.0);
    assert!(took < BOUND, "{what}: {took:?}");
    made
}

fn full(pattern: &str) -> String {
    pattern.repeat(BODY / pattern.len())
}

#[derive(Deserialize, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[expect(dead_code, reason = "what is read is not looked at")]
struct Body {
    line: Option<SingleLine<1, 10_000>>,
    data: Option<JsonObject>,
    list: Option<Vec<u8>>,
}

#[test]
fn the_worst_text_is_normalised_in_time() {
    // U+FDFA becomes 18 characters; marks have to be put in order; Hangul and Greek are taken apart and put together.
    for (name, pattern) in [
        ("ligatures", "\u{fdfa}"),
        ("marks in the wrong order", "\u{315}\u{300}\u{5ae}\u{1dfa}"),
        ("Hangul", "\u{1100}\u{1161}\u{11a8}"),
        ("Greek", "\u{1fb7}"),
        ("soft hyphens", "\u{ad}"),
    ] {
        let text = full(pattern);
        let _ =
            measure(&format!("SingleLine::parse, 1 MiB of {name}"), || SingleLine::<1, 255>::parse(&text));
        let _ =
            measure(&format!("MultiLine::parse, 1 MiB of {name}"), || MultiLine::<1, 10_000>::parse(&text));
        // Only what has kept its rules is compared and searched: no text field takes more.
        let text: String = pattern.chars().cycle().take(LONGEST_FIELD).collect();
        measure(&format!("comparable, 10,000 characters of {name}"), || comparable(&text));
        measure(&format!("folded, 10,000 characters of {name}"), || folded(&text));
    }
    let marks: String = "a".chars().chain("\u{315}\u{300}".chars().cycle().take(LONGEST_FIELD)).collect();
    measure("folded, one letter with 10,000 marks", || folded(&marks));
}

#[test]
fn the_worst_address_is_judged_in_time() {
    for (name, text) in [
        ("1 MiB", full("\u{fdfa}")),
        ("4,000 bytes of @", "@".repeat(4_000)),
        ("4,000 bytes of dots", format!("a@{}", ".".repeat(3_998))),
        ("many labels beyond ASCII", format!("a@{}de", "\u{fc}\u{4e00}.".repeat(600))),
        ("one label beyond ASCII", format!("a@{}", "\u{4e00}\u{fc}".repeat(700))),
        ("many Punycode labels", format!("a@{}de", "xn--mnchen-3ya.".repeat(250))),
        ("ligatures of 18 characters", format!("{}@a.de", "\u{fdfa}".repeat(1_300))),
    ] {
        let _ = measure(&format!("Email::parse, {name}"), || Email::parse(&text));
        // An identifier at a login, whatever it is.
        let identifier: String = text.chars().take(Email::MAX_LENGTH).collect();
        measure(&format!("Email::comparable, 254 characters of {name}"), || Email::comparable(&identifier));
    }
    for (name, text) in [
        ("1 MiB", full("https://a")),
        ("2,048 labels", format!("https://{}", "a.".repeat(1_020))),
        ("2,048 codes", format!("https://a/{}", "%41".repeat(679))),
        ("Punycode", format!("https://{}a", "xn--mnchen-3ya.".repeat(130))),
    ] {
        let _ = measure(&format!("WebUrl::parse, {name}"), || WebUrl::parse(&text));
    }
}

#[test]
fn the_worst_body_is_read_in_time() {
    for (name, body) in [
        ("nested lists", full("[")),
        ("nested objects", full(r#"{"a":"#)),
        (
            "an object of short names",
            format!("{{{}}}", (0..90_000).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",")),
        ),
        ("equal names", format!("{{{}}}", vec!["\"a\":1"; 170_000].join(","))),
        ("escapes", format!(r#"{{"line":"{}"}}"#, full(r"\u00e9"))),
        ("control characters", format!(r#"{{"data":[{}]}}"#, vec![r#""\u0000""#; 110_000].join(","))),
        ("a list of the wrong type", format!(r#"{{"list":[{}]}}"#, vec!["\"a\""; 260_000].join(","))),
        ("a list that is wrong at its end", format!(r#"{{"list":[{},"a"]}}"#, vec!["1"; 520_000].join(","))),
        (
            "a list that is wrong at twenty places of its end",
            format!(r#"{{"list":[{}{}]}}"#, "1,".repeat(520_000), vec!["\"a\""; 20].join(",")),
        ),
        (
            "unknown fields",
            format!("{{{}}}", (0..80_000).map(|n| format!("\"x{n}\":1")).collect::<Vec<_>>().join(",")),
        ),
        ("long numbers", format!(r#"{{"data":{{"a":{}}}}}"#, "1".repeat(BODY - 20))),
        ("fractions", format!(r#"{{"data":{{"a":0.{}}}}}"#, "3".repeat(BODY - 20))),
        ("ligatures", format!(r#"{{"line":"{}"}}"#, full("\u{fdfa}"))),
        ("names that JSON pointers escape", format!(r#"{{"{}":1}}"#, full("~/"))),
        ("white space", format!("{}{{}}", full(" "))),
    ] {
        let _ = measure(&format!("json::parse, 1 MiB of {name}"), || json::parse::<Body>(body.as_bytes()));
    }
}

#[test]
fn the_worst_search_is_built_in_time() {
    use crate::types::gadget::Column;
    for (name, text) in
        [("ligatures", "\u{fdfa}"), ("ideographs", "\u{4e00}"), ("wildcards", "%"), ("Punycode", "\u{fc}.")]
    {
        let text = text.repeat(100 / text.chars().count());
        measure(&format!("contains, 100 characters of {name}"), || contains([Column::MaybeName; 4], &text));
    }
}
