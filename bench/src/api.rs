//! The common parts of the servers `limit` and `plain`: arguments, access tokens, and the JSON of the API.
//!
//! Their answers have the same JSON as the product's. The driver compares them before it measures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::error::ErrorUnauthorized;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse};
use anyhow::Result;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};
use clap::Parser;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

/// Number of items on a page.
pub const PAGE: usize = 20;

/// Lifetime of the tokens, which is the longest that the product accepts.
pub const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// Lifetime of a session.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Arguments of the servers.
#[derive(Clone, Debug, Parser)]
pub struct Arguments {
    /// Address that the server listens on.
    #[arg(long)]
    pub bind: SocketAddr,
    /// URL of a database with the product's tables.
    #[arg(long)]
    pub database: String,
    /// Number of threads that answer requests.
    #[arg(long)]
    pub workers: usize,
    /// Secret that signs access tokens (HS256).
    #[arg(long)]
    pub secret: String,
    /// Whether the database has the table `bench_notes`.
    #[arg(long)]
    pub notes: bool,
}

/// Claims of an access token. Whether the user is an admin is a claim, because these servers read no session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Id of the user.
    pub sub: String,
    /// Id of the session.
    pub sid: String,
    /// Whether the user is an admin.
    pub admin: bool,
    /// Time at which the token expires, in seconds since 1970 (RFC 7519, section 4.1.4).
    pub exp: i64,
}

/// Issues and verifies access tokens (HS256, RFC 7518, section 3.2).
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Tokens that are signed with `secret`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            validation: Validation::new(Algorithm::HS256),
        }
    }

    /// A token of this user and session.
    ///
    /// # Errors
    ///
    /// Signing failed.
    pub fn issue(&self, user: &str, session: &str, admin: bool) -> jsonwebtoken::errors::Result<String> {
        let exp = (OffsetDateTime::now_utc() + TOKEN_LIFETIME).unix_timestamp();
        let claims = Claims { sub: user.to_owned(), sid: session.to_owned(), admin, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// The answer to a sign-in or a refresh. The refresh token is the session and the number of its refreshes, and not signed.
    ///
    /// # Errors
    ///
    /// Signing failed.
    pub fn session<T: AsRef<str>>(
        &self,
        session_id: String,
        generation: i64,
        user: User<T>,
    ) -> jsonwebtoken::errors::Result<Session<T>> {
        Ok(Session {
            access_token: self.issue(user.id.as_ref(), &session_id, user.is_admin)?,
            token_type: "Bearer",
            expires_in: TOKEN_LIFETIME.as_secs(),
            refresh_token: format!("{session_id}.{generation:012}"),
            session_id,
            user,
        })
    }

    /// The claims of a request's token.
    ///
    /// # Errors
    ///
    /// 401 if the request has no valid token.
    pub fn verify(&self, request: &HttpRequest) -> actix_web::Result<Claims> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| ErrorUnauthorized("no access token"))?;
        let verified = jsonwebtoken::decode(token, &self.decoding, &self.validation);
        verified.map(|token| token.claims).map_err(ErrorUnauthorized)
    }

    /// The claims of an admin's token.
    ///
    /// # Errors
    ///
    /// 401 if the request has no valid token of an admin.
    pub fn verify_admin(&self, request: &HttpRequest) -> actix_web::Result<Claims> {
        let claims = self.verify(request)?;
        if claims.admin { Ok(claims) } else { Err(ErrorUnauthorized("not an admin")) }
    }
}

/// Verifies passwords outside of the threads that answer requests, one for each of them at a time: more would only share the cores, and
/// each needs 19 MiB.
pub struct Hashing(Arc<Semaphore>);

impl Hashing {
    /// For so many threads.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self(Arc::new(Semaphore::new(workers)))
    }

    /// Whether the password is the one of a hash of argon2.
    ///
    /// # Errors
    ///
    /// The process ends.
    pub async fn verify(&self, password: String, hash: String) -> Result<bool> {
        let permit = Arc::clone(&self.0).acquire_owned().await?;
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(verified.await?)
    }
}

/// An account. `T` is the type of its texts.
#[derive(Debug, Serialize)]
pub struct User<T> {
    /// Id.
    pub id: T,
    /// E-mail address.
    pub email: T,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// User name.
    pub username: Option<T>,
    /// Phone number.
    pub phone: Option<T>,
    /// Display name.
    pub name: T,
    /// Status.
    pub status: T,
    /// Whether the user is an admin.
    pub is_admin: bool,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Time of the last change.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// Items, the newest first.
    pub items: Vec<T>,
    /// Value of `cursor` for the next page.
    pub next_cursor: Option<String>,
}

/// Query parameters of a list.
#[derive(Debug, Deserialize)]
pub struct PageQuery {
    /// Id of the last item of the previous page.
    pub cursor: Option<String>,
}

/// Body of a change of one's own account.
#[derive(Debug, Deserialize)]
pub struct UpdateMe {
    /// The new display name.
    pub name: String,
}

/// Body of a new note.
#[derive(Debug, Deserialize)]
pub struct NewNote {
    /// Title.
    pub title: String,
    /// Text.
    pub body: String,
}

/// A note: a row of the domain that `cargo xtask bench` generates. `T` is the type of its texts.
#[derive(Debug, Serialize)]
pub struct Note<T> {
    /// Id.
    pub id: T,
    /// Title.
    pub title: T,
    /// Text.
    pub body: T,
    /// Id of the owner.
    pub author_id: T,
    /// Time of creation.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Time of the last change.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// Body of a sign-in.
#[derive(Debug, Deserialize)]
pub struct Login {
    /// E-mail address.
    pub identifier: String,
    /// Password.
    pub password: String,
}

/// Body of a refresh.
#[derive(Debug, Deserialize)]
pub struct Refresh {
    /// Refresh token.
    pub refresh_token: String,
}

/// Answer to a sign-in.
#[derive(Debug, Serialize)]
pub struct Session<T> {
    /// Access token.
    pub access_token: String,
    /// Type of the access token (RFC 6750).
    pub token_type: &'static str,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
    /// Refresh token.
    pub refresh_token: String,
    /// Id of the session.
    pub session_id: String,
    /// Account of the user.
    pub user: User<T>,
}

/// Status of the process.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
}

/// The answer to the liveness probe.
#[must_use]
pub fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok", timestamp: now() })
}

/// The current time in whole microseconds, which is the precision of the database.
#[must_use]
pub fn now() -> OffsetDateTime {
    whole_microseconds(OffsetDateTime::now_utc())
}

/// The time without its nanoseconds: the product stores one nanosecond more in SQLite, so that texts of times have one length.
#[must_use]
pub fn whole_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    time - Duration::from_nanos(u64::from(time.nanosecond() % 1_000))
}

/// A new id with this prefix.
#[must_use]
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", ulid::Ulid::generate())
}
