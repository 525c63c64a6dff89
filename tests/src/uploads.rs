//! Uploads, for tests of what refers to them.

use serde_json::{Value, json};

use crate::resource::{OnDelete, Resource, nothing};
use crate::server::{Account, TestServer};
use crate::store::png;

impl TestServer {
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

fn id_of(created: &Value) -> String {
    created["upload"]["id"].as_str().unwrap().to_owned()
}
