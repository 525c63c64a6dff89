//! Search for the end of the head of a request.

/// Finds the empty line behind a head (RFC 9112, section 2.2: a line may end with LF alone, and empty lines before
/// the request line count for nothing).
///
/// It need not be right about everything that a parser may take for a head: what it cuts off comes next.
#[derive(Debug, Default)]
pub(crate) struct HeadEnd {
    /// A line that is not empty was read.
    begun: bool,
    /// A part of the current line was read.
    in_line: bool,
}

impl HeadEnd {
    /// Number of bytes that belong to the head, if it ends within `bytes`.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.in_line => (self.begun, self.in_line) = (true, false),
                b'\n' if self.begun => {
                    *self = Self::default();
                    return Some(index + 1);
                }
                b'\n' | b'\r' => {}
                _ => self.in_line = true,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        for head in
            ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "GET / HTTP/1.1\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"]
        {
            let both = format!("{head}GET /next");
            assert_eq!(HeadEnd::default().find(both.as_bytes()), Some(head.len()), "{head:?}");
            // In pieces of one byte too, and the next head is found as well.
            let mut end = HeadEnd::default();
            for _ in 0..2 {
                let ends: Vec<bool> = head.bytes().map(|byte| end.find(&[byte]).is_some()).collect();
                assert_eq!(ends.iter().position(|ends| *ends), Some(head.len() - 1), "{head:?}");
            }
        }
        assert_eq!(HeadEnd::default().find(b"\r\n\r\n\r\n"), None);
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.1\r\nhost: x\r\n"), None);
    }
}
