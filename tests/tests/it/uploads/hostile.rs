//! Invalid requests for uploads.

use reqwest::Method;
use serde_json::json;
use tests::TestServer;

const UPLOADS: &str = "/api/v1/uploads";

#[tokio::test]
async fn values_of_the_wrong_type_are_named() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for value in ["1", "true", "[]", "{}", "[\"Ada\"]", "1.5", "99999999999999999999999"] {
        let body = format!(r#"{{"filename": {value}, "content_type": "image/png", "size": 1}}"#);
        let answer = server.post(UPLOADS).bearer(&ada.token).body("application/json", body).await;
        answer.invalid(&[("/filename", "type")]);
    }
    for value in [json!(null), json!(5), json!(true), json!([])] {
        let body = json!({"filename": "a.png", "content_type": "image/png", "size": 1, "visibility": value});
        server.post(UPLOADS).bearer(&ada.token).json(&body).await.invalid(&[("/visibility", "type")]);
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_not_found() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for id in
        ["x", "upl_", "upl_01J9ZC3V8T5Q4X2M7N6P0R1S2", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "%00", "%ff%fe", "%"]
    {
        for (method, path) in [
            (Method::GET, format!("{UPLOADS}/{id}")),
            (Method::DELETE, format!("{UPLOADS}/{id}")),
            (Method::GET, format!("{UPLOADS}/{id}/download")),
            (Method::POST, format!("{UPLOADS}/{id}/complete")),
        ] {
            let answer = server.request(method, &path).bearer(&ada.token).await;
            assert_eq!(answer.status, 404, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_cursor_of_another_list_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    server.signup().await;
    let page = server.get_as(&admin, "/api/v1/admin/users?limit=1").await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let answer = server.get_as(&admin, &format!("{UPLOADS}?cursor={cursor}")).await;
    answer.invalid(&[("/cursor", "cursor")]);
}
