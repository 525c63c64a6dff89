//! What the tests of signing in share: an installation on a database of its own, with a clock that stands still.

pub(crate) mod hold;
pub(crate) mod jwt;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use auth::dto::{Device, Login, NewPassword, RefreshToken, SessionResponse, Signup};
use auth::error::AuthError;
use auth::password::PasswordHasher;
use auth::service::{AdminAccount, Refreshed};
use auth::settings::{AuthSettings, PasswordSettings};
use auth::{Auth, service};
use garde::Validate;
use migration::Migrator;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{ConnectionTrait as _, QueryResult, TryGetable};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_kernel::clock::SharedClock;
use shared_kernel::contact::Email;
use shared_kernel::crypto::SecretKey;
use shared_kernel::error::{DomainError as _, FieldError, Invalid, Problem};
use shared_kernel::field::TextField as _;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::json::{self, JsonError};
use shared_kernel::principal::Principal;
use shared_kernel::secrecy::SecretString;
use shared_kernel::session::{DatabaseSettings, Databases, WriteSession};
use shared_kernel::testing::{FixedClock, TestDatabase, secret_key};
use user::dto::{DisplayName, User};
use user::service::Users;

pub(crate) const ISSUER: &str = "https://ashlar.example";
pub(crate) const AUDIENCE: &str = "ashlar-api";
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_mins(15);
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
pub(crate) const LONGEST_SESSION: Duration = Duration::from_hours(100 * 24);
pub(crate) const SESSIONS_PER_USER: u64 = 50;
pub(crate) const GRACE: Duration = Duration::from_secs(10);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Longer than any test holds a hashing thread.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// So many seconds less than `duration`.
pub(crate) fn short_of(duration: Duration, seconds: u64) -> Duration {
    duration.saturating_sub(Duration::from_secs(seconds))
}

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Nobody's password.
pub(crate) const WRONG: &str = "incorrect horse battery staple";

/// Cheap hashes: Argon2's strength is not what is tested.
pub(crate) fn cheap() -> PasswordSettings {
    PasswordSettings {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
        threads: 2,
        queue: 100,
        patience: PATIENCE,
    }
}

pub(crate) fn settings(passwords: PasswordSettings) -> AuthSettings {
    AuthSettings {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        access_token_lifetime: TOKEN_LIFETIME,
        session_lifetime: SESSION_LIFETIME,
        longest_session: LONGEST_SESSION,
        sessions_per_user: SESSIONS_PER_USER,
        refresh_grace: GRACE,
        passwords,
        link_base: ISSUER.parse().unwrap(),
    }
}

/// A key that is not [`secret_key`].
pub(crate) fn another_secret_key() -> SecretKey {
    SecretKey::new(&SecretString::from("another secret that tests may have")).unwrap()
}

/// A database with the schema and nothing in it, and the clock of its sessions.
pub(crate) async fn empty_database() -> (Arc<FixedClock>, TestDatabase) {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = TestDatabase::with_clock::<Migrator>(clock.clone()).await;
    (clock, database)
}

/// The same database through connections of their own, as another process has them.
pub(crate) async fn connect(database: &TestDatabase, clock: SharedClock) -> Databases {
    let settings = DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(database.url().into()) };
    Databases::connect(&settings, clock, &secret_key()).await.unwrap()
}

/// An installation: a database, and the first instance on it.
pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) database: TestDatabase,
    first: Instance,
}

/// One process of an installation.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) databases: Databases,
    pub(crate) auth: Arc<Auth>,
}

impl Deref for World {
    type Target = Instance;
    fn deref(&self) -> &Instance {
        &self.first
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(cheap()).await
    }

    pub(crate) async fn with(passwords: PasswordSettings) -> Self {
        let (clock, database) = empty_database().await;
        let first = Instance::open(database.clone(), passwords).await;
        Self { clock, database, first }
    }

    pub(crate) async fn another_instance(&self) -> Instance {
        self.another_instance_with(cheap()).await
    }

    pub(crate) async fn another_instance_with(&self, passwords: PasswordSettings) -> Instance {
        Instance::open(connect(&self.database, self.clock.clone()).await, passwords).await
    }
}

impl Instance {
    pub(crate) async fn open(databases: Databases, passwords: PasswordSettings) -> Self {
        let auth = Auth::open(settings(passwords), databases.clone(), &secret_key()).await.unwrap();
        Self { databases, auth: Arc::new(auth) }
    }

    pub(crate) async fn signup(&self, body: &Value) -> Result<SessionResponse, AuthError> {
        let signup = read::<Signup>(body).unwrap();
        let db = self.databases.write();
        let answer = self.auth.signup(&db, Device::default(), signup).await?;
        committed(db, answer).await
    }

    /// Signs `name@example.com` up.
    pub(crate) async fn sign_up(&self, name: &str) -> SessionResponse {
        self.signup(&person(name)).await.unwrap()
    }

    pub(crate) async fn login(&self, identifier: &str, password: &str) -> Result<SessionResponse, AuthError> {
        let login = read::<Login>(&json!({"identifier": identifier, "password": password})).unwrap();
        let (reader, mut db) = (self.databases.read_primary(), self.databases.write());
        let answer = self.auth.login(&reader, &mut db, Device::default(), login).await?;
        committed(db, answer).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<SessionResponse, AuthError> {
        let token = RefreshToken::new(token.to_owned());
        let db = self.databases.write();
        let outcome = match self.auth.refresh(&db, &token).await? {
            Refreshed::Session(answer) => Ok(*answer),
            Refreshed::Reused => Err(AuthError::RefreshTokenReused),
        };
        committed(db, outcome).await?
    }

    pub(crate) async fn logout(&self, principal: &Principal) -> Result<(), AuthError> {
        let db = self.databases.write();
        self.auth.logout(&db, &[principal.session_id().unwrap()]).await?;
        committed(db, ()).await
    }

    pub(crate) async fn authenticate(&self, access_token: &str) -> Result<Arc<Principal>, AuthError> {
        self.auth.authenticate(access_token).await
    }

    /// What the command line does.
    pub(crate) async fn create_admin(&self, email: &str, password: Option<&str>) -> Result<User, AuthError> {
        let hasher = PasswordHasher::start(cheap()).unwrap();
        let (email, name) = (Email::parse(email).unwrap(), DisplayName::parse("Grace Hopper").unwrap());
        let password = password.map(|password| NewPassword::parse(password).unwrap());
        let there = Users.find_by_identifier(&self.databases.read_primary(), email.as_str()).await.unwrap();
        let account = match there {
            Some(user) => AdminAccount::Existing(user.id),
            None => AdminAccount::New { email, name },
        };
        let principal = Principal::system("admin create");
        let (reader, db) = (self.databases.read_primary(), self.databases.write());
        let made = service::create_admin(&hasher, &reader, &db, &principal, account, password).await?;
        committed(db, made).await
    }

    /// Sets columns of `users`, as another domain's routes would.
    pub(crate) async fn set_user(&self, id: UserId, column: &'static str, value: impl Into<SimpleExpr>) {
        let update =
            Query::update().table("users").value(column, value).and_where(Expr::col("id").eq(id)).to_owned();
        self.execute(&update).await;
    }

    pub(crate) async fn execute(&self, statement: &impl sea_orm::StatementBuilder) {
        self.databases.primary().execute(statement).await.unwrap();
    }

    /// How many rows the table has.
    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        let select = Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from(table).to_owned();
        self.rows(&select).await.first().unwrap().try_get("", "count").unwrap()
    }

    /// How many events of that name are in the outbox.
    pub(crate) async fn events(&self, name: &str) -> Vec<Value> {
        let select = Query::select()
            .column("payload")
            .from("outbox_events")
            .and_where(Expr::col("name").eq(name))
            .to_owned();
        self.rows(&select).await.iter().map(|row| row.try_get("", "payload").unwrap()).collect()
    }

    /// Who caused the events of that name.
    pub(crate) async fn principals(&self, name: &str) -> Vec<Option<String>> {
        let select = Query::select()
            .column("principal")
            .from("outbox_events")
            .and_where(Expr::col("name").eq(name))
            .to_owned();
        self.rows(&select).await.iter().map(|row| row.try_get("", "principal").unwrap()).collect()
    }

    /// The column of the row with that id.
    pub(crate) async fn column<T: TryGetable>(
        &self,
        table: &'static str,
        column: &'static str,
        (key, id): (&'static str, impl Into<SimpleExpr>),
    ) -> T {
        let select =
            Query::select().column(column).from(table).and_where(Expr::col(key).eq(id.into())).to_owned();
        self.rows(&select).await.first().unwrap().try_get("", column).unwrap()
    }

    pub(crate) async fn password_hash(&self, user: UserId) -> String {
        self.column("passwords", "hash", ("user_id", user)).await
    }

    pub(crate) async fn generation(&self, session: SessionId) -> i64 {
        self.column("sessions", "generation", ("id", session)).await
    }

    pub(crate) async fn end_reason(&self, session: SessionId) -> Option<String> {
        self.column("sessions", "end_reason", ("id", session)).await
    }

    pub(crate) async fn rows(&self, select: &impl sea_orm::StatementBuilder) -> Vec<QueryResult> {
        self.databases.primary().query_all(select).await.unwrap()
    }
}

/// The body with which `name@example.com` signs up.
pub(crate) fn person(name: &str) -> Value {
    json!({"email": format!("{name}@example.com"), "password": PASSWORD, "name": "Somebody"})
}

/// `body` as a route reads it.
pub(crate) fn read<T>(body: &Value) -> Result<T, JsonError>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    json::parse(body.to_string().as_bytes())
}

/// Pointer and code of each refused field.
pub(crate) fn refused<T>(body: &Value) -> Vec<(String, String)>
where
    T: DeserializeOwned + Validate<Context = ()> + std::fmt::Debug,
{
    match read::<T>(body) {
        Err(JsonError::Invalid(Invalid(fields))) => pointers(&fields),
        other => panic!("{body}: {other:?}"),
    }
}

pub(crate) fn pointers(fields: &[FieldError]) -> Vec<(String, String)> {
    fields.iter().map(|field| (field.pointer.clone(), field.code.to_string())).collect()
}

pub(crate) fn refresh_token(answer: &SessionResponse) -> &str {
    answer.refresh_token.as_deref().unwrap()
}

/// All that an answer is made from, so that two errors can be compared.
pub(crate) fn error_codes(
    error: &AuthError,
) -> (String, &'static Problem, String, Vec<FieldError>, Option<Duration>) {
    (format!("{error:?}"), error.problem(), error.to_string(), error.fields(), error.retry_after())
}

/// Commits, as a router does.
pub(crate) async fn committed<T>(db: WriteSession, value: T) -> Result<T, AuthError> {
    Ok(db.commit(value).await?.into_value())
}
