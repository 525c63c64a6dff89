//! Who sees and changes which rows.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, Condition};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Repository as _, Scoped};
use shared_kernel::session::{Databases, Reader as _};
use shared_kernel::testing::{TestDatabase, concurrently};

use crate::common::{Widgets, commit, database, insert, widget};

/// Widgets of rank 0 are for everyone; others are for the user whose id is their name, who alone changes any.
impl Scoped for Widgets {
    fn visible_to(principal: Option<&Principal>) -> Condition {
        Condition::any().add(widget::Column::Rank.eq(0)).add(named(principal))
    }

    fn changeable_by(principal: &Principal) -> Condition {
        named(Some(principal))
    }
}

fn named(principal: Option<&Principal>) -> Condition {
    let user = principal.and_then(Principal::user).map(|user| user.to_string());
    Condition::all().add(widget::Column::Name.eq(user.unwrap_or_default()))
}

async fn widget_of(database: &TestDatabase, owner: &Principal, rank: i64) -> widget::Model {
    let session = database.write();
    let label = format!("rank {rank}");
    let made = insert(&session, &label).await.unwrap();
    let own = widget::ActiveModel {
        name: Set(owner.user().unwrap().to_string()),
        rank: Set(rank),
        ..widget::ActiveModel::default()
    };
    let made = Widgets::update(&session, made.id, &Precondition::None, own).await.unwrap().unwrap();
    session.commit(made).await.unwrap().into_value()
}

#[tokio::test]
async fn one_rule_decides_what_is_found_and_listed() {
    let database = database().await;
    let (ada, eve) = (database.user().await, database.user().await);
    let (public, private) = (widget_of(&database, &ada, 0).await, widget_of(&database, &ada, 1).await);
    let reader = database.read_primary();
    for (principal, sees) in [(Some(&ada), 2), (Some(&eve), 1), (None, 1)] {
        assert_eq!(reader.all(Widgets::visible(principal)).await.unwrap().len(), sees);
        let found = Widgets::find(&reader, principal, private.id).await.unwrap();
        assert_eq!(found.is_some(), sees == 2);
        assert!(Widgets::find(&reader, principal, public.id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_one_sees_and_may_not_change_is_somebody_elses() {
    let database = database().await;
    let (ada, eve) = (database.user().await, database.user().await);
    let (public, private) = (widget_of(&database, &ada, 0).await, widget_of(&database, &ada, 1).await);
    let session = database.write();
    assert!(Widgets::find_for_change(&session, &ada, public.id).await.unwrap().is_some());
    assert!(Widgets::find_for_change(&session, &ada, private.id).await.unwrap().is_some());
    let error = Widgets::find_for_change(&session, &eve, public.id).await.unwrap_err();
    assert!(matches!(error, KernelError::NotOwner), "{error:?}");
    assert_eq!(Widgets::find_for_change(&session, &eve, private.id).await.unwrap(), None);
    // A system principal acts for no user, so nothing is its own.
    let error = Widgets::find_for_change(&session, &Principal::system("job"), public.id).await.unwrap_err();
    assert!(matches!(error, KernelError::NotOwner), "{error:?}");
}

/// A rule about the state of a row holds for whoever comes first, and for nobody else.
#[tokio::test]
async fn what_is_read_for_a_change_does_not_move() {
    let database = database().await;
    let ada = database.user().await;
    let id = widget_of(&database, &ada, 1).await.id;
    let databases = (*database).clone();
    let take = |databases: Databases, ada: Principal| async move {
        let session = databases.write();
        let row = Widgets::find_for_change(&session, &ada, id).await.unwrap().unwrap();
        if row.shiny {
            return false;
        }
        let taken = widget::ActiveModel { shiny: Set(true), ..widget::ActiveModel::default() };
        Widgets::update(&session, id, &Precondition::None, taken).await.unwrap().unwrap();
        commit(session).await;
        true
    };
    let won = concurrently(12, |_| take(databases.clone(), ada.clone())).await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
}
