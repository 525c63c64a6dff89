//! The schema, on the engine that the tests run on: SQLite, or PostgreSQL with `TEST_DATABASE_URL`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails as a test does")]

use std::collections::{BTreeMap, BTreeSet};

use migration::{Migrator, MigratorTrait as _};
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use shared_kernel::session::SessionError;
use shared_kernel::testing::TestDatabase;

/// The rows of a query, each column as text.
async fn rows(database: &DatabaseConnection, sql: &str) -> Vec<Vec<String>> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.unwrap();
    let columns = |row: &sea_orm_migration::sea_orm::QueryResult| row.column_names().len();
    rows.iter()
        .map(|row| (0..columns(row)).map(|index| row.try_get_by_index(index).unwrap()).collect())
        .collect()
}

/// Everything that the schema is, but for the table that tells which migrations were applied. PostgreSQL never gives the number
/// of a dropped column to another, so columns are counted by their order.
async fn dump(database: &DatabaseConnection) -> Vec<String> {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT 'column ' || table_name || '.' || column_name || ' ' || \
                    row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position) || ' ' || data_type || ' ' || \
                    coalesce(character_maximum_length::text, '-') || ' ' || is_nullable || ' ' || coalesce(column_default, '-') \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'seaql_migrations' \
             UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 'seaql_migrations'::regclass \
             UNION ALL SELECT 'index ' || indexdef FROM pg_indexes \
             WHERE schemaname = 'public' AND tablename <> 'seaql_migrations' \
             UNION ALL SELECT 'relation ' || relkind::text || ' ' || relname FROM pg_class \
             WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'seaql_migrations%' \
             UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace \
             AND typname NOT LIKE '%seaql_migrations' \
             UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        }
        DbBackend::Sqlite => {
            "SELECT type || ' ' || name || ' ' || coalesce(sql, '-') FROM sqlite_schema \
             WHERE tbl_name <> 'seaql_migrations' AND name <> 'sqlite_sequence' ORDER BY 1"
        }
        other => panic!("{other:?}"),
    };
    rows(database, sql).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn down_to_nothing_and_up_again_is_the_same_schema() {
    let database = TestDatabase::empty().await;
    let database = database.primary();
    Migrator::up(database, None).await.unwrap();
    let before = dump(database).await;
    assert!(before.len() > 20, "{before:#?}");
    Migrator::down(database, None).await.unwrap();
    assert_eq!(dump(database).await, [""; 0], "only the table of migrations is left");
    Migrator::up(database, None).await.unwrap();
    assert_eq!(dump(database).await, before);
}

/// The migrations that change what is in the tables, and not the tables.
const REWRITES: [&str; 1] = ["m20261128_000005_fold_names"];

#[tokio::test]
async fn names_that_are_there_are_folded_and_back() {
    let database = TestDatabase::empty().await;
    let database = database.primary();
    let names = Migrator::migrations().into_iter().map(|migration| migration.name().to_owned());
    let before = names.take_while(|name| name != REWRITES[0]).count();
    Migrator::up(database, Some(before.try_into().unwrap())).await.unwrap();
    let name = |number: usize| match number % 3 {
        0 => "ΟΔΥΣΣΕΎΣ",
        1 => "Straße",
        _ => "Ada",
    };
    // More than are read at a time, one of them deleted.
    for number in 0..1_001 {
        let (name, moment) = (name(number), "'2026-01-01 00:00:00.000000001+00:00'");
        let deleted = if number == 3 { moment } else { "NULL" };
        let insert = format!(
            "INSERT INTO users (id, created_at, updated_at, deleted_at, email, email_normalized, name, name_normalized)
             VALUES ('usr_{number:026}', {moment}, {moment}, {deleted}, '{number}@a.example', '{number}@a.example', '{name}', '{}')",
            name.to_lowercase(),
        );
        database.execute_unprepared(&insert).await.unwrap();
    }
    let names = async || {
        let rows = rows(database, "SELECT name_normalized FROM users ORDER BY id").await;
        rows.into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>()
    };
    let before = names().await;
    Migrator::up(database, Some(1)).await.unwrap();
    let after = names().await;
    assert_eq!(after.len(), 1_001);
    for (number, folded) in after.iter().enumerate() {
        assert_eq!(*folded, shared_kernel::text::folded(name(number)), "{number}");
    }
    assert_eq!(after[..3], ["οδυσσεύσ", "strasse", "ada"]);
    Migrator::down(database, Some(1)).await.unwrap();
    let back = names().await;
    assert_eq!(back[1..3], before[1..3]);
}

#[tokio::test]
async fn events_that_are_there_name_people_by_id() {
    let database = TestDatabase::empty().await;
    let database = database.primary();
    let names = Migrator::migrations().into_iter().map(|migration| migration.name().to_owned());
    let before = names.take_while(|name| name != "m20261128_000007_describe_events").count();
    Migrator::up(database, Some(before.try_into().unwrap())).await.unwrap();
    for (id, name, aggregate_id, payload) in [
        (
            "evt_1",
            "user.registered",
            "usr_1",
            r#"{"user_id": "usr_1", "email": "a@a.example", "name": "Ada"}"#,
        ),
        ("evt_2", "order.deleted", "ord_1", r#"{"order_id": "ord_1"}"#),
    ] {
        let moment = "'2026-01-01 00:00:00.000000001+00:00'";
        let insert = format!(
            "INSERT INTO outbox_events (id, name, aggregate_id, payload, occurred_at, available_at)
             VALUES ('{id}', '{name}', '{aggregate_id}', '{payload}', {moment}, {moment})"
        );
        database.execute_unprepared(&insert).await.unwrap();
    }
    Migrator::up(database, Some(1)).await.unwrap();
    let sql = "SELECT name, aggregate_type, CAST(version AS text), CAST(payload AS text) FROM outbox_events ORDER BY id";
    let rows =
        rows(database, sql).await.into_iter().map(|row| row.join(" ").replace(": ", ":").replace(", ", ","));
    let expected = [
        r#"user.created user 1 {"id":"usr_1","version":1}"#,
        r#"order.deleted order 1 {"order_id":"ord_1"}"#,
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    Migrator::down(database, Some(1)).await.unwrap();
}

#[tokio::test]
async fn each_step_has_its_way_back() {
    let database = TestDatabase::empty().await;
    let database = database.primary();
    let count = Migrator::migrations().len();
    // Makes the table of migrations.
    Migrator::up(database, Some(0)).await.unwrap();
    let mut schemas = vec![dump(database).await];
    assert_eq!(schemas[0], [""; 0]);
    for number in 1..=count {
        Migrator::up(database, Some(1)).await.unwrap();
        let up = dump(database).await;
        let name = Migrator::migrations()[number - 1].name().to_owned();
        let changes_tables = up != schemas[number - 1];
        assert_eq!(changes_tables, !REWRITES.contains(&name.as_str()), "{name} does something");
        Migrator::down(database, Some(1)).await.unwrap();
        assert_eq!(dump(database).await, schemas[number - 1], "number {number} goes back");
        Migrator::up(database, Some(1)).await.unwrap();
        assert_eq!(dump(database).await, up, "number {number} goes there again");
        schemas.push(up);
    }
    for number in (0..count).rev() {
        Migrator::down(database, Some(1)).await.unwrap();
        assert_eq!(dump(database).await, schemas[number]);
    }
}

#[tokio::test]
async fn the_status_tells_what_was_applied() {
    let database = TestDatabase::empty().await;
    let database = database.primary();
    let state = async || {
        let names = |migrations: Vec<sea_orm_migration::Migration>| {
            migrations.iter().map(|migration| migration.name().to_owned()).collect::<Vec<_>>()
        };
        let applied = names(Migrator::get_applied_migrations(database).await.unwrap());
        (applied, names(Migrator::get_pending_migrations(database).await.unwrap()))
    };
    let all: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    assert_eq!(state().await, (vec![], all.clone()));
    Migrator::up(database, Some(2)).await.unwrap();
    assert_eq!(state().await, (all[..2].to_vec(), all[2..].to_vec()));
    Migrator::up(database, None).await.unwrap();
    assert_eq!(state().await, (all.clone(), vec![]));
    // Up to date: nothing to do, and no error.
    Migrator::up(database, None).await.unwrap();
    Migrator::down(database, Some(1)).await.unwrap();
    let last = all.len() - 1;
    assert_eq!(state().await, (all[..last].to_vec(), all[last..].to_vec()));
}

#[test]
fn names_are_dated_and_in_order() {
    let names: Vec<_> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for name in names {
        let [date, number, what] = name.splitn(3, '_').collect::<Vec<_>>().try_into().unwrap();
        assert!(
            date.len() == 9 && date.starts_with('m') && date[1..].bytes().all(|byte| byte.is_ascii_digit()),
            "{name}"
        );
        assert!(number.len() == 6 && number.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
        assert!(!what.is_empty(), "{name}");
    }
}

#[derive(Debug)]
struct Index {
    table: String,
    unique: bool,
    primary: bool,
    columns: Vec<String>,
}

/// All indexes by name. SQLite does not tell the name of a primary key's.
async fn indexes(database: &DatabaseConnection) -> BTreeMap<String, Index> {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT t.relname::text, i.relname::text, x.indisunique::text, x.indisprimary::text, a.attname::text \
             FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
             CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k (number, place) \
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number \
             WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> 'seaql_migrations' ORDER BY 1, 2, k.place"
        }
        _ => {
            "SELECT t.name, i.name, iif(i.\"unique\", 'true', 'false'), iif(i.origin = 'pk', 'true', 'false'), c.name \
             FROM sqlite_schema t JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c \
             WHERE t.type = 'table' AND t.name <> 'seaql_migrations' ORDER BY 1, 2, c.seqno"
        }
    };
    let mut indexes = BTreeMap::new();
    for row in rows(database, sql).await {
        let [table, name, unique, primary, column] = row.try_into().unwrap();
        let index =
            Index { table, unique: unique == "true", primary: primary == "true", columns: Vec::new() };
        indexes.entry(name).or_insert(index).columns.push(column);
    }
    indexes
}

/// What some query looks rows up by, or sorts them by. A new query adds its line here.
const LOOKED_UP: &[(&str, &[&str])] = &[
    ("users", &["id"]),
    ("users", &["email_normalized"]),
    ("users", &["username"]),
    ("users", &["phone"]),
    ("users", &["is_admin"]),
    ("users", &["name_normalized", "id"]),
    ("users", &["email_normalized", "id"]),
    ("passwords", &["user_id"]),
    ("sessions", &["id"]),
    ("sessions", &["user_id", "id"]),
    ("signing_keys", &["key_id"]),
    ("signing_keys", &["algorithm"]),
    // domain: upload
    ("uploads", &["id"]),
    ("uploads", &["owner_id", "id"]),
    ("uploads", &["object_key"]),
    ("uploads", &["status", "expires_at"]),
    // end: upload
    ("outbox_events", &["id"]),
    ("outbox_events", &["delivered_at", "aggregate_id", "id"]),
    ("outbox_events", &["position"]),
    ("handled_events", &["subscriber", "event_id"]),
    ("handled_events", &["handled_at"]),
    ("jobs", &["id"]),
    ("jobs", &["unique_key"]),
    ("jobs", &["lane", "lane_at", "id"]),
    ("jobs", &["state", "id"]),
    ("job_turns", &["serial_key"]),
    ("job_turns", &["vacated_at"]),
];

#[tokio::test]
async fn what_is_looked_up_has_an_index() {
    let database = TestDatabase::new::<Migrator>().await;
    let database = database.primary();
    let indexes = indexes(database).await;
    let missing = |table: &str, columns: &[&str]| {
        !indexes.values().any(|index| {
            index.table == table
                && index.columns.iter().zip(columns).filter(|(a, b)| a == b).count() == columns.len()
        })
    };
    let without: Vec<_> = LOOKED_UP.iter().filter(|(table, columns)| missing(table, columns)).collect();
    assert!(without.is_empty(), "{without:?}");
    // A row that goes looks for those that refer to it.
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.conrelid::regclass::text, a.attname::text FROM pg_constraint c \
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'"
        }
        _ => {
            "SELECT t.name, f.\"from\" FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f \
             WHERE t.type = 'table' AND f.seq = 0"
        }
    };
    let referring = rows(database, sql).await;
    assert!(!referring.is_empty());
    for row in referring {
        assert!(!missing(&row[0], &[&row[1]]), "the foreign key {row:?} has no index");
    }
}

/// Errors are mapped by these names, and SQLite tells only the columns of a violation.
#[tokio::test]
async fn names_follow_the_convention() {
    let database = TestDatabase::new::<Migrator>().await;
    let database = database.primary();
    let mut unique = BTreeSet::new();
    for (name, index) in indexes(database).await {
        let Index { table, columns, .. } = &index;
        if index.primary {
            let told = database.get_database_backend() == DbBackend::Postgres;
            assert!(!told || name == format!("{table}_pkey"), "{name}: {index:?}");
        } else if index.unique {
            assert_eq!(name, format!("{table}_{}_key", columns.join("_")));
            unique.insert(name);
        } else {
            assert!(name.starts_with(&format!("{table}_")) && name.ends_with("_idx"), "{name}: {index:?}");
        }
    }
    for expected in
        ["users_email_normalized_key", "users_username_key", "users_phone_key", "signing_keys_key_id_key"]
    {
        assert!(unique.contains(expected), "{expected}");
    }
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.conname::text, c.conrelid::regclass::text || '_', c.contype::text FROM pg_constraint c \
             WHERE c.connamespace = 'public'::regnamespace AND c.conrelid <> 'seaql_migrations'::regclass"
        }
        // The statement names them.
        _ => {
            "SELECT name, name || '_', sql FROM sqlite_schema WHERE type = 'table' AND name <> 'seaql_migrations'"
        }
    };
    for row in rows(database, sql).await {
        let [name, table, rest] = row.try_into().unwrap();
        if database.get_database_backend() == DbBackend::Postgres {
            let suffix = match &*rest {
                "p" => "_pkey",
                "f" => "_fkey",
                "c" => "_check",
                "u" => "_key",
                other => panic!("{name}: a constraint of kind {other}"),
            };
            assert!(name.starts_with(&table) && name.ends_with(suffix), "{name}");
        } else {
            let checks = rest.matches("CHECK (").count();
            let named = rest.split("CONSTRAINT \"").skip(1).filter(|text| text.starts_with(&table)).count();
            let named_checks = rest.matches("_check\" CHECK (").count();
            assert_eq!(checks, named_checks, "{rest}");
            assert_eq!(named, rest.matches("CONSTRAINT").count(), "{rest}");
        }
    }
}

/// The rules that the schema itself keeps hold on both engines.
#[tokio::test]
async fn a_row_that_breaks_a_rule_is_refused() {
    let database = TestDatabase::new::<Migrator>().await;
    let database = database.primary();
    let now = "'2026-01-01T00:00:00Z'";
    let user = |id: &str, columns: &str, values: &str| {
        format!(
            "INSERT INTO users (id, created_at, updated_at, email, email_normalized, name, name_normalized{columns}) \
             VALUES ('{id}', {now}, {now}, '{id}@example.com', '{id}@example.com', 'N', 'n'{values})"
        )
    };
    let password = |user: &str| {
        format!(
            "INSERT INTO passwords (user_id, hash, created_at, updated_at) VALUES ('{user}', 'h', {now}, {now})"
        )
    };
    let execute = async |sql: String| database.execute_unprepared(&sql).await;
    execute(user("usr_1", "", "")).await.unwrap();
    execute(user("usr_2", ", status, is_admin", ", 'suspended', true")).await.unwrap();
    execute(password("usr_1")).await.unwrap();
    execute(password("usr_2")).await.unwrap();
    for refused in [
        user("usr_3", ", status", ", 'deleted'"),
        user("usr_3", ", status", ", NULL"),
        user("usr_3", ", is_admin", ", NULL"),
        password("usr_9"),
    ] {
        let error = SessionError::from(execute(refused.clone()).await.expect_err(&refused));
        assert_eq!(error.violated_unique(), None, "{refused}");
    }
    // Defaults, and what goes with its user.
    let defaults = rows(database, "SELECT status, CAST(version AS text) FROM users WHERE id = 'usr_1'").await;
    assert_eq!(defaults, [["active", "1"]]);
    execute("DELETE FROM users WHERE id = 'usr_2'".to_owned()).await.unwrap();
    assert_eq!(rows(database, "SELECT user_id FROM passwords").await, [["usr_1"]]);
    // Only one key of an algorithm signs at a time.
    let key = |id: &str, retired: &str| {
        format!(
            "INSERT INTO signing_keys (id, algorithm, key_id, public_jwk, sealed_private_key, created_at, retired_at) \
             VALUES ('{id}', 'EdDSA', '{id}', '{{}}', '', {now}, {retired})"
        )
    };
    for stored in [key("key_1", now), key("key_2", now), key("key_3", "NULL")] {
        execute(stored).await.unwrap();
    }
    let second = SessionError::from(execute(key("key_4", "NULL")).await.unwrap_err());
    assert_eq!(second.violated_unique().as_deref(), Some("signing_keys_algorithm_key"));
}
