//! Settings of uploads: the section `uploads` of the configuration, and the keys of the section `storage` that every object store
//! needs.

use std::time::Duration;

use configuration::{
    Environment, Keys, Section, bytes, days, empty, key, list, optional, parsed, seconds, secret, switch,
    text, web_url, whole,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Limits and periods of uploads. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSettings {
    /// Largest file that is sent with a single PUT.
    pub max_size: i64,
    /// Lifetime of presigned URLs; S3 allows a week at most.
    pub url_ttl: Duration,
    /// Sum of the sizes of all uploads of one user. Deleted ones count until [`purge`](crate::service::UploadService::purge)
    /// has removed their objects: until then they use space, and their URLs may still accept a PUT.
    pub quota: i64,
    /// Accepted media types, without parameters, each by any of its names.
    pub allowed_types: Vec<String>,
    /// Time for which the object of a deleted upload is kept.
    pub deleted_grace: Duration,
    /// Number of uploads of one user that may be pending at a time; deleted ones count as for the quota.
    pub max_pending: i64,
    /// Time after the expiry of its URL at which a pending upload is abandoned. Longer than the slowest PUT takes.
    pub pending_grace: Duration,
    /// Number of uploads that [`purge`](crate::service::UploadService::purge) handles in one transaction.
    pub purge_batch: u64,
}

const MIB: i64 = 1024 * 1024;
const GIB: i64 = 1024 * MIB;
const PIB: i64 = 1024 * 1024 * GIB;

const ALLOWED_TYPES: [&str; 12] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "application/pdf",
    "video/mp4",
    "video/webm",
    "audio/mpeg",
    "text/plain",
    "text/csv",
    "application/zip",
];

impl Section for UploadSettings {
    const NAME: &'static str = "uploads";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        Some(Self {
            max_size: keys.read(key(
                "max_size",
                bytes(1..=64 * MIB),
                64 * MIB,
                "Size of the largest file. This version uploads in one request, hence the bound.",
            ))?,
            url_ttl: keys.read(key(
                "url_seconds",
                seconds(10..=604_800),
                900,
                "Lifetime of a presigned URL.",
            ))?,
            quota: keys.read(key(
                "quota",
                bytes(0..=PIB),
                10 * GIB,
                "Sum of the sizes of all files of one user; deleted ones count until their object is removed.",
            ))?,
            allowed_types: keys.read(key(
                "allowed_types",
                list("media types in lower case and without parameters, such as image/png", media_type),
                ALLOWED_TYPES.join(","),
                "Accepted media types, each by any of its names.",
            ))?,
            deleted_grace: keys.read(key(
                "grace_days",
                days(0..=365),
                7,
                "Time for which the object of a deleted upload is kept.",
            ))?,
            max_pending: keys.read(key(
                "max_pending",
                whole(1..=1_000_000, "uploads"),
                100,
                "Number of uploads of one user that may be pending at a time; deleted ones count until their object is removed.",
            ))?,
            pending_grace: Duration::from_hours(24),
            purge_batch: 100,
        })
    }
}

/// RFC 6838, section 4.2.
fn media_type(text: &str) -> Option<String> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b))
    };
    let (kind, subtype) = text.split_once('/')?;
    (is_name(kind) && is_name(subtype)).then(|| text.to_owned())
}

/// Address of the object store, and the account there.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// URL of the store for the server; AWS if absent.
    pub endpoint: Option<Url>,
    /// URL of the store for clients, if that is another: presigned URLs begin with it.
    pub public_endpoint: Option<Url>,
    /// Region that requests are signed for.
    pub region: String,
    /// Bucket of all objects.
    pub bucket: String,
    /// Access key id.
    pub access_key: SecretString,
    /// Secret access key.
    pub secret_key: SecretString,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`.
    pub path_style: bool,
}

impl Section for StorageSettings {
    const NAME: &'static str = "storage";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        const DERIVED: &str = "derived from `secret_key` for the embedded store, required for another";
        let settings = Self {
            endpoint: keys.read(key(
                "endpoint",
                optional(web_url()),
                empty("the embedded store"),
                "URL of the S3 service that keeps the files, as the server reaches it.",
            ))?,
            public_endpoint: keys.read(key(
                "public_endpoint",
                optional(web_url()),
                empty("`storage.endpoint`, or the embedded store's own address"),
                "URL of the same service as browsers reach it: presigned URLs begin with it.",
            ))?,
            region: keys.read(key(
                "region",
                text("the name of a region"),
                "us-east-1",
                "Region that requests are signed for.",
            ))?,
            bucket: keys.read(key(
                "bucket",
                parsed("a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens", bucket),
                "ashlar",
                "Bucket of all files.",
            ))?,
            access_key: keys.read(key(
                "access_key",
                secret("the name of the key that may read and write the bucket"),
                empty(DERIVED),
                "Access key id.",
            ))?,
            secret_key: keys.read(key(
                "secret_key",
                secret("the secret that belongs to `storage.access_key`"),
                empty(DERIVED),
                "Secret access key.",
            ))?,
            path_style: keys.read(key(
                "path_style",
                switch(),
                true,
                "Whether the bucket stands in the path (MinIO, the embedded store) or in the host name.",
            ))?,
        };
        settings.check_account(keys);
        Some(settings)
    }
}

impl StorageSettings {
    fn check_account(&self, keys: &mut Keys<'_>) {
        // Access keys are names and may be short; neither may be the one of everybody's first try.
        let account = [("access_key", &self.access_key, 0), ("secret_key", &self.secret_key, 16)];
        let is_set = |key: &SecretString| !key.expose_secret().is_empty();
        let because = match self.endpoint {
            Some(_) => "`storage.endpoint` is set",
            None => "the other key of the store is set",
        };
        let is_needed = self.endpoint.is_some() || account.iter().any(|(_, key, _)| is_set(key));
        if let Some((name, ..)) = account.iter().find(|(_, key, _)| is_needed && !is_set(key)) {
            keys.missing(name, because);
        }
        for (name, ..) in account.iter().filter(|(_, key, _)| !is_set(key)) {
            keys.show_origin(name, "derived from secret_key");
        }
        if keys.environment() == Environment::Development {
            return;
        }
        for (name, key, length) in account.into_iter().filter(|(_, key, _)| is_set(key)) {
            keys.must_be_strong(name, key, length);
        }
    }
}

fn bucket(name: &str) -> Option<String> {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_name = (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
        && is_end(name.chars().next())
        && is_end(name.chars().last())
        && !name.contains("..");
    is_name.then(|| name.to_owned())
}
