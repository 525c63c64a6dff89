//! The tool where nobody listens: `cargo xtask … | head -1`.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in [&["domains"][..], &["ci", "--list"], &["add-field", "no-such-domain", "a:int"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let wanted = if arguments[0] == "add-field" { 2 } else { 0 };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(wanted), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}
