//! Which events reach whom, how often, and in which order.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use messaging::{InvalidSubscribers, Relay, RelaySettings};
use migration::Migrator;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use shared_kernel::clock::Clock;
use shared_kernel::event::{DomainEvent, Envelope, Origin, UnreadableEvent};
use shared_kernel::event_handler::{Handler, HandlerError, Subscriber};
use shared_kernel::id::Id;
use shared_kernel::session::{DatabaseSettings, Databases, WriteSession};
use shared_kernel::testing::{FixedClock, TestDatabase, secret_key};
use tokio_util::sync::CancellationToken;

use super::support::{
    Deed, Happened, Recorder, ThingKind, at_rest, emit, id_of, outbox, relay, relay_with, row, soon,
    subscriber,
};

#[tokio::test]
async fn an_event_of_a_rolled_back_session_is_never_delivered() {
    let database = TestDatabase::new::<Migrator>().await;
    let recorder = Recorder::new("recorder");
    let session = database.write();
    session.emit(&Happened { thing: "rolled back".into(), number: 1 }).await.unwrap();
    drop(session);
    emit(&database, "committed", 2).await;
    assert_eq!(relay(&database, &[&recorder]).drain().await.unwrap(), 1);
    assert_eq!((recorder.numbers("rolled back"), recorder.numbers("committed")), (vec![], vec![2]));
}

#[tokio::test]
async fn events_of_one_aggregate_come_in_order() {
    let (database, _clock) = at_rest().await;
    // Were the next one handed on meanwhile, it would overtake.
    let recorder =
        Recorder::that(
            "recorder",
            |event, _| if event.number % 2 == 0 { Deed::Dawdle } else { Deed::Succeed },
        );
    let things = ["a", "b", "c", "d"];
    for number in [0, 2, 4, 6] {
        let session = database.write();
        for thing in things {
            // Two in one session have one instant: their ids alone tell the order.
            for number in [number, number + 1] {
                session.emit(&Happened { thing: thing.into(), number }).await.unwrap();
            }
        }
        session.commit(()).await.unwrap().into_value();
    }
    assert_eq!(relay(&database, &[&recorder]).drain().await.unwrap(), 32);
    for thing in things {
        assert_eq!(recorder.numbers(thing), (0..8).collect::<Vec<_>>(), "{thing}");
    }
}

/// An event without subscribers.
#[derive(serde::Serialize, serde::Deserialize)]
struct Ignored {
    thing: char,
}

impl DomainEvent for Ignored {
    type Aggregate = ThingKind;
    const ACTION: &'static str = "ignored";

    fn aggregate_id(&self) -> Id<ThingKind> {
        id_of(&self.thing.to_string())
    }

    fn aggregate_version(&self) -> Option<i64> {
        None
    }
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_delivered() {
    let elsewhere = Recorder::new("elsewhere");
    let database = TestDatabase::new::<Migrator>().await;
    let session = database.write();
    session.emit(&Ignored { thing: 'a' }).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    let relay = relay(&database, &[&elsewhere]);
    assert_eq!((relay.drain().await.unwrap(), elsewhere.calls()), (1, 0));
    assert!(outbox(&database).await.iter().all(|event| event.delivered_at.is_some()));
}

/// More than one statement settles, and all of one aggregate, whose events are delivered one after the other otherwise.
#[tokio::test]
async fn events_that_nobody_wants_are_settled_together_and_hold_up_nothing() {
    let (database, clock) = at_rest().await;
    let session = database.write();
    let claimed = session.emit(&Ignored { thing: 'b' }).await.unwrap();
    for _ in 0..600 {
        session.emit(&Ignored { thing: 'a' }).await.unwrap();
    }
    session.commit(()).await.unwrap().into_value();
    emit(&database, "a", 1).await;
    // As a relay of a newer release does, which has a subscriber for it.
    let claim = Query::update()
        .table("outbox_events")
        .value("available_at", clock.now() + Duration::from_secs(90))
        .value("attempts", 1)
        .and_where(Expr::col("id").eq(claimed))
        .to_owned();
    let session = database.write();
    session.execute(&claim).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    let recorder = Recorder::new("recorder");
    let relay = relay(&database, &[&recorder]);
    assert_eq!((relay.drain().await.unwrap(), recorder.numbers("a")), (601, vec![1]));
    assert_eq!(row(&database, claimed).await.delivered_at, None, "the other relay has it");
    clock.advance(Duration::from_secs(91));
    assert_eq!(relay.drain().await.unwrap(), 1, "it did not come back");
    assert!(outbox(&database).await.iter().all(|event| event.delivered_at.is_some() && event.attempts <= 2));
}

/// Notes the envelopes that it gets.
#[derive(Default)]
struct Archive(Mutex<Vec<Envelope>>);

impl Handler<Happened> for Archive {
    async fn handle(&self, _: &WriteSession, _: &Happened, envelope: &Envelope) -> Result<(), HandlerError> {
        self.0.lock().unwrap().push(envelope.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_learns_what_the_event_is_about_and_who_caused_it() {
    let (database, clock) = at_rest().await;
    let session = database.write();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    session.set_origin(Origin {
        principal: Some("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into()),
        traceparent: Some(trace.parse().unwrap()),
    });
    session.set_origin(Origin::system("somebody-else"));
    let id = session.emit(&Happened { thing: "a".into(), number: 7 }).await.unwrap();
    let now = session.now();
    session.commit(()).await.unwrap().into_value();
    clock.advance(Duration::from_secs(1));
    let archive = Arc::new(Archive::default());
    let subscribers = vec![Subscriber::new("archive").on::<Happened>(Arc::clone(&archive))];
    let relay = Relay::new(database.clone(), subscribers, RelaySettings::default()).unwrap();
    assert_eq!(relay.drain().await.unwrap(), 1);
    let expected = Envelope {
        id,
        name: "thing.happened".into(),
        version: 1,
        aggregate_type: "thing".into(),
        aggregate_id: id_of("a").to_string(),
        aggregate_version: Some(7),
        occurred_at: now,
        principal: Some("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T".into()),
        traceparent: Some(trace.parse().unwrap()),
        payload: serde_json::json!({"thing": "a", "number": 7}),
    };
    assert_eq!(*archive.0.lock().unwrap(), [expected]);
    assert_eq!(row(&database, id).await.position, None, "nobody numbers events yet");
}

/// A newer instance wrote it: this one cannot know what it says, and leaves it to the others.
#[tokio::test]
async fn an_event_of_another_schema_version_is_not_handled() {
    let (database, clock) = at_rest().await;
    let recorder = Recorder::new("recorder");
    let id = emit(&database, "a", 1).await;
    let version = async |version: i32| {
        let sql = format!("UPDATE outbox_events SET version = {version}");
        database.primary().execute_unprepared(&sql).await.unwrap();
    };
    version(2).await;
    let relay = relay(&database, &[&recorder]);
    assert_eq!((relay.drain().await.unwrap(), recorder.calls()), (0, 0));
    let unreadable = UnreadableEvent::Version { found: 2, known: 1 };
    assert_eq!(row(&database, id).await.last_error.unwrap(), format!("recorder: {unreadable}"));
    version(1).await;
    clock.advance(Duration::from_secs(1));
    assert_eq!((relay.drain().await.unwrap(), recorder.calls()), (1, 1));
}

/// As another instance would: with connections of its own.
async fn another_instance(database: &TestDatabase, clock: &Arc<FixedClock>) -> Databases {
    let settings = DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(database.url().into()) };
    Databases::connect(&settings, Arc::clone(clock) as Arc<dyn Clock>, &secret_key()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_side_by_side_deliver_each_event_once_to_each_subscriber() {
    let (database, clock) = at_rest().await;
    let other = another_instance(&database, &clock).await;
    let mut ids = HashSet::new();
    for number in 0..60 {
        ids.insert(emit(&database, &format!("thing {}", number % 20), number).await);
    }
    let (first, mut first_calls) = Recorder::observed("first", |_, _| Deed::Succeed);
    let (second, mut second_calls) = Recorder::observed("second", |_, _| Deed::Succeed);
    let shutdown = CancellationToken::new();
    let runs: Vec<_> = [&*database, &other]
        .map(|databases| relay(databases, &[&first, &second]))
        .map(|relay| {
            tokio::spawn({
                let shutdown = shutdown.clone();
                async move { relay.run(shutdown).await }
            })
        })
        .into();
    soon(async {
        for _ in 0..60 {
            first_calls.recv().await.unwrap();
            second_calls.recv().await.unwrap();
        }
    })
    .await;
    shutdown.cancel();
    for run in runs {
        soon(run).await.unwrap();
    }
    for recorder in [&first, &second] {
        let counts = recorder.counts();
        assert_eq!(counts.keys().copied().collect::<HashSet<_>>(), ids);
        assert!(counts.values().all(|&count| count == 1), "{counts:?}");
        for thing in 0..20 {
            assert_eq!(recorder.numbers(&format!("thing {thing}")), [thing, thing + 20, thing + 40]);
        }
    }
    for event in outbox(&database).await {
        assert!(event.delivered_at.is_some() && event.attempts == 1, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_drains_side_by_side_share_the_work() {
    let (database, clock) = at_rest().await;
    let other = another_instance(&database, &clock).await;
    for number in 0..40 {
        emit(&database, &format!("thing {number}"), number).await;
    }
    let recorder = Recorder::new("recorder");
    let (one, two) = (relay(&database, &[&recorder]), relay(&other, &[&recorder]));
    let (one, two) = tokio::join!(
        tokio::spawn(async move { one.drain().await }),
        tokio::spawn(async move { two.drain().await })
    );
    assert_eq!(one.unwrap().unwrap() + two.unwrap().unwrap(), 40);
    assert_eq!(recorder.calls(), 40);
}

/// Writes while the relay writes: on SQLite there is one writing connection for both.
struct Follower;

impl Handler<Happened> for Follower {
    async fn handle(
        &self,
        session: &WriteSession,
        happened: &Happened,
        _: &Envelope,
    ) -> Result<(), HandlerError> {
        let Happened { thing, number } = happened;
        if *number < 3 {
            session.emit(&Happened { thing: thing.clone(), number: number + 1 }).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn subscribers_may_write_and_emit() {
    let database = TestDatabase::new::<Migrator>().await;
    for thing in 0..12 {
        emit(&database, &format!("thing {thing}"), 0).await;
    }
    let (follower, recorder) = (Arc::new(Follower), Recorder::new("recorder"));
    let follower = Subscriber::new("follower").on::<Happened>(follower);
    let subscribers = vec![follower, subscriber(&recorder)];
    let relay = Relay::new(database.clone(), subscribers, RelaySettings::default()).unwrap();
    assert_eq!(soon(relay.drain()).await.unwrap(), 48);
    assert_eq!(recorder.numbers("thing 7"), [0, 1, 2, 3]);
    assert!(outbox(&database).await.iter().all(|event| event.attempts == 1));
}

#[tokio::test]
async fn an_idle_relay_opens_no_write_transaction() {
    let database = TestDatabase::new::<Migrator>().await;
    let relay = relay(&database, &[]);
    let writer = database.write();
    writer.emit(&Happened { thing: "not committed".into(), number: 1 }).await.unwrap();
    // On SQLite this would wait for the only writer until it gives up.
    assert_eq!(relay.drain().await.unwrap(), 0);
    assert_eq!(relay.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn an_event_is_due_in_the_second_in_which_it_happened() {
    let (database, clock) = at_rest().await;
    let recorder = Recorder::new("recorder");
    emit(&database, "a", 1).await;
    clock.advance(Duration::from_millis(1));
    assert_eq!(relay(&database, &[&recorder]).drain().await.unwrap(), 1);
}

#[tokio::test]
async fn a_commit_ends_the_rest_of_the_relay() {
    let database = TestDatabase::new::<Migrator>().await;
    let (recorder, mut calls) = Recorder::observed("recorder", |_, _| Deed::Succeed);
    let settings = RelaySettings { poll_interval: Duration::MAX, ..RelaySettings::default() };
    let relay = relay_with(&database, &[&recorder], settings);
    let shutdown = CancellationToken::new();
    let run = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { relay.run(shutdown).await }
    });
    for number in 0..3 {
        emit(&database, "a", number).await;
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), calls.recv()).await.unwrap(), Some(number));
    }
    shutdown.cancel();
    soon(run).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_the_event_in_flight() {
    let (database, _clock) = at_rest().await;
    let (recorder, mut calls) = Recorder::observed("recorder", |_, _| Deed::Wait);
    let in_flight = emit(&database, "a", 1).await;
    let not_begun = emit(&database, "a", 2).await;
    let (relay, shutdown) = (relay(&database, &[&recorder]), CancellationToken::new());
    let run = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { relay.run(shutdown).await }
    });
    soon(calls.recv()).await.unwrap();
    shutdown.cancel();
    recorder.let_go();
    soon(run).await.unwrap();
    assert!(row(&database, in_flight).await.delivered_at.is_some());
    assert_eq!(row(&database, not_begun).await.attempts, 0);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let database = TestDatabase::new::<Migrator>().await;
    let (recorder, mut calls) = Recorder::observed("recorder", |_, _| Deed::Hang);
    let id = emit(&database, "a", 1).await;
    let settings = RelaySettings { shutdown_grace: Duration::ZERO, ..RelaySettings::default() };
    let (relay, shutdown) = (relay_with(&database, &[&recorder], settings), CancellationToken::new());
    let run = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { relay.run(shutdown).await }
    });
    soon(calls.recv()).await.unwrap();
    shutdown.cancel();
    soon(run).await.unwrap();
    assert!(row(&database, id).await.delivered_at.is_none());
}

#[tokio::test]
async fn a_row_that_is_no_event_does_not_stop_the_others() {
    let database = TestDatabase::new::<Migrator>().await;
    let broken = emit(&database, "a", 1).await;
    database
        .primary()
        .execute_unprepared(&format!("UPDATE outbox_events SET id = 'nonsense' WHERE id = '{broken}'"))
        .await
        .unwrap();
    emit(&database, "b", 2).await;
    let recorder = Recorder::new("recorder");
    assert_eq!(relay(&database, &[&recorder]).drain().await.unwrap(), 1);
    assert_eq!(recorder.numbers("b"), [2]);
}

#[tokio::test]
async fn names_of_subscribers_are_told_apart() {
    let database = TestDatabase::new::<Migrator>().await;
    let with = |names: &[&'static str]| {
        let subscribers = names.iter().map(|&name| Subscriber::new(name)).collect();
        Relay::new(database.clone(), subscribers, RelaySettings::default()).map(drop)
    };
    let long: &'static str = "x".repeat(101).leak();
    assert_eq!(with(&["a", "b"]), Ok(()));
    assert_eq!(with(&["a", "b", "a"]), Err(InvalidSubscribers::SameName("a")));
    assert_eq!(with(&[""]), Err(InvalidSubscribers::Name("")));
    assert_eq!(with(&[long]), Err(InvalidSubscribers::Name(long)));
}
