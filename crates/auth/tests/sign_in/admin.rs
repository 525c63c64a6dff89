//! Making an admin, as the command line does.

use auth::dto::NewPassword;
use auth::error::AuthError;
use auth::password::PasswordHasher;
use auth::service::{self, AdminAccount};
use shared_kernel::contact::Email;
use shared_kernel::error::DomainError as _;
use shared_kernel::field::TextField as _;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use user::dto::DisplayName;
use user::error::UserError;

use crate::common::{PASSWORD, World, cheap, pointers, refresh_token};

const OTHER: &str = "another good password";

#[tokio::test]
async fn a_new_account_is_made_an_admins() {
    let world = World::new().await;
    let grace = world.create_admin("Grace@Example.com", Some(PASSWORD)).await.unwrap();
    assert!(grace.is_admin);
    assert_eq!((grace.email.as_str(), grace.name.as_str()), ("Grace@Example.com", "Grace Hopper"));
    let answer = world.login("grace@example.com", PASSWORD).await.unwrap();
    assert!(answer.user.is_admin);
    assert!(world.authenticate(&answer.access_token).await.unwrap().is_admin());
    assert_eq!(world.principals("user.created").await, [Some("system:admin-create".to_owned())]);
    assert_eq!(world.count("sessions").await, 1, "the command line signs nobody in");
}

#[tokio::test]
async fn an_address_that_somebody_signed_up_with_meanwhile_makes_nobody_an_admin() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let account = AdminAccount::New {
        email: Email::parse("ADA@example.com").unwrap(),
        name: DisplayName::parse("Ada").unwrap(),
    };
    let hasher = PasswordHasher::start(cheap()).unwrap();
    let made = service::create_admin(
        &hasher,
        &world.databases.read_primary(),
        &world.databases.write(),
        &Principal::system("admin create"),
        account,
        Some(NewPassword::parse(OTHER).unwrap()),
    )
    .await;
    assert!(matches!(made, Err(AuthError::User(UserError::EmailTaken))), "{made:?}");
    assert!(!world.authenticate(&ada.access_token).await.unwrap().is_admin());
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_there_is_promoted_and_keeps_its_password() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let promoted = world.create_admin("ADA@example.com", None).await.unwrap();
    assert_eq!((promoted.id, promoted.is_admin), (ada.user.id, true));
    assert_eq!((promoted.email, promoted.name), (ada.user.email, ada.user.name), "nothing else is changed");
    world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(world.count("users").await, 1);
    assert_eq!(world.principals("user.updated").await, [Some("system:admin-create".to_owned())]);
}

#[tokio::test]
async fn an_account_that_is_there_gets_the_password_that_is_given() {
    let world = World::new().await;
    world.sign_up("ada").await;
    world.create_admin("ada@example.com", Some(OTHER)).await.unwrap();
    assert!(matches!(world.login("ada@example.com", PASSWORD).await, Err(AuthError::InvalidCredentials)));
    assert!(world.login("ada@example.com", OTHER).await.unwrap().user.is_admin);
    assert_eq!(world.count("passwords").await, 1);
    // Again is no error: a script may run twice.
    world.create_admin("ada@example.com", Some(OTHER)).await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_given_ends_the_sessions_of_whoever_was_there() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let out = world.login("ada@example.com", PASSWORD).await.unwrap();
    let principal = world.authenticate(&out.access_token).await.unwrap();
    world.logout(&principal).await.unwrap();
    let eve = world.sign_up("eve").await;
    world.create_admin("ada@example.com", Some(OTHER)).await.unwrap();
    let outcome = world.authenticate(&first.access_token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
    let outcome = world.refresh(refresh_token(&first)).await;
    assert!(matches!(outcome, Err(AuthError::InvalidRefreshToken)), "{outcome:?}");
    assert_eq!(world.end_reason(first.session_id).await.as_deref(), Some("password_change"));
    assert_eq!(world.end_reason(out.session_id).await.as_deref(), Some("logout"));
    assert!(!world.authenticate(&eve.access_token).await.unwrap().is_admin());
    assert_eq!(world.end_reason(eve.session_id).await, None);
    // Without a password nobody is signed out.
    let second = world.login("ada@example.com", OTHER).await.unwrap();
    world.create_admin("ada@example.com", None).await.unwrap();
    assert!(world.authenticate(&second.access_token).await.unwrap().is_admin());
}

#[tokio::test]
async fn a_new_account_needs_an_acceptable_password() {
    let world = World::new().await;
    for (password, code) in [
        (None, "required"),
        (Some("password"), "common_password"),
        (Some("grace@example.com"), "password_is_identifier"),
    ] {
        let error = world.create_admin("grace@example.com", password).await.unwrap_err();
        assert!(matches!(error, AuthError::Kernel(KernelError::Invalid(_))), "{error:?}");
        assert_eq!(pointers(&error.fields()), [("/password".to_owned(), code.to_owned())]);
    }
    assert_eq!((world.count("users").await, world.count("passwords").await), (0, 0));
}
