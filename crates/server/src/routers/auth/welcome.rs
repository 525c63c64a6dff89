//! The welcome mail: a job, enqueued on an event of the domain `user`.

use std::sync::Arc;

use messaging::{Mail, MailId, Mailer};
use serde::{Deserialize, Serialize};
use shared_kernel::event::Envelope;
use shared_kernel::event_handler::{Handler, HandlerError, Subscriber};
use shared_kernel::id::UserId;
use shared_kernel::job::{Job, Queue};
use shared_kernel::job_handler::{Attempt, External, JobKind, Stop};
use shared_kernel::session::{Databases, WriteSession};
use user::event::UserCreated;
use user::service::Users;

/// A welcome mail to a new account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct WelcomeMail {
    user_id: UserId,
}

impl Job for WelcomeMail {
    const KIND: &'static str = "auth.welcome";
    const QUEUE: Queue = Queue::named("mail");

    /// One waiting mail for each account.
    fn unique_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }
}

/// Enqueues a welcome mail for each new account.
pub(super) struct NewAccounts;

impl NewAccounts {
    /// The subscriber.
    #[must_use]
    pub(super) fn subscriber() -> Subscriber {
        Subscriber::new("mail.welcome").on::<UserCreated>(Arc::new(Self))
    }
}

impl Handler<UserCreated> for NewAccounts {
    async fn handle(
        &self,
        session: &WriteSession,
        created: &UserCreated,
        _: &Envelope,
    ) -> Result<(), HandlerError> {
        session.enqueue(&WelcomeMail { user_id: created.id })?;
        Ok(())
    }
}

/// Sends a welcome mail to the address of a new account. It contains nothing that the person typed: the address may be somebody
/// else's, who would read a stranger's words in the product's name.
pub(super) struct Welcome {
    /// Databases that have the account.
    pub databases: Databases,
    /// Name of the product, as people see it.
    pub project_name: String,
    /// Page where people sign in, if the operator has one; the server's own pages are for developers.
    pub sign_in_page: Option<String>,
    /// Sender of the mail.
    pub mailer: Arc<dyn Mailer>,
}

impl Welcome {
    /// The kind of job.
    #[must_use]
    pub(super) fn kind(self) -> JobKind {
        JobKind::external::<WelcomeMail>(self)
    }
}

impl External<WelcomeMail> for Welcome {
    async fn run(&self, job: &WelcomeMail, attempt: &Attempt) -> Result<(), Stop> {
        let user = Users.find(&self.databases.read_primary(), job.user_id).await?;
        let Some(user) = user else { return Err(Stop::Cancel("the account was deleted".to_owned())) };
        let page = self.sign_in_page.as_deref();
        let place = page.map_or_else(String::new, |page| format!(" You sign in here:\n\n{page}"));
        let text = format!(
            "Hello,\n\nyour account at {} is ready.{place}\n\nIf you did not sign up, somebody typed your address by mistake, \
             and you can ignore this mail.\n",
            self.project_name
        );
        let subject = format!("Welcome to {}", self.project_name).parse()?;
        // The same in each attempt.
        let id = Some(MailId::from_bytes(attempt.job_id.to_bytes()));
        Ok(self.mailer.send(Mail { id, to: user.email.parse()?, subject, text }).await?)
    }
}
