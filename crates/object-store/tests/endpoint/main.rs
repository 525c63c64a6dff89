//! The object store from outside: the real AWS SDK signs, plain HTTP sends, and nothing is believed that is not read
//! back. One binary for all of it, because linking the SDK takes longer than running the tests.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as loudly as the test itself")]

mod browsers;
mod buckets;
mod hostile;
mod lifecycle;
mod listing;
mod multipart;
mod reads;
mod support;
mod uploads;
