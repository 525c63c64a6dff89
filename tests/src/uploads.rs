//! Uploads for tests of domains that refer to them, and the fault situation of the object store.

use serde_json::{Value, json};
use shared_kernel::clock::Stopwatch;
use url::Url;

use crate::faults;
use crate::proxy::{Mode, Proxy};
use crate::resource::{OnDelete, Resource, unknown_id};
use crate::server::{Account, TestServer};
use crate::store::png;

impl TestServer {
    /// URL of the object store.
    pub fn storage(&self) -> &Url {
        self.addresses().of("Objects").unwrap()
    }

    /// Uploads a picture as this account, and returns the id of the completed upload.
    pub async fn upload(&self, account: &Account) -> String {
        let (upload, bytes) = (self.create_upload(account).await, png(2, 2));
        let request = &upload["request"];
        let mut put = self.request(reqwest::Method::PUT, request["url"].as_str().unwrap()).unchecked();
        for (name, value) in request["headers"].as_object().unwrap() {
            // The client sets the length itself.
            if name != "content-length" {
                put = put.header(name, value.as_str().unwrap());
            }
        }
        put.bytes(bytes).await.expect(200);
        let id = id_of(&upload);
        self.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&account.token).await.expect(200);
        id
    }

    /// Creates an upload without sending its bytes, and returns its id.
    pub async fn pending_upload(&self, account: &Account) -> String {
        id_of(&self.create_upload(account).await)
    }

    async fn create_upload(&self, account: &Account) -> Value {
        let body = json!({"filename": "harbour.png", "content_type": "image/png", "size": png(2, 2).len()});
        self.post("/api/v1/uploads").bearer(&account.token).json(&body).await.expect(201).json()
    }
}

/// A field accepts a completed upload of the same account, and responses have the file; the deletion of the upload has the effect
/// of `rule`.
pub async fn checks_file<R: Resource>((field, file): (&str, &str), rule: OnDelete) {
    let at = R::server().await;
    let (server, ada) = &at;
    let eve = R::account(server).await;
    let wrong = [unknown_id("upl"), server.upload(&eve).await, server.pending_upload(ada).await];
    let upload = server.upload(ada).await;
    let path = R::path(&R::create(server, ada, 1).await);
    let change = server.patch(&path).bearer(&ada.token).json(&json!({ field: upload }));
    // The store returns the file to any client that has the URL.
    let file = change.await.expect(200).json()[file].clone();
    let facts = ["filename", "content_type", "size", "width", "height"].map(|name| file[name].clone());
    assert_eq!(facts, [json!("harbour.png"), json!("image/png"), json!(png(2, 2).len()), json!(2), json!(2)]);
    let answer = server.get(file["url"].as_str().unwrap()).unchecked().await.expect(200);
    assert!(answer.body.starts_with(b"\x89PNG"), "{file}");
    server.delete(&path).bearer(&ada.token).await.expect(204);
    R::checks_reference(&at, (field, rule), &format!("/api/v1/uploads/{upload}"), &wrong).await;
}

/// The object store does not respond.
pub async fn store_silent() -> faults::Finding {
    // There is no server behind the proxy, which never forwards.
    let proxy = Proxy::to("127.0.0.1:1").await;
    proxy.set_mode(Mode::Stalled);
    let mut installation = faults::installation("");
    installation.unset("ASHLAR_DATABASE__URL");
    for (name, value) in [
        ("ASHLAR_STORAGE__ENDPOINT", format!("http://{}", proxy.address()).as_str()),
        ("ASHLAR_STORAGE__ACCESS_KEY", "ashlar"),
        ("ASHLAR_STORAGE__SECRET_KEY", "a secret that only tests may have"),
    ] {
        installation.set(name, value);
    }
    let server = installation.start().await;
    let ada = faults::signup(&server).await;
    let created = server.post("/api/v1/uploads").bearer(&ada.token);
    let file = json!({"filename": "a.png", "content_type": "image/png", "size": 8, "visibility": "private"});
    let upload = created.json(&file).await.expect(201).json();
    let id = upload["upload"]["id"].as_str().or(upload["id"].as_str()).unwrap().to_owned();
    let complete = server.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&ada.token);
    let read = server.get("/api/v1/users/me").bearer(&ada.token);
    let (asked, others) = tokio::join!(faults::Answers::to(vec![complete]), faults::Answers::to(vec![read]));
    let stopwatch = Stopwatch::start();
    server.get("/api/v1/users/me").bearer(&ada.token).await.expect(200);
    let situation = "the object store does not respond";
    faults::Finding { situation, asked, others, recovered: stopwatch.elapsed() }
}

fn id_of(created: &Value) -> String {
    created["upload"]["id"].as_str().unwrap().to_owned()
}
