//! On whose authority something is done: a user, an API key, a service account, or the system itself.
//!
//! Authentication creates a [`Principal`] from the credentials of a request; services take it by reference and authorise by it. It is
//! never read from a body or a path. Jobs and commands, which have no request, use [`Principal::system`].
//!
//! # Adding a scope
//!
//! A scope is data: the operation that needs one names it in its `security(…)`, and nothing here changes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{ApiKeyId, ServiceAccountId, SessionId, UserId};

/// The principal acts for no user, and only a user has rows of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only a user can do this, and the credentials are not a user's")]
pub struct UserRequired;

/// The identity that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A person who signed in.
    User(UserId),
    /// A program with a key of a user.
    ApiKey(ApiKeyId),
    /// A program with an account of its own.
    ServiceAccount(ServiceAccountId),
    /// The product itself: a command or a job, by its name.
    System(Cow<'static, str>),
}

/// An identity, how it was authenticated, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    subject: Subject,
    on_behalf_of: Option<UserId>,
    authentication: Option<Authentication>,
    scopes: Scopes,
}

impl Principal {
    /// A user in a session.
    #[must_use]
    pub fn signed_in(user: UserId, authentication: Authentication, scopes: Scopes) -> Self {
        let subject = Subject::User(user);
        Self { subject, on_behalf_of: None, authentication: Some(authentication), scopes }
    }

    /// An API key, which acts for its owner.
    #[must_use]
    pub fn api_key(key: ApiKeyId, owner: UserId, scopes: Scopes) -> Self {
        let subject = Subject::ApiKey(key);
        Self { subject, on_behalf_of: Some(owner), authentication: None, scopes }
    }

    /// A service account, which acts for no user.
    #[must_use]
    pub fn service_account(id: ServiceAccountId, scopes: Scopes) -> Self {
        let subject = Subject::ServiceAccount(id);
        Self { subject, on_behalf_of: None, authentication: None, scopes }
    }

    /// The product itself, running the command or job `name`: `admin create`. It may do everything.
    #[must_use]
    pub fn system(name: &'static str) -> Self {
        let subject =
            Subject::System(if name.contains(' ') { name.replace(' ', "-").into() } else { name.into() });
        Self { subject, on_behalf_of: None, authentication: None, scopes: Scopes::of_user(true) }
    }

    /// The same principal acting for another user (RFC 8693, section 1.1: impersonation).
    #[must_use]
    pub fn on_behalf_of(self, user: UserId) -> Self {
        Self { on_behalf_of: Some(user), ..self }
    }

    /// The identity that acts.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The session and its sign-in; none for keys, service accounts and the system.
    #[must_use]
    pub fn authentication(&self) -> Option<&Authentication> {
        self.authentication.as_ref()
    }

    /// The session of the sign-in.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.authentication.as_ref().map(|authentication| authentication.session_id)
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The user whose rows are "one's own": the user who signed in, or the user for whom the principal acts.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.subject {
            Subject::User(user) => Some(self.on_behalf_of.unwrap_or(user)),
            Subject::ApiKey(_) | Subject::ServiceAccount(_) | Subject::System(_) => self.on_behalf_of,
        }
    }

    /// The [user](Self::user), for operations that need one: a new row needs an owner.
    ///
    /// # Errors
    ///
    /// [`UserRequired`] for a service account and the system.
    pub fn require_user(&self) -> Result<UserId, UserRequired> {
        self.user().ok_or(UserRequired)
    }

    /// Whether rows of `owner` are the principal's own.
    #[must_use]
    pub fn owns(&self, owner: UserId) -> bool {
        self.user() == Some(owner)
    }

    /// Whether the principal has `scope`.
    #[must_use]
    pub fn may(&self, scope: &Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// Whether the principal has the scope [`Scope::ADMIN`].
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.may(&Scope::ADMIN)
    }

    /// Whether the last authentication of a person was at most `within` before `now`. Always `false` for keys.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp, within: Duration) -> bool {
        self.authentication.as_ref().is_some_and(|proof| now.since(proof.at) <= within)
    }
}

/// The subject as a short, stable text, for events and audit logs: `usr_…`, `key_…`, `svc_…`, `system:admin-create`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::User(id) => id.fmt(f),
            Subject::ApiKey(id) => id.fmt(f),
            Subject::ServiceAccount(id) => id.fmt(f),
            Subject::System(name) => write!(f, "system:{name}"),
        }
    }
}

/// The authentication of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The session that was started.
    pub session_id: SessionId,
    /// Time of the last authentication: the sign-in, or a later one in the same session.
    pub at: Timestamp,
    /// Methods of the last authentication.
    pub methods: Vec<Method>,
}

/// A method of authentication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A password.
    Password,
    /// A code that was sent by mail.
    EmailCode,
    /// A time-based one-time password (RFC 6238).
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A passkey (WebAuthn).
    Passkey,
    /// An OAuth provider, by its name.
    OAuth(String),
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password => f.write_str("password"),
            Self::EmailCode => f.write_str("email_code"),
            Self::Totp => f.write_str("totp"),
            Self::RecoveryCode => f.write_str("recovery_code"),
            Self::Passkey => f.write_str("passkey"),
            Self::OAuth(provider) => write!(f, "oauth:{provider}"),
        }
    }
}

/// A permission: `admin`, or `<tag>:read` and `<tag>:write` for the operations of a tag of the API. `*` means every tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(Cow<'static, str>);

impl Scope {
    /// The operations of admins.
    pub const ADMIN: Self = Self(Cow::Borrowed("admin"));
    /// Reading under every tag.
    pub const READ_ALL: Self = Self(Cow::Borrowed("*:read"));
    /// Writing under every tag.
    pub const WRITE_ALL: Self = Self(Cow::Borrowed("*:write"));

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope that covers this one under every tag.
    fn of_every_tag(&self) -> Option<Self> {
        match self.0.rsplit_once(':')?.1 {
            "read" => Some(Self::READ_ALL),
            _ => Some(Self::WRITE_ALL),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: admin, <tag>:read or <tag>:write")]
pub struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let is_tag = |tag: &str| {
            tag == "*"
                || !tag.is_empty()
                    && tag.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte))
        };
        match text.split_once(':') {
            None if text == Self::ADMIN.as_str() => Ok(Self::ADMIN),
            Some((tag, "read" | "write")) if is_tag(tag) => Ok(Self(Cow::Owned(text.to_owned()))),
            _ => Err(InvalidScope),
        }
    }
}

/// A set of permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The scopes of a signed-in user: reading and writing under every tag, and [`Scope::ADMIN`] for admins.
    #[must_use]
    pub fn of_user(is_admin: bool) -> Self {
        let admin = is_admin.then_some(Scope::ADMIN);
        Self([Scope::READ_ALL, Scope::WRITE_ALL].into_iter().chain(admin).collect())
    }

    /// Whether the set contains `scope`, or the scope that covers it under every tag.
    #[must_use]
    pub fn allow(&self, scope: &Scope) -> bool {
        self.0.contains(scope) || scope.of_every_tag().is_some_and(|wider| self.0.contains(&wider))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId::from_bytes([1; 16]);
    const OTHER: UserId = UserId::from_bytes([2; 16]);

    fn scopes(names: &[&str]) -> Scopes {
        names.iter().map(|name| name.parse::<Scope>().unwrap()).collect()
    }

    fn signed_in(at: Timestamp) -> Principal {
        let authentication = Authentication {
            session_id: SessionId::from_bytes([3; 16]),
            at,
            methods: vec![Method::Password],
        };
        Principal::signed_in(USER, authentication, Scopes::of_user(false))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000).unwrap()
    }

    #[test]
    fn each_subject_has_a_text_of_its_own() {
        let key = ApiKeyId::from_bytes([4; 16]);
        let account = ServiceAccountId::from_bytes([5; 16]);
        assert_eq!(signed_in(at(0)).to_string(), USER.to_string());
        assert_eq!(Principal::api_key(key, USER, Scopes::default()).to_string(), key.to_string());
        assert_eq!(Principal::service_account(account, Scopes::default()).to_string(), account.to_string());
        assert!(key.to_string().starts_with("key_") && account.to_string().starts_with("svc_"));
        assert_eq!(Principal::system("admin create").to_string(), "system:admin-create");
    }

    #[test]
    fn rows_are_those_of_the_user_that_it_acts_for() {
        let key = Principal::api_key(ApiKeyId::from_bytes([4; 16]), USER, Scopes::default());
        let impersonating = signed_in(at(0)).on_behalf_of(OTHER);
        let account = Principal::service_account(ServiceAccountId::from_bytes([5; 16]), Scopes::default());
        assert!(signed_in(at(0)).owns(USER) && key.owns(USER));
        assert!(impersonating.owns(OTHER) && !impersonating.owns(USER));
        for nobody in [account, Principal::system("purge")] {
            assert!(!nobody.owns(USER));
            assert_eq!(nobody.require_user(), Err(UserRequired));
        }
    }

    #[test]
    fn a_scope_covers_itself_and_that_of_every_tag_covers_all_but_admin() {
        let read: Scope = "orders:read".parse().unwrap();
        let write: Scope = "orders:write".parse().unwrap();
        assert!(scopes(&["orders:read"]).allow(&read) && !scopes(&["orders:read"]).allow(&write));
        assert!(!scopes(&["posts:read"]).allow(&read) && !Scopes::default().allow(&read));
        let user = Scopes::of_user(false);
        assert!(user.allow(&read) && user.allow(&write) && !user.allow(&Scope::ADMIN));
        assert!(Scopes::of_user(true).allow(&Scope::ADMIN));
        assert!(Principal::system("purge").is_admin() && !signed_in(at(0)).is_admin());
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in ["", "admin:", "Admin", "orders", "orders:delete", ":read", "or ders:read", "a:b:read"] {
            assert_eq!(text.parse::<Scope>(), Err(InvalidScope), "{text}");
        }
    }

    #[test]
    fn only_a_recent_proof_is_fresh() {
        let ten = Duration::from_mins(10);
        assert!(signed_in(at(1_000)).is_fresh(at(1_600), ten));
        assert!(!signed_in(at(1_000)).is_fresh(at(1_601), ten));
        let key = Principal::api_key(ApiKeyId::from_bytes([4; 16]), USER, Scopes::of_user(true));
        assert!(!key.is_fresh(at(0), ten) && !Principal::system("purge").is_fresh(at(0), ten));
    }
}
