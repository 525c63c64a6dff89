//! The welcome mail, sent on an event of the domain `user`.

use std::sync::Arc;

use messaging::{Mail, Mailer};
use shared_kernel::event::{Envelope, Handler, HandlerError, Subscriber};
use shared_kernel::session::Databases;
use user::event::UserCreated;

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
    /// The subscriber.
    #[must_use]
    pub(super) fn subscriber(self) -> Subscriber {
        Subscriber::new("mail.welcome").on::<UserCreated>(Arc::new(self))
    }
}

impl Handler<UserCreated> for Welcome {
    async fn handle(&self, created: &UserCreated, _: &Envelope) -> Result<(), HandlerError> {
        let user = user::service::find(&self.databases.read_primary(), created.id).await?;
        // Deleted in the meantime.
        let Some(user) = user else { return Ok(()) };
        let page = self.sign_in_page.as_deref();
        let place = page.map_or_else(String::new, |page| format!(" You sign in here:\n\n{page}"));
        let text = format!(
            "Hello,\n\nyour account at {} is ready.{place}\n\nIf you did not sign up, somebody typed your address by mistake, \
             and you can ignore this mail.\n",
            self.project_name
        );
        let subject = format!("Welcome to {}", self.project_name).parse()?;
        Ok(self.mailer.send(Mail { to: user.email.parse()?, subject, text }).await?)
    }
}
