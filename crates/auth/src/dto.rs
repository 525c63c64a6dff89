//! What goes in and out.

use std::fmt;

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize};
use shared_kernel::contact::{self, Email};
use shared_kernel::id::SessionId;
use shared_kernel::secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::text::Line;
use unicode_normalization::UnicodeNormalization as _;
use user::contact::{Phone, Username};
use user::dto::User;
use utoipa::ToSchema;

/// A password as it was typed: not trimmed, in Unicode normalisation form C (RFC 8265, section 4.2), and never printed.
#[derive(Clone, ToSchema)]
#[schema(value_type = String, format = Password)]
pub struct Password(SecretString);

impl Password {
    /// The shortest that an account can be given, in Unicode code points.
    pub const MIN_LENGTH: usize = 8;
    /// The longest (NIST SP 800-63B, 5.1.1.2 asks for 64 at least).
    pub const MAX_LENGTH: usize = 128;

    /// The password that `text` is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.nfc().collect::<String>().into())
    }

    /// The text, for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&std::borrow::Cow::<'de, str>::deserialize(deserializer)?))
    }
}

impl garde::rules::length::chars::HasChars for Password {
    fn num_chars(&self) -> usize {
        self.expose().chars().count()
    }
}

/// A refresh token on its way in.
#[derive(Clone, ToSchema)]
#[schema(value_type = String)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// The token that `text` is; whether it is worth anything is found out later.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text, for comparing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl<'de> Deserialize<'de> for RefreshToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(String::deserialize(deserializer)?))
    }
}

/// How the refresh token travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// In the body.
    #[default]
    Body,
    /// In a cookie that scripts cannot read.
    Cookie,
}

/// A new account.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signup {
    /// The address; nobody else's, in whatever spelling.
    #[garde(custom(contact::is::<Email>))]
    #[schema(value_type = String, format = Email, max_length = 254, examples("ada@example.com"))]
    pub email: Line,
    /// 8 to 128 characters, not a common password, not the address.
    #[garde(length(chars, min = Password::MIN_LENGTH, max = Password::MAX_LENGTH))]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$", examples("correct horse battery staple"))]
    pub password: Password,
    /// What others see.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(value_type = String, min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f\u2028\u2029][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", examples("Ada Lovelace"))]
    pub name: Line,
    /// The name to sign in with instead of the address: 3 to 50 of `a-z 0-9 _ . -`.
    #[garde(inner(custom(contact::is::<Username>)))]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_.-]+$", examples("ada"))]
    pub username: Option<Line>,
    /// The phone number, E.164.
    #[garde(inner(custom(contact::is::<Phone>)))]
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$", examples("+4915112345678"))]
    pub phone: Option<Line>,
    /// How the refresh token travels; in the body when absent.
    #[garde(skip)]
    #[serde(default)]
    #[schema(required = false)]
    pub transport: Transport,
}

/// Signing in.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// E-mail address, user name or phone number.
    #[garde(length(chars, min = 1, max = 254))]
    #[schema(value_type = String, min_length = 1, max_length = 254, pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f\u2028\u2029][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", examples("ada@example.com"))]
    pub identifier: Line,
    /// The password.
    #[garde(length(chars, min = 1, max = Password::MAX_LENGTH))]
    #[schema(value_type = String, format = Password, min_length = 1, max_length = 128, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$", examples("correct horse battery staple"))]
    pub password: Password,
    /// How the refresh token travels; in the body when absent.
    #[garde(skip)]
    #[serde(default)]
    #[schema(required = false)]
    pub transport: Transport,
}

/// A refresh token to be traded for the next. Absent when it travels in the cookie.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token.
    #[garde(skip)]
    #[schema(value_type = Option<String>, pattern = "^[!-~]*$", examples("ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7"))]
    pub refresh_token: Option<RefreshToken>,
}

/// Signed in.
#[derive(Clone, Serialize, ToSchema)]
pub struct SessionAnswer {
    /// A JWT for the header `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(value_type = String, examples("Bearer"))]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(examples(900))]
    pub expires_in: u64,
    /// What to trade for the next access token; absent when it travels in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refresh_token: Option<String>,
    /// The session.
    pub session_id: SessionId,
    /// Who signed in.
    pub user: User,
}

impl fmt::Debug for SessionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAnswer").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// The form of the OAuth 2.0 token endpoint (RFC 6749, sections 4.3.2 and 6). Parameters that it does not know are ignored,
/// as the RFC asks.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct TokenForm {
    /// What is traded for the tokens.
    // Read as any text, because the RFC has an answer of its own for a grant that is not here.
    #[schema(value_type = GrantType, examples("password"))]
    pub grant_type: Option<String>,
    /// For `password`: e-mail address, user name or phone number.
    #[schema(nullable = false, examples("ada@example.com"))]
    pub username: Option<String>,
    /// For `password`.
    #[schema(nullable = false, examples("correct horse battery staple"))]
    pub password: Option<Password>,
    /// For `refresh_token`.
    #[schema(value_type = Option<String>, nullable = false, examples("ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7"))]
    pub refresh_token: Option<RefreshToken>,
    /// The client's name (section 3.2.1). All clients are public here, so whichever it is changes nothing.
    #[schema(nullable = false, examples("web"))]
    pub client_id: Option<String>,
}

/// What the token endpoint trades for tokens.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used, by the document")]
enum GrantType {
    /// An account's name and password.
    Password,
    /// A refresh token.
    RefreshToken,
}

/// The answer of the token endpoint (RFC 6749, section 5.1).
#[derive(Clone, Serialize, ToSchema)]
pub struct TokenAnswer {
    /// A JWT for the header `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(value_type = String, examples("Bearer"))]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(examples(900))]
    pub expires_in: u64,
    /// What to trade for the next access token.
    pub refresh_token: String,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer").finish_non_exhaustive()
    }
}

/// Where a request comes from, as the session list shows it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The client's address, behind trusted proxies.
    pub address: Option<String>,
}
