//! Features of S3 that this store does not have. Requests for them are refused: an upload without the requested encryption would be worse than
//! an error.

use s3s::{S3ErrorCode, S3Result};

use crate::error::reply;

/// Version of every object: there is only one, which S3 calls `null`.
pub(super) fn version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(reply(S3ErrorCode::NoSuchVersion, "Versions are not kept.")),
    }
}

pub(super) fn in_read(part_number: Option<i32>, encryption: Option<&str>) -> S3Result<()> {
    refuse(part_number.is_some(), "Reading by part number is not implemented.")?;
    refuse(encryption.is_some(), "Encryption with the client's key is not implemented.")
}

pub(super) fn refuse(asked: bool, message: &'static str) -> S3Result<()> {
    if asked { Err(reply(S3ErrorCode::NotImplemented, message)) } else { Ok(()) }
}

/// Refuses unsupported features of a new object; the three operations that create one have the same fields.
macro_rules! in_write {
    ($input:expr) => {{
        let input = &$input;
        let public = input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private");
        let granted = input.grant_full_control.is_some()
            || input.grant_read.is_some()
            || input.grant_read_acp.is_some()
            || input.grant_write_acp.is_some();
        let encrypted = input.sse_customer_algorithm.is_some()
            || input.sse_customer_key.is_some()
            || input.server_side_encryption.is_some()
            || input.ssekms_key_id.is_some();
        let locked = input.object_lock_legal_hold_status.is_some()
            || input.object_lock_mode.is_some()
            || input.object_lock_retain_until_date.is_some();
        let class = input.storage_class.as_ref().is_some_and(|class| class.as_str() != "STANDARD");
        $crate::s3::unsupported::refuse(public || granted, "Access control lists are not implemented.")
            .and_then(|()| $crate::s3::unsupported::refuse(encrypted, "Encryption is not implemented."))
            .and_then(|()| $crate::s3::unsupported::refuse(locked, "Object locks are not implemented."))
            .and_then(|()| $crate::s3::unsupported::refuse(class, "Storage classes are not implemented."))
            .and_then(|()| {
                $crate::s3::unsupported::refuse(input.tagging.is_some(), "Tags are not implemented.")
            })
            .and_then(|()| {
                let redirects = input.website_redirect_location.is_some();
                $crate::s3::unsupported::refuse(redirects, "Redirects are not implemented.")
            })
    }};
}
pub(super) use in_write;
