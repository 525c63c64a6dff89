//! The only source of randomness outside tests: the operating system's generator, through aws-lc.

use std::cell::RefCell;

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

/// Number of bytes that a thread keeps for [`buffered`].
const KEPT: usize = 512;

thread_local! {
    /// Bytes that were not handed out yet, at the end, and their number.
    static BUFFER: RefCell<([u8; KEPT], usize)> = const { RefCell::new(([0; KEPT], 0)) };
}

/// `N` unpredictable bytes out of a buffer of this thread. For ids, of which a request needs several; not for secrets, which should
/// not be in memory before they are needed.
pub(crate) fn buffered<const N: usize>() -> [u8; N] {
    const { assert!(N <= KEPT) };
    BUFFER.with_borrow_mut(|(buffer, left)| {
        if *left < N {
            (*buffer, *left) = (bytes(), KEPT);
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&buffer[KEPT - *left..][..N]);
        *left -= N;
        taken
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_buffered_bytes_are_handed_out_twice() {
        let all: HashSet<[u8; 12]> = (0..10_000).map(|_| buffered()).collect();
        assert_eq!(all.len(), 10_000);
        let ones: u32 = all.iter().flatten().map(|byte| byte.count_ones()).sum();
        assert!((475_000..485_000).contains(&ones), "{ones} of 960,000 bits");
    }
}
