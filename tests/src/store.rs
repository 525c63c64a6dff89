//! Files to upload, and presigned URLs that the tests sign themselves (AWS Signature Version 4, in the query).

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared_kernel::crypto::sha256;
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

/// A valid PNG of this size in pixels, all of the same colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Eight bits each of red, green and blue; deflate, no filter, not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut bytes, *b"IHDR", &header);
    let row: Vec<u8> =
        std::iter::once(0).chain([0x2e, 0x7d, 0x32].repeat(usize::try_from(width).unwrap())).collect();
    chunk(&mut bytes, *b"IDAT", &zlib(&row.repeat(usize::try_from(height).unwrap())));
    chunk(&mut bytes, *b"IEND", b"");
    bytes
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let sum = crc32(&png[start..]);
    png.extend(sum.to_be_bytes());
}

/// RFC 1950 with stored blocks (RFC 1951, section 3.2.4).
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = data.chunks(0xffff).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        bytes.push(u8::from(index + 1 == blocks.len()));
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend(*block);
    }
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    bytes.extend((b << 16 | a).to_be_bytes());
    bytes
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

/// The SHA-256 in Base64, as the API and S3 expect it.
pub fn checksum(bytes: &[u8]) -> String {
    STANDARD.encode(sha256(bytes))
}

/// An access key of the store.
#[derive(Clone, Copy, Debug)]
pub struct StoreKey {
    /// Its access key id.
    pub access_key: &'static str,
    /// Its secret access key.
    pub secret_key: &'static str,
}

impl StoreKey {
    /// A presigned URL to PUT `url` with these headers, signed at `now` and valid for `seconds`.
    pub fn presign_put(&self, url: &Url, headers: &[(&str, &str)], now: OffsetDateTime, seconds: u32) -> Url {
        let moment = now.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap();
        let scope = format!("{}/us-east-1/s3/aws4_request", &moment[..8]);
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let mut headers: Vec<(&str, &str)> =
            headers.iter().copied().chain([("host", host.as_str())]).collect();
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={moment}&X-Amz-Expires={seconds}\
             &X-Amz-SignedHeaders={}",
            encode(&format!("{}/{scope}", self.access_key)),
            encode(&names)
        );
        let lines =
            headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
        let canonical = format!("PUT\n{}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD", url.path());
        let digest = hex(&sha256(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}");
        let first = format!("AWS4{}", self.secret_key).into_bytes();
        let key = [&moment[..8], "us-east-1", "s3", "aws4_request"]
            .into_iter()
            .fold(first, |key, part| mac(&key, part.as_bytes()));
        let mut signed = url.clone();
        signed.set_query(Some(&format!("{query}&X-Amz-Signature={}", hex(&mac(&key, to_sign.as_bytes())))));
        signed
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn encode(text: &str) -> String {
    text.replace('/', "%2F").replace(';', "%3B")
}
