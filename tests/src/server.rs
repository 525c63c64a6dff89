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

/// What every server under test is configured with: free ports, hashes that cost nothing, few connections.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("ASHLAR_SECRET_KEY", SECRET_KEY),
    ("ASHLAR_SERVER__BIND", "127.0.0.1:0"),
    ("ASHLAR_SERVER__WORKERS", "1"),
    ("ASHLAR_SERVER__SHUTDOWN_GRACE", "10"),
    ("ASHLAR_STORAGE__EMBEDDED_BIND", "127.0.0.1:0"), // domain: upload
    ("ASHLAR_DATABASE__POOL_SIZE", "4"),
    // A machine that runs many tests is slow; what keeps to the time is tried with the defaults.
    ("ASHLAR_SERVER__REQUEST_TIMEOUT", "60"),
    ("ASHLAR_DATABASE__ACQUIRE_TIMEOUT", "20"),
    ("ASHLAR_DATABASE__STATEMENT_TIMEOUT", "40"),
    ("ASHLAR_AUTH__ARGON2_MEMORY_KIB", "128"),
    ("ASHLAR_AUTH__ARGON2_ITERATIONS", "1"),
    ("ASHLAR_AUTH__HASH_THREADS", "1"),
];

/// A running server with data of its own. Dereferences to a [`Client`] that talks to it.
pub struct TestServer {
    client: Client,
    running: Option<Running>,
    environment: Vec<(String, String)>,
    /// Its database.
    pub database: TestDatabase,
    folder: TempDir,
    counted: AtomicI64,
}

struct Running {
    addresses: Addresses,
    databases: Databases,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the join tells.
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

/// Somebody who signed up.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user's id.
    pub id: String,
    /// The address.
    pub email: String,
    /// An access token.
    pub token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The session's id.
    pub session_id: String,
}

impl From<&Value> for Account {
    /// Out of a session answer.
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
    /// One with the defaults.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One that is configured by these variables too.
    pub async fn with(variables: &[(&str, &str)]) -> Self {
        let (database, folder) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
        let data_dir = folder.path().join("data");
        let own = [("ASHLAR_DATA_DIR", data_dir.to_str().unwrap()), ("ASHLAR_DATABASE__URL", database.url())];
        let variables = ENVIRONMENT.iter().chain(&own).chain(variables);
        let environment: Vec<_> =
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let running = run(&environment, folder.path()).await;
        let client = Client::new(format!("http://{}", running.addresses.api));
        Self { client, running: Some(running), environment, database, folder, counted: AtomicI64::new(0) }
    }

    /// Stops it, and starts another on its data.
    pub async fn restart(&mut self) {
        self.running = None;
        let running = run(&self.environment, self.folder.path()).await;
        self.client = Client::new(format!("http://{}", running.addresses.api));
        self.running = Some(running);
    }

    /// Another instance beside it, with a data folder of its own.
    pub async fn another(&self) -> Instance {
        let data_dir = tempfile::tempdir_in(&self.folder).unwrap().keep();
        let mut environment = self.environment.clone();
        environment.retain(|(name, _)| name != "ASHLAR_DATA_DIR");
        environment.push(("ASHLAR_DATA_DIR".to_owned(), data_dir.to_str().unwrap().to_owned()));
        let running = run(&environment, self.folder.path()).await;
        Instance { client: Client::new(format!("http://{}", running.addresses.api)), _running: running }
    }

    /// 0, 1, 2 …: another number each time, for rows that have to differ.
    pub fn count_up(&self) -> i64 {
        self.counted.fetch_add(1, Ordering::Relaxed)
    }

    /// Where everything is.
    pub fn addresses(&self) -> &Addresses {
        &self.running.as_ref().unwrap().addresses
    }

    /// Its own connections. What is done to them behind its back, it has to live with.
    pub fn own_databases(&self) -> &Databases {
        &self.running.as_ref().unwrap().databases
    }

    /// The origin of its own pages.
    pub fn origin(&self) -> String {
        self.addresses().public_url.origin().ascii_serialization()
    }

    /// The folder of its data.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Somebody new.
    pub async fn signup(&self) -> Account {
        self.signup_as(json!({})).await
    }

    /// Somebody new, with these members in the body of the signup.
    pub async fn signup_as(&self, members: Value) -> Account {
        let mut body =
            json!({"email": unique("user") + "@example.com", "password": PASSWORD, "name": "Ada Lovelace"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = self.post("/api/v1/auth/signup").json(&body).await.expect(201);
        Account::from(&answer.json())
    }

    /// A new admin.
    pub async fn admin(&self) -> Account {
        let account = self.signup().await;
        self.execute(&format!("UPDATE users SET is_admin = TRUE WHERE id = '{}'", account.id)).await;
        // Whether this session is an admin's has not been asked yet, so nothing is remembered of it.
        account
    }

    /// A new session of somebody.
    pub async fn login(&self, account: &Account) -> Account {
        let body = json!({"identifier": account.email, "password": PASSWORD});
        Account::from(&self.post("/api/v1/auth/login").json(&body).await.expect(200).json())
    }

    /// What GET answers to somebody.
    pub async fn get_as(&self, account: &Account, path: &str) -> crate::Answer {
        self.request(Method::GET, path).bearer(&account.token).await
    }

    /// Whether this token opens anything.
    pub async fn accepts(&self, token: &str) -> bool {
        let answer = self.get("/api/v1/users/me").bearer(token).await;
        match answer.status {
            200 => true,
            401 => false,
            _ => panic!("{answer:?}"),
        }
    }

    /// Changes the database behind the server's back.
    pub async fn execute(&self, sql: &str) {
        self.database.primary().execute_unprepared(sql).await.unwrap();
    }

    /// What a `SELECT count(*)` finds.
    pub async fn count(&self, sql: &str) -> i64 {
        self.row(sql).await.try_get_by_index(0).unwrap()
    }

    /// What a `SELECT` of one text finds.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.row(sql).await.try_get_by_index(0).unwrap()
    }

    async fn row(&self, sql: &str) -> QueryResult {
        let statement = Statement::from_string(self.backend(), sql);
        self.database.primary().query_one_raw(statement).await.unwrap().unwrap()
    }

    /// The engine of its database.
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
