//! Digests of a body, and their comparison with those that the client declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};

use crate::error::reply;

/// Digests that the client declared for a body.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) md5: Option<String>,
    /// Checksums from the headers; those of the trailers are added at the end of the body.
    pub(crate) sums: Checksum,
    /// Names of the checksums that the headers announce as trailers.
    pub(crate) announced: Vec<String>,
}

impl Expected {
    pub(crate) fn announced(headers: &HeaderMap) -> Vec<String> {
        let names = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        names.flat_map(|names| names.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
    }

    fn wants(&self, sum: Option<&String>, trailer: &str) -> bool {
        sum.is_some() || self.announced.iter().any(|name| name == trailer)
    }

    /// Reads the announced checksums from the trailers; an error if one is missing.
    pub(crate) fn add_trailers(&mut self, trailers: Option<&TrailingHeaders>) -> S3Result<()> {
        if self.announced.is_empty() {
            return Ok(());
        }
        let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
        for name in std::mem::take(&mut self.announced) {
            let value = trailers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let Some(value) = value else {
                return Err(reply(S3ErrorCode::InvalidRequest, "An announced trailer is missing."));
            };
            if let Some(sum) = field(&mut self.sums, &name) {
                *sum = Some(value);
            }
        }
        Ok(())
    }
}

fn field<'a>(sums: &'a mut Checksum, header: &str) -> Option<&'a mut Option<String>> {
    match header {
        "x-amz-checksum-crc32" => Some(&mut sums.checksum_crc32),
        "x-amz-checksum-crc32c" => Some(&mut sums.checksum_crc32c),
        "x-amz-checksum-crc64nvme" => Some(&mut sums.checksum_crc64nvme),
        "x-amz-checksum-sha1" => Some(&mut sums.checksum_sha1),
        "x-amz-checksum-sha256" => Some(&mut sums.checksum_sha256),
        _ => None,
    }
}

/// Computes MD5 and SHA-256 of every body, and the other checksums that the client declared.
pub(crate) struct Hasher {
    md5: Md5,
    sha256: Sha256,
    others: ChecksumHasher,
}

/// The result of a [`Hasher`].
#[derive(Debug)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    pub(crate) sha256: [u8; 32],
    sums: Checksum,
}

impl Hasher {
    pub(crate) fn new(expected: &Expected) -> Self {
        let sums = &expected.sums;
        let wants = |sum: &Option<String>, trailer: &str| expected.wants(sum.as_ref(), trailer);
        let others = ChecksumHasher {
            crc32: wants(&sums.checksum_crc32, "x-amz-checksum-crc32").then(Crc32::new),
            crc32c: wants(&sums.checksum_crc32c, "x-amz-checksum-crc32c").then(Crc32c::new),
            crc64nvme: wants(&sums.checksum_crc64nvme, "x-amz-checksum-crc64nvme").then(Crc64Nvme::new),
            sha1: wants(&sums.checksum_sha1, "x-amz-checksum-sha1").then(Sha1::new),
            sha256: None,
        };
        Self { md5: Md5::new(), sha256: Sha256::new(), others }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.others.update(bytes);
    }

    pub(crate) fn finish(self) -> Digests {
        let sha256 = self.sha256.finalize();
        let mut sums = self.others.finalize();
        sums.checksum_sha256 = Some(STANDARD.encode(sha256));
        Digests { md5: self.md5.finalize(), sha256, sums }
    }
}

impl Digests {
    pub(crate) fn verify(&self, expected: &Expected) -> S3Result<()> {
        if let Some(md5) = &expected.md5 {
            let md5 = STANDARD.decode(md5).map_err(|_| S3Error::new(S3ErrorCode::InvalidDigest))?;
            if md5 != self.md5 {
                return Err(bad_digest());
            }
        }
        let (said, is) = (&expected.sums, &self.sums);
        let pairs = [
            (&said.checksum_crc32, &is.checksum_crc32),
            (&said.checksum_crc32c, &is.checksum_crc32c),
            (&said.checksum_crc64nvme, &is.checksum_crc64nvme),
            (&said.checksum_sha1, &is.checksum_sha1),
            (&said.checksum_sha256, &is.checksum_sha256),
        ];
        let same = pairs.iter().all(|(said, is)| said.is_none() || said == is);
        if same { Ok(()) } else { Err(bad_digest()) }
    }

    pub(crate) fn sums(&self) -> &Checksum {
        &self.sums
    }
}

fn bad_digest() -> S3Error {
    reply(S3ErrorCode::BadDigest, "The digest you specified did not match what was received.")
}
