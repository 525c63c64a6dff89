//! Mail as it is written.

#![expect(clippy::unwrap_used, reason = "what fails in a test should fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use messaging::{Address, FileMailer, InvalidSubject, Mail, MailError, MailId, Mailer, Subject};
use shared_kernel::clock::{Clock, SystemClock, Timestamp};
use shared_kernel::testing::FixedClock;
use tempfile::TempDir;

fn mail(subject: &str, text: &str) -> Mail {
    let to = "ada@example.org".parse().unwrap();
    Mail { id: None, to, subject: subject.parse().unwrap(), text: text.to_owned() }
}

fn mailer(folder: &Path) -> (FileMailer, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_unix_millis(1_800_000_000_000).unwrap()));
    let from = "Harbour <no-reply@example.com>".parse().unwrap();
    (FileMailer::new(folder, from, Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

/// The finished mails, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "eml")).collect();
    files.sort();
    files
}

async fn sent(mail: Mail) -> String {
    let folder = TempDir::new().unwrap();
    mailer(folder.path()).0.send(mail).await.unwrap();
    fs::read_to_string(files(folder.path()).pop().unwrap()).unwrap()
}

/// The headers, unfolded (RFC 5322, 2.2.3), and the body.
fn parts(message: &str) -> (Vec<(String, String)>, String) {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ");
    let headers = unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap());
    (headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), body.to_owned())
}

fn header(message: &str, name: &str) -> String {
    let found: Vec<_> = parts(message).0.into_iter().filter(|(header, _)| header == name).collect();
    assert_eq!(found.len(), 1, "{name} in {message}");
    found.into_iter().next().unwrap().1
}

/// Undoes RFC 2047: encoded words lose the space between them.
fn decoded(header: &str) -> String {
    let (mut text, mut after_encoded) = (Vec::new(), false);
    for word in header.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
        let between_encoded = after_encoded && encoded.is_some();
        if !(text.is_empty() || between_encoded) {
            text.push(b' ');
        }
        after_encoded = encoded.is_some();
        text.extend(encoded.map_or_else(|| word.as_bytes().to_vec(), |word| STANDARD.decode(word).unwrap()));
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_mail_has_the_headers_that_it_needs_and_no_other() {
    let message = sent(mail("Welcome", "Good to have you here.\n")).await;
    assert_eq!(header(&message, "Date"), "Fri, 15 Jan 2027 08:00:00 +0000");
    assert_eq!(header(&message, "From"), "Harbour <no-reply@example.com>");
    assert_eq!(header(&message, "To"), "ada@example.org");
    assert_eq!(header(&message, "Subject"), "Welcome");
    assert_eq!(header(&message, "Content-Type"), "text/plain; charset=utf-8");
    let id = header(&message, "Message-ID");
    assert!(id.starts_with("<eml_") && id.ends_with("@example.com>"), "{id}");
    assert_eq!(parts(&message).0.len(), 7, "{message}");
    assert_eq!(parts(&message).1, "Good to have you here.\r\n");
}

#[test]
fn a_subject_cannot_begin_another_header() {
    let long = "x".repeat(201);
    for subject in [
        "",
        "  ",
        "a\r\nBcc: eve@example.net",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\u{85}b",
        "a\u{2028}b",
        "\tb",
        "b\n",
        "=?utf-8?b?eA==?=",
        &long,
    ] {
        assert_eq!(subject.parse::<Subject>(), Err(InvalidSubject), "{subject:?}");
    }
    assert_eq!(" Grüße! ".parse::<Subject>().unwrap().to_string(), "Grüße!");
}

#[test]
fn an_address_cannot_begin_another_header() {
    for address in [
        "",
        "ada",
        "ada@example.org\r\nBcc: eve@example.net",
        "ada\r\nBcc: eve@example.net",
        "\"ada\r\nBcc: eve\"@example.net",
        "\"ada\\\r\nBcc: eve\"@example.net",
        "ada@example.org\r\n",
        "\nada@example.org",
        "ada@exa\r\nmple.org",
        "ada@bücher\r\n.example",
        "ada@bücher\u{85}.example",
        "ada@example.org, eve@example.net",
        "ada@example.org,eve@example.net",
        "Ada <ada@example.org>",
        "ada@[127.0.0.1\r\n]",
    ] {
        assert!(address.parse::<Address>().is_err(), "{address:?}");
    }
}

#[tokio::test]
async fn an_address_that_was_not_parsed_is_refused() {
    let folder = TempDir::new().unwrap();
    let to = Address::new_dangerous("ada", "example.org\r\nBcc: eve@example.net");
    let refused = mailer(folder.path()).0.send(Mail { to, ..mail("Welcome", "") }).await;
    assert!(matches!(refused, Err(MailError::Address(_))), "{refused:?}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_text_cannot_add_a_header() {
    let text = "\r\nBcc: eve@example.net\n\rX: y\r\n.\r\nQUIT\r";
    let message = sent(mail("Welcome", text)).await;
    assert_eq!(parts(&message).0.len(), 7, "{message}");
    assert_eq!(parts(&message).1, "\r\nBcc: eve@example.net\r\n\r\nX: y\r\n.\r\nQUIT\r\n");
}

#[tokio::test]
async fn a_subject_in_any_language_survives() {
    let long =
        "Überaus höfliche Grüße an alle, die heute ihr Passwort vergessen haben 🔑 ".repeat(2) + "現在";
    for subject in ["Grüße", "Пароль", "パスワード", "🔑 a b  c", long.as_str()] {
        let message = sent(mail(subject, "x")).await;
        let raw = message.split_once("\r\n\r\n").unwrap().0;
        assert!(raw.is_ascii() && raw.lines().all(|line| line.len() <= 78), "{raw}");
        assert_eq!(decoded(&header(&message, "Subject")), subject);
    }
}

#[tokio::test]
async fn a_text_in_any_language_is_encoded() {
    let message = sent(mail("x", "パスワード\n")).await;
    assert!(message.is_ascii(), "{message}");
    assert_eq!(header(&message, "Content-Transfer-Encoding"), "base64");
    assert_eq!(STANDARD.decode(parts(&message).1.replace("\r\n", "")).unwrap(), "パスワード\r\n".as_bytes());
}

#[tokio::test]
async fn files_sort_in_the_order_of_sending() {
    let folder = TempDir::new().unwrap();
    let (mailer, clock) = mailer(&folder.path().join("not/there/yet"));
    for number in 0..20 {
        mailer.send(mail(&number.to_string(), "x")).await.unwrap();
        clock.advance(Duration::from_micros(300));
    }
    let files = files(&folder.path().join("not/there/yet"));
    let subjects = files.iter().map(|file| header(&fs::read_to_string(file).unwrap(), "Subject"));
    assert_eq!(subjects.collect::<Vec<_>>(), (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_a_mail() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let below = folder.path().join("mail");
    mailer(&below).0.send(mail("x", "x")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&below), mode(&files(&below)[0])), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_half_a_mail() {
    let folder = TempDir::new().unwrap();
    let from = "no-reply@example.com".parse().unwrap();
    let mailer = FileMailer::new(folder.path(), from, SystemClock::shared());
    let text = "a line that is not short\n".repeat(40_000) + "the end\n";
    let sending = tokio::spawn(async move {
        for _ in 0..20 {
            mailer.send(mail("x", &text)).await.unwrap();
        }
    });
    while !sending.is_finished() {
        for file in files(folder.path()) {
            assert!(fs::read(&file).unwrap().ends_with(b"the end\r\n"), "{}", file.display());
        }
        tokio::task::yield_now().await;
    }
    sending.await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 20, "no temporary file is left");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let failed = mailer(&file).0.send(mail("x", "x")).await;
    assert!(matches!(failed, Err(MailError::Write { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_mail_that_is_sent_twice_is_one_file_with_one_id() {
    let folder = TempDir::new().unwrap();
    let (mailer, clock) = mailer(folder.path());
    let id = MailId::from_bytes([7; 16]);
    let twice = Mail { id: Some(id), ..mail("Hello", "once") };
    mailer.send(twice.clone()).await.unwrap();
    clock.advance(Duration::from_secs(30));
    mailer.send(twice).await.unwrap();
    let files = files(folder.path());
    assert_eq!(files, [folder.path().join(format!("{id}.eml"))]);
    let message = fs::read_to_string(&files[0]).unwrap();
    assert_eq!(header(&message, "Message-ID"), format!("<{id}@example.com>"));
}
