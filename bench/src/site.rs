//! The database, its users, and the servers that run on it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::tests::process::{Installation, Process};
use ::tests::server::{PASSWORD, SECRET_KEY};
use ::tests::token::{Token, key_in};
use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::signature::Ed25519KeyPair;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement,
    TransactionTrait as _,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::{PAGE, TOKEN_LIFETIME, Tokens};
use crate::client::{Connection, Requests};
use crate::options::Options;
use crate::route::{LOGINS, Route, Server};
use crate::usage::postmaster;

/// Number of rows that one statement inserts.
const ROWS_AT_ONCE: usize = 1_000;

/// Longest wait for a server to answer, and for the relay of the product to deliver the events of a round.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two requests to a server that is starting: the error of the measured time.
const PAUSE: Duration = Duration::from_millis(1);

/// The programs that are measured.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The product; `None` is that of the tests' profile.
    pub product: Option<PathBuf>,
    /// The server `limit`.
    pub limit: PathBuf,
    /// The server `plain`.
    pub plain: PathBuf,
}

/// A database with users, their credentials, and the programs that run on it.
pub struct Site {
    product: Installation,
    others: Installation,
    binaries: Binaries,
    workers: usize,
    notes: bool,
    users: usize,
    connections: usize,
    database: DatabaseConnection,
    key: Ed25519KeyPair,
    genuine: Token,
    tokens: Tokens,
    deep: Option<Deep>,
    logs: TempDir,
}

/// The cursors of a page in the middle of all users.
struct Deep {
    product: String,
    others: String,
}

/// A server that answers.
pub struct Running {
    /// The server.
    pub server: Server,
    /// Address of the API.
    pub address: SocketAddr,
    /// The process, which is killed when it is dropped.
    pub process: Process,
    /// Time from its start to the first answer with status 200 that needs the database.
    pub start: Duration,
}

impl Site {
    /// Lets the product migrate an empty database, and fills it with users.
    ///
    /// # Errors
    ///
    /// The database fails, or is not of the requested engine.
    pub async fn prepare(options: &Options, binaries: &Binaries) -> Result<Self> {
        let mut product =
            if options.sqlite { Installation::without_database() } else { Installation::new().await };
        ensure!(
            options.sqlite || product.is_on_postgres(),
            "TEST_DATABASE_URL must name a PostgreSQL server, except with --sqlite"
        );
        product.use_default_settings();
        product.set("ASHLAR_SERVER__WORKERS", &options.workers.to_string());
        product.set("ASHLAR_UPLOADS__MAX_PENDING", "1000000"); // domain: upload
        if let Some(binary) = &binaries.product {
            product.use_binary(binary);
        }
        let first_run = product.start().await;
        let body = json!({"email": "first@example.com", "password": PASSWORD, "name": "First"});
        let session = first_run.post("/api/v1/auth/signup").json(&body).await.expect(201).json();
        let token = session["access_token"].as_str().context("the sign-up has no access token")?;
        first_run.stop().await;
        let mut connect = ConnectOptions::new(product.database_url());
        connect.max_connections(1).sqlx_logging(false);
        let database = Database::connect(connect).await.context("the database does not answer")?;
        let site = Self {
            product,
            others: Installation::without_database(),
            binaries: binaries.clone(),
            workers: options.workers,
            notes: options.has(Route::Insert),
            users: options.users,
            connections: options.connections,
            key: key_in(&database).await,
            database,
            genuine: Token::parse(token),
            tokens: Tokens::new(SECRET_KEY),
            deep: None,
            logs: tempfile::tempdir().context("no temporary folder")?,
        };
        site.fill().await.context("the database cannot be filled")?;
        Ok(site)
    }

    /// The users, each with one session; as many of them have a password as there are connections. User 0 is an admin.
    async fn fill(&self) -> Result<()> {
        let now = OffsetDateTime::now_utc();
        let (created, expires) = (stored(now)?, stored(now + time::Duration::days(30))?);
        let users = |number: usize| {
            let (id, is_admin) = (user(number), number == 0);
            format!(
                "('{id}', '{created}', '{created}', '{email}', '{email}', 'User {number}', 'user {number}', {is_admin})",
                email = email(number)
            )
        };
        let sessions = |number: usize| {
            format!("('{}', '{}', 0, '{created}', '{created}', '{expires}')", session(number), user(number))
        };
        let hash = self.value("SELECT hash FROM passwords LIMIT 1").await?;
        let hash: String = hash.context("the first user has no password")?;
        let passwords = |number: usize| format!("('{}', '{hash}', '{created}', '{created}')", user(number));
        let columns = "id, created_at, updated_at, email, email_normalized, name, name_normalized, is_admin";
        self.insert("users", columns, self.users, users).await?;
        let columns = "id, user_id, generation, rotated_at, created_at, expires_at";
        self.insert("sessions", columns, self.users, sessions).await?;
        let columns = "user_id, hash, created_at, updated_at";
        self.insert("passwords", columns, self.connections.min(self.users), passwords).await?;
        if self.database.get_database_backend() == DbBackend::Postgres {
            self.database.execute_unprepared("VACUUM (ANALYZE)").await?;
        }
        Ok(())
    }

    /// Inserts `count` rows in one transaction.
    async fn insert(
        &self,
        table: &str,
        columns: &str,
        count: usize,
        row: impl Fn(usize) -> String,
    ) -> Result<()> {
        let transaction = self.database.begin().await?;
        let numbers: Vec<usize> = (0..count).collect();
        for numbers in numbers.chunks(ROWS_AT_ONCE) {
            let rows: Vec<String> = numbers.iter().map(|number| row(*number)).collect();
            let sql = format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", "));
            transaction.execute_unprepared(&sql).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The value that a `SELECT` of one column finds.
    async fn value<T: sea_orm::TryGetable>(&self, sql: &str) -> Result<Option<T>> {
        let statement = Statement::from_string(self.database.get_database_backend(), sql);
        let row = self.database.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
    }

    /// Starts a server, and waits until it has read a user.
    ///
    /// # Errors
    ///
    /// The server ends, or does not answer within a minute. The error contains the end of its log.
    pub async fn start(&mut self, server: Server) -> Result<Running> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        let request = self.get(server, "/api/v1/users/me", 0)?;
        let log = self.logs.path().join(format!("{server}.log"));
        let (bind, url, workers) =
            (address.to_string(), self.product.database_url(), self.workers.to_string());
        let mut arguments =
            vec!["--bind", &bind, "--database", &url, "--workers", &workers, "--secret", SECRET_KEY];
        arguments.extend(self.notes.then_some("--notes"));
        match server {
            Server::Limit => self.others.use_binary(&self.binaries.limit),
            Server::Plain => self.others.use_binary(&self.binaries.plain),
            Server::Product => self.product.set("ASHLAR_SERVER__BIND", &bind),
        }
        let begun = Instant::now();
        let mut process = match server {
            Server::Product => self.product.spawn(&[], address, &log),
            Server::Limit | Server::Plain => self.others.spawn(&arguments, address, &log),
        };
        loop {
            if status(address, &request).await.is_ok_and(|status| status == 200) {
                return Ok(Running { server, address, process, start: begun.elapsed() });
            }
            let is_hopeless = process.has_ended() || begun.elapsed() > PATIENCE;
            ensure!(!is_hopeless, "the server {server} does not start:\n{}", tail(&log));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Finds the page in the middle of all users: the product accepts no offset so large, so its pages are read one after the other.
    ///
    /// # Errors
    ///
    /// A page has no items, or the list ends before its middle.
    pub async fn find_deep_page(&mut self, product: &Process) -> Result<()> {
        const MOST: usize = 100;
        let token = self.token(Server::Product, 0)?;
        let (mut left, mut cursor) = ((self.users / 2).max(PAGE), String::new());
        loop {
            let limit = left.min(MOST);
            let page = product.get(&format!("/api/v1/admin/users?limit={limit}{cursor}")).bearer(&token);
            let page = page.await.expect(200).json();
            let next = page["next_cursor"].as_str().context("the list ends before its middle")?.to_owned();
            left -= limit;
            if left == 0 {
                let last = page["items"].as_array().and_then(|items| items.last()?["id"].as_str());
                let others = last.context("a page has no items")?.to_owned();
                self.deep = Some(Deep { product: next, others });
                return Ok(());
            }
            cursor = format!("&cursor={next}");
        }
    }

    /// The requests of a route. Their tokens are valid for an hour.
    ///
    /// # Errors
    ///
    /// A token cannot be signed.
    pub fn requests(&self, server: Server, route: Route) -> Result<Requests> {
        let count = route.connections(self.connections);
        let each = |request: &dyn Fn(usize) -> Result<Vec<Vec<u8>>>| -> Result<Vec<Vec<Vec<u8>>>> {
            (0..count).map(|number| request(number % self.users)).collect()
        };
        let list = format!("/api/v1/admin/users?limit={PAGE}");
        let turns = match route {
            Route::Live => vec![vec![b"GET /health/live HTTP/1.1\r\nhost: ashlar.test\r\n\r\n".to_vec()]],
            Route::Me => each(&|number| Ok(vec![self.get(server, "/api/v1/users/me", number)?]))?,
            // Not the users who sign in meanwhile: each sign-in beyond the limit of sessions ends one.
            Route::MeBusy => each(&|number| {
                let others = self.users.saturating_sub(LOGINS).max(1);
                Ok(vec![self.get(server, "/api/v1/users/me", self.users - 1 - number % others)?])
            })?,
            Route::MeCold => {
                let numbers = shuffled(self.users);
                let chunks = numbers.chunks(self.users.div_ceil(count));
                let requests = |numbers: &[usize]| {
                    numbers.iter().map(|number| self.get(server, "/api/v1/users/me", *number)).collect()
                };
                chunks.map(requests).collect::<Result<_>>()?
            }
            Route::User => each(&|number| {
                Ok(vec![self.get(server, &format!("/api/v1/users/{}", user(number)), number)?])
            })?,
            Route::List => vec![vec![self.get(server, &list, 0)?]],
            Route::ListDeep => {
                let deep = self.deep.as_ref().context("the page in the middle is not known")?;
                let cursor = if server == Server::Product { &deep.product } else { &deep.others };
                vec![vec![self.get(server, &format!("{list}&cursor={cursor}"), 0)?]]
            }
            // Two names in turn: the same name again would be no change, and emit no event.
            Route::Patch => each(&|number| {
                let token = self.token(server, number)?;
                let request = |name: &str| {
                    let body = json!({"name": format!("{name} {number}")});
                    with_body("PATCH /api/v1/users/me", &format!("authorization: Bearer {token}\r\n"), &body)
                };
                Ok(vec![request("Ada"), request("Grace")])
            })?,
            Route::Insert => each(&|number| {
                let body =
                    json!({"title": "Harbour", "body": "The ships come in at night.\n".repeat(8).trim()});
                let token = format!("authorization: Bearer {}\r\n", self.token(server, number)?);
                Ok(vec![with_body("POST /api/v1/bench-notes", &token, &body)])
            })?,
            // domain: upload
            Route::Upload => each(&|number| {
                let body = json!({"filename": "harbour.png", "content_type": "image/png", "size": 48_213,
                    "checksum_sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="});
                let token = format!("authorization: Bearer {}\r\n", self.token(server, number)?);
                Ok(vec![with_body("POST /api/v1/uploads", &token, &body)])
            })?,
            // end: upload
            Route::Login => each(&|number| Ok(vec![login(number)]))?,
            Route::Refresh => bail!("the requests of this route depend on answers"),
        };
        Ok(Requests::new(turns, route.traits().status))
    }

    /// The requests of the route `refresh`: each connection has a session of its own.
    ///
    /// # Errors
    ///
    /// A sign-in fails.
    pub async fn refreshes(&self, running: &Running) -> Result<Requests> {
        let mut requests = Vec::new();
        let mut connection = Connection::open(running.address, 0).await?;
        for number in 0..self.connections {
            let (status, body) = connection.exchange(&login(number % self.users)).await?;
            ensure!(status == 200, "a sign-in has status {status}:\n{}", String::from_utf8_lossy(body));
            let session: Value = serde_json::from_slice(body)?;
            let body = json!({"refresh_token": session["refresh_token"]});
            requests.push(with_body("POST /api/v1/auth/refresh", "", &body));
        }
        Ok(Requests::rotating(requests, Route::Refresh.traits().status))
    }

    /// A GET request with a token of a user.
    fn get(&self, server: Server, path: &str, user: usize) -> Result<Vec<u8>> {
        let token = self.token(server, user)?;
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: ashlar.test\r\nauthorization: Bearer {token}\r\n\r\n");
        Ok(head.into_bytes())
    }

    /// An access token of a user, as the server issues them.
    fn token(&self, server: Server, number: usize) -> Result<String> {
        let (user, session, now) =
            (user(number), session(number), OffsetDateTime::now_utc().unix_timestamp());
        if server != Server::Product {
            return Ok(self.tokens.issue(&user, &session, number == 0)?);
        }
        let expires = now + i64::try_from(TOKEN_LIFETIME.as_secs())?;
        let token = self.genuine.clone().claim("sub", user).claim("sid", session);
        let token = token.claim("iat", now).claim("nbf", now).claim("exp", expires);
        Ok(token.signed_with(&self.key))
    }

    /// Deletes all rows of a table.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn empty(&self, table: &str) -> Result<()> {
        self.database.execute_unprepared(&format!("DELETE FROM {table}")).await?;
        Ok(())
    }

    /// Waits until the relay of the product has delivered all events.
    ///
    /// # Errors
    ///
    /// It takes longer than a minute.
    pub async fn events_are_delivered(&self) -> Result<()> {
        let begun = Instant::now();
        while self.value::<i64>("SELECT count(*) FROM outbox_events WHERE delivered_at IS NULL").await?
            != Some(0)
        {
            ensure!(begun.elapsed() < PATIENCE, "the relay does not deliver the events of a round");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The server process of PostgreSQL, if the database is there and on this machine.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn postmaster(&self) -> Result<Option<u32>> {
        if self.database.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let backend: Option<i32> = self.value("SELECT pg_backend_pid()").await?;
        Ok(backend.and_then(|backend| postmaster(u32::try_from(backend).ok()?)))
    }
}

/// The answer to one request of a route as JSON, without the values that differ from server to server and from time to time.
///
/// # Errors
///
/// The status is not the expected one, or the body is not JSON.
pub async fn answer(address: SocketAddr, route: Route, requests: &Requests) -> Result<Value> {
    let request = requests.first().context("there is no request to send")?;
    let mut connection = Connection::open(address, 0).await?;
    let (status, body) = connection.exchange(request).await?;
    ensure!(status == requests.expected(), "status {status}:\n{}", String::from_utf8_lossy(body));
    requests.answered(0, request, body)?;
    let mut json = serde_json::from_slice(body).context("the body is not JSON")?;
    forget_values(&mut json, route.traits().may_differ);
    Ok(json)
}

/// Makes the values of these members equal, and keeps their types.
fn forget_values(json: &mut Value, names: &[&str]) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if names.contains(&name.as_str()) => text.clear(),
                    Value::Number(number) if names.contains(&name.as_str()) => *number = 0.into(),
                    _ => forget_values(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget_values(item, names)),
        _ => {}
    }
}

async fn status(address: SocketAddr, request: &[u8]) -> Result<u16> {
    Ok(Connection::open(address, 0).await?.exchange(request).await?.0)
}

fn login(number: usize) -> Vec<u8> {
    with_body("POST /api/v1/auth/login", "", &json!({"identifier": email(number), "password": PASSWORD}))
}

fn with_body(line: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nhost: ashlar.test\r\n{headers}content-type: application/json\r\n");
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn user(number: usize) -> String {
    format!("usr_01J{number:023}")
}

fn session(number: usize) -> String {
    format!("ses_01J{number:023}")
}

fn email(number: usize) -> String {
    format!("user{number}@example.com")
}

/// A time as the product stores it in SQLite, with nine digits after the second. PostgreSQL rounds it to microseconds.
fn stored(time: OffsetDateTime) -> Result<String> {
    let whole = time - Duration::from_nanos(u64::from(time.nanosecond() % 1_000));
    Ok((whole + Duration::from_nanos(1)).format(&Rfc3339)?)
}

/// The numbers below `count` in an order that looks random and is the same in each run: a Fisher-Yates shuffle with the generator
/// xorshift64 (Marsaglia, 2003).
fn shuffled(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = usize::try_from(state % (last as u64 + 1)).unwrap_or(last);
        numbers.swap(last, other);
    }
    numbers
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_has_every_number_once() {
        let mut numbers = shuffled(1_000);
        assert_ne!(numbers, (0..1_000).collect::<Vec<_>>());
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn values_that_may_differ_are_forgotten_and_their_types_are_not() {
        let mut json =
            json!({"items": [{"id": 1, "updated_at": "2026"}], "next_cursor": null, "expires_in": 9});
        forget_values(&mut json, &["updated_at", "next_cursor", "expires_in"]);
        assert_eq!(
            json,
            json!({"items": [{"id": 1, "updated_at": ""}], "next_cursor": null, "expires_in": 0})
        );
    }

    #[test]
    fn ids_have_26_characters_after_their_prefix() {
        assert_eq!((user(7).len(), session(99_999).len()), (30, 30));
        assert_eq!(
            user(7).trim_start_matches("usr_").parse::<ulid::Ulid>().unwrap().to_string(),
            user(7)[4..]
        );
    }
}
