//! What the tool says. It is a report and not the work: a reader that has seen enough (`cargo xtask new-domain … | head -1`) stops
//! nothing half-way, so a line that nobody takes is dropped. The work's outcome is the exit code.

use std::fmt::{Arguments, Display};
use std::io::{self, Write as _};

/// Says something, as `print!` does.
pub(crate) fn text(text: &dyn Display) {
    let _nobody_listens = write!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush());
}

/// Says a line, as `println!` does; [`say!`] is shorter.
pub(crate) fn line(line: Arguments<'_>) {
    text(&format_args!("{line}\n"));
}

/// `println!`, but for its panic where nobody listens.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
pub(crate) use say;
