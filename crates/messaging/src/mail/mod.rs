//! Mail: what is sent, and the port through which it is sent.

mod file;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
pub use lettre::Address;
use lettre::Message;
pub use lettre::address::AddressError;
pub use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::id::{Id, IdKind};

pub use self::file::FileMailer;

/// A mail to one address. Plain text: nothing in it is ever read as markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Whom it goes to.
    pub to: Address,
    /// What it is about.
    pub subject: Subject,
    /// What it says. Lines may end as they like.
    pub text: String,
}

/// The subject of a mail: one line of 1 to 200 characters without control characters, so that it cannot end its header
/// and begin another, and without `=?`, so that it is read as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;

/// The text is no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject must be one line of 1 to {LONGEST_SUBJECT} characters without `=?`")]
pub struct InvalidSubject;

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let text = text.trim_matches(' ');
        // U+2028 and U+2029 end a line without being control characters.
        let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        // lettre sends what looks like an encoded word (RFC 2047) as it is, and the reader would see another subject.
        let looks_encoded = text.contains("=?");
        let fits = !looks_encoded && !text.trim().is_empty() && text.chars().count() <= LONGEST_SUBJECT;
        if fits && !text.contains(ends_line) { Ok(Self(text.to_owned())) } else { Err(InvalidSubject) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends mail.
pub trait Mailer: Send + Sync {
    /// Sends `mail`. It may be sent twice if the process dies before the answer arrives.
    ///
    /// # Errors
    ///
    /// It was not sent, or not for certain; the same mail may be sent again later.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>>;
}

/// A mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It cannot be written down as RFC 5322 wants it.
    #[error("the mail cannot be composed")]
    Compose(#[from] lettre::error::Error),
    /// The address was made without being parsed and is none.
    #[error("the address of the mail is none")]
    Address(#[from] AddressError),
    /// The file was not written.
    #[error("the mail cannot be written to {}", path.display())]
    Write {
        /// The file, or its folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The kind of [`MailId`].
#[derive(Debug)]
pub(crate) enum MailKind {}

impl IdKind for MailKind {
    const PREFIX: &'static str = "eml";
    const NAME: &'static str = "mail";
}

/// One mail; its `Message-ID` is made of it.
pub(crate) type MailId = Id<MailKind>;

/// `mail` as it travels. The date and the id are given, because lettre would take them from the machine's clock and from a
/// generator that can be guessed.
pub(crate) fn compose(mail: Mail, from: &Mailbox, id: MailId, at: Timestamp) -> Result<Message, MailError> {
    // `Address::new_dangerous` exists, and lettre writes what it made into the header as it is.
    // The domain goes in ASCII: not every server on the way takes another (RFC 6531).
    let to: Address = Email::in_ascii(mail.to.as_ref()).parse()?;
    let message = Message::builder()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .date(SystemTime::from(at.to_datetime()))
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.0)
        .header(ContentType::TEXT_PLAIN)
        .body(with_crlf(&mail.text))?;
    Ok(message)
}

/// `text` with the ends of line that a mail has. A lone CR is none there, and what a server makes of it is anybody's guess
/// (RFC 5322, section 2.3).
fn with_crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}
