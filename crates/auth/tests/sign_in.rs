//! Signing in, through the public face and on a real database: SQLite, or PostgreSQL with `TEST_DATABASE_URL`.

#[cfg(test)]
mod common;

#[cfg(test)]
mod sign_in {
    mod access_token;
    mod admin;
    mod hashing;
    mod keys;
    mod login;
    mod logout;
    mod purge;
    mod redaction;
    mod refresh;
    mod signup;
}
