//! Registration of handlers: by their operation, so that their order does not matter.
//!
//! [`access_control`](crate::access_control) finds the operation of a request in the contract before routing, and checks access by
//! it. Here each handler takes exactly the requests of its own operation. So the operation that was checked is the one that runs, a
//! literal path (`/users/me`) wins over one with a parameter (`/users/{user_id}`) wherever they are registered, and any router may
//! have a path below another router's (`/orders/{order_id}/items`).

use actix_web::dev::HttpServiceFactory;
use actix_web::guard::{Guard, GuardContext, fn_guard};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{OpenApiFactory, scope};

use crate::contract::{OperationKey, RouteMatch, operations};

/// The registry of the handlers of one module.
pub struct Routes<'c, 's> {
    config: &'c mut ServiceConfig<'s>,
    operations: Vec<OperationKey>,
}

impl Routes<'_, '_> {
    /// Registers the handlers of a module. actix looks at one after the other until one takes a request, so those of a module are behind
    /// one guard: a request passes by a module in one step, however many operations the product has.
    pub fn register(config: &mut ServiceConfig<'_>, module: impl FnOnce(&mut Routes<'_, '_>)) {
        let mut operations = Vec::new();
        let handlers = scope("").configure(|config| {
            let mut routes = Routes { config, operations: Vec::new() };
            module(&mut routes);
            operations = routes.operations;
        });
        config.service(handlers.guard(guard_of(operations)));
    }

    /// Registers a handler, whose attribute has the whole path: `#[get("/api/v1/posts/{post_id}")]`.
    pub fn handle<H>(&mut self, handler: H) -> &mut Self
    where
        H: HttpServiceFactory + OpenApiFactory + 'static,
    {
        let own: Vec<_> = handler
            .paths()
            .paths
            .iter()
            .flat_map(|(path, item)| operations(item).map(|(method, _)| OperationKey::new(path, method)))
            .collect();
        self.operations.extend(&own);
        self.config.service(scope("").guard(guard_of(own)).service(handler));
        self
    }
}

/// Lets the requests of these operations pass, as they were found in the contract.
fn guard_of(operations: Vec<OperationKey>) -> impl Guard {
    fn_guard(move |request: &GuardContext<'_>| {
        let data = request.req_data();
        let rule = data.get::<RouteMatch>().and_then(RouteMatch::rule);
        rule.is_some_and(|rule| operations.contains(&rule.key))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use actix_web::dev::{ServiceRequest, ServiceResponse};
    use actix_web::middleware::{Next, from_fn};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, HttpMessage as _, get, post, web};
    use shared_kernel::id::{Id, SessionKind, UserKind};
    use utoipa_actix_web::AppExt as _;

    use super::*;
    use crate::contract::Contract;
    use crate::extract::{PathId, PathIds};

    #[utoipa::path]
    #[get("/users/{user_id}")]
    async fn get_user(id: PathId<UserKind>) -> String {
        format!("user {}", id.0)
    }

    #[utoipa::path]
    #[post("/users/{user_id}")]
    async fn change_user(id: PathId<UserKind>) -> String {
        format!("changed {}", id.0)
    }

    #[utoipa::path]
    #[get("/users/me")]
    async fn get_me() -> &'static str {
        "me"
    }

    #[utoipa::path]
    #[get("/users/{user_id}/pairs/{session_id}")]
    async fn in_order(ids: PathIds<(Id<UserKind>, Id<SessionKind>)>) -> String {
        format!("{} of {}", ids.0.1, ids.0.0)
    }

    #[derive(serde::Deserialize)]
    struct Named {
        session_id: Id<SessionKind>,
        user_id: Id<UserKind>,
    }

    #[utoipa::path]
    #[get("/users/{user_id}/sessions/{session_id}")]
    async fn by_name(ids: PathIds<Named>) -> String {
        format!("{} of {}", ids.0.session_id, ids.0.user_id)
    }

    #[utoipa::path]
    #[get("/users/{user_id}/both/{session_id}")]
    async fn one_of_two(id: PathId<SessionKind>) -> String {
        id.0.to_string()
    }

    /// As two routers would, the wider one first.
    fn configure(config: &mut ServiceConfig<'_>) {
        Routes::register(config, |routes| {
            routes.handle(get_user).handle(change_user).handle(one_of_two);
        });
        Routes::register(config, |routes| {
            routes.handle(get_me).handle(in_order).handle(by_name);
        });
    }

    /// What access control does, without asking who.
    async fn find<B: MessageBody + 'static>(
        contract: web::Data<Contract>,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<B>, actix_web::Error> {
        let matched = contract.find(request.method(), request.path());
        request.extensions_mut().insert(matched);
        next.call(request).await
    }

    async fn answer(request: TestRequest) -> (u16, String) {
        let (_, document) = App::new().into_utoipa_app().configure(configure).split_for_parts();
        let contract = web::Data::new(Contract::new(&document, &[]).unwrap());
        let (app, _) = App::new().app_data(contract).into_utoipa_app().configure(configure).split_for_parts();
        let app = init_service(app.wrap(from_fn(find))).await;
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }

    async fn get(path: &str) -> (u16, String) {
        answer(TestRequest::get().uri(path)).await
    }

    const USER: &str = "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T";
    const SESSION: &str = "ses_01J9ZC3V8T5Q4X2M7N6P0R1S2T";

    #[actix_web::test]
    async fn a_handler_gets_its_own_requests_wherever_it_stands() {
        assert_eq!(get(&format!("/users/{USER}")).await, (200, format!("user {USER}")));
        assert_eq!(get("/users/me").await, (200, "me".to_owned()));
        let post = TestRequest::post().uri(&format!("/users/{USER}"));
        assert_eq!(answer(post).await, (200, format!("changed {USER}")));
        assert_eq!(answer(TestRequest::delete().uri("/users/me")).await.0, 404);
        assert_eq!(get("/users").await.0, 404);
    }

    #[actix_web::test]
    async fn several_ids_are_taken_in_order_or_by_name() {
        let path = format!("/users/{USER}/pairs/{SESSION}");
        assert_eq!(get(&path).await, (200, format!("{SESSION} of {USER}")));
        let path = format!("/users/{USER}/sessions/{SESSION}");
        assert_eq!(get(&path).await, (200, format!("{SESSION} of {USER}")));
        for wrong in [format!("/users/{SESSION}/pairs/{USER}"), format!("/users/{USER}/sessions/x")] {
            assert_eq!(get(&wrong).await.0, 404, "{wrong}");
        }
    }

    #[actix_web::test]
    async fn one_id_is_never_taken_for_another() {
        let path = format!("/users/{USER}/both/{SESSION}");
        assert_eq!(get(&path).await.0, 500, "which of the two is nobody's guess");
    }
}
