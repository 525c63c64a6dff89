//! The engine with a program of the tests' own: what a section gets, what operators are told.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as loudly as the test itself")]

use std::fs;
use std::time::Duration;

use configuration::{
    Environment, Keys, Section, Sources, Table, bytes, defaults, derived, empty, key, list, optional, parsed,
    promised, seconds, secret_url, web_url, whole,
};
use secrecy::SecretString;
use tempfile::TempDir;
use url::Url;

#[derive(Debug)]
struct Lamp {
    environment: Environment,
    bulbs: Bulbs,
}

#[derive(Debug)]
struct Bulbs {
    count: u8,
    glow: Duration,
    colours: Vec<String>,
    socket: String,
    site: Option<Url>,
    supply: SecretString,
    weight: u64,
}

impl Section for Lamp {
    const NAME: &'static str = "";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let form = parsed("an environment", Environment::named);
        let environment =
            keys.read(key("environment", form, Environment::Development, "Purpose of the lamp."))?;
        keys.set_environment(environment);
        Some(Self { environment, bulbs: keys.section::<Bulbs>(7)? })
    }
}

impl Section for Bulbs {
    const NAME: &'static str = "bulbs";
    /// The usual number of bulbs.
    type Given<'a> = u8;

    fn read(keys: &mut Keys<'_>, usual: u8) -> Option<Self> {
        let colour = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase()).then(|| text.to_owned());
        let socket = parsed("a letter and a number", |text| (text.len() > 1).then(|| text.to_owned()));
        let bulbs = Self {
            count: keys.read(key(
                "count",
                whole(1..=9, "bulbs"),
                derived(usual, "one a day"),
                "Number of bulbs.",
            ))?,
            glow: keys.read(key("glow", seconds(1..=60), 30, "Time that they glow."))?,
            colours: keys.read(key("colours", list("colours", colour), "red,blue", "Their colours."))?,
            socket: keys.read(key("socket", socket, "E27", "Their socket.").partial_alias(
                "SOCKET",
                "a number",
                |all, part| part.parse::<u8>().ok().map(|number| format!("{}{number}", &all[..1])),
            ))?,
            site: keys.read(key("site", optional(web_url()), empty("nobody's"), "Their maker's site."))?,
            supply: keys.read(key(
                "supply",
                secret_url("a dc: URL", |url| url.starts_with("dc:")),
                "dc://wall",
                "Where the current comes from.",
            ))?,
            weight: keys.read(key("weight", bytes(1..=1 << 30), 3 << 20, "Their weight in data."))?,
        };
        keys.read(key("dimmer", promised("dimming"), empty("no dimmer"), "How they are dimmed."))?;
        keys.must_outside_development("count", bulbs.count > 1, "be more than 1");
        Some(bulbs)
    }
}

fn table() -> Table {
    Table::of::<Lamp>("lamp", ())
}

struct Setup(TempDir, Vec<(String, String)>);

fn setup(environment: &[(&str, &str)]) -> Setup {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Setup(tempfile::tempdir().unwrap(), environment.iter().map(own).collect())
}

impl Setup {
    fn file(self, text: &str) -> Self {
        fs::write(self.0.path().join("lamp.toml"), text).unwrap();
        self
    }

    fn sources(&self) -> Sources {
        Sources { file: None, environment: self.1.clone(), working_dir: self.0.path().to_owned() }
    }

    fn effective(&self) -> String {
        table().load::<Lamp>(&self.sources(), ()).unwrap().1.to_toml()
    }

    fn refusals(&self) -> Vec<String> {
        table().load::<Lamp>(&self.sources(), ()).unwrap_err().sentences().map(str::to_owned).collect()
    }
}

#[test]
fn what_nobody_sets_has_its_default() {
    let lamp = defaults::<Lamp>(()).unwrap();
    assert_eq!((lamp.environment, lamp.bulbs.count), (Environment::Development, 7));
    assert_eq!((lamp.bulbs.glow, lamp.bulbs.site), (Duration::from_secs(30), None));
    assert_eq!(lamp.bulbs.weight, 3 << 20);
    assert_eq!((lamp.bulbs.colours, lamp.bulbs.socket), (vec!["red".into(), "blue".into()], "E27".into()));
    assert!(!format!("{:?}", lamp.bulbs.supply).contains("wall"));
}

#[test]
fn a_default_has_to_be_what_its_key_accepts() {
    let sentence = defaults::<Bulbs>(0).unwrap_err().to_string();
    assert!(
        sentence.starts_with("`bulbs.count` must be a whole number of bulbs from 1 to 9: "),
        "{sentence}"
    );
}

#[test]
fn variables_have_no_hyphens() {
    let reference = Table::of::<Lamp>("desk-lamp", ()).terminal();
    assert!(reference.contains("(DESK_LAMP_BULBS__COUNT)"), "{reference}");
}

#[test]
fn every_value_is_shown_with_its_source() {
    let setup = setup(&[
        ("LAMP_BULBS__COUNT", " 3\n"),
        ("SOCKET", "14"),
        ("LAMP_BULBS__SUPPLY", "dc://me:canary@wall/?volt=12"),
    ])
    .file("[bulbs]\ncount = 2\ncolours = [\"green\"]");
    assert_eq!(
        setup.effective(),
        r#"environment = "development"  # default

bulbs.count = 3  # environment variable LAMP_BULBS__COUNT
bulbs.glow = 30  # default
bulbs.colours = ["green"]  # lamp.toml
bulbs.socket = "E14"  # environment variable SOCKET
bulbs.site = ""  # default
bulbs.supply = "dc://me:***@wall/?…"  # environment variable LAMP_BULBS__SUPPLY
bulbs.weight = 3145728  # default
bulbs.dimmer = ""  # default
"#
    );
}

#[test]
fn every_fault_is_told_at_once_and_once() {
    let setup = setup(&[
        ("LAMP_ENVIRONMENT", "production"),
        ("LAMP_BULBS__COUNT", "1"),
        ("LAMP_BULBS__COLOUR", "red"),
        ("SOCKET", "wide"),
        ("LAMP_BULBS__SUPPLY", "canary"),
        ("LAMP_BULBS__DIMMER", "slow"),
    ])
    .file("bulb = 1\n[bulbs]\nglow = \"1\\n2\"\nsite = 4");
    assert_eq!(
        setup.refusals(),
        [
            "unknown key `bulb` in lamp.toml: did you mean `bulbs`?",
            "environment variable LAMP_BULBS__COLOUR sets no key that is known: did you mean `LAMP_BULBS__COLOURS`?",
            "`bulbs.socket` needs a number, but environment variable SOCKET says `wide`",
            "`bulbs.glow` must have no line break or other control character in it, but lamp.toml says `1\\n2`",
            "`bulbs.site` must be an http:// or https:// URL without credentials, query and fragment, but lamp.toml says `4`",
            "`bulbs.supply` must be a dc: URL, which the value from environment variable LAMP_BULBS__SUPPLY is not",
            "`bulbs.dimmer` is set by environment variable LAMP_BULBS__DIMMER, but this version does not have dimming: remove it",
            "`bulbs.count` must be more than 1 in production, but environment variable LAMP_BULBS__COUNT says `1`",
        ]
    );
}

#[test]
fn the_reference_says_what_the_section_says() {
    let row = "| `bulbs.count` | `LAMP_BULBS__COUNT` | one a day | Number of bulbs. Accepts a whole number of bulbs from 1 to 9. |";
    let markdown = table().markdown();
    assert!(markdown.starts_with("## Every key\n\n### At the top\n\n| key |"), "{markdown}");
    assert!(markdown.contains(row), "{markdown}");
    assert!(
        markdown.contains("| `3145728` (3 MiB) | Their weight in data. Accepts a whole number of bytes"),
        "{markdown}"
    );
    let terminal = table().terminal();
    assert!(terminal.contains("  bulbs.socket  (LAMP_BULBS__SOCKET, SOCKET)\n"), "{terminal}");
    assert!(terminal.contains("      a list of colours; default red, blue\n"), "{terminal}");
}
