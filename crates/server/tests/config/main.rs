//! Configuration as operators meet it: which source wins, what is refused and how, and that no secret gets out.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails as loudly as the test itself"
)]

mod uploads; // domain: upload

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use app_config::{AllowedOrigin, Config, Loaded};
use auth::settings::AuthSettings;
use configuration::{Environment, Sources};
use server::PRODUCT;
use shared_kernel::secrecy::ExposeSecret as _;
use tempfile::TempDir;

const STRONG: &str = "Zq3vXw8rT1nLk5sYb7cHd2fGj9mPa4eU";

fn auth(config: &Config) -> &AuthSettings {
    config.section().unwrap()
}

/// A working directory of its own with the files that a test wants.
struct Setup {
    folder: TempDir,
    environment: Vec<(String, String)>,
    file: Option<&'static str>,
}

fn setup() -> Setup {
    Setup { folder: tempfile::tempdir().unwrap(), environment: Vec::new(), file: None }
}

/// What production needs, and nothing else.
fn production() -> Setup {
    setup()
        .var("ENVIRONMENT", "production")
        .var("SECRET_KEY", STRONG)
        .var("ASHLAR_SERVER__PUBLIC_URL", "https://api.example.com")
}

impl Setup {
    fn var(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn write(self, name: &str, text: &str) -> Self {
        fs::write(self.path().join(name), text).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn sources(&self) -> Sources {
        Sources {
            file: self.file.map(Into::into),
            environment: self.environment.clone(),
            working_dir: self.path().to_owned(),
        }
    }

    #[track_caller]
    fn loaded(&self) -> Loaded {
        PRODUCT.config_schema().load(&self.sources()).unwrap()
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.loaded().resolve().unwrap()
    }

    /// The sentences of the refusal, which have to be a line each.
    #[track_caller]
    fn refusals(&self) -> Vec<String> {
        let error =
            PRODUCT.config_schema().load(&self.sources()).expect_err("this configuration should be refused");
        let sentences: Vec<_> = error.sentences().map(str::to_owned).collect();
        assert!(sentences.iter().all(|sentence| sentence.lines().count() == 1), "{sentences:?}");
        sentences
    }

    /// The one sentence of the refusal.
    #[track_caller]
    fn refusal(&self) -> String {
        let sentences = self.refusals();
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        sentences.into_iter().next().unwrap()
    }

    #[track_caller]
    fn line(&self, key: &str) -> String {
        let effective = self.loaded().effective();
        let line = effective.lines().find(|line| line.starts_with(&format!("{key} = ")));
        line.unwrap_or_else(|| panic!("{key} is not in\n{effective}")).to_owned()
    }
}

#[test]
fn nothing_has_to_be_configured_in_development() {
    let setup = setup();
    let config = setup.config();
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.project_name, "Ashlar");
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(config.server.public_url.as_str(), "http://localhost:8000/");
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(20));
    assert_eq!(config.server.drain_delay, Duration::ZERO);
    assert!(config.server.workers >= 1 && auth(&config).passwords.threads >= 1);
    assert_eq!(auth(&config).issuer, "http://localhost:8000");
    assert_eq!(auth(&config).link_base.as_str(), "http://localhost:8000/");
    assert_eq!(config.mail.from, "Ashlar <no-reply@localhost>");
    assert_eq!(config.data_dir, setup.path().join("data"));
    let database = format!("sqlite://{}/data/ashlar.sqlite", setup.path().display());
    assert_eq!(config.database.url.expose_secret(), database);
    assert!(config.database.auto_migrate && config.limits.enabled);
    for page in [
        "http://localhost:5173",
        "https://localhost:5173",
        "https://localhost",
        "http://127.0.0.1:3000",
        "http://[::1]:8080",
    ] {
        assert!(config.cors.origins.iter().any(|origin| origin.allows(page)), "{page}");
    }
    assert!(config.cors.origins.iter().all(AllowedOrigin::is_local) && config.cors.headers.is_empty());
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let setup = setup();
    assert_eq!(setup.line("database.pool_size"), "database.pool_size = 10  # default");
    let setup = setup.write("ashlar.toml", "[database]\npool_size = 11\nidle_timeout = 60");
    assert_eq!(setup.line("database.pool_size"), "database.pool_size = 11  # ashlar.toml");
    let setup = setup.write(".env", "ASHLAR_DATABASE__POOL_SIZE=12");
    assert_eq!(
        setup.line("database.pool_size"),
        "database.pool_size = 12  # ASHLAR_DATABASE__POOL_SIZE in .env"
    );
    let setup = setup.var("ASHLAR_DATABASE__POOL_SIZE", "13");
    assert_eq!(
        setup.line("database.pool_size"),
        "database.pool_size = 13  # environment variable ASHLAR_DATABASE__POOL_SIZE"
    );
    assert_eq!(setup.config().database.pool_size, 13);
    assert_eq!(
        setup.config().database.idle_timeout,
        Duration::from_mins(1),
        "a section is merged, not replaced"
    );
}

#[test]
fn a_named_file_takes_the_place_of_the_usual_one_and_has_to_be_there() {
    let mut setup = setup()
        .write("ashlar.toml", "project_name = \"usual\"")
        .write("other.toml", "project_name = \"other\"");
    assert_eq!(setup.config().project_name, "usual");
    setup.file = Some("other.toml");
    assert_eq!(setup.config().project_name, "other");
    setup.file = Some("missing.toml");
    assert!(setup.refusal().starts_with("`missing.toml` cannot be read: "), "{}", setup.refusal());
}

#[test]
fn plain_names_work_and_give_way_to_the_prefixed_ones() {
    let setup = setup()
        .var("DATABASE_URL", "postgres://db/plain")
        .var("SECRET_KEY", STRONG)
        .var("LOG_LEVEL", "debug")
        .var("PROJECT_NAME", "Plain")
        .var("PORT", "8080")
        .var("REDIS_URL", "")
        .var("UNRELATED", "ignored");
    let config = setup.config();
    assert_eq!(config.database.url.expose_secret(), "postgres://db/plain");
    assert_eq!(config.secret_key.expose_secret(), STRONG);
    assert_eq!((config.log_level.as_str(), config.project_name.as_str()), ("debug", "Plain"));
    assert_eq!(config.server.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url.as_str(), "http://localhost:8080/");
    let setup =
        setup.var("ASHLAR_DATABASE__URL", "postgres://db/ours").var("ASHLAR_SERVER__BIND", "0.0.0.0:9090");
    assert_eq!(setup.config().database.url.expose_secret(), "postgres://db/ours");
    assert_eq!(setup.config().server.bind.to_string(), "0.0.0.0:9090");
}

#[test]
fn plain_names_come_from_dotenv_too_and_the_environment_wins() {
    let setup = setup().write(".env", "export PROJECT_NAME='From $HOME'\nPORT=8081 # a comment\n");
    assert_eq!(setup.config().project_name, "From $HOME");
    assert_eq!(setup.line("server.bind"), "server.bind = \"127.0.0.1:8081\"  # PORT in .env");
    assert_eq!(setup.var("PORT", "8082").config().server.bind.port(), 8082);
}

#[test]
fn port_changes_the_port_and_keeps_the_address() {
    let setup = setup().write("ashlar.toml", "[server]\nbind = \"[::]:8000\"").var("PORT", "80");
    assert_eq!(setup.config().server.bind.to_string(), "[::]:80");
    assert_eq!(setup.line("server.bind"), "server.bind = \"[::]:80\"  # environment variable PORT");
}

#[test]
fn a_free_port_is_filled_in_once_it_is_known() {
    let config = setup().var("PORT", "0").config().bound_to(40_123);
    assert_eq!(config.server.public_url.as_str(), "http://localhost:40123/");
    let mut auth = auth(&config).clone();
    auth.follow(&config.configured_url, &config.server.public_url);
    assert_eq!(
        (auth.link_base.as_str(), &*auth.issuer),
        ("http://localhost:40123/", "http://localhost:40123")
    );
    let config =
        setup().var("PORT", "0").var("ASHLAR_SERVER__PUBLIC_URL", "https://api.example.com").config();
    assert_eq!(config.bound_to(40_123).server.public_url.as_str(), "https://api.example.com/");
}

#[test]
fn text_of_digits_stays_text_and_numbers_are_read_from_text() {
    let digits = "00049173628401957362840571936284";
    let setup = setup()
        .var("SECRET_KEY", digits)
        .var("PROJECT_NAME", "007")
        .var("ASHLAR_DATABASE__AUTO_MIGRATE", "false")
        .var("ASHLAR_SERVER__WORKERS", "3");
    let config = setup.config();
    assert_eq!(config.secret_key.expose_secret(), digits);
    assert_eq!(config.project_name, "007");
    assert!(!config.database.auto_migrate);
    assert_eq!(config.server.workers, 3);
}

#[test]
fn lists_are_written_with_commas_or_as_toml() {
    let setup = setup().write(
        "ashlar.toml",
        "[cors]\norigins = [\"https://a.example\", \"https://b.example\"]\n[database]\nauto_migrate = false",
    );
    assert_eq!(setup.config().cors.origins.len(), 2);
    assert!(!setup.config().database.auto_migrate);
    assert_eq!(
        setup.line("cors.origins"),
        "cors.origins = [\"https://a.example\", \"https://b.example\"]  # ashlar.toml"
    );
    let setup = setup
        .var("ASHLAR_CORS__ORIGINS", " https://c.example ,")
        .var("ASHLAR_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32");
    assert_eq!(
        setup.config().cors.origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["https://c.example"]
    );
    let networks: Vec<_> = setup.config().server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
    let setup = setup.var("ASHLAR_CORS__ORIGINS", "");
    assert!(setup.config().cors.origins.is_empty());
}

#[test]
fn unknown_names_are_refused_wherever_they_stand() {
    for (setup, sentence) in [
        (
            setup().write("ashlar.toml", "[server]\nbnd = \"x\""),
            "unknown key `server.bnd` in ashlar.toml: did you mean `server.bind`?",
        ),
        (
            setup().write("ashlar.toml", "[servr]\nbind = 1"),
            "unknown key `servr` in ashlar.toml: did you mean `server`?",
        ),
        (
            setup().write("ashlar.toml", "qqqqqqqqqq = 1"),
            "unknown key `qqqqqqqqqq` in ashlar.toml: remove it, or find its name in `ashlar config --help`",
        ),
        (
            setup().write("ashlar.toml", "server = 1"),
            "`server` in ashlar.toml is a section: write [server] and its keys below",
        ),
        (
            setup().write("ashlar.toml", "\"server.bind\" = 1"),
            "unknown key `\"server.bind\"` in ashlar.toml: did you mean `server.bind`?",
        ),
        (
            setup().var("ASHLAR_SERVR__BIND", "canary"),
            "environment variable ASHLAR_SERVR__BIND sets no key that is known: did you mean `ASHLAR_SERVER__BIND`?",
        ),
        (
            setup().var("ASHLAR_DATABASE_URL", "canary"),
            "environment variable ASHLAR_DATABASE_URL sets no key that is known: did you mean `ASHLAR_DATABASE__URL`?",
        ),
        (
            setup().var("ashlar_secret_key", "canary"),
            "environment variable ashlar_secret_key sets no key that is known: did you mean `ASHLAR_SECRET_KEY`?",
        ),
        (
            setup().write(".env", "ASHLAR_SECRETKEY=canary"),
            "ASHLAR_SECRETKEY in .env sets no key that is known: did you mean `ASHLAR_SECRET_KEY`?",
        ),
    ] {
        assert_eq!(setup.refusal(), sentence);
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_not_ours() {
    let setup = setup()
        .var("ASHLAR_SERVICE_HOST", "10.0.0.7")
        .var("ASHLAR_SERVICE_PORT", "80")
        .var("ASHLAR_SERVICE_PORT_HTTP", "80")
        .var("ASHLAR_PORT", "tcp://10.0.0.7:80")
        .var("ASHLAR_PORT_80_TCP", "tcp://10.0.0.7:80")
        .var("ASHLAR_PORT_80_TCP_ADDR", "10.0.0.7");
    setup.loaded();
    assert!(setup.var("ASHLAR_PORT", "80").refusal().contains("sets no key that is known"));
}

#[test]
fn impossible_values_are_refused_with_their_key_source_and_form() {
    for (name, value, sentence) in [
        (
            "ASHLAR_DATABASE__POOL_SIZE",
            "0",
            "`database.pool_size` must be a whole number of connections from 1 to 1000, but \
             environment variable ASHLAR_DATABASE__POOL_SIZE says `0`",
        ),
        (
            "ASHLAR_SERVER__KEEP_ALIVE",
            "1.5",
            "`server.keep_alive` must be a whole number of seconds from 1 to 3600, but \
             environment variable ASHLAR_SERVER__KEEP_ALIVE says `1.5`",
        ),
        (
            "PORT",
            "80000",
            "`server.bind` needs a port from 0 to 65535, but environment variable PORT says `80000`",
        ),
        (
            "ENVIRONMENT",
            "prod",
            "`environment` must be `development`, `staging` or `production`, but \
             environment variable ENVIRONMENT says `prod`",
        ),
        (
            "ASHLAR_SERVER__BIND",
            "localhost",
            "`server.bind` must be an address and a port, such as 127.0.0.1:8000, but \
             environment variable ASHLAR_SERVER__BIND says `localhost`",
        ),
        (
            "ASHLAR_SERVER__PUBLIC_URL",
            "localhost:8000",
            "`server.public_url` must be an http:// or https:// URL without credentials, query and fragment, but \
             environment variable ASHLAR_SERVER__PUBLIC_URL says `localhost:8000`",
        ),
        (
            "ASHLAR_SERVER__PUBLIC_URL",
            "http://localhost:8661/backend",
            "`server.public_url` must have no path: the API needs a host (or a port) to itself, but \
             environment variable ASHLAR_SERVER__PUBLIC_URL says `http://localhost:8661/backend`",
        ),
        (
            "ASHLAR_CORS__HEADERS",
            "x-ok,*",
            "`cors.headers` must be a list of names of request headers, such as sentry-trace (never `*`), but \
             environment variable ASHLAR_CORS__HEADERS says `x-ok,*`",
        ),
        (
            "ASHLAR_LIMITS__URL_BYTES",
            "12000",
            "`limits.url_bytes` must be a whole number of bytes from 16384 to 65534, but \
             environment variable ASHLAR_LIMITS__URL_BYTES says `12000`",
        ),
        (
            "ASHLAR_DATABASE__AUTO_MIGRATE",
            "maybe",
            "`database.auto_migrate` must be true or false, but \
             environment variable ASHLAR_DATABASE__AUTO_MIGRATE says `maybe`",
        ),
        (
            "ASHLAR_CORS__ORIGINS",
            "*",
            "`cors.origins` must be a list of origins such as https://app.example.com or, for every port, \
             http://localhost:* (never `*` alone), but environment variable ASHLAR_CORS__ORIGINS says `*`",
        ),
        (
            "DATABASE_URL",
            "mysql://app:canary@db/ashlar",
            "`database.url` must be sqlite: and a path, or a postgres:// URL, which the value from \
             environment variable DATABASE_URL is not",
        ),
        (
            "DATABASE_URL",
            "sqlite::memory:",
            "`database.url` must name a file: SQLite in memory is not supported, which the value from \
             environment variable DATABASE_URL is not",
        ),
        (
            "SECRET_KEY",
            "canary",
            "`secret_key` from environment variable SECRET_KEY has only 6 of at least 32 characters: set \
             ASHLAR_SECRET_KEY to a random value, which `openssl rand -base64 32` makes",
        ),
        (
            "ASHLAR_AUTH__REQUIRE_VERIFIED_EMAIL",
            "true",
            "`auth.require_verified_email` must be false: this version does not have it, but \
             environment variable ASHLAR_AUTH__REQUIRE_VERIFIED_EMAIL says `true`",
        ),
        (
            "REDIS_URL",
            "redis://cache",
            "`redis.url` is set by environment variable REDIS_URL, but this version does not have Redis: remove it",
        ),
    ] {
        assert_eq!(setup().var(name, value).refusal(), sentence);
    }
}

#[test]
fn more_impossible_values_are_refused() {
    for (name, value) in [
        ("ASHLAR_PROJECT_NAME", " "),
        ("ASHLAR_DATA_DIR", ""),
        ("LOG_LEVEL", "verbose"),
        ("LOG_LEVEL", ""),
        ("ASHLAR_SERVER__TRUSTED_PROXIES", "10.0.0.0/33"),
        ("ASHLAR_MAIL__FROM", "nobody"),
        ("ASHLAR_MAIL__SMTP_URL", "smtp://mail"),
        ("ASHLAR_METRICS__BIND", "127.0.0.1:9100"),
        ("ASHLAR_KAFKA__BROKERS", "kafka:9092"),
        ("ASHLAR_DATABASE__REPLICA_URLS", "postgres://replica/db"),
        ("ASHLAR_AUTH__AUDIENCE", ""),
    ] {
        let sentence = setup().var(name, value).refusal();
        assert!(sentence.contains(name), "{name}={value}: {sentence}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let setup = setup()
        .write("ashlar.toml", "log_level = \"verbose\"\nbnd = 1\n[server]\nkeep_alive = 0\nworkrs = 2")
        .write(".env", "ASHLAR_SECRETKEY=canary")
        .var("PORT", "80000")
        .var("REDIS_URL", "redis://cache")
        .var("ASHLAR_SERVER__PUBLIC_URL", "localhost")
        .var("ASHLAR_AUTH__SESSION_DAYS", "many")
        .var("ASHLAR_AUTH__AUDIENCE", "")
        .var("DATABASE_URL", "mysql://app:canary@db/ashlar");
    let sentences = setup.refusals();
    let text = sentences.join("\n");
    for fault in [
        "unknown key `server.workrs`",
        "unknown key `bnd`",
        "ASHLAR_SECRETKEY in .env",
        "`server.bind` needs a port",
        "`redis.url` is set",
        "`server.public_url` must be",
        "`server.keep_alive` must be",
        "`auth.session_days` must be",
        "`log_level` must be",
        "`auth.audience` must be",
        "`database.url` must be",
    ] {
        assert_eq!(text.matches(fault).count(), 1, "{fault}: {text}");
    }
    assert_eq!(sentences.len(), 11, "{text}");
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn white_space_round_a_value_does_not_count() {
    let setup = setup()
        .write("ashlar.toml", "project_name = \" A \"\n[cors]\norigins = [\" https://a.test\\n\"]")
        .write(".env", "ASHLAR_DATABASE__POOL_SIZE=' 7 '")
        .var("DATABASE_URL", "sqlite:///tmp/x.db\n")
        .var("SECRET_KEY", &format!("\t{STRONG}\r\n"));
    let config = setup.config();
    assert_eq!(config.database.url.expose_secret(), "sqlite:///tmp/x.db");
    assert_eq!(config.database.pool_size, 7);
    assert_eq!(config.secret_key.expose_secret(), STRONG);
    assert_eq!(config.project_name, "A");
    assert!(config.cors.origins[0].allows("https://a.test"));
}

#[test]
fn a_line_break_inside_a_value_is_refused() {
    for (name, value) in [
        ("DATABASE_URL", "sqlite:///tmp/x\n.db"),
        ("ASHLAR_SERVER__PUBLIC_URL", "http://a\t.test"),
        ("ASHLAR_CORS__ORIGINS", "https://a.test,https://b\n.test"),
    ] {
        let sentence = setup().var(name, value).refusal();
        assert!(sentence.contains("have no line break or other control character in it"), "{sentence}");
    }
}

#[test]
fn files_that_cannot_be_read_are_refused_without_their_contents() {
    let sentence = setup().write("ashlar.toml", "project_name = \"A\"\nsecret_key = \"canary").refusal();
    assert!(sentence.starts_with("`ashlar.toml` is not TOML at line 2: "), "{sentence}");
    assert!(!sentence.contains("canary"), "{sentence}");
    let sentence = setup().write(".env", "PORT=1\nSECRET_KEY=canary canary\n").refusal();
    assert!(sentence.starts_with("`.env` cannot be read at line 2: "), "{sentence}");
    assert!(!sentence.contains("canary"), "{sentence}");
    let sentence = setup().write("ashlar.toml", "secret_key = 12345678").refusal();
    assert!(sentence.contains("`secret_key`") && !sentence.contains("12345678"), "{sentence}");
}

#[test]
fn the_sender_has_the_projects_name_whatever_it_is() {
    let sender = |name| setup().var("PROJECT_NAME", name).config().mail.from;
    assert_eq!(sender("Café 24-7"), "Café 24-7 <no-reply@localhost>");
    assert_eq!(sender("A, \"B\" <c>"), r#""A, \"B\" <c>" <no-reply@localhost>"#);
}

#[test]
fn production_starts_with_a_secret_and_a_public_url() {
    let config = production().config();
    assert_eq!(config.environment, Environment::Production);
    assert!(config.cors.origins.is_empty() && !config.database.auto_migrate);
    assert_eq!(auth(&config).issuer, "https://api.example.com");
    assert_eq!(config.mail.from, "Ashlar <no-reply@api.example.com>");
}

/// Apps have an origin that is no page's, on every machine.
#[test]
fn production_takes_the_origins_of_apps_and_the_headers_of_pages() {
    let setup = production()
        .var("ASHLAR_CORS__ORIGINS", "https://app.example.com, capacitor://localhost, tauri://localhost")
        .var("ASHLAR_CORS__HEADERS", "Sentry-Trace, baggage");
    let config = setup.config();
    for origin in ["https://app.example.com", "capacitor://localhost", "tauri://localhost"] {
        assert!(config.cors.origins.iter().any(|allowed| allowed.allows(origin)), "{origin}");
    }
    assert!(!config.cors.origins.iter().any(|allowed| allowed.allows("http://localhost")));
    assert_eq!(config.cors.headers, ["sentry-trace", "baggage"]);
}

#[test]
fn staging_is_production_with_pages_of_developers_machines() {
    let staging = || production().var("ENVIRONMENT", "staging");
    let config = staging().config();
    assert_eq!(config.environment, Environment::Staging);
    assert!(config.cors.origins.is_empty() && !config.database.auto_migrate);
    let local = "https://app.example.com,http://localhost:*,http://127.0.0.1:3000";
    assert_eq!(staging().var("ASHLAR_CORS__ORIGINS", local).config().cors.origins.len(), 3);
    for (name, value, beginning) in [
        ("SECRET_KEY", "", "`secret_key` is missing, but the environment is staging: set"),
        (
            "ASHLAR_CORS__ORIGINS",
            "https://app.example.com:*",
            "`cors.origins` must name exact origins in staging; only local ones may have `*`",
        ),
        (
            "ASHLAR_SERVER__PUBLIC_URL",
            "http://api.example.com",
            "`server.public_url` must be an https:// URL of a public host in staging, but",
        ),
        ("ASHLAR_LIMITS__ENABLED", "false", "`limits.enabled` must be true in staging"),
    ] {
        let sentence = staging().var(name, value).refusal();
        assert!(sentence.starts_with(beginning), "{name}={value}: {sentence}");
    }
}

#[test]
fn production_refuses_what_is_unsafe_there() {
    let secret = "`secret_key` from environment variable SECRET_KEY";
    for (name, value, beginning) in [
        (
            "SECRET_KEY",
            "",
            "`secret_key` is missing, but the environment is production: set ASHLAR_SECRET_KEY or SECRET_KEY to a random",
        ),
        (
            "SECRET_KEY",
            "changeme-changeme-changeme-changeme",
            &format!("{secret} looks like a placeholder: set ASHLAR_SECRET_KEY"),
        ),
        ("SECRET_KEY", &"x".repeat(40), &format!("{secret} is a pattern that can be guessed: set")),
        (
            "ASHLAR_SERVER__PUBLIC_URL",
            "http://api.example.com",
            "`server.public_url` must be an https:// URL of a public host in production, but",
        ),
        ("ASHLAR_SERVER__PUBLIC_URL", "https://localhost", "`server.public_url` must be an https:// URL"),
        ("ASHLAR_AUTH__LINK_BASE", "http://app.example.com", "`auth.link_base` must be an https:// URL"),
        (
            "ASHLAR_CORS__ORIGINS",
            "https://app.example.com,http://localhost:3000",
            "`cors.origins` must name exact origins in production",
        ),
        (
            "ASHLAR_CORS__ORIGINS",
            "https://app.example.com:*",
            "`cors.origins` must name exact origins in production",
        ),
        (
            "ASHLAR_SERVER__TRUSTED_PROXIES",
            "0.0.0.0/0",
            "`server.trusted_proxies` must trust no more than a 64th of all addresses in production",
        ),
        ("ASHLAR_LIMITS__ENABLED", "false", "`limits.enabled` must be true in production"),
        (
            "ASHLAR_AUTH__ARGON2_MEMORY_KIB",
            "1024",
            "`auth.argon2_memory_kib` must be 19456 at least for 2 iterations in production",
        ),
    ] {
        let sentence = production().var(name, value).refusal();
        assert!(sentence.starts_with(beginning), "{name}={value}: {sentence}");
    }
    // It is the sum of the networks that counts.
    for everybody in [
        "0.0.0.0/1,128.0.0.0/1",
        "64.0.0.0/6,1.0.0.0/8",
        "2000::/4,3000::/4",
        "8000::/1",
        "10.0.0.0/8,1.0.0.0/8,2.0.0.0/8,3.0.0.0/8,4.0.0.0/8",
    ] {
        let sentence = production().var("ASHLAR_SERVER__TRUSTED_PROXIES", everybody).refusal();
        assert!(sentence.contains("trust no more than a 64th"), "{everybody}: {sentence}");
    }
    for proxies in [
        "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7",
        "10.0.0.0/8,10.1.0.0/16,10.0.0.0/8",
        "2400:cb00::/32",
    ] {
        production().var("ASHLAR_SERVER__TRUSTED_PROXIES", proxies).config();
    }
    let sentence = setup().var("ENVIRONMENT", "production").var("SECRET_KEY", STRONG).refusal();
    assert!(
        sentence.ends_with("set ASHLAR_SERVER__PUBLIC_URL (the default is `http://localhost:8000`)"),
        "{sentence}"
    );
}

#[test]
fn no_secret_is_shown() {
    let canary = "canary-9Zq3vXw8rT1nLk5sYb7cHd2fGj9";
    let setup = setup()
        .write("ashlar.toml", &format!("secret_key = \"{canary}\""))
        .var("DATABASE_URL", &format!("postgres://app:{canary}@db/ashlar?password={canary}"))
        .var(
            "ASHLAR_DATABASE__REPLICA_URLS",
            &format!("postgres://app:{canary}@a/db,postgres://app:{canary}@b/db"),
        );
    let loaded = setup.loaded();
    let shown = loaded.effective();
    assert!(!shown.contains(canary), "{shown}");
    assert!(!format!("{loaded:?} {:?} {:?}", setup.config(), setup.sources()).contains(canary));
    assert_eq!(setup.line("secret_key"), "secret_key = \"[redacted]\"  # ashlar.toml");
    assert_eq!(
        setup.line("database.url"),
        "database.url = \"postgres://app:***@db/ashlar?…\"  # environment variable DATABASE_URL"
    );
    assert_eq!(
        setup.line("database.replica_urls"),
        "database.replica_urls = [\"postgres://app:***@a/db\", \"postgres://app:***@b/db\"]  \
         # environment variable ASHLAR_DATABASE__REPLICA_URLS"
    );
}

#[test]
fn what_is_shown_is_a_configuration() {
    let setup = setup().var("PROJECT_NAME", "quo\"ted \\ name").var("SECRET_KEY", STRONG);
    let shown = setup.loaded().effective();
    assert!(shown.starts_with("environment = \"development\"  # default\n"), "{shown}");
    let file = shown.lines().filter(|line| !line.starts_with("secret_key")).collect::<Vec<_>>().join("\n");
    let again = self::setup().write("ashlar.toml", &file);
    assert_eq!(again.config().project_name, "quo\"ted \\ name");
    assert_eq!(again.config().data_dir, setup.config().data_dir);
}

#[test]
fn nothing_is_written_until_the_secret_is_needed() {
    let setup = setup();
    assert!(setup.loaded().effective().contains("will be made in"));
    assert!(!setup.path().join("data").exists());
}

#[test]
fn the_secret_is_made_once_and_for_its_owner_only() {
    let setup = setup();
    let loaded: Vec<_> = (0..16).map(|_| setup.loaded()).collect();
    let barrier = std::sync::Barrier::new(loaded.len());
    let configs: Vec<Config> = std::thread::scope(|scope| {
        let barrier = &barrier;
        let resolve = |loaded: Loaded| {
            scope.spawn(move || {
                barrier.wait();
                loaded.resolve().unwrap()
            })
        };
        let threads: Vec<_> = loaded.into_iter().map(resolve).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let secret = configs[0].secret_key.expose_secret();
    assert_eq!(secret.len(), 43);
    for config in &configs {
        assert_eq!(config.secret_key.expose_secret(), secret);
    }
    let files: Vec<_> =
        fs::read_dir(setup.path().join("data")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["secret_key"], "no draft is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &str| fs::metadata(setup.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("data/secret_key"), mode("data")), (0o600, 0o700));
    }
    assert_eq!(setup.config().secret_key.expose_secret(), secret, "a later start reads it");
    assert!(setup.line("secret_key").contains("data/secret_key"), "{}", setup.line("secret_key"));
}

#[test]
fn a_secret_that_was_cut_off_is_refused() {
    let setup = setup();
    fs::create_dir(setup.path().join("data")).unwrap();
    fs::write(setup.path().join("data/secret_key"), "short\n").unwrap();
    let sentence = setup.loaded().resolve().unwrap_err().to_string();
    assert!(
        sentence
            .ends_with("has only 5 of at least 32 characters: restore the file, or remove it to start anew"),
        "{sentence}"
    );
}

#[test]
fn the_documentation_ends_with_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = fs::read_to_string(path).unwrap();
    let reference = PRODUCT.config_schema().table().markdown();
    let heading = reference.lines().next().unwrap();
    let end = text.find(heading).map_or("", |start| &text[start..]);
    assert!(
        end == reference,
        "docs/configuration.md is out of step: `cargo xtask configuration` writes everything from `{heading}` on again"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement of coverage says where the program's counters go"
)]
fn ashlar(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE"))
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_refused_start_is_one_sentence_on_stderr_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&[][..], &["serve"], &["config"], &["migrate", "status"]] {
        let output = ashlar(folder.path(), command, &[("ASHLAR_SECRT_KEY", "canary")]);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "error: environment variable ASHLAR_SECRT_KEY sets no key that is known: did you mean `ASHLAR_SECRET_KEY`?\n"
        );
        assert!(output.stdout.is_empty());
    }
    let output = ashlar(folder.path(), &[], &[("PORT", "80000"), ("LOG_LEVEL", "verbose")]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told.lines().filter(|line| line.starts_with("error: `")).count(), 2, "{told}");
}

#[test]
fn config_answers_on_stdout_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = ashlar(folder.path(), &["config"], &[("PORT", "8123")]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("server.bind = \"127.0.0.1:8123\"  # environment variable PORT\n"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn help_documents_every_key_and_wrong_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let output = ashlar(folder.path(), &["config", "--help"], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for key in ["server.bind  (ASHLAR_SERVER__BIND, PORT)", "kafka.brokers  (ASHLAR_KAFKA__BROKERS)"] {
        assert!(text.contains(key), "{text}");
    }
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(ashlar(folder.path(), &["nonsense"], &[]).status.code(), Some(2));
}
