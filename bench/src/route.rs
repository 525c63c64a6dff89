//! The servers and the routes that are measured.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// actix-web and prepared statements alone.
    Limit,
    /// actix-web and sea-orm.
    Plain,
    /// The product.
    #[serde(rename = "ashlar")]
    Product,
}

impl Server {
    /// All servers, in the order of the columns.
    pub const ALL: [Self; 3] = [Self::Limit, Self::Plain, Self::Product];

    /// Name in the result.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Plain => "plain",
            Self::Product => "ashlar",
        }
    }

    /// Whether the server has the route.
    #[must_use]
    pub fn has(self, route: Route) -> bool {
        self != Self::Limit || route.traits().is_on_limit
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// `GET /health/live`.
    Live,
    /// `GET /api/v1/users/me`; each connection repeats one token.
    Me,
    /// `GET /api/v1/users/me` with the tokens of all users in random order.
    MeCold,
    /// `GET /api/v1/users/{id}` of the own account.
    User,
    /// `GET /api/v1/admin/users`, the first page of 20.
    List,
    /// The same, a page in the middle of all users.
    ListDeep,
    /// `PATCH /api/v1/users/me` with a new name, which emits an event.
    Patch,
    /// `POST /api/v1/bench-notes`: a row of a generated domain, and its event.
    Insert,
    // domain: upload
    /// `POST /api/v1/uploads`: a pending upload, and the signed request that sends its file.
    Upload,
    // end: upload
    /// `POST /api/v1/auth/refresh`; each connection sends the token of its last answer.
    Refresh,
    /// `POST /api/v1/auth/login`.
    Login,
    /// `GET /api/v1/users/me`, while other connections sign in.
    MeBusy,
}

/// Number of connections that sign in. Password hashes wait for a core: with more connections the wait would be measured, and be refused by
/// the product after some seconds.
pub const LOGINS: usize = 8;

/// What the driver has to know of a route.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Name in options and in the result.
    pub name: &'static str,
    /// Status of the answers.
    pub status: u16,
    /// Members of the answers whose values differ from server to server, or from time to time.
    pub may_differ: &'static [&'static str],
    /// Whether the server `limit` has the route.
    pub is_on_limit: bool,
    /// The table that the requests add rows to. It is emptied before each measurement, so that all of them begin alike.
    pub adds_to: Option<&'static str>,
    /// Whether the requests emit events.
    pub emits_events: bool,
}

impl Route {
    /// All routes. The last two fill the memory of password hashes.
    pub const ALL: &'static [Self] = &[
        Self::Live,
        Self::Me,
        Self::MeCold,
        Self::User,
        Self::List,
        Self::ListDeep,
        Self::Patch,
        Self::Insert,
        Self::Upload, // domain: upload
        Self::Refresh,
        Self::Login,
        Self::MeBusy,
    ];

    /// What the driver has to know of the route.
    #[must_use]
    pub const fn traits(self) -> Traits {
        const SESSION: &[&str] = &["access_token", "expires_in", "refresh_token", "session_id"];
        const NOTE: &[&str] = &["id", "created_at", "updated_at"];
        const UPLOAD: &[&str] = &["id", "url", "created_at", "expires_at"]; // domain: upload
        const fn get(name: &'static str, may_differ: &'static [&'static str]) -> Traits {
            Traits { name, status: 200, may_differ, is_on_limit: true, adds_to: None, emits_events: false }
        }
        const fn create(
            name: &'static str,
            may_differ: &'static [&'static str],
            table: &'static str,
        ) -> Traits {
            Traits { status: 201, adds_to: Some(table), ..get(name, may_differ) }
        }
        match self {
            Self::Live => get("live", &["timestamp"]),
            Self::Me => get("me", &[]),
            Self::MeCold => get("me-cold", &[]),
            Self::User => get("user", &[]),
            Self::List => get("list", &["next_cursor"]),
            Self::ListDeep => get("list-deep", &["next_cursor"]),
            Self::Patch => Traits { emits_events: true, ..get("patch", &["updated_at"]) },
            Self::Insert => Traits { emits_events: true, ..create("insert", NOTE, "bench_notes") },
            Self::Upload => Traits { is_on_limit: false, ..create("upload", UPLOAD, "uploads") }, // domain: upload
            Self::Refresh => Traits { is_on_limit: false, ..get("refresh", SESSION) },
            Self::Login => get("login", SESSION),
            Self::MeBusy => Traits { is_on_limit: false, ..get("me-busy", &[]) },
        }
    }

    /// Name in options and in the result.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.traits().name
    }

    /// Number of connections, of those that the run has.
    #[must_use]
    pub fn connections(self, all: usize) -> usize {
        if self == Self::Login { all.min(LOGINS) } else { all }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for &route in Route::ALL {
            assert_eq!(serde_json::to_value(route).unwrap(), route.name());
        }
        for server in Server::ALL {
            assert_eq!(serde_json::to_value(server).unwrap(), server.name());
        }
    }
}
