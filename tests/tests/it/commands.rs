//! The command line, with and without a running server.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tests::process::{Installation, Outcome};
use tests::server::SECRET_KEY;
use tests::{Client, PASSWORD, eventually};

const LIST: &str = "/api/v1/admin/users";

#[track_caller]
pub(crate) fn succeeded(outcome: Outcome) -> String {
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.stdout
}

/// Expects a failure with one sentence on stderr, after the log, and nothing on stdout.
#[track_caller]
pub(crate) fn failed(outcome: &Outcome, code: i32) -> &str {
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert_eq!(outcome.stdout, "", "{outcome:?}");
    if code == 1 {
        let mut lines = outcome.stderr.lines().rev();
        let sentence = lines.next().unwrap_or_default();
        assert!(sentence.starts_with("error: "), "{outcome:?}");
        assert!(lines.all(|line| serde_json::from_str::<Value>(line).is_ok()), "one sentence: {outcome:?}");
        return sentence;
    }
    &outcome.stderr
}

fn create<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    [&["admin", "create"], extra].concat()
}

async fn login(client: &Client, email: &str) -> String {
    let body = json!({"identifier": email, "password": PASSWORD});
    let session = client.post("/api/v1/auth/login").json(&body).await.expect(200).json();
    session["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn migrations_go_up_and_down_and_up_again() {
    let installation = Installation::new().await;
    let status = async || succeeded(installation.run(&["migrate", "status"]).await);
    let lines = |text: &str, state: &str| text.lines().filter(|line| line.starts_with(state)).count();
    let before = status().await;
    let all = before.lines().count();
    assert!(all >= 4, "{before}");
    assert_eq!(lines(&before, "pending "), all, "{before}");
    let up = succeeded(installation.run(&["migrate", "up"]).await);
    assert_eq!(lines(&up, "applied "), all, "{up}");
    assert_eq!(lines(&status().await, "applied "), all);
    assert_eq!(succeeded(installation.run(&["migrate", "up"]).await), "nothing was applied\n");
    let down = succeeded(installation.run(&["migrate", "down", "--yes"]).await);
    assert_eq!(lines(&down, "reverted "), 1, "{down}");
    assert_eq!(lines(&status().await, "pending "), 1);
    let down = succeeded(installation.run(&["migrate", "down", "--yes", "--steps", "2"]).await);
    assert_eq!(lines(&down, "reverted "), 2, "{down}");
    let down = succeeded(installation.run(&["migrate", "down", "--yes", "--all"]).await);
    assert_eq!(lines(&down, "reverted "), all - 3, "{down}");
    assert_eq!(lines(&status().await, "pending "), all);
    assert_eq!(succeeded(installation.run(&["migrate", "up"]).await), up);
    let process = installation.start().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    process.post("/api/v1/auth/signup").json(&body).await.expect(201);
    process.stop().await;
}

#[tokio::test]
async fn migrations_are_not_reverted_without_confirmation() {
    let installation = Installation::new().await;
    succeeded(installation.run(&["migrate", "up"]).await);
    let before = succeeded(installation.run(&["migrate", "status"]).await);
    let outcome = installation.run_with_input(&["migrate", "down", "--all"], "y\n").await;
    let sentence = failed(&outcome, 1);
    assert!(sentence.contains("what they held is lost") && sentence.contains("--yes"), "{sentence}");
    assert_eq!(succeeded(installation.run(&["migrate", "status"]).await), before);
}

/// The environment has a `DATABASE_URL` of another project.
#[tokio::test]
async fn the_database_of_another_program_is_not_changed() {
    let mut installation = Installation::new().await;
    let url = installation.database_url();
    let other = sea_orm::Database::connect(&url).await.unwrap();
    let tables = ["customer", "seaql_migrations"]
        .map(|name| format!("CREATE TABLE {name} (version text, applied_at bigint)"));
    for sql in tables {
        other.execute_unprepared(&sql).await.unwrap();
    }
    let theirs = "INSERT INTO seaql_migrations VALUES ('m20200101_000001_theirs', 1)";
    other.execute_unprepared(theirs).await.unwrap();
    installation.unset("ASHLAR_DATABASE__URL");
    installation.set("DATABASE_URL", &url);
    let up = &["migrate", "up"][..];
    let admin = &["admin", "create", "--email", "a@example.com"][..];
    let told = ["customer", "environment variable DATABASE_URL", "ASHLAR_DATABASE__URL"];
    let refused = async |installation: &Installation, command: &[&str]| {
        let outcome = installation.run(command).await;
        let sentence = failed(&outcome, 1).to_owned();
        assert!(told.iter().all(|part| sentence.contains(part)), "{command:?}: {sentence}");
        assert!(other.execute_unprepared("SELECT 1 FROM users").await.is_err(), "{command:?} wrote");
        sentence
    };
    // The other project uses sea-orm too, so both would record their migrations in the same table, which must not be changed.
    for migrates in ["true", "false"] {
        installation.set("ASHLAR_DATABASE__AUTO_MIGRATE", migrates);
        for command in [
            &["serve"][..],
            up,
            &["migrate", "up", "--yes"],
            &["migrate", "down", "--yes"],
            &["migrate", "repair"],
        ] {
            assert!(!refused(&installation, command).await.contains("--yes"), "{command:?}");
        }
    }
    let kept = other.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
    assert_eq!(kept.rows_affected(), 1, "their record is whole");
    installation.unset("ASHLAR_DATABASE__AUTO_MIGRATE");
    for command in [&["serve"][..], up, admin] {
        assert!(refused(&installation, command).await.contains("--yes"), "{command:?}");
    }
    succeeded(installation.run(&["migrate", "up", "--yes"]).await);
    installation.start().await.stop().await;
}

#[tokio::test]
async fn a_server_that_must_not_migrate_prints_what_to_do() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_DATABASE__AUTO_MIGRATE", "false");
    let outcome = installation.run(&["serve"]).await;
    assert!(failed(&outcome, 1).contains("ashlar migrate up"), "{outcome:?}");
    succeeded(installation.run(&["migrate", "up"]).await);
    installation.start().await.stop().await;
}

/// A migration of a removed domain, or of a later release.
const UNKNOWN: &str =
    "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20990101_000000_create_notes', 0)";
/// A migration that was edited, or of a domain that was removed and generated again under the same name.
const CHANGED: &str = "UPDATE migration_contents SET content = 'another' WHERE name LIKE '%_create_auth'";

#[tokio::test]
async fn a_database_with_unknown_migrations_is_rejected_with_advice() {
    for (tampering, told, command) in [
        (UNKNOWN, "m20990101_000000_create_notes", "unknown"),
        (CHANGED, "m20261121_000003_create_auth was another when it ran", "changed"),
    ] {
        let mut installation = Installation::new().await;
        // Production rejects this setting.
        installation.unset("ASHLAR_AUTH__ARGON2_MEMORY_KIB");
        installation.unset("ASHLAR_AUTH__ARGON2_ITERATIONS");
        // domain: upload
        // Production warns of this setting.
        installation.set("ASHLAR_STORAGE__PUBLIC_ENDPOINT", "https://files.ashlar.test");
        // end: upload
        succeeded(installation.run(&["migrate", "up"]).await);
        installation.start().await.stop().await;
        installation.sql(tampering).await;
        for (environment, remedy) in
            [("development", "To start over, "), ("production", "ashlar migrate repair")]
        {
            installation.set("ASHLAR_ENVIRONMENT", environment);
            installation.set("ASHLAR_SERVER__PUBLIC_URL", "https://ashlar.test");
            for automatic in ["true", "false"] {
                installation.set("ASHLAR_DATABASE__AUTO_MIGRATE", automatic);
                for arguments in [&["serve"][..], &["migrate", "up"]] {
                    let outcome = installation.run(arguments).await;
                    let sentence = failed(&outcome, 1);
                    assert!(sentence.contains(told) && sentence.contains(remedy), "{sentence}");
                    assert!(sentence.contains("migrate repair"), "{sentence}");
                }
            }
        }
        let status = succeeded(installation.run(&["migrate", "status"]).await);
        assert_eq!(status.lines().filter(|line| line.starts_with(command)).count(), 1, "{status}");
        let repaired = succeeded(installation.run(&["migrate", "repair"]).await);
        assert_eq!(repaired.lines().filter(|line| line.contains("  m2")).count(), 1, "{repaired}");
        installation.set("ASHLAR_ENVIRONMENT", "development");
        installation.start().await.stop().await;
    }
}

#[tokio::test]
async fn changed_migrations_are_reverted_by_following_the_error() {
    let installation = Installation::new().await;
    succeeded(installation.run(&["migrate", "up"]).await);
    installation.sql(CHANGED).await;
    let outcome = installation.run(&["serve"]).await;
    let sentence = failed(&outcome, 1);
    let command = sentence.split("`ashlar ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    assert!(command.starts_with("migrate down --steps "), "{command}");
    succeeded(installation.run(&command.split(' ').collect::<Vec<_>>()).await);
    installation.start().await.stop().await;
}

#[tokio::test]
async fn a_server_is_not_ready_while_its_schema_is_reverted() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    assert_eq!(process.get("/health/ready").await.expect(200).json()["dependencies"]["schema"], "ok");
    // While a later release is rolled out, existing servers continue to run.
    installation.sql(UNKNOWN).await;
    process.get("/health/ready").await.expect(200);
    succeeded(installation.run(&["migrate", "repair"]).await);
    succeeded(installation.run(&["migrate", "down", "--yes"]).await);
    let problem = process.get("/health/ready").await.problem(503, "service_unavailable");
    assert_eq!(problem["dependencies"]["schema"], "outdated", "{problem}");
    succeeded(installation.run(&["migrate", "up"]).await);
    process.get("/health/ready").await.expect(200);
    process.stop().await;
}

#[tokio::test]
async fn a_failed_migration_is_named_and_rolled_back() {
    let installation = Installation::new().await;
    succeeded(installation.run(&["migrate", "up"]).await);
    let all = succeeded(installation.run(&["migrate", "status"]).await).lines().count() - 1;
    succeeded(installation.run(&["migrate", "down", "--yes", "--steps", &all.to_string()]).await);
    // This table conflicts with the second migration, which fails at its last statement at the latest.
    installation.sql("CREATE TABLE users (id varchar(30))").await;
    let before = succeeded(installation.run(&["migrate", "status"]).await);
    let outcome = installation.run(&["migrate", "up"]).await;
    let sentence = failed(&outcome, 1);
    assert!(sentence.contains("the migration m20261121_000002_create_users cannot be applied"), "{sentence}");
    assert!(sentence.contains("already exists"), "{sentence}");
    let after = succeeded(installation.run(&["migrate", "status"]).await);
    assert_eq!(after.matches("applied").count(), 1, "the one before it: {before} {after}");
    installation.sql("DROP TABLE users").await;
    succeeded(installation.run(&["migrate", "up"]).await);
    installation.start().await.stop().await;
}

#[tokio::test]
async fn the_log_shows_statements_when_asked_to_and_never_their_values() {
    let mut installation = Installation::new().await;
    for (level, number, shown) in [("info", 1, false), ("info,sql=debug", 2, true)] {
        installation.set("ASHLAR_LOG_LEVEL", level);
        let email = format!("zaphod.beeblebrox{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": "Zaphod"});
        let process = installation.start().await;
        process.post("/api/v1/auth/signup").json(&body).await.expect(201);
        let log = process.stop().await;
        assert_eq!(log.to_uppercase().contains("INSERT INTO"), shown, "{level}: {log}");
        assert!(!log.contains("beeblebrox") && !log.contains("Zaphod"), "{log}");
    }
}

#[tokio::test]
async fn an_admin_is_created_before_the_first_start() {
    let installation = Installation::new().await;
    let arguments = ["admin", "create", "--email", "root@example.com", "--name", "Root", "--password-stdin"];
    let outcome = installation.run_with_input(&arguments, &format!("{PASSWORD}\n")).await;
    let said = succeeded(outcome);
    assert!(said.contains("root@example.com") && !said.contains(PASSWORD), "{said}");
    let process = installation.start().await;
    let token = login(&process, "root@example.com").await;
    let page = process.get(LIST).bearer(&token).await.expect(200).json();
    assert_eq!(page["items"][0]["name"], "Root");
    assert_eq!(page["items"][0]["is_admin"], true);
    process.stop().await;
}

#[tokio::test]
async fn a_promotion_takes_effect_on_a_running_server() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let body = json!({"email": "Ada@example.com", "password": PASSWORD, "name": "Ada"});
    let session = process.post("/api/v1/auth/signup").json(&body).await.expect(201).json();
    let token = session["access_token"].as_str().unwrap();
    process.get(LIST).bearer(token).await.problem(403, "admin_required");
    // The command must not promote an account only because of its address: it shows the account, and stdin has no answer.
    let id = session["user"]["id"].as_str().unwrap();
    let outcome = installation.run(&create(&["--email", "ada@EXAMPLE.com"])).await;
    let sentence = failed(&outcome, 1);
    let since = session["user"]["created_at"].as_str().unwrap();
    for told in [
        &format!("Ada@example.com ({id}) signed up at {since} from 127.0.0.1"),
        "is not verified",
        &format!("--user-id {id}"),
        "--password-stdin",
    ] {
        assert!(sentence.contains(told), "{told}: {sentence}");
    }
    process.get(LIST).bearer(token).await.problem(403, "admin_required");
    let said = succeeded(installation.run(&create(&["--user-id", id])).await);
    assert!(said.contains("is an admin now"), "{said}");
    eventually("the session that there was is an admin's", async || {
        let answer = process.get(LIST).bearer(token).await;
        (answer.status == 200).then_some(())
    })
    .await;
    login(&process, "ada@example.com").await;
    let me = process.get("/api/v1/users/me").bearer(token).await.expect(200).json();
    assert_eq!((&me["is_admin"], &me["name"]), (&json!(true), &json!("Ada")), "nothing else was changed");
    process.stop().await;
}

/// On a terminal, which `script` of util-linux provides.
#[tokio::test]
async fn at_a_terminal_the_command_asks_for_confirmation() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let session = process.post("/api/v1/auth/signup").json(&body).await.expect(201).json();
    let (id, token) = (session["user"]["id"].as_str().unwrap(), session["access_token"].as_str().unwrap());
    for (answer, said) in [("n", "nothing was done"), ("", "nothing was done"), ("y", "is an admin now")] {
        let shown = installation.run_at_terminal(&create(&["--email", "ada@example.com"]), answer).await;
        assert!(
            shown.contains(&format!("({id}) signed up at ")) && shown.contains("Go on? [y/N]"),
            "{shown}"
        );
        assert!(shown.contains(said), "{answer}: {shown}");
        let me = process.get("/api/v1/users/me").bearer(token).await.expect(200).json();
        if answer == "n" {
            assert_eq!(me["is_admin"], false);
        }
    }
    process.stop().await;
}

#[tokio::test]
async fn an_admin_by_id_must_be_an_existing_account() {
    let installation = Installation::new().await;
    let nobody = "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T";
    let outcome = installation.run(&create(&["--user-id", nobody])).await;
    assert!(failed(&outcome, 1).contains("no such user"), "{outcome:?}");
}

#[tokio::test]
async fn errors_of_admin_create_are_one_sentence() {
    let installation = Installation::new().await;
    let outcome = installation.run(&create(&["--email", "nobody@example.com"])).await;
    assert!(failed(&outcome, 1).contains("--password-stdin"), "{outcome:?}");
    for (extra, input, told) in [
        (vec!["--email", "nobody", "--password-stdin"], PASSWORD, "e-mail"),
        (vec!["--email", "a@example.com", "--password-stdin"], "short", "at least 8 characters"),
        (vec!["--email", "a@example.com", "--password-stdin"], "password123", "guessed"),
        (vec!["--email", "a@example.com", "--password-stdin"], "", "password"),
        (vec!["--email", "a@example.com", "--password-stdin", "--name", ""], PASSWORD, "name"),
    ] {
        let outcome = installation.run_with_input(&create(&extra), input).await;
        assert!(failed(&outcome, 1).contains(told), "{outcome:?}");
    }
}

#[tokio::test]
async fn wrong_usage_is_2_and_help_is_0() {
    let installation = Installation::without_database();
    for wrong in [
        &["nonsense"][..],
        &["migrate"],
        &["migrate", "sideways"],
        &["migrate", "down", "--all", "--steps", "1"],
        &["migrate", "down", "--steps", "0"],
        &["migrate", "down", "--steps", "x"],
        &["admin", "create"],
        &["serve", "--port", "1"],
        &["--unknown"],
    ] {
        let outcome = installation.run(wrong).await;
        assert!(failed(&outcome, 2).contains("--help"), "{outcome:?}");
    }
    for help in [
        &["--help"][..],
        &["serve", "--help"],
        &["migrate", "--help"],
        &["migrate", "up", "--help"],
        &["migrate", "down", "--help"],
        &["migrate", "status", "--help"],
        &["admin", "create", "--help"],
        &["openapi", "--help"],
        &["config", "--help"],
    ] {
        let text = succeeded(installation.run(help).await);
        assert!(text.contains("--config"), "{help:?}: {text}");
    }
    assert!(succeeded(installation.run(&["--version"]).await).starts_with("ashlar "));
}

#[tokio::test]
async fn the_command_line_prints_the_document_that_is_served() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_PROJECT_NAME", "Acme");
    let text = succeeded(installation.run(&["openapi"]).await);
    let pretty = succeeded(installation.run(&["openapi", "--pretty"]).await);
    let process = installation.start().await;
    let served = process.get("/openapi.json").await.expect(200);
    assert_eq!(text.trim_end(), served.text());
    assert_eq!(serde_json::from_str::<Value>(&pretty).unwrap(), served.json());
    assert_eq!(served.json()["info"]["title"], "Acme API");
    process.stop().await;
}

#[tokio::test]
async fn the_configuration_is_shown_with_its_sources_and_without_its_secrets() {
    let mut installation = Installation::without_database();
    installation.unset("ASHLAR_DATABASE__URL");
    installation.set("DATABASE_URL", "postgres://ashlar:canary-database-password@db.example.com/ashlar");
    std::fs::write(
        installation.folder().join("ashlar.toml"),
        "[auth]\naccess_token_seconds = 60\nsession_days = 300\n",
    )
    .unwrap();
    std::fs::write(
        installation.folder().join(".env"),
        "ASHLAR_LOG_LEVEL=warn\nASHLAR_AUTH__ACCESS_TOKEN_SECONDS=70\n",
    )
    .unwrap();
    let outcome = installation.run(&["config"]).await;
    for secret in ["canary-database-password", SECRET_KEY] {
        assert!(
            !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
            "{secret}: {outcome:?}"
        );
    }
    let text = succeeded(outcome);
    for line in [
        "log_level = \"warn\"  # ASHLAR_LOG_LEVEL in .env",
        "auth.access_token_seconds = 70  # ASHLAR_AUTH__ACCESS_TOKEN_SECONDS in .env",
        "auth.session_days = 300  # ashlar.toml",
        "database.pool_size = 4  # environment variable ASHLAR_DATABASE__POOL_SIZE",
        "database.url = \"postgres://ashlar:***@db.example.com/ashlar\"  # environment variable DATABASE_URL",
        "secret_key = \"[redacted]\"  # environment variable ASHLAR_SECRET_KEY",
        "auth.audience = \"ashlar\"  # default",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }
    assert!(!installation.folder().join("data").exists(), "looking makes nothing");
}

#[tokio::test]
async fn an_invalid_configuration_stops_the_start_with_one_sentence() {
    for (name, value, told) in [
        ("ASHLAR_SERVER__BNID", "127.0.0.1:0", "ASHLAR_SERVER__BIND"),
        ("ASHLAR_NONSENSE", "1", "ASHLAR_NONSENSE"),
        ("ASHLAR_SERVER__BIND", "nowhere", "server.bind"),
        ("ASHLAR_DATABASE__POOL_SIZE", "0", "database.pool_size"),
        ("ASHLAR_AUTH__ACCESS_TOKEN_SECONDS", "0", "auth.access_token_seconds"),
        ("ASHLAR_SECRET_KEY", "short", "secret_key"),
        ("ASHLAR_CORS__ORIGINS", "*", "cors.origins"),
        ("ASHLAR_DATABASE__URL", "mysql://localhost/x", "database.url"),
        ("ASHLAR_REDIS__URL", "redis://localhost", "redis.url"),
        ("ASHLAR_ENVIRONMENT", "stage", "environment"),
    ] {
        let mut installation = Installation::without_database();
        installation.set(name, value);
        for command in [&["serve"][..], &["migrate", "status"], &["config"]] {
            let outcome = installation.run(command).await;
            assert!(failed(&outcome, 1).contains(told), "{outcome:?}");
        }
        assert!(!installation.folder().join("data").exists(), "nothing was begun");
    }
}

#[tokio::test]
async fn production_rejects_unsafe_settings() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_ENVIRONMENT", "production");
    let outcome = installation.run(&["serve"]).await;
    let told: Vec<&str> = outcome.stderr.lines().collect();
    assert!(told.len() == 2 && told[0].contains("`server.public_url`"), "all at once: {outcome:?}");
    assert!(told[1].contains("`auth.argon2_memory_kib`"), "all at once: {outcome:?}");
    installation.set("ASHLAR_SERVER__PUBLIC_URL", "https://ashlar.example.com");
    let outcome = installation.run(&["serve"]).await;
    assert!(failed(&outcome, 1).contains("auth.argon2_memory_kib"), "{outcome:?}");
    installation.unset("ASHLAR_AUTH__ARGON2_MEMORY_KIB");
    installation.unset("ASHLAR_AUTH__ARGON2_ITERATIONS");
    installation.unset("ASHLAR_SECRET_KEY");
    let outcome = installation.run(&["serve"]).await;
    assert!(failed(&outcome, 1).contains("ASHLAR_SECRET_KEY"), "{outcome:?}");
    installation.set("ASHLAR_SECRET_KEY", "changemechangemechangemechangeme");
    let outcome = installation.run(&["serve"]).await;
    assert!(failed(&outcome, 1).contains("secret_key"), "{outcome:?}");
    installation.set("ASHLAR_SECRET_KEY", SECRET_KEY);
    succeeded(installation.run(&["migrate", "up"]).await);
    let process = installation.start().await;
    let answer = process.get("/health").await.expect(200);
    assert!(
        answer.header("strict-transport-security").unwrap().contains("max-age="),
        "behind https: {answer:?}"
    );
    process.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut installation = Installation::without_database();
    installation.set("ASHLAR_SERVER__BIND", &address);
    let outcome = installation.run(&[]).await;
    let told = failed(&outcome, 1);
    assert!(told.contains(&address) && told.contains("in use"), "{outcome:?}");
}

#[tokio::test]
async fn the_secret_is_generated_once_and_the_data_is_private() {
    let mut installation = Installation::new().await;
    installation.unset("ASHLAR_SECRET_KEY");
    let process = installation.start().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let session = process.post("/api/v1/auth/signup").json(&body).await.expect(201).json();
    process.stop().await;
    let file = installation.folder().join("data/secret_key");
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(secret.trim().len() >= 32);
    #[cfg(unix)]
    for (path, mode) in [(file.clone(), 0o600), (installation.folder().join("data"), 0o700)] {
        use std::os::unix::fs::PermissionsExt as _;
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    let process = installation.start().await;
    let token = session["access_token"].as_str().unwrap();
    process.get("/api/v1/users/me").bearer(token).await.expect(200);
    let log = process.stop().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
    assert!(!log.contains(secret.trim()));
}
