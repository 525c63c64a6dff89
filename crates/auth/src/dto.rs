//! Data transfer objects: bodies of requests and answers.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use garde::Validate;
use serde::{Deserialize, Serialize};
use shared_kernel::contact::Email;
use shared_kernel::field::{FieldSchema, TextField, ValidationError, check_length};
use shared_kernel::id::SessionId;
use shared_kernel::secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::text::{SingleLine, control_characters, is_refused};
use shared_kernel::text_field;
use unicode_normalization::UnicodeNormalization as _;
use user::contact::{PhoneNumber, Username};
use user::dto::{DisplayName, User};
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

/// A password of `MIN` to `MAX` characters as it was typed: not trimmed, in Unicode normalisation form C (RFC 8265, section
/// 4.2), and never printed.
#[derive(Clone)]
pub struct PasswordText<const MIN: usize, const MAX: usize>(SecretString);

/// A password at sign-in.
pub type Password = PasswordText<1, 128>;

/// A new password of an account. NIST SP 800-63B (5.1.1.2) requires a minimum of 8 characters or more, and a maximum of 64 or more.
pub type NewPassword = PasswordText<8, 128>;

impl<const MIN: usize, const MAX: usize> PasswordText<MIN, MAX> {
    /// Minimum length in Unicode code points.
    pub const MIN_LENGTH: usize = MIN;
    /// Maximum length in Unicode code points.
    pub const MAX_LENGTH: usize = MAX;

    /// The text, for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<const MIN: usize, const MAX: usize> TextField for PasswordText<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.contains(is_refused) {
            return Err(control_characters());
        }
        let text = SecretString::from(text.nfc().collect::<String>());
        check_length(text.expose_secret(), MIN, MAX)?;
        Ok(Self(text))
    }

    fn example() -> Cow<'static, str> {
        "correct horse battery staple".into()
    }
}

impl<const MIN: usize, const MAX: usize> FieldSchema for PasswordText<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Password_{MIN}_{MAX}").into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .min_length(Some(MIN))
            .max_length(Some(MAX))
            .pattern(Some(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"))
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for PasswordText<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

text_field!(PasswordText<const MIN: usize, const MAX: usize>);

/// One line of 1 to 254 characters.
type IdentifierText = SingleLine<1, 254>;

/// What a user signs in with: e-mail address, user name or phone number of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(IdentifierText);

impl Deref for Identifier {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl TextField for Identifier {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        IdentifierText::parse(text).map(Self)
    }

    fn example() -> Cow<'static, str> {
        "ada@example.com".into()
    }
}

impl FieldSchema for Identifier {
    fn name() -> Cow<'static, str> {
        "Identifier".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        IdentifierText::rules(schema)
    }
}

text_field!(Identifier);

/// A refresh token from a client, not verified yet.
#[derive(Clone)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// A token of this text, which is not verified here.
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

impl TextField for RefreshToken {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        Ok(Self::new(text.to_owned()))
    }

    fn example() -> Cow<'static, str> {
        "ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7".into()
    }
}

impl FieldSchema for RefreshToken {
    fn name() -> Cow<'static, str> {
        "RefreshToken".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.pattern(Some("^[!-~]*$"))
    }
}

text_field!(RefreshToken);

/// Where the client receives and sends the refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// In the body.
    #[default]
    Body,
    /// In a cookie that scripts cannot read.
    Cookie,
}

/// Data of a new account.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signup {
    /// E-mail address, which no other account has in any spelling.
    #[garde(dive)]
    pub email: Email,
    /// Password of 8 to 128 characters; not a common password and not the e-mail address.
    #[garde(dive)]
    pub password: NewPassword,
    /// Display name, which others see.
    #[garde(dive)]
    pub name: DisplayName,
    /// User name, for sign-in instead of the e-mail address: 3 to 50 of `a-z 0-9 _ . -`.
    #[garde(dive)]
    pub username: Option<Username>,
    /// Phone number in E.164 format.
    #[garde(dive)]
    pub phone: Option<PhoneNumber>,
    /// Where to receive the refresh token; in the body if absent.
    #[garde(skip)]
    #[serde(default)]
    #[schema(required = false)]
    pub transport: Transport,
}

/// Credentials of a user.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// E-mail address, user name or phone number.
    #[garde(dive)]
    pub identifier: Identifier,
    /// Password of the account.
    #[garde(dive)]
    pub password: Password,
    /// Where to receive the refresh token; in the body if absent.
    #[garde(skip)]
    #[serde(default)]
    #[schema(required = false)]
    pub transport: Transport,
}

/// The refresh token of a session; absent if it is in the cookie.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Refresh token of the session.
    #[garde(dive)]
    pub refresh_token: Option<RefreshToken>,
}

/// Types of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum TokenType {
    /// A token for the header `Authorization: Bearer …`.
    Bearer,
}

/// A session after sign-in or refresh.
#[derive(Clone, Serialize, ToSchema)]
pub struct SessionResponse {
    /// Access token: a JWT for the header `Authorization: Bearer …`.
    pub access_token: String,
    /// Type of the access token (RFC 6750).
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    #[schema(examples(900))]
    pub expires_in: u64,
    /// Refresh token, good for one refresh; absent if it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refresh_token: Option<String>,
    /// Id of the session.
    pub session_id: SessionId,
    /// Account of the user who signed in.
    pub user: User,
}

impl fmt::Debug for SessionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionResponse").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// The form of the OAuth 2.0 token endpoint (RFC 6749, sections 4.3.2 and 6). Unknown parameters are ignored,
/// as the RFC requires.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct TokenForm {
    /// Type of the grant.
    // Any text, because the RFC has an error code of its own for unknown grants.
    #[schema(value_type = GrantType, examples("password"))]
    pub grant_type: Option<String>,
    /// For `password`: e-mail address, user name or phone number.
    #[schema(nullable = false, examples("ada@example.com"))]
    pub username: Option<String>,
    /// For `password`: the password.
    // Any text too: what breaks the rules of a password is a wrong password, and other grants ignore it.
    #[schema(value_type = Option<String>, format = Password, nullable = false, examples("correct horse battery staple"))]
    pub password: Option<SecretString>,
    /// For `refresh_token`: the refresh token.
    #[schema(value_type = Option<String>, nullable = false, examples("ashr_0Qm4nW8sYcX2bT6kVhR3dLzJ9fPaGuE7"))]
    pub refresh_token: Option<RefreshToken>,
    /// Id of the client (section 3.2.1). All clients are public, so it makes no difference.
    #[schema(nullable = false, examples("web"))]
    pub client_id: Option<String>,
}

/// Grant types of the token endpoint.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its shape is used, by the document")]
enum GrantType {
    /// User name and password.
    Password,
    /// A refresh token.
    RefreshToken,
}

/// Tokens from the token endpoint (RFC 6749, section 5.1).
#[derive(Clone, Serialize, ToSchema)]
pub struct TokenResponse {
    /// Access token: a JWT for the header `Authorization: Bearer …`.
    pub access_token: String,
    /// Type of the access token (RFC 6750).
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    #[schema(examples(900))]
    pub expires_in: u64,
    /// Refresh token, good for one refresh.
    pub refresh_token: String,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").finish_non_exhaustive()
    }
}

/// Origin of a sign-in, as it is stored with the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The client's address, behind trusted proxies.
    pub address: Option<String>,
}
