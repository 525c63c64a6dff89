//! Address of a server, and the settings of each connection.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::session::ConnectError;

/// Timeouts that the server enforces. They end a statement shortly before our own timeout would close the connection, so that the
/// connection survives and the server does not continue in vain.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Waits {
    /// `statement_timeout`.
    pub(in crate::session) statement: Duration,
    /// `lock_timeout`, which is a part of it.
    pub(in crate::session) lock: Duration,
}

/// `idle_in_transaction_session_timeout`: ends a transaction and releases its locks if the client has disappeared unnoticed. A
/// transaction awaits nothing but the database, so a living client sends its next statement soon.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

impl Waits {
    /// Timeouts that are shorter than `answer`.
    pub(in crate::session) fn within(answer: Duration) -> Self {
        Self { statement: answer * 7 / 8, lock: answer * 3 / 4 }
    }

    /// Time after which a statement has certainly ended on the server and its answer has arrived.
    pub(in crate::session) fn over(answer: Duration) -> Duration {
        answer * 15 / 16
    }
}

/// A database on a server.
#[derive(Clone, Debug)]
pub(in crate::session) struct Target(PgConnectOptions);

impl Target {
    /// The database of a URL, parsed as libpq does (PostgreSQL manual, "Connection URIs").
    pub(in crate::session) fn parse(url: &SecretString) -> Result<Self, ConnectError> {
        let options: PgConnectOptions =
            url.expose_secret().parse().map_err(|error: sqlx::Error| ConnectError::Url(error.to_string()))?;
        let host = options.get_host().to_owned();
        let options = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // An IPv6 address is in brackets in a URL (RFC 3986, section 3.2.2), but nowhere else.
            Some(address) => options.host(address),
            None => options,
        };
        let named = options.get_application_name().is_some();
        let options = if named { options } else { options.application_name("ashlar") };
        Ok(Self(options))
    }

    /// Sets whether statements are logged, without their values.
    pub(in crate::session) fn logged(self, statements: bool) -> Self {
        if statements { self } else { Self(self.0.disable_statement_logging()) }
    }

    /// Options of connections: the server enforces `waits` and detects a client that has disappeared.
    pub(in crate::session) fn options(&self, waits: Waits) -> PgConnectOptions {
        let milliseconds = |time: Duration| time.as_millis().to_string();
        self.with(&[
            ("statement_timeout", milliseconds(waits.statement)),
            ("lock_timeout", milliseconds(waits.lock)),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION)),
            ("tcp_keepalives_idle", "30".to_owned()),
            ("tcp_keepalives_interval", "10".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", milliseconds(IDLE_IN_TRANSACTION)),
        ])
    }

    /// Adds settings of the server, except for those that the URL sets.
    pub(in crate::session) fn with(&self, settings: &[(&'static str, String)]) -> PgConnectOptions {
        let own = self.0.get_options().unwrap_or_default().to_owned();
        let sets = |name: &str| {
            let mut words = own.split_whitespace().map(|word| word.strip_prefix("-c").unwrap_or(word));
            words.any(|word| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        };
        let missing = settings.iter().filter(|(name, _)| !sets(name));
        self.0.clone().options(missing.map(|(name, value)| (*name, value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> PgConnectOptions {
        Target::parse(&SecretString::from(url)).unwrap().0
    }

    #[test]
    fn an_address_of_ipv6_has_brackets_in_a_url_only() {
        let options = target("postgres://ada@[::1]:5433/ashlar");
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("::1", 5433, "ada"));
    }

    #[test]
    fn who_is_not_named_is_who_runs_us() {
        let id = std::process::Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(id.stdout).unwrap();
        assert_eq!(target("postgres:///ashlar").get_username(), user.trim());
    }

    #[test]
    fn what_the_url_sets_stays() {
        let waits = Waits::within(Duration::from_secs(4));
        let url = SecretString::from(
            "postgres://ada@db/ashlar?options[lock_timeout]=200&options[deadlock_timeout]=900&application_name=mine",
        );
        let options = Target::parse(&url).unwrap().options(waits);
        let settings = options.get_options().unwrap();
        assert_eq!(settings.matches(" lock_timeout=").count(), 1, "{settings}");
        assert!(
            settings.contains("lock_timeout=200") && settings.contains("statement_timeout=3500"),
            "{settings}"
        );
        assert_eq!(options.get_application_name(), Some("mine"));
    }
}
