//! What is deleted, and what is not.

use std::time::Duration;

use super::support::{Deed, Happened, Recorder, at_rest, emit, id_of, notes, outbox, relay, relay_with};
use messaging::RelaySettings;

const WEEK: Duration = Duration::from_hours(24 * 7);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn delivered_events_and_their_notes_are_deleted_after_the_retention() {
    let (database, clock) = at_rest().await;
    let (one, two) = (Recorder::new("one"), Recorder::new("two"));
    let relay = relay(&database, &[&one, &two]);
    emit(&database, "old", 1).await;
    relay.drain().await.unwrap();
    clock.advance(SECOND);
    emit(&database, "young", 2).await;
    relay.drain().await.unwrap();
    clock.advance(WEEK.saturating_sub(SECOND));
    assert_eq!(relay.sweep().await.unwrap(), 0, "not before the week is over");
    clock.advance(Duration::from_millis(1));
    assert_eq!(relay.sweep().await.unwrap(), 3);
    let left: Vec<_> = outbox(&database).await.into_iter().map(|event| event.aggregate_id).collect();
    assert_eq!((left, notes(&database).await), (vec![id_of("young").to_string()], 2));
    clock.advance(SECOND);
    assert_eq!(relay.sweep().await.unwrap(), 3);
    assert_eq!((outbox(&database).await.len(), notes(&database).await), (0, 0));
}

#[tokio::test]
async fn an_event_that_is_not_delivered_stays_with_its_notes() {
    let (database, clock) = at_rest().await;
    let (failing, other) = (Recorder::that("failing", |_, _| Deed::Fail("poison")), Recorder::new("other"));
    let settings = RelaySettings { max_attempts: 1, ..RelaySettings::default() };
    let relay = relay_with(&database, &[&failing, &other], settings);
    emit(&database, "dead", 1).await;
    relay.drain().await.unwrap();
    clock.advance(10 * WEEK);
    assert_eq!(relay.sweep().await.unwrap(), 0);
    assert_eq!((outbox(&database).await.len(), notes(&database).await), (1, 1));
}

#[tokio::test]
async fn more_than_one_batch_is_deleted() {
    let (database, clock) = at_rest().await;
    let recorder = Recorder::new("recorder");
    let session = database.write();
    for number in 0..1_050 {
        let event = Happened { thing: format!("thing {number}"), number };
        session.emit(&event).await.unwrap();
    }
    session.commit(()).await.unwrap().into_value();
    let relay = relay(&database, &[&recorder]);
    assert_eq!(relay.drain().await.unwrap(), 1_050);
    clock.advance(WEEK + SECOND);
    assert_eq!(relay.sweep().await.unwrap(), 2_100);
    assert_eq!((outbox(&database).await.len(), notes(&database).await), (0, 0));
}
