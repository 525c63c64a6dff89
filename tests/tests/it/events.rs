//! The metadata of events: the principal, the trace, and the ids in the payload.

use serde_json::json;
use shared_kernel::event::{Created, Envelope};
use shared_kernel::id::UserKind;
use shared_kernel::testing::envelopes;
use tests::{TestServer, eventually};

const ME: &str = "/api/v1/users/me";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

async fn named(server: &TestServer, name: &str) -> Vec<Envelope> {
    let mut envelopes = envelopes(&server.database).await;
    envelopes.retain(|envelope| envelope.name == name);
    envelopes
}

async fn last(server: &TestServer, name: &str) -> Envelope {
    named(server, name).await.pop().unwrap()
}

#[tokio::test]
async fn an_event_has_its_principal() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup().await, server.admin().await);
    let created = &named(&server, "user.created").await[0];
    assert_eq!((&created.aggregate_id, &created.principal), (&ada.id, &None), "nobody was signed in");

    server.patch(ME).bearer(&ada.token).json(&json!({"name": "Ada King"})).await.expect(200);
    let by_ada = last(&server, "user.updated").await;
    assert_eq!((&by_ada.aggregate_id, by_ada.principal.as_ref()), (&ada.id, Some(&ada.id)));
    assert_eq!((&*by_ada.aggregate_type, by_ada.aggregate_version, by_ada.version), ("user", Some(2), 1));

    let path = format!("/api/v1/admin/users/{}", ada.id);
    server.patch(&path).bearer(&admin.token).json(&json!({"name": "Ada"})).await.expect(200);
    let by_admin = last(&server, "user.updated").await;
    assert_eq!((&by_admin.aggregate_id, by_admin.principal.as_ref()), (&ada.id, Some(&admin.id)));
    assert_eq!(by_admin.aggregate_version, Some(3));
}

#[tokio::test]
async fn a_valid_trace_is_carried_into_the_event_and_any_other_is_ignored() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    assert_eq!(last(&server, "user.created").await.traceparent, None);
    for (number, (sent, kept)) in [
        (format!("00-{TRACE}-01"), Some(format!("00-{TRACE}-01"))),
        (format!("cc-{TRACE}-01-from-the-future"), Some(format!("00-{TRACE}-01"))),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
        (format!("00-{TRACE}-01-more"), None),
        ("nonsense".to_owned(), None),
    ]
    .into_iter()
    .enumerate()
    {
        let name = json!({"name": format!("Ada {number}")});
        server.patch(ME).bearer(&ada.token).header("traceparent", &sent).json(&name).await.expect(200);
        let traceparent = last(&server, "user.updated").await.traceparent;
        assert_eq!(traceparent.map(|traceparent| traceparent.to_string()), kept, "{sent}");
    }
    let two = server.patch(ME).bearer(&ada.token).json(&json!({"name": "Ada"}));
    let two =
        two.header("traceparent", &format!("00-{TRACE}-01")).header("traceparent", &format!("00-{TRACE}-00"));
    two.await.expect(200);
    assert_eq!(last(&server, "user.updated").await.traceparent, None);
}

#[tokio::test]
async fn an_event_names_people_by_id_and_nothing_else() {
    let server = TestServer::start().await;
    let ada = server
        .signup_as(json!({"name": "Grace Hopper", "username": "grace", "phone": "+4915112345678"}))
        .await;
    server.patch(ME).bearer(&ada.token).json(&json!({"username": "hopper"})).await.expect(200);
    let mut envelopes = envelopes(&server.database).await;
    // Events of other domains about a new user are not tested here.
    envelopes.retain(|envelope| envelope.aggregate_type == "user");
    assert_eq!(envelopes.len(), 2);
    for envelope in envelopes {
        let text = format!("{envelope:?}").to_lowercase();
        assert!(text.contains(&ada.id.to_lowercase()), "{text}");
        for personal in [ada.email.as_str(), "grace", "hopper", "4915112345678", ada.session_id.as_str()] {
            assert!(!text.contains(&personal.to_lowercase()), "{personal}: {text}");
        }
    }
}

#[tokio::test]
async fn a_deleted_user_gets_no_welcome() {
    let server = TestServer::start().await;
    let session = server.database.write();
    let nobody = Created::<UserKind>::new(session.new_id(), 1, None);
    let id = session.emit(&nobody).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    let delivered =
        format!("SELECT count(*) FROM outbox_events WHERE id = '{id}' AND delivered_at IS NOT NULL");
    eventually("the event is handled", async || (server.count(&delivered).await == 1).then_some(())).await;
    let mails = std::fs::read_dir(server.data_dir().join("mail")).map_or(0, Iterator::count);
    assert_eq!(mails, 0);
}
