//! What a configuration must be to be started with.

use figment::Figment;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::error::{Fault, Faults, quoted};
use super::keys::{self, Accepts, KEYS, Key};
use super::origin::{AllowedOrigin, is_local};
use super::secret::{self, Strength};
use super::settings::{Auth, Config, Environment};
use super::{show, sources};

type Checked = Result<(), Fault>;

/// Names that the contract promises and that switch nothing on yet: setting one is no mistake, but it must not pass.
pub(super) fn later(figment: &Figment, faults: &mut Faults) {
    for key in KEYS {
        let Accepts::Later(feature) = key.accepts else { continue };
        if !show::is_empty(figment, key.name) {
            let origin = show::origin(figment, key.name);
            faults.add(Fault::of(
                key.name,
                format!(
                    "`{}` is set by {origin}, but this version does not have {feature}: remove it",
                    key.name
                ),
            ));
        }
    }
}

/// Numbers against their bounds, all values against their types.
pub(super) fn typed(figment: &Figment) -> Result<Config, Fault> {
    for key in KEYS {
        if show::has_control(figment, key.name) {
            return Err(wrong(figment, key.name, "have no line break or other control character in it"));
        }
        let Accepts::Whole(least, most, _) = key.accepts else { continue };
        let number: Option<u64> = figment.extract_inner_lossy(key.name).ok();
        if !number.is_some_and(|number| (least..=most).contains(&number)) {
            return Err(wrong(figment, key.name, &format!("be {}", key.expected())));
        }
    }
    figment.extract_lossy().map_err(|error| wrong_type(figment, &error))
}

/// What one value says about another, and what production and staging refuse.
pub(super) fn rules(figment: &Figment, config: &Config, faults: &mut Faults) {
    let refuse = |name: &str, must: &str| wrong(figment, name, must);
    for name in wrong_texts(config) {
        faults.add(wrong_form(figment, name));
    }
    for outcome in [database(figment, config), storage(config), secret_key(figment, config)] {
        faults.note(outcome);
    }
    // Cookies, links, redirects and the paths of the contract are all written from the root.
    if config.server.public_url.path() != "/" {
        faults.add(refuse("server.public_url", "have no path: the API needs a host (or a port) to itself"));
    }
    if config.storage.endpoint.is_none() && config.storage.embedded_unfinished_bytes < config.uploads.max_size
    {
        let must = format!("be {} at least, which is `uploads.max_size`", config.uploads.max_size);
        faults.add(refuse("storage.embedded_unfinished_bytes", &must));
    }
    if config.auth.require_verified_email {
        faults.add(refuse("auth.require_verified_email", "be false: this version does not have it"));
    }
    if config.environment != Environment::Development {
        production(figment, config, faults);
    }
}

fn wrong_texts(config: &Config) -> impl Iterator<Item = &'static str> {
    let rules = [
        ("project_name", config.project_name.chars().count() <= 100),
        ("log_level", is_log_filter(&config.log_level)),
        ("storage.bucket", is_bucket(&config.storage.bucket)),
        ("mail.from", is_mailbox(&config.mail.from)),
    ];
    rules.into_iter().filter(|(_, fine)| !fine).map(|(name, _)| name)
}

/// `EnvFilter` takes any word for a target and then logs everything of it: `verbose` would log nothing at all.
pub(super) fn is_log_filter(text: &str) -> bool {
    let is_directive = |part: &str| {
        part.contains(['=', '['])
            || ["error", "warn", "info", "debug", "trace", "off"].contains(&part.to_lowercase().as_str())
    };
    text.split(',').all(|part| is_directive(part.trim())) && EnvFilter::try_new(text).is_ok()
}

fn is_bucket(name: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
        && is_end(name.chars().next())
        && is_end(name.chars().last())
        && !name.contains("..")
}

fn is_mailbox(text: &str) -> bool {
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_part = |part: &str| !part.is_empty() && !part.contains([' ', '<', '>', '@', ',', ';']);
    address.rsplit_once('@').is_some_and(|(local, domain)| is_part(local) && is_part(domain))
}

fn database(figment: &Figment, config: &Config) -> Checked {
    let url = config.database.url.expose_secret();
    let is_sqlite = config.database.is_sqlite();
    if is_sqlite && (url.contains(":memory:") || url.contains("mode=memory")) {
        return Err(wrong(figment, "database.url", "name a file: SQLite in memory is not supported"));
    }
    let names_nothing = url.split_once(':').is_none_or(|(_, rest)| rest.trim_start_matches('/').is_empty());
    if names_nothing || !(is_sqlite || is_postgres(&config.database.url)) {
        return Err(wrong_form(figment, "database.url"));
    }
    if is_sqlite && !config.database.replica_urls.is_empty() {
        return Err(wrong(figment, "database.replica_urls", "be empty with SQLite, which has no replicas"));
    }
    if !config.database.replica_urls.iter().all(is_postgres) {
        return Err(wrong_form(figment, "database.replica_urls"));
    }
    Ok(())
}

fn is_postgres(url: &SecretString) -> bool {
    Url::parse(url.expose_secret()).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
}

fn storage(config: &Config) -> Checked {
    let storage = &config.storage;
    let is_set = |secret: &SecretString| !secret.expose_secret().is_empty();
    let keys = [
        ("storage.access_key", is_set(&storage.access_key)),
        ("storage.secret_key", is_set(&storage.secret_key)),
    ];
    let needed = storage.endpoint.is_some() || keys.iter().any(|(_, set)| *set);
    match keys.into_iter().find(|(_, set)| needed && !set) {
        Some((name, _)) if storage.endpoint.is_some() => Err(missing(name, "`storage.endpoint` is set")),
        Some((name, _)) => Err(missing(name, "the other key of the store is set")),
        None => Ok(()),
    }
}

fn secret_key(figment: &Figment, config: &Config) -> Checked {
    let development = config.environment == Environment::Development;
    if config.secret_key.expose_secret().is_empty() {
        // In development one is made, when it is needed.
        return if development {
            Ok(())
        } else {
            Err(missing("secret_key", &format!("the environment is {}", config.environment)))
        };
    }
    let strength = if development { Strength::Long } else { Strength::Random };
    secret_is(figment, "secret_key", &config.secret_key, strength, secret::LENGTH)
}

fn secret_is(
    figment: &Figment,
    name: &str,
    value: &SecretString,
    strength: Strength,
    length: usize,
) -> Checked {
    match secret::weakness(value.expose_secret(), strength, length) {
        None => Ok(()),
        Some(weakness) => Err(about(
            name,
            format!(
                "`{name}` from {} {weakness}: set {} to a random value, which `openssl rand -base64 32` makes",
                show::origin(figment, name),
                keys::find(name).map(Key::variable).unwrap_or_default()
            ),
        )),
    }
}

fn production(figment: &Figment, config: &Config, faults: &mut Faults) {
    let environment = config.environment;
    let refuse = |name: &str, must: &str| wrong(figment, name, &format!("{must} in {environment}"));
    let is_default = |name: &str| show::origin(figment, name) == sources::DEFAULT;
    let is_refused = |origin: &AllowedOrigin| match environment {
        Environment::Staging => origin.any_port() && !origin.is_local(),
        Environment::Development | Environment::Production => origin.any_port() || origin.is_local(),
    };
    for (name, url) in
        [("server.public_url", &config.server.public_url), ("auth.link_base", &config.auth.link_base)]
    {
        // Where it is not set, it is the public URL.
        let follows = name == "auth.link_base" && is_default(name);
        if !follows && (url.scheme() != "https" || is_local(url)) {
            faults.add(refuse(name, "be an https:// URL of a public host"));
        }
    }
    if config.cors.origins.iter().any(is_refused) {
        faults.add(wrong(figment, "cors.origins", exact_origins(environment)));
    }
    if trusts_strangers(&config.server.trusted_proxies) {
        faults.add(refuse("server.trusted_proxies", "trust no more than a 64th of all addresses"));
    }
    if !config.limits.enabled {
        faults.add(refuse("limits.enabled", "be true"));
    }
    let memory = least_memory(&config.auth);
    if config.auth.argon2_memory_kib < memory {
        let iterations = config.auth.argon2_iterations;
        let must = format!("be {memory} at least for {iterations} iterations");
        faults.add(refuse("auth.argon2_memory_kib", &must));
    }
    // Access keys are names and may be short; neither may be the one of everybody's first try.
    for (name, key, length) in [
        ("storage.access_key", &config.storage.access_key, 0),
        ("storage.secret_key", &config.storage.secret_key, 16),
    ] {
        if !key.expose_secret().is_empty() {
            faults.note(secret_is(figment, name, key, Strength::Random, length));
        }
    }
}

fn exact_origins(environment: Environment) -> &'static str {
    match environment {
        Environment::Staging => "name exact origins in staging; only local ones may have `*`",
        Environment::Development | Environment::Production => {
            "name exact origins in production, none of them local and none with `*`"
        }
    }
}

/// Whether `networks` cover together more than a 64th of the addresses of IPv4 or of IPv6. What is private has less (10.0.0.0/8
/// is a 256th, `fc00::/7` a 128th), and so have the published ranges of any provider of proxies.
fn trusts_strangers(networks: &[IpNet]) -> bool {
    const LEAST_PREFIX: u8 = 6;
    // In units of the smallest part that an address family is cut into here; what overlaps is counted once.
    let share = |network: &IpNet| 1_u64 << 32_u8.saturating_sub(network.prefix_len());
    let too_much = |is_of_family: fn(&IpNet) -> bool| {
        let merged = IpNet::aggregate(&networks.to_vec());
        merged.iter().filter(|network| is_of_family(network)).map(share).sum::<u64>()
            > 1 << (32 - LEAST_PREFIX)
    };
    too_much(|network| network.addr().is_ipv4()) || too_much(|network| network.addr().is_ipv6())
}

/// The OWASP password storage cheat sheet's equivalent settings of Argon2id.
fn least_memory(auth: &Auth) -> u32 {
    match auth.argon2_iterations {
        0 | 1 => 47_104,
        2 => 19_456,
        3 => 12_288,
        4 => 9_216,
        _ => 7_168,
    }
}

fn missing(name: &str, because: &str) -> Fault {
    let names = keys::find(name).map_or_else(String::new, |key| match key.plain {
        Some(plain) => format!("{} or {plain}", key.variable()),
        None => key.variable(),
    });
    let random =
        if name == "secret_key" { " to a random value, which `openssl rand -base64 32` makes" } else { "" };
    about(name, format!("`{name}` is missing, but {because}: set {names}{random}"))
}

/// The sentence for a value that figment or serde could not read.
pub(super) fn wrong_type(figment: &Figment, error: &figment::Error) -> Fault {
    let path = error.path.join(".");
    match KEYS
        .iter()
        .find(|key| path == key.name || path.strip_prefix(key.name).is_some_and(|rest| rest.starts_with('.')))
    {
        Some(key) => wrong_form(figment, key.name),
        None => {
            Fault::new(format!("the configuration cannot be read at `{path}`: see `ashlar config --help`"))
        }
    }
}

fn wrong_form(figment: &Figment, name: &str) -> Fault {
    wrong(figment, name, &format!("be {}", keys::find(name).map(Key::expected).unwrap_or_default()))
}

fn wrong(figment: &Figment, name: &str, must: &str) -> Fault {
    let Some(key) = keys::find(name) else { return Fault::new(format!("`{name}` must {must}")) };
    let origin = show::origin(figment, name);
    let sentence = if origin == sources::DEFAULT {
        format!(
            "`{name}` must {must}: set {} (the default is {})",
            key.variable(),
            quoted(&show::plain(figment, key))
        )
    } else if key.is_secret() {
        format!("`{name}` must {must}, which the value from {origin} is not")
    } else {
        format!("`{name}` must {must}, but {origin} says {}", quoted(&show::plain(figment, key)))
    };
    Fault::of(key.name, sentence)
}

/// A fault of the key of this name.
fn about(name: &str, sentence: String) -> Fault {
    match keys::find(name) {
        Some(key) => Fault::of(key.name, sentence),
        None => Fault::new(sentence),
    }
}
