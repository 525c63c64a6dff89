//! Sign-up, sign-in and sign-out.

use std::sync::Arc;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, Responder, get, post, web};
use auth::Auth;
use auth::dto::{
    Device, Identifier, Login, Password, Refresh, RefreshToken, SessionResponse, Signup, TokenForm,
    TokenResponse, Transport,
};
use auth::error::AuthError;
use auth::service::Refreshed;
use base64::Engine as _;
use futures_util::future::BoxFuture;
use http_kit::access_control::refused_token;
use http_kit::authenticator::Authenticator;
use http_kit::cookies;
use http_kit::extract::{Body, ClientInfo, FormBytes, OptionalBody, ReadPrimary};
use http_kit::headers::{bearer, quoted};
use http_kit::problem::ApiError;
use http_kit::request_log::CustomErrorBody;
use http_kit::routes::Routes;
use http_kit::state::{State, state};
use http_kit::write::{Answer, Finished, Write};
use serde::Serialize;
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::field::TextField as _;
use shared_kernel::id::SessionId;
use shared_kernel::principal::Principal;
use shared_kernel::secrecy::{ExposeSecret as _, SecretString};
use user::error::UserError;
use utoipa::ToSchema;

mod admin;
mod module;
mod purge;
mod rules;
mod welcome;

pub use module::MODULE;

/// The cookie that carries the refresh token. The prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`
/// (RFC 6265bis, section 4.1.3.2).
const REFRESH_COOKIE: &str = "__Host-ashlar_refresh";

/// The path of the OAuth 2.0 token endpoint.
const TOKEN_URL: &str = "/api/v1/auth/token";

/// Authenticates requests by their access tokens.
#[derive(Debug)]
struct Recognition(Arc<Auth>);

impl Authenticator for Recognition {
    fn authenticate<'a>(&'a self, token: Option<&'a str>) -> BoxFuture<'a, Result<Arc<Principal>, ApiError>> {
        Box::pin(async move {
            let token = token.ok_or(AuthError::InvalidToken)?;
            Ok(self.0.authenticate(token).await?)
        })
    }
}

/// The client, as it is stored with its session.
fn device(client: ClientInfo) -> Device {
    Device { user_agent: client.user_agent, address: client.ip }
}

/// Registers the routes.
fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(signup).handle(login).handle(get_token).handle(refresh).handle(logout).handle(jwks);
}

/// Sign up
///
/// Creates an account and signs it in.
#[utoipa::path(tag = "auth", operation_id = "signup", security(()),
    request_body(content = Signup, example = json!({
        "email": "ada@example.com", "password": "correct horse battery staple", "name": "Ada Lovelace"
    })),
    extensions(("x-problems" = json!([
        UserError::EMAIL_TAKEN,
        UserError::USERNAME_TAKEN,
        UserError::PHONE_TAKEN,
    ]))),
    responses(
        (status = 201, description = "The account is created and signed in.", body = SessionResponse, headers(
            ("Location" = String, description = "The account."),
            ("ETag" = String, description = "Version of the account."),
            ("Set-Cookie" = String, description = "The refresh token, if the client keeps it in the cookie."),
        )),
    ))]
#[post("/api/v1/auth/signup")]
async fn signup(
    auth: web::Data<Auth>,
    db: Write,
    client: ClientInfo,
    Body(body): Body<Signup>,
) -> Result<Finished, ApiError> {
    let transport = body.transport;
    let answer = auth.signup(&db, device(client), body).await?;
    signed_in(db, &auth, StatusCode::CREATED, transport, answer).await
}

/// Log in
///
/// Signs in with a password and an e-mail address, user name or phone number.
#[utoipa::path(tag = "auth", operation_id = "login", security(()),
    request_body(content = Login, example = json!({
        "identifier": "ada@example.com", "password": "correct horse battery staple"
    })),
    extensions(("x-problems" = json!([
        AuthError::INVALID_CREDENTIALS,
    ]))),
    responses(
        (status = 200, description = "Signed in.", body = SessionResponse, headers(
            ("Set-Cookie" = String, description = "The refresh token, if the client keeps it in the cookie."),
        )),
    ))]
#[post("/api/v1/auth/login")]
async fn login(
    auth: web::Data<Auth>,
    ReadPrimary(reader): ReadPrimary,
    mut db: Write,
    client: ClientInfo,
    Body(body): Body<Login>,
) -> Result<Finished, ApiError> {
    let transport = body.transport;
    let answer = auth.login(&reader, &mut db, device(client), body).await?;
    signed_in(db, &auth, StatusCode::OK, transport, answer).await
}

/// Refresh a session
///
/// Exchanges the refresh token, from the body or the cookie, for a new refresh token and a new access token. A refresh token can be
/// used once.
#[utoipa::path(tag = "auth", operation_id = "refresh", security(()),
    params(("__Host-ashlar_refresh" = Option<String>, Cookie, description = "The refresh token, if the client keeps it in the cookie.")),
    request_body(content = Option<Refresh>, example = json!({"refresh_token": "ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7"})),
    extensions(("x-problems" = json!([
        AuthError::INVALID_REFRESH_TOKEN,
        AuthError::REFRESH_TOKEN_REUSED,
    ]))),
    responses(
        (status = 200, description = "A new refresh token and a new access token.", body = SessionResponse, headers(
            ("Set-Cookie" = String, description = "The refresh token, if the client keeps it in the cookie."),
        )),
    ))]
#[post("/api/v1/auth/refresh")]
async fn refresh(
    auth: web::Data<Auth>,
    request: HttpRequest,
    db: Write,
    OptionalBody(body): OptionalBody<Refresh>,
) -> Result<Finished, ApiError> {
    let (token, transport) = match body.refresh_token {
        Some(token) => (Some(token), Transport::Body),
        None => (
            cookies::only(request.headers(), REFRESH_COOKIE).map(|value| RefreshToken::new(value.to_owned())),
            Transport::Cookie,
        ),
    };
    let refusal = |error| match transport {
        Transport::Body => ApiError::from(error),
        Transport::Cookie => without_cookie(request.headers(), error),
    };
    let token = token.ok_or_else(|| refusal(AuthError::InvalidRefreshToken))?;
    match auth.refresh(&db, &token).await.map_err(refusal)? {
        Refreshed::Session(answer) => signed_in(db, &auth, StatusCode::OK, transport, *answer).await,
        // The end of the session is committed, although the answer is an error.
        Refreshed::Reused => Err(db.refused(refusal(AuthError::RefreshTokenReused)).await),
    }
}

/// The error for a refresh token that came in the cookie. An invalid one is removed from the browser, which would otherwise send
/// it until it expires.
fn without_cookie(headers: &HeaderMap, error: AuthError) -> ApiError {
    let is_dead = error.problem().kind == Kind::Unauthenticated;
    let error = ApiError::from(error);
    match removal(headers).filter(|_| is_dead).map(|cookie| cookie.encoded().to_string().try_into()) {
        Some(Ok(removal)) => error.with_header(header::SET_COOKIE, removal),
        Some(Err(_)) | None => error,
    }
}

/// Log out
///
/// Ends the session of the access token, or of the refresh token in the body or the cookie; one of them is enough. The session's
/// tokens are invalid from now on. It is no error if the session has already ended.
#[utoipa::path(tag = "auth", operation_id = "logout",
    security(("bearer" = []), ("oauth2" = []), ()),
    params(("__Host-ashlar_refresh" = Option<String>, Cookie, description = "The refresh token, if the client keeps it in the cookie.")),
    request_body(content = Option<Refresh>, example = json!({"refresh_token": "ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7"})),
    extensions(("x-problems" = json!([
        AuthError::INVALID_TOKEN,
    ]))),
    responses(
        (status = 204, description = "The session has ended.", headers(
            ("Set-Cookie" = String, description = "Removes the cookie with the refresh token, if the client sent it."),
        )),
    ))]
#[post("/api/v1/auth/logout")]
async fn logout(
    auth: web::Data<Auth>,
    request: HttpRequest,
    db: Write,
    OptionalBody(body): OptionalBody<Refresh>,
) -> Result<Finished, ApiError> {
    let sessions = sessions_named(&auth, &request, body.refresh_token).await?;
    auth.logout(&db, &sessions).await?;
    let answer = Answer::new(StatusCode::NO_CONTENT);
    let answer = match removal(request.headers()) {
        Some(cookie) => with_cookie(answer, &cookie)?,
        None => answer,
    };
    db.finish(answer).await
}

/// The sessions that a logout names, by access token or refresh token.
async fn sessions_named(
    auth: &Auth,
    request: &HttpRequest,
    in_body: Option<RefreshToken>,
) -> Result<Vec<SessionId>, ApiError> {
    let headers = request.headers();
    let in_cookies = cookies::named(headers, REFRESH_COOKIE).map(|value| RefreshToken::new(value.to_owned()));
    let tokens: Vec<RefreshToken> = in_body.into_iter().chain(in_cookies).collect();
    // An unknown token names no session, and then there is nothing to end (as in RFC 7009, section 2.2).
    let mut sessions: Vec<SessionId> =
        tokens.iter().filter_map(|token| auth.session_of_refresh_token(token)).collect();
    let Some(access_token) = bearer(headers) else {
        return if tokens.is_empty() { Err(AuthError::InvalidToken.into()) } else { Ok(sessions) };
    };
    match auth.session_of_access_token(access_token).await {
        Ok(session) => sessions.push(session),
        // Usually expired: the refresh token names the session.
        Err(AuthError::InvalidToken) if !tokens.is_empty() => {}
        Err(error) => return Err(refused_token(error.into(), state(request)?)),
    }
    Ok(sessions)
}

/// Get tokens (OAuth 2.0)
///
/// OAuth 2.0 token endpoint, for the Authorize button of `/docs` and for OAuth clients. Clients are public: they may send their
/// `client_id`, and none has a secret. Unknown parameters are ignored.
#[utoipa::path(tag = "auth", operation_id = "token", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded", example = json!({
        "grant_type": "password", "username": "ada@example.com", "password": "correct horse battery staple"
    })),
    responses(
        (status = 200, description = "The tokens (RFC 6749, section 5.1).", body = TokenResponse),
        (status = 400, description = "The request or the grant is invalid (RFC 6749, section 5.2).", body = OAuthError),
        (status = 401, description = "The client sent Basic credentials, and clients have no secrets here (RFC 6749, section 5.2).",
            body = OAuthError),
    ))]
#[post("/api/v1/auth/token")]
async fn get_token(
    auth: web::Data<Auth>,
    request: HttpRequest,
    ReadPrimary(reader): ReadPrimary,
    mut db: Write,
    client: ClientInfo,
    FormBytes(form): FormBytes,
) -> Result<Finished, TokenError> {
    ensure_no_secrets(&request, state(&request)?)?;
    let form: TokenForm = serde_urlencoded::from_bytes(&form).map_err(|_| {
        OAuthFailure::new(
            OAuthErrorCode::InvalidRequest,
            "the form cannot be read, or has a parameter twice".into(),
        )
    })?;
    let granted = match (form.grant_type.as_deref(), form.username, form.password, form.refresh_token) {
        (Some("password"), Some(username), Some(password), _) => {
            let credentials = credentials(&username, &password)?;
            auth.login(&reader, &mut db, device(client), credentials).await
        }
        (Some("refresh_token"), _, _, Some(token)) => {
            match auth.refresh(&db, &token).await {
                Ok(Refreshed::Session(answer)) => Ok(*answer),
                Ok(Refreshed::Reused) => {
                    // The end of the session is committed, although the answer is an error.
                    return Err(db.refused(refused_grant(AuthError::RefreshTokenReused)).await);
                }
                Err(error) => Err(error),
            }
        }
        (Some("password" | "refresh_token"), ..) => {
            return Err(OAuthFailure::new(
                OAuthErrorCode::InvalidRequest,
                "a parameter of this grant is missing".into(),
            )
            .into());
        }
        (Some(_), ..) => {
            return Err(OAuthFailure::new(
                OAuthErrorCode::UnsupportedGrantType,
                "use password or refresh_token".into(),
            )
            .into());
        }
        (None, ..) => {
            return Err(
                OAuthFailure::new(OAuthErrorCode::InvalidRequest, "grant_type is missing".into()).into()
            );
        }
    };
    let granted = granted.map_err(refused_grant)?;
    let tokens = TokenResponse {
        access_token: granted.access_token,
        token_type: granted.token_type,
        expires_in: granted.expires_in,
        refresh_token: granted.refresh_token.unwrap_or_default(),
    };
    let answer = Answer::json(StatusCode::OK, &tokens)?.with((header::PRAGMA, "no-cache"))?;
    Ok(db.finish(answer).await?)
}

/// Credentials that break the rules of a name or a password are wrong: no account can have them.
fn credentials(username: &str, password: &SecretString) -> Result<Login, TokenError> {
    match (Identifier::parse(username), Password::parse(password.expose_secret())) {
        (Ok(identifier), Ok(password)) => Ok(Login { identifier, password, transport: Transport::Body }),
        _ => Err(refused_grant(AuthError::InvalidCredentials)),
    }
}

/// All clients are public: one that authenticates is unknown (RFC 6749, section 2.3.1). Some clients always send a `Basic` header,
/// so an empty name and secret are accepted. Credentials of other schemes are ignored, as by every other public operation.
fn ensure_no_secrets(request: &HttpRequest, state: &State) -> Result<(), OAuthFailure> {
    let Some(encoded) = basic_credentials(request.headers()) else { return Ok(()) };
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
    if decoded.as_deref() == Some(b":") {
        Ok(())
    } else {
        Err(OAuthFailure::unknown_client(&state.project_name))
    }
}

/// The credentials after `Basic` (RFC 7617, section 2), still encoded.
fn basic_credentials(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("basic").then(|| credentials.trim())
}

/// Get the public keys
///
/// Public keys for verifying access tokens (RFC 7517).
#[utoipa::path(tag = "auth", operation_id = "jwks", security(()),
    responses((status = 200, description = "A JSON Web Key Set.", body = KeySet)))]
#[get("/.well-known/jwks.json")]
async fn jwks(auth: web::Data<Auth>) -> Result<impl Responder, ApiError> {
    let keys = auth.published_keys().await?;
    // A rotated key stays here until its last token has expired, so an old copy does no harm.
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "public, max-age=300")).json(keys))
}

/// A JSON Web Key Set (RFC 7517, section 5).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used, by the document")]
struct KeySet {
    /// The current key, and earlier keys whose tokens may not have expired yet.
    keys: Vec<PublicKey>,
}

/// A public key (RFC 8037, section 2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used, by the document")]
struct PublicKey {
    /// Key type.
    #[schema(examples("OKP"))]
    kty: String,
    /// Curve of the key.
    #[schema(examples("Ed25519"))]
    crv: String,
    /// Intended use of the key.
    #[schema(examples("sig"))]
    r#use: String,
    /// Algorithm of the signatures.
    #[schema(examples("EdDSA"))]
    alg: String,
    /// Id of the key, as in the header of the tokens that it signs.
    #[schema(examples("Jm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7v1QpKxZtB0wA"))]
    kid: String,
    /// Public point on the curve, in base64url.
    #[schema(examples("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))]
    x: String,
}

/// Commits, and answers with a session whose refresh token is in the body or in the cookie.
async fn signed_in(
    db: Write,
    auth: &Auth,
    status: StatusCode,
    transport: Transport,
    mut session: SessionResponse,
) -> Result<Finished, ApiError> {
    let cookie = match transport {
        Transport::Body => None,
        Transport::Cookie => session.refresh_token.take().map(|token| refresh_cookie(auth, token)),
    };
    let mut answer = Answer::json(status, &session)?;
    if let Some(cookie) = cookie {
        answer = with_cookie(answer, &cookie)?;
    }
    if status == StatusCode::CREATED {
        answer = answer.with((header::LOCATION, "/api/v1/users/me"))?.with(db.tag(&session.user).header())?;
    }
    db.finish(answer).await
}

fn with_cookie(answer: Answer, cookie: &Cookie<'_>) -> Result<Answer, ApiError> {
    answer.with((header::SET_COOKIE, cookie.encoded().to_string()))
}

/// A cookie that removes the one in the request.
fn removal(headers: &HeaderMap) -> Option<Cookie<'static>> {
    cookies::named(headers, REFRESH_COOKIE).next()?;
    let mut cookie = cookie(String::new());
    cookie.make_removal();
    Some(cookie)
}

fn refresh_cookie(auth: &Auth, token: String) -> Cookie<'static> {
    let mut cookie = cookie(token);
    let seconds = i64::try_from(auth.session_lifetime().as_secs()).unwrap_or(i64::MAX);
    cookie.set_max_age(CookieDuration::seconds(seconds));
    cookie
}

fn cookie(value: String) -> Cookie<'static> {
    Cookie::build(REFRESH_COOKIE, value)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .finish()
}

/// Error code of the token endpoint (RFC 6749, section 5.2).
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(example = "invalid_grant")]
pub(crate) enum OAuthErrorCode {
    /// A parameter is missing, or occurs twice.
    InvalidRequest,
    /// The client sent credentials, and clients have none.
    InvalidClient,
    /// The username, the password or the refresh token is wrong.
    InvalidGrant,
    /// The `grant_type` is neither `password` nor `refresh_token`.
    UnsupportedGrantType,
}

/// An error of the token endpoint (RFC 6749, section 5.2).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OAuthError {
    error: OAuthErrorCode,
    /// Description of the error, for developers.
    error_description: String,
}

/// An [`OAuthError`] with its status.
#[derive(Debug)]
struct OAuthFailure {
    status: StatusCode,
    error: OAuthErrorCode,
    description: String,
    /// Realm of the challenge to the client, if there is one.
    realm: Option<String>,
}

impl OAuthFailure {
    fn new(error: OAuthErrorCode, description: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description, realm: None }
    }

    /// Only for clients that sent `Basic`: the answer is a challenge of the same scheme (RFC 6749, section 5.2), for which a browser
    /// opens a dialog of its own.
    fn unknown_client(realm: &str) -> Self {
        let description = "clients have no secrets here: leave out the header Authorization".into();
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: OAuthErrorCode::InvalidClient,
            description,
            realm: Some(quoted(realm)),
        }
    }
}

/// An error of the token endpoint: in the form of the RFC if that has a code for it, otherwise a problem document.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("{}", .0.description)]
    OAuth(OAuthFailure),
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<OAuthFailure> for TokenError {
    fn from(failure: OAuthFailure) -> Self {
        Self::OAuth(failure)
    }
}

fn refused_grant(error: AuthError) -> TokenError {
    match error.problem().kind {
        Kind::Unauthenticated => OAuthFailure::new(OAuthErrorCode::InvalidGrant, error.to_string()).into(),
        _ => TokenError::Api(error.into()),
    }
}

impl actix_web::ResponseError for TokenError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::OAuth(failure) => failure.status,
            Self::Api(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let failure = match self {
            Self::OAuth(failure) => failure,
            Self::Api(error) => return error.error_response(),
        };
        let mut response = HttpResponse::build(failure.status);
        if let Some(realm) = &failure.realm {
            response.insert_header((header::WWW_AUTHENTICATE, format!("Basic realm={realm}")));
        }
        let error = OAuthError { error: failure.error, error_description: failure.description.clone() };
        let mut response = response.json(error);
        response.extensions_mut().insert(CustomErrorBody);
        response
    }
}
