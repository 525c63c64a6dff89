//! The table of uploads, on the engine that the tests run on.

use migration::Migrator;
use sea_orm_migration::sea_orm::ConnectionTrait as _;
use shared_kernel::session::SessionError;
use shared_kernel::testing::TestDatabase;

#[tokio::test]
async fn a_row_that_breaks_a_rule_is_refused() {
    let database = TestDatabase::new::<Migrator>().await;
    let database = database.primary();
    let now = "'2026-01-01T00:00:00Z'";
    let upload = |id: &str, owner: &str, size: &str, visibility: &str, status: &str| {
        format!(
            "INSERT INTO uploads (id, created_at, updated_at, owner_id, object_key, filename, content_type, size, visibility, \
             status, expires_at) VALUES ('{id}', {now}, {now}, '{owner}', '{id}', 'f', 'text/plain', {size}, '{visibility}', \
             '{status}', {now})"
        )
    };
    let execute = async |sql: String| database.execute_unprepared(&sql).await;
    let user = format!(
        "INSERT INTO users (id, created_at, updated_at, email, email_normalized, name, name_normalized) \
         VALUES ('usr_1', {now}, {now}, 'a@example.com', 'a@example.com', 'N', 'n')"
    );
    execute(user).await.unwrap();
    execute(upload("upl_1", "usr_1", "1", "private", "pending")).await.unwrap();
    for refused in [
        upload("upl_2", "usr_9", "1", "private", "pending"),
        upload("upl_2", "usr_1", "0", "private", "pending"),
        upload("upl_2", "usr_1", "1", "secret", "pending"),
        upload("upl_2", "usr_1", "1", "private", "lost"),
        upload("upl_2", "usr_1", "NULL", "private", "pending"),
        // Its uploads hold it.
        "DELETE FROM users WHERE id = 'usr_1'".to_owned(),
    ] {
        let error = SessionError::from(execute(refused.clone()).await.expect_err(&refused));
        assert_eq!(error.violated_unique(), None, "{refused}");
    }
}
