//! The only source of randomness outside tests: the operating system's generator, through aws-lc.

/// `N` unpredictable bytes.
///
/// # Panics
///
/// Never in practice: aws-lc seeds itself from the operating system at start and aborts the process where that fails,
/// which is the only safe answer to a machine without randomness.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "no caller could go on without randomness; aws-lc itself aborts first"
)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}
