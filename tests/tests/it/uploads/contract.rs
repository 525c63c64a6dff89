//! Uploads in the OpenAPI document, and in the configuration for pages.

use serde_json::{Value, json};
use tests::TestServer;

const UPLOADS: &str = "/api/v1/uploads";

async fn document(server: &TestServer) -> Value {
    server.get("/openapi.json").await.expect(200).json()
}

#[tokio::test]
async fn the_example_of_an_announcement_is_taken() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let content =
        &document(&server).await["paths"][UPLOADS]["post"]["requestBody"]["content"]["application/json"];
    server.post(UPLOADS).bearer(&ada.token).json(&content["example"]).await.expect(201);
}

#[tokio::test]
async fn the_document_and_the_configuration_have_the_installations_limits() {
    let server = TestServer::with_variables(&[
        ("ASHLAR_UPLOADS__MAX_SIZE", "1000"),
        ("ASHLAR_UPLOADS__ALLOWED_TYPES", "text/csv,image/png"),
    ])
    .await;
    let upload = &document(&server).await["components"]["schemas"]["CreateUpload"]["properties"];
    assert_eq!(upload["size"]["maximum"], 1000);
    assert_eq!(upload["content_type"]["enum"], json!(["text/csv", "image/png"]));

    let answer = server.get("/api/v1/config").await.expect(200);
    assert_eq!(answer.json()["uploads"], json!({"max_size": 1000, "types": ["text/csv", "image/png"]}));
    let tag = answer.header("etag").unwrap().to_owned();
    let other = TestServer::start().await.get("/api/v1/config").await.expect(200);
    assert_ne!(other.header("etag"), Some(tag.as_str()));

    let ada = server.signup().await;
    for (content_type, size, status) in
        [("text/csv", 1000, 201), ("text/csv", 1001, 422), ("image/jpeg", 1, 422)]
    {
        let body = json!({"filename": "a", "content_type": content_type, "size": size});
        server.post(UPLOADS).bearer(&ada.token).json(&body).await.expect(status);
    }
}
