//! What happens when something happened: the subscribers that join a domain's events to mail.

use std::sync::Arc;

use messaging::{Mail, Mailer};
use shared_kernel::event::{Envelope, Handler, HandlerError, Subscriber};
use shared_kernel::session::Databases;
use user::event::UserCreated;
use user::service::Users;

/// Greets whoever has an account now, at the address that they gave. Nothing that they typed stands in it: the address may be
/// somebody else's, who would read a stranger's words in our name.
pub(super) struct Welcome {
    /// Where the account is.
    pub databases: Databases,
    /// The name that people see.
    pub project_name: String,
    /// The page where people sign in, if the operator has one: what the server has itself is for developers.
    pub sign_in_page: Option<String>,
    /// Sends it.
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
        let user = Users.find(&self.databases.read_primary(), created.id).await?;
        // Deleted meanwhile: there is nobody to greet.
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
