//! The behaviour over HTTP that every resource with `POST`, `GET`, `PATCH` and `DELETE` has, as tests of any resource that is described
//! by a [`Resource`]. A generated domain has one; tests of its own rules are written beside it.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::members;
use crate::{Account, TestServer};

/// Who may read and write the rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    /// Member with the id of the owner, if rows have an owner.
    pub owner: Option<&'static str>,
    /// Everyone may read.
    pub public_read: bool,
    /// Tests need an admin, for this resource or for those that it refers to.
    pub needs_admin: bool,
}

/// The action when the referenced row is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The referring row is deleted too.
    Cascade,
    /// The deletion is refused.
    Restrict,
    /// The reference is set to null.
    SetNull,
}

/// The description of a resource for its tests.
pub trait Resource {
    /// Its path: `/api/v1/posts`.
    const ROUTE: &'static str;
    /// Prefix of its error codes: `post`.
    const NAME: &'static str;
    /// Prefix of its ids: `pst`.
    const PREFIX: &'static str;
    /// Members of the response besides `id`, `created_at` and `updated_at`.
    const MEMBERS: &'static [&'static str];
    /// Permissions.
    const ACCESS: Access;
    /// Whether responses contain presigned URLs.
    const HAS_SIGNED_URLS: bool = false;
    /// Number of possible rows that differ in all unique fields.
    const ROWS: i64 = i64::MAX;
    /// References to rows of the same domain, each with a member in which both rows agree.
    const WITHIN: &'static [(&'static str, &'static str)] = &[];

    /// A valid body to create a row. Bodies with different numbers differ on the same server.
    fn body(server: &TestServer, account: &Account, number: i64) -> impl Future<Output = Value>;

    /// Starts a server with an account that has all permissions on this resource.
    fn server() -> impl Future<Output = (TestServer, Account)> {
        async {
            let server = TestServer::start().await;
            let account = Self::account(&server).await;
            (server, account)
        }
    }

    /// Another account with the same permissions.
    fn account(server: &TestServer) -> impl Future<Output = Account> {
        async { if Self::ACCESS.needs_admin { server.admin().await } else { server.signup().await } }
    }

    /// Creates a row.
    fn create(server: &TestServer, account: &Account, number: i64) -> impl Future<Output = Value> {
        async move {
            let body = Self::body(server, account, number).await;
            server.post(Self::ROUTE).bearer(&account.token).json(&body).await.expect(201).json()
        }
    }

    /// Its path.
    fn path(item: &Value) -> String {
        format!("{}/{}", Self::ROUTE, item["id"].as_str().unwrap())
    }

    /// The error code of a row that does not exist.
    fn not_found() -> String {
        format!("{}_not_found", Self::NAME)
    }

    /// A row can be created, read, changed and deleted.
    fn supports_crud() -> impl Future<Output = ()> {
        async {
            let (server, ada) = Self::server().await;
            let body = Self::body(&server, &ada, 1).await;
            let created = server.post(Self::ROUTE).bearer(&ada.token).json(&body).await.expect(201);
            let made = created.json();
            let path = Self::path(&made);
            assert_eq!(created.header("location"), Some(path.as_str()));
            let mut names = [Self::MEMBERS, &["id", "created_at", "updated_at"]].concat();
            names.sort_unstable();
            assert_eq!(members(&made), names);
            assert!(made["id"].as_str().unwrap().starts_with(&format!("{}_", Self::PREFIX)), "{made}");
            let tag = is_read::<Self>(&server, &ada, &made).await;
            assert_eq!(created.header("etag"), Some(tag.as_str()), "a form needs no other request");
            is_changed::<Self>(&server, &ada, &path, &tag).await;
            server.delete(&path).bearer(&ada.token).await.expect(204);
            for method in [Method::GET, Method::DELETE] {
                server.request(method, &path).bearer(&ada.token).await.problem(404, &Self::not_found());
            }
            let change = server.patch(&path).bearer(&ada.token).json(&json!({}));
            change.await.problem(404, &Self::not_found());
        }
    }

    /// Without a token, requests are rejected, except reads if `public_read` is set.
    fn requires_a_token() -> impl Future<Output = ()> {
        async {
            let (server, ada) = Self::server().await;
            let made = Self::create(&server, &ada, 1).await;
            let path = Self::path(&made);
            server.post(Self::ROUTE).json(&json!({})).await.problem(401, "invalid_token");
            server.patch(&path).json(&json!({})).await.problem(401, "invalid_token");
            server.delete(&path).await.problem(401, "invalid_token");
            if Self::ACCESS.public_read {
                assert_eq!(server.get(&path).await.expect(200).json()["id"], made["id"]);
                assert_eq!(server.get(Self::ROUTE).await.expect(200).json()["items"][0]["id"], made["id"]);
            } else {
                server.get(&path).await.problem(401, "invalid_token");
                server.get(Self::ROUTE).await.problem(401, "invalid_token");
            }
        }
    }

    /// Users who are not admins are rejected, except for reads if `public_read` is set.
    fn requires_an_admin() -> impl Future<Output = ()> {
        async {
            let (server, admin) = Self::server().await;
            let eve = server.signup().await;
            let path = Self::path(&Self::create(&server, &admin, 1).await);
            let refusal = "admin_required";
            server.post(Self::ROUTE).bearer(&eve.token).json(&json!({})).await.problem(403, refusal);
            server.patch(&path).bearer(&eve.token).json(&json!({})).await.problem(403, refusal);
            server.delete(&path).bearer(&eve.token).await.problem(403, refusal);
            for route in [path.as_str(), Self::ROUTE] {
                let answer = server.get_as(&eve, route).await;
                if Self::ACCESS.public_read {
                    answer.expect(200);
                } else {
                    answer.problem(403, refusal);
                }
            }
        }
    }

    /// Rows of other users are not found, or, if `public_read` is set, can only be read.
    fn belongs_to_its_owner() -> impl Future<Output = ()> {
        async {
            let owner = Self::ACCESS.owner.expect("a resource with owners");
            let (server, ada) = Self::server().await;
            let eve = Self::account(&server).await;
            let made = Self::create(&server, &ada, 1).await;
            let path = Self::path(&made);
            assert_eq!(made[owner], ada.id);
            if Self::ACCESS.public_read {
                server.patch(&path).bearer(&eve.token).json(&json!({})).await.problem(403, "not_owner");
                server.delete(&path).bearer(&eve.token).await.problem(403, "not_owner");
                server.get_as(&eve, &path).await.expect(200);
            } else {
                looks_missing::<Self>(&server, &eve, &made).await;
            }
            let page = server.get_as(&eve, Self::ROUTE).await.expect(200).json();
            assert_eq!(page["items"].as_array().unwrap().len(), usize::from(Self::ACCESS.public_read));
            // The owner comes only from the token.
            let refused = format!("/{owner}");
            let mut stolen = Self::body(&server, &ada, Self::ROWS.min(2)).await;
            stolen[owner] = json!(eve.id);
            let creation = server.post(Self::ROUTE).bearer(&ada.token).json(&stolen);
            creation.await.invalid(&[(&refused, "unknown_field")]);
            let given = server.patch(&path).bearer(&ada.token).json(&json!({ owner: eve.id }));
            given.await.invalid(&[(&refused, "unknown_field")]);
            let kept = server.get_as(&ada, &path).await.expect(200).json();
            assert_eq!((&kept[owner], &kept["updated_at"]), (&made[owner], &made["updated_at"]));
        }
    }

    /// Unknown fields, parameters and sort orders, and invalid cursors and ids, are rejected.
    fn rejects_unknown_input() -> impl Future<Output = ()> {
        async {
            let (server, ada) = Self::server().await;
            let path = Self::path(&Self::create(&server, &ada, 1).await);
            let mut unknown = Self::body(&server, &ada, Self::ROWS.min(2)).await;
            unknown["is_admin"] = json!(true);
            let refused = [("/is_admin", "unknown_field")];
            server.post(Self::ROUTE).bearer(&ada.token).json(&unknown).await.invalid(&refused);
            let change = json!({"is_admin": true});
            server.patch(&path).bearer(&ada.token).json(&change).await.invalid(&refused);
            let list = async |query: &str| server.get_as(&ada, &format!("{}?{query}", Self::ROUTE)).await;
            list("colour=red").await.invalid(&[("/colour", "unknown_parameter")]);
            list("sort=nothing").await.invalid(&[("/sort", "choice")]);
            list("cursor=AAAA").await.invalid(&[("/cursor", "cursor")]);
            let own = Self::PREFIX;
            for id in ["x", "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T", &format!("{own}_"), &format!("{own}_{NONE}X")] {
                server.get_as(&ada, &format!("{}/{id}", Self::ROUTE)).await.expect(404);
            }
        }
    }

    /// A second row with the same value of a field is a conflict; `first` is the body of the first.
    fn rejects_a_duplicate(
        (server, ada): &(TestServer, Account),
        (field, code): (&str, &str),
        first: Value,
    ) -> impl Future<Output = ()> {
        async move {
            server.post(Self::ROUTE).bearer(&ada.token).json(&first).await.expect(201);
            let mut second = first.clone();
            if Self::ROWS > 1 {
                second = Self::body(server, ada, 2).await;
                second[field] = first[field].clone();
                for (_, shared) in Self::WITHIN.iter().filter(|(reference, _)| *reference == field) {
                    second[shared] = first[shared].clone();
                }
            }
            let problem = server.post(Self::ROUTE).bearer(&ada.token).json(&second).await.problem(409, code);
            if Self::ROWS > 1 {
                assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"));
            }
        }
    }

    /// The constraint of the database decides, so exactly one of many concurrent requests succeeds.
    fn is_created_once() -> impl Future<Output = ()> {
        async {
            let (server, ada) = Self::server().await;
            let body = Self::body(&server, &ada, 1).await;
            let requests =
                (0..20).map(|_| server.post(Self::ROUTE).bearer(&ada.token).json(&body).into_future());
            let mut statuses: Vec<u16> =
                join_all(requests).await.iter().map(|answer| answer.status).collect();
            statuses.sort_unstable();
            assert_eq!((statuses[0], &statuses[1..]), (201, [409; 19].as_slice()));
            let page =
                server.get_as(&ada, &format!("{}?include=total", Self::ROUTE)).await.expect(200).json();
            assert_eq!(page["total"], 1);
        }
    }

    /// A reference rejects these ids, of rows that do not exist or are not visible to this account.
    fn rejects_references(
        (server, ada): &(TestServer, Account),
        field: &str,
        wrong: &[String],
    ) -> impl Future<Output = String> {
        async move {
            let path = Self::path(&Self::create(server, ada, 1).await);
            for id in wrong {
                let change = server.patch(&path).bearer(&ada.token).json(&json!({ field: id }));
                change.await.invalid(&[(&format!("/{field}"), "reference")]);
            }
            path
        }
    }

    /// A reference rejects the ids `wrong` and accepts the id of the row at `target`; its deletion has the effect of `rule`.
    fn checks_reference(
        at: &(TestServer, Account),
        (field, rule): (&str, OnDelete),
        target: &str,
        wrong: &[String],
    ) -> impl Future<Output = ()> {
        async move {
            let (server, ada) = at;
            let path = Self::rejects_references(at, field, wrong).await;
            let id = target.rsplit('/').next().unwrap();
            let mut change = json!({ field: id });
            for (_, shared) in Self::WITHIN.iter().filter(|(reference, _)| *reference == field) {
                change[shared] = server.get_as(ada, target).await.expect(200).json()[shared].clone();
            }
            let change = server.patch(&path).bearer(&ada.token).json(&change);
            assert_eq!(change.await.expect(200).json()[field], id);
            let deletion = server.delete(target).bearer(&ada.token).await;
            match rule {
                OnDelete::Restrict => {
                    deletion.problem(409, "still_referenced");
                    for path in [path.as_str(), target] {
                        server.delete(path).bearer(&ada.token).await.expect(204);
                    }
                }
                OnDelete::Cascade => {
                    deletion.expect(204);
                    server.get_as(ada, &path).await.problem(404, &Self::not_found());
                }
                OnDelete::SetNull => {
                    deletion.expect(204);
                    assert_eq!(server.get_as(ada, &path).await.expect(200).json()[field], Value::Null);
                }
            }
        }
    }

    /// The list has pages, the newest row first, and a total.
    fn is_listed_in_pages() -> impl Future<Output = ()> {
        async {
            let (server, ada) = Self::server().await;
            let mut made = Vec::new();
            for number in 1..=3 {
                made.insert(0, Self::create(&server, &ada, number).await["id"].clone());
            }
            let list = async |query: &str| {
                server.get_as(&ada, &format!("{}?{query}", Self::ROUTE)).await.expect(200)
            };
            let first = list("limit=2&include=total").await;
            let page = first.json();
            assert_eq!((page["items"].as_array().unwrap().len(), &page["total"]), (2, &json!(3)));
            let cursor = page["next_cursor"].as_str().unwrap();
            assert!(first.header("link").unwrap().contains(cursor));
            let next = list(&format!("limit=2&cursor={cursor}")).await.json();
            assert_eq!(next["next_cursor"], Value::Null);
            let items = page["items"].as_array().unwrap().iter().chain(next["items"].as_array().unwrap());
            assert_eq!(items.map(|item| item["id"].clone()).collect::<Vec<_>>(), made);
        }
    }
}

/// An id that no row has.
pub fn unknown_id(prefix: &str) -> String {
    format!("{prefix}_{NONE}")
}

/// The part of that id after the prefix.
const NONE: &str = "01J9ZC3V8T5Q4X2M7N6P0R1S2T";

/// Reads a row and returns its `ETag`.
async fn is_read<R: Resource + ?Sized>(server: &TestServer, ada: &Account, made: &Value) -> String {
    let path = R::path(made);
    let read = server.get_as(ada, &path).await.expect(200);
    if R::HAS_SIGNED_URLS {
        assert_eq!(read.json()["id"], made["id"]);
        assert_eq!(
            read.header("cache-control"),
            Some("no-store"),
            "its URLs are secrets, and soon worthless"
        );
    } else {
        assert_eq!(read.json(), *made);
    }
    let tag = read.header("etag").unwrap().to_owned();
    let again = server.get(&path).bearer(&ada.token).header("if-none-match", &tag).await;
    again.expect(if R::HAS_SIGNED_URLS { 200 } else { 304 });
    tag
}

/// A change requires the current `ETag`.
async fn is_changed<R: Resource + ?Sized>(server: &TestServer, ada: &Account, path: &str, tag: &str) {
    let change = R::body(server, ada, 2).await;
    let request = || server.patch(path).bearer(&ada.token);
    let changed = request().header("if-match", tag).json(&change).await.expect(200);
    assert_ne!(changed.header("etag").unwrap(), tag);
    for (name, value) in change.as_object().unwrap() {
        if let Some(shown) = changed.json().get(name) {
            assert_eq!(shown, value, "{name}");
        }
    }
    let same = request().json(&change).await.expect(200);
    assert_eq!(same.header("etag"), changed.header("etag"), "nothing has changed");
    request().header("if-match", tag).json(&change).await.problem(412, "precondition_failed");
    let deletion = server.delete(path).bearer(&ada.token).header("if-match", tag);
    deletion.await.problem(412, "precondition_failed");
}

/// The response for a row of another user is the same as for a missing row.
async fn looks_missing<R: Resource + ?Sized>(server: &TestServer, eve: &Account, made: &Value) {
    let none = json!({"id": format!("{}_{NONE}", R::PREFIX)});
    let routes = [(Method::PATCH, Some(json!({}))), (Method::DELETE, None), (Method::GET, None)];
    for (method, body) in routes {
        let mut problems = Vec::new();
        for item in [made, &none] {
            let mut request = server.request(method.clone(), &R::path(item)).bearer(&eve.token);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let mut problem = request.await.problem(404, &R::not_found());
            for name in ["instance", "request_id"] {
                problem.as_object_mut().unwrap().remove(name);
            }
            problems.push(problem);
        }
        assert_eq!(problems[0], problems[1], "the responses differ");
    }
}
