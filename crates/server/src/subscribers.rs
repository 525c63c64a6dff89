//! What happens when something happened: the subscribers that join a domain's events to mail.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use messaging::{Mail, Mailer};
use shared_kernel::event::{DomainEvent as _, Model, Subscriber, SubscriberError};
use user::event::UserRegistered;

/// Greets whoever has an account now, at the address that they gave. Nothing that they typed stands in it: the address may be
/// somebody else's, who would read a stranger's words in our name.
pub struct Welcome {
    /// The name that people see.
    pub project_name: String,
    /// The page where people sign in, if the operator has one: what the server has itself is for developers.
    pub sign_in_page: Option<String>,
    /// Sends it.
    pub mailer: Arc<dyn Mailer>,
}

impl Subscriber for Welcome {
    fn name(&self) -> &'static str {
        "mail.welcome"
    }

    fn events(&self) -> &'static [&'static str] {
        &[UserRegistered::NAME]
    }

    fn handle<'a>(&'a self, event: &'a Model) -> BoxFuture<'a, Result<(), SubscriberError>> {
        Box::pin(async move {
            let Some(registered) = event.read::<UserRegistered>()? else { return Ok(()) };
            let page = self.sign_in_page.as_deref();
            let place = page.map_or_else(String::new, |page| format!(" You sign in here:\n\n{page}"));
            let text = format!(
                "Hello,\n\nyour account at {} is ready.{place}\n\nIf you did not sign up, somebody typed your address by mistake, \
                 and you can ignore this mail.\n",
                self.project_name
            );
            let subject = format!("Welcome to {}", self.project_name).parse()?;
            Ok(self.mailer.send(Mail { to: registered.email.parse()?, subject, text }).await?)
        })
    }
}
