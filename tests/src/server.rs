//! The application in this process. It runs as in `main`, in a thread of its own, and listens on free ports.

use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use app_kit::application::{Addresses, Application};
use configuration::Sources;
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement};
use serde_json::{Value, json};
use server::PRODUCT;
use shared_kernel::session::Databases;
use shared_kernel::testing::TestDatabase;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::unique;

/// The password of all accounts.
pub const PASSWORD: &str = "correct horse battery staple";

/// The secret key of all servers.
pub const SECRET_KEY: &str = "Zq3vXw8rT1nLk5sYb7cHd2fGj9mPa4eU";

/// Configuration of every server under test: free ports, cheap password hashes, few connections.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("ASHLAR_SECRET_KEY", SECRET_KEY),
    ("ASHLAR_SERVER__BIND", "127.0.0.1:0"),
    ("ASHLAR_SERVER__WORKERS", "1"),
    ("ASHLAR_SERVER__SHUTDOWN_GRACE", "10"),
    ("ASHLAR_STORAGE__EMBEDDED_BIND", "127.0.0.1:0"), // domain: upload
    ("ASHLAR_DATABASE__POOL_SIZE", "4"),
    // A machine that runs many tests is slow; tests of the time limits use the defaults.
    ("ASHLAR_SERVER__REQUEST_TIMEOUT", "60"),
    ("ASHLAR_DATABASE__ACQUIRE_TIMEOUT", "20"),
    ("ASHLAR_DATABASE__STATEMENT_TIMEOUT", "40"),
    ("ASHLAR_AUTH__ARGON2_MEMORY_KIB", "128"),
    ("ASHLAR_AUTH__ARGON2_ITERATIONS", "1"),
    ("ASHLAR_AUTH__HASH_THREADS", "1"),
    ("ASHLAR_AUTH__HASH_WAIT_SECONDS", "20"),
];

/// A running server with data of its own. Dereferences to a [`Client`] that talks to it.
pub struct TestServer {
    client: Client,
    running: Option<Running>,
    environment: Vec<(String, String)>,
    /// Its database.
    pub database: TestDatabase,
    folder: TempDir,
    number: AtomicI64,
}

struct Running {
    addresses: Addresses,
    databases: Databases,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // If it has ended already, the join returns its error.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// Another server on the database of a [`TestServer`]. Dereferences to a [`Client`] that talks to it.
pub struct Instance {
    client: Client,
    _running: Running,
}

impl Deref for Instance {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

/// A user who has signed up, with a session.
#[derive(Clone, Debug)]
pub struct Account {
    /// Id of the user.
    pub id: String,
    /// E-mail address.
    pub email: String,
    /// An access token.
    pub token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Id of the session.
    pub session_id: String,
}

impl From<&Value> for Account {
    /// Reads the response to a sign-up or sign-in.
    fn from(session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
        Self {
            id: text(&session["user"]["id"]),
            email: text(&session["user"]["email"]),
            token: text(&session["access_token"]),
            refresh_token: text(&session["refresh_token"]),
            session_id: text(&session["session_id"]),
        }
    }
}

impl Deref for TestServer {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestServer {
    /// Starts a server with the defaults of the tests.
    pub async fn start() -> Self {
        Self::with_variables(&[]).await
    }

    /// Starts a server with these environment variables in addition.
    pub async fn with_variables(variables: &[(&str, &str)]) -> Self {
        let (database, folder) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
        let data_dir = folder.path().join("data");
        let own = [("ASHLAR_DATA_DIR", data_dir.to_str().unwrap()), ("ASHLAR_DATABASE__URL", database.url())];
        let variables = ENVIRONMENT.iter().chain(&own).chain(variables);
        let environment: Vec<_> =
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let running = run(&environment, folder.path()).await;
        let client = Client::new(format!("http://{}", running.addresses.api));
        Self { client, running: Some(running), environment, database, folder, number: AtomicI64::new(0) }
    }

    /// Stops the server, and starts another one with its data.
    pub async fn restart(&mut self) {
        self.running = None;
        let running = run(&self.environment, self.folder.path()).await;
        self.client = Client::new(format!("http://{}", running.addresses.api));
        self.running = Some(running);
    }

    /// Starts another instance on the same database, with a data folder of its own.
    pub async fn start_instance(&self) -> Instance {
        let data_dir = tempfile::tempdir_in(&self.folder).unwrap().keep();
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != "ASHLAR_DATA_DIR");
        environment.push(("ASHLAR_DATA_DIR".to_owned(), data_dir.to_str().unwrap().to_owned()));
        let running = run(&environment, self.folder.path()).await;
        Instance { client: Client::new(format!("http://{}", running.addresses.api)), _running: running }
    }

    /// Returns 0, 1, 2 …: a new number at each call, for rows that must differ.
    pub fn next_number(&self) -> i64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    /// The addresses of its endpoints.
    pub fn addresses(&self) -> &Addresses {
        &self.running.as_ref().unwrap().addresses
    }

    /// The connections of the server itself, for tests that interfere with them.
    pub fn server_databases(&self) -> &Databases {
        &self.running.as_ref().unwrap().databases
    }

    /// The origin of the pages that it serves.
    pub fn origin(&self) -> String {
        self.addresses().public_url.origin().ascii_serialization()
    }

    /// The folder of its data.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Signs up a new user.
    pub async fn signup(&self) -> Account {
        self.signup_as(json!({})).await
    }

    /// Signs up a new user, with these additional members in the body.
    pub async fn signup_as(&self, members: Value) -> Account {
        let mut body =
            json!({"email": unique("user") + "@example.com", "password": PASSWORD, "name": "Ada Lovelace"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = self.post("/api/v1/auth/signup").json(&body).await.expect(201);
        Account::from(&answer.json())
    }

    /// Signs up a new user and makes it an admin.
    pub async fn admin(&self) -> Account {
        let account = self.signup().await;
        self.execute(&format!("UPDATE users SET is_admin = TRUE WHERE id = '{}'", account.id)).await;
        // The session was not used yet, so the server has not cached that the user is not an admin.
        account
    }

    /// Opens a new session of this user.
    pub async fn login(&self, account: &Account) -> Account {
        let body = json!({"identifier": account.email, "password": PASSWORD});
        Account::from(&self.post("/api/v1/auth/login").json(&body).await.expect(200).json())
    }

    /// Sends a GET as this user.
    pub async fn get_as(&self, account: &Account, path: &str) -> crate::Answer {
        self.request(Method::GET, path).bearer(&account.token).await
    }

    /// Whether the server accepts this access token.
    pub async fn accepts(&self, token: &str) -> bool {
        let answer = self.get("/api/v1/users/me").bearer(token).await;
        match answer.status {
            200 => true,
            401 => false,
            _ => panic!("{answer:?}"),
        }
    }

    /// Executes a statement directly in the database.
    pub async fn execute(&self, sql: &str) {
        self.database.primary().execute_unprepared(sql).await.unwrap();
    }

    /// Returns the result of a `SELECT count(*)`.
    pub async fn count(&self, sql: &str) -> i64 {
        self.row(sql).await.try_get_by_index(0).unwrap()
    }

    /// Returns the result of a `SELECT` of one text.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.row(sql).await.try_get_by_index(0).unwrap()
    }

    async fn row(&self, sql: &str) -> QueryResult {
        let statement = Statement::from_string(self.backend(), sql);
        self.database.primary().query_one_raw(statement).await.unwrap().unwrap()
    }

    /// Its database engine.
    pub fn backend(&self) -> DbBackend {
        self.database.backend()
    }
}

async fn run(environment: &[(String, String)], working_dir: &Path) -> Running {
    let sources =
        Sources { file: None, environment: environment.to_vec(), working_dir: working_dir.to_owned() };
    let config = PRODUCT.config_schema().load(&sources).unwrap().resolve().unwrap();
    let (started, starts) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let application =
                Application::build(&PRODUCT, config).await.map_err(|error| error.to_string())?;
            let _ = started.send((application.addresses().clone(), application.databases().clone()));
            application.run(async { drop(stopped.await) }).await.map_err(|error| error.to_string())
        })
    });
    let Ok((addresses, databases)) = starts.await else {
        panic!("the server does not start: {:?}", thread.join())
    };
    Running { addresses, databases, stop: Some(stop), thread: Some(thread) }
}
