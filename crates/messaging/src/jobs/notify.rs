//! Wake-ups between processes, on PostgreSQL.
//!
//! What was enqueued within 50 ms is one notification, sent after the commits and on a connection of its own. Each connection sends a
//! notification to itself at its start and every half minute: where that does not arrive, as behind a pooler that shares connections,
//! workers poll more often instead.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::sea_query::{Expr, Func, Query};
use sea_orm::{ConnectionTrait as _, DbBackend};
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{Lane, Wake};
use shared_kernel::random;
use shared_kernel::session::{Databases, Notifications, SessionError};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Workers;
use crate::work::Trouble;

/// The channel.
const CHANNEL: &str = "jobs";

/// Time for which wake-ups are collected.
const MERGED_FOR: Duration = Duration::from_millis(50);

/// Interval of the notification to oneself, and the time that it may take.
const CHECKED_EVERY: Duration = Duration::from_secs(30);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Pause before another connection.
const PAUSE: Duration = Duration::from_secs(5);
/// The same where notifications do not arrive.
const LONG_PAUSE: Duration = Duration::from_mins(5);

/// Number of lanes in one notification, which has 8,000 bytes at most.
const LANES_AT_ONCE: usize = 100;

/// Why an exchange ended.
enum Lost {
    /// The connection failed.
    Failed(SessionError),
    /// A notification to oneself did not arrive, after others had.
    Broken,
    /// None ever arrived.
    Silent,
}

impl From<SessionError> for Lost {
    fn from(error: SessionError) -> Self {
        Self::Failed(error)
    }
}

impl Workers {
    /// Tells workers of other processes about the jobs that this one enqueues, until `shutdown` is cancelled: for a process that runs
    /// none itself. [`run`](Self::run) does this, too.
    pub async fn announce(&self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = self.exchange() => match never {},
        }
    }

    /// Exchanges wake-ups with other processes, for ever.
    pub(super) async fn exchange(&self) -> Infallible {
        let shared = &self.shared;
        let mut trouble =
            Trouble::new("there is no connection for notifications; workers poll until there is one");
        let mut is_silence_told = false;
        loop {
            let pause = match shared.store.databases.notifications(CHANNEL).await {
                Ok(None) => pending().await,
                Ok(Some(connection)) => self.exchange_on(connection, &mut trouble).await,
                Err(error) => Lost::Failed(error),
            };
            shared.hears_others.store(false, Ordering::Release);
            let pause = match pause {
                Lost::Failed(error) => {
                    trouble.failed(&error);
                    PAUSE
                }
                Lost::Broken => {
                    is_silence_told = false;
                    tracing::warn!(
                        "the connection for notifications does not answer; workers poll until another one does"
                    );
                    PAUSE
                }
                Lost::Silent => {
                    // Once: with such a pooler it stays so.
                    if !std::mem::replace(&mut is_silence_told, true) {
                        tracing::warn!(
                            "notifications do not arrive, so workers poll: is there a pooler that shares connections? Set database.listen_url"
                        );
                    }
                    LONG_PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    async fn exchange_on(&self, mut connection: Notifications, trouble: &mut Trouble) -> Lost {
        match self.exchange_until_lost(&mut connection, trouble).await {
            Ok(never) => match never {},
            Err(lost) => lost,
        }
    }

    async fn exchange_until_lost(
        &self,
        connection: &mut Notifications,
        trouble: &mut Trouble,
    ) -> Result<Infallible, Lost> {
        let jobs = self.shared.store.databases.jobs();
        let own = format!("{:016x}", u64::from_be_bytes(random::bytes()));
        let mut wakes = jobs.subscribe();
        let mut checks = interval(CHECKED_EVERY);
        let (mut answered_by, mut is_heard): (Option<Instant>, bool) = (None, false);
        let (mut collected, mut sent_at): (Vec<Wake>, Option<Instant>) = (Vec::new(), None);
        loop {
            tokio::select! {
                text = connection.receive() => match parse(&text?) {
                    (sender, wakes) if sender != own => wakes.into_iter().for_each(|wake| jobs.send(wake)),
                    (_, wakes) if wakes.is_empty() => {
                        (answered_by, is_heard) = (None, true);
                        trouble.is_over();
                        self.shared.hears_others.store(true, Ordering::Release);
                    }
                    _ => {}
                },
                wake = wakes.recv() => match wake {
                    Ok(wake) if wake.is_remote => {}
                    Ok(wake) => {
                        wake.merge_into(&mut collected);
                        sent_at = sent_at.or(Some(Instant::now() + MERGED_FOR));
                    }
                    // Others find by polling what was missed.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => pending().await,
                },
                () = until(sent_at) => {
                    sent_at = None;
                    for some in std::mem::take(&mut collected).chunks(LANES_AT_ONCE) {
                        if let Some(text) = message(&own, some) {
                            connection.send(&text).await?;
                        }
                    }
                },
                _ = checks.tick() => {
                    answered_by = Some(Instant::now() + ANSWERED_WITHIN);
                    connection.send(&own).await?;
                },
                () = until(answered_by) => return Err(if is_heard { Lost::Broken } else { Lost::Silent }),
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Tells the workers of all processes about jobs that became due, for a process that exchanges nothing: a command.
pub(super) async fn tell(databases: &Databases, wake: Wake) -> Result<(), SessionError> {
    let text = message("command", std::slice::from_ref(&wake));
    databases.jobs().send(wake);
    let Some(text) = text.filter(|_| databases.backend() == DbBackend::Postgres) else { return Ok(()) };
    let session = databases.write();
    let notify = Func::cust("pg_notify").arg(Expr::val(CHANNEL)).arg(Expr::val(text));
    session.query_all(&Query::select().expr(notify).to_owned()).await?;
    session.commit(()).await?.into_value();
    Ok(())
}

/// The sender, and a line for each lane that workers claim from. `None` if there is none.
fn message(sender: &str, wakes: &[Wake]) -> Option<String> {
    let lines = wakes
        .iter()
        .filter(|wake| matches!(wake.lane, Lane::Ready(..) | Lane::Line))
        .map(|wake| format!("\n{} {}", wake.lane, wake.due_at.unix_micros()));
    let lines: String = lines.collect();
    (!lines.is_empty()).then(|| sender.to_owned() + &lines)
}

/// The sender and its wake-ups. What cannot be read is of another release, and is found by polling.
fn parse(text: &str) -> (&str, Vec<Wake>) {
    let mut lines = text.lines();
    let sender = lines.next().unwrap_or_default();
    let wakes = lines.filter_map(|line| {
        let (lane, due_at) = line.split_once(' ')?;
        let due_at = Timestamp::from_unix_micros(due_at.parse().ok()?)?;
        Some(Wake { is_remote: true, ..Wake::new(lane.parse().ok()?, due_at) })
    });
    (sender, wakes.collect())
}

#[cfg(test)]
mod tests {
    use shared_kernel::job::{Priority, Queue};

    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_sent() {
        let at = |micros| Timestamp::from_unix_micros(micros).unwrap();
        let sent = [
            Wake::new(Lane::Ready(Queue::named("mail"), Priority::Low), at(1_800_000_000_000_001)),
            Wake::new(Lane::Dead, at(1)),
            Wake::new(Lane::Line, at(2)),
        ];
        let text = message("me", &sent).unwrap();
        let (sender, received) = parse(&text);
        let expected: Vec<_> = [0, 2].map(|index| Wake { is_remote: true, ..sent[index].clone() }).into();
        assert_eq!((sender, received), ("me", expected));
        assert_eq!(message("me", &sent[1..2]), None);
        assert_eq!(parse("other\nsomething new\nmail.9 1\nmail.1 x"), ("other", Vec::new()));
    }
}
