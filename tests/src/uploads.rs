//! Uploads, for tests of what refers to them, and what becomes of requests while their store is broken.

use serde_json::{Value, json};
use shared_kernel::clock::Stopwatch;
use url::Url;

use crate::faults;
use crate::proxy::{Proxy, Way};
use crate::resource::{OnDelete, Resource, nothing};
use crate::server::{Account, TestServer};
use crate::store::png;

impl TestServer {
    /// Where the object store is.
    pub fn storage(&self) -> &Url {
        self.addresses().of("Objects").unwrap()
    }

    /// A completed picture of this account: the upload's id.
    pub async fn upload(&self, account: &Account) -> String {
        let (upload, bytes) = (self.announce(account).await, png(2, 2));
        let request = &upload["request"];
        let mut put = self.request(reqwest::Method::PUT, request["url"].as_str().unwrap()).unchecked();
        for (name, value) in request["headers"].as_object().unwrap() {
            // The client writes the length of what it sends.
            if name != "content-length" {
                put = put.header(name, value.as_str().unwrap());
            }
        }
        put.bytes(bytes).await.expect(200);
        let id = id_of(&upload);
        self.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&account.token).await.expect(200);
        id
    }

    /// One whose bytes were never sent.
    pub async fn pending_upload(&self, account: &Account) -> String {
        id_of(&self.announce(account).await)
    }

    async fn announce(&self, account: &Account) -> Value {
        let body = json!({"filename": "harbour.png", "content_type": "image/png", "size": png(2, 2).len()});
        self.post("/api/v1/uploads").bearer(&account.token).json(&body).await.expect(201).json()
    }
}

/// A field refers to a completed upload of one's own, and answers have its URL; when it is deleted, what `rule` says happens.
pub async fn keeps_file<R: Resource>((field, url): (&str, &str), rule: OnDelete) {
    let at = R::server().await;
    let (server, ada) = &at;
    let eve = R::account(server).await;
    let wrong = [nothing("upl"), server.upload(&eve).await, server.pending_upload(ada).await];
    let upload = server.upload(ada).await;
    let path = R::path(&R::create(server, ada, 1).await);
    let change = server.patch(&path).bearer(&ada.token).json(&json!({ field: upload }));
    // Whoever has the URL gets the bytes; the store asks for nothing else.
    let file = change.await.expect(200).json()[url].as_str().unwrap().to_owned();
    assert!(server.get(&file).unchecked().await.expect(200).body.starts_with(b"\x89PNG"), "{file}");
    server.delete(&path).bearer(&ada.token).await.expect(204);
    R::keeps_reference(&at, (field, rule), &format!("/api/v1/uploads/{upload}"), &wrong).await;
}

/// Nothing comes back from the object store.
pub async fn store_silent() -> faults::Finding {
    // Nothing is behind it; it is never open.
    let way = Proxy::to("127.0.0.1:1").await;
    way.set(Way::Silent);
    let mut installation = faults::installation("");
    installation.unset("ASHLAR_DATABASE__URL");
    for (name, value) in [
        ("ASHLAR_STORAGE__ENDPOINT", format!("http://{}", way.address()).as_str()),
        ("ASHLAR_STORAGE__ACCESS_KEY", "ashlar"),
        ("ASHLAR_STORAGE__SECRET_KEY", "a secret that only tests may have"),
    ] {
        installation.set(name, value);
    }
    let server = installation.start().await;
    let ada = faults::signup(&server).await;
    let announced = server.post("/api/v1/uploads").bearer(&ada.token);
    let file = json!({"filename": "a.png", "content_type": "image/png", "size": 8, "visibility": "private"});
    let upload = announced.json(&file).await.expect(201).json();
    let id = upload["upload"]["id"].as_str().or(upload["id"].as_str()).unwrap().to_owned();
    let complete = server.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&ada.token);
    let read = server.get("/api/v1/users/me").bearer(&ada.token);
    let (asked, others) = tokio::join!(faults::Answers::to(vec![complete]), faults::Answers::to(vec![read]));
    let stopwatch = Stopwatch::start();
    server.get("/api/v1/users/me").bearer(&ada.token).await.expect(200);
    let situation = "nothing comes back from the object store";
    faults::Finding { situation, asked, others, recovered: stopwatch.elapsed() }
}

fn id_of(created: &Value) -> String {
    created["upload"]["id"].as_str().unwrap().to_owned()
}
