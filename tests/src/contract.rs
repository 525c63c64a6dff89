//! The OpenAPI document, as a source of requests for tests of all operations, and as the list of error codes of
//! each operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use app_kit::document::document;
use configuration::Sources;
use serde_json::Value;
use server::PRODUCT;

/// The target of a `$ref` of the document; any other value unchanged.
pub fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("outside: {reference}"));
            document.pointer(pointer).unwrap_or_else(|| panic!("dangling: {reference}"))
        }
        None => value,
    }
}

/// A path of the document with example values of the schemas for its parameters: unknown ids.
pub fn concrete(document: &Value, template: &str) -> String {
    filled(document, template, &[])
}

/// The same with own values for some parameters, by name.
pub fn filled(document: &Value, template: &str, own: &[(&str, &str)]) -> String {
    let operations = document["paths"][template].as_object().unwrap_or_else(|| panic!("no path {template}"));
    let parameters = operations.values().filter_map(|operation| operation["parameters"].as_array()).flatten();
    let mut path = template.to_owned();
    for parameter in parameters.filter(|parameter| parameter["in"] == "path") {
        let name = parameter["name"].as_str().unwrap();
        let known = own.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
        let value = known.unwrap_or_else(|| example(document, parameter));
        path = path.replace(&format!("{{{name}}}"), value);
    }
    assert!(!path.contains('{'), "{template} has parameters that none of its operations declares: {path}");
    path
}

/// The example in the schema of a path parameter.
fn example<'d>(document: &'d Value, parameter: &'d Value) -> &'d str {
    let schema = resolve(document, &parameter["schema"]);
    let places = [&parameter["example"], &schema["examples"][0], &schema["example"], &schema["enum"][0]];
    let found = places.into_iter().find_map(Value::as_str);
    found.unwrap_or_else(|| panic!("give the schema of this parameter an example: {parameter}"))
}

/// The codes of errors, as the document lists them.
#[derive(Debug)]
pub struct Codes {
    /// Every code of the catalogue.
    pub known: BTreeSet<String>,
    /// Every code of the token endpoint (RFC 6749, section 5.2).
    pub oauth: BTreeSet<String>,
    /// Those of each operation and status.
    listed: Vec<(String, String, BTreeMap<u16, BTreeSet<String>>)>,
}

/// The codes in the document of this build. They do not depend on the configuration.
pub static CODES: LazyLock<Codes> = LazyLock::new(|| {
    let sources = Sources { file: None, environment: Vec::new(), working_dir: std::env::temp_dir() };
    let config = PRODUCT.config_schema().load(&sources).unwrap();
    Codes::of(&serde_json::to_value(document(&PRODUCT, config.config()).unwrap()).unwrap())
});

impl Codes {
    /// Reads the codes of a document.
    pub fn of(document: &Value) -> Self {
        let texts = |values: &Value| -> BTreeSet<String> {
            let values = values.as_array().into_iter().flatten();
            values.map(|value| value.as_str().unwrap().to_owned()).collect()
        };
        let schemas = &document["components"]["schemas"];
        let known = texts(&schemas["ProblemCode"]["enum"]);
        let oauth = texts(&schemas["OAuthErrorCode"]["enum"]);
        let mut listed = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap().iter();
                let by_status = responses.filter_map(|(status, response)| {
                    let examples = &response["content"]["application/problem+json"]["examples"];
                    Some((status.parse().ok()?, examples.as_object()?.keys().cloned().collect()))
                });
                listed.push((method.to_uppercase(), path.clone(), by_status.collect()));
            }
        }
        Self { known, oauth, listed }
    }

    /// Whether the operation may return this error. Requests to unknown operations may return any, such as `not_found`.
    pub fn allow(&self, method: &str, path: &str, status: u16, code: &str) -> bool {
        let method = if method == "HEAD" { "GET" } else { method };
        let operations = self.listed.iter().filter(|(of, template, _)| of == method && fits(template, path));
        // `/users/me` matches `/users/{id}` too; the path with fewer parameters applies.
        let Some((.., codes)) = operations.min_by_key(|(_, template, _)| template.matches('{').count())
        else {
            return true;
        };
        codes.get(&status).is_some_and(|codes| codes.contains(code))
    }
}

fn fits(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    template.split('/').all(|part| {
        segments.next().is_some_and(|segment| part.starts_with('{') && !segment.is_empty() || part == segment)
    }) && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_answers_with_the_codes_that_it_lists() {
        let lists = |code: &str| json!({"content": {"application/problem+json": {"examples": {code: {}}}}});
        let document = json!({
            "paths": {
                "/users/{id}": {"get": {"responses": {"200": {}, "404": lists("user_not_found")}}},
                "/users/me": {"get": {"responses": {"401": lists("invalid_token")}}},
            },
            "components": {"schemas": {"ProblemCode": {"enum": ["invalid_token", "user_not_found"]}}},
        });
        let codes = Codes::of(&document);
        assert_eq!(codes.known.len(), 2);
        assert!(codes.allow("GET", "/users/usr_1", 404, "user_not_found"));
        assert!(codes.allow("HEAD", "/users/usr_1", 404, "user_not_found"));
        assert!(!codes.allow("GET", "/users/usr_1", 404, "not_found"));
        assert!(!codes.allow("GET", "/users/usr_1", 409, "user_not_found"));
        assert!(!codes.allow("GET", "/users/me", 404, "user_not_found"));
        assert!(codes.allow("GET", "/users/", 404, "not_found"), "no operation");
        assert!(codes.allow("PUT", "/users/me", 405, "method_not_allowed"), "no operation");
    }

    #[test]
    fn every_parameter_gets_a_value_of_its_own_schema() {
        let path = "/orders/{order_id}/items/{item_id}/{state}/{name}";
        let of = |name: &str, schema: Value| json!({"name": name, "in": "path", "schema": schema});
        let document = json!({
            "paths": {path: {
                "get": {"parameters": [
                    of("order_id", json!({"$ref": "#/components/schemas/OrderId"})),
                    of("item_id", json!({"type": "string", "examples": ["itm_1", "itm_2"]})),
                ]},
                "delete": {"parameters": [
                    of("state", json!({"enum": ["open", "paid"]})),
                    {"name": "name", "in": "path", "example": "ada", "schema": {"type": "string"}},
                    {"name": "q", "in": "query", "schema": {"type": "string"}},
                ]},
            }},
            "components": {"schemas": {"OrderId": {"examples": ["ord_1"]}}},
        });
        assert_eq!(concrete(&document, path), "/orders/ord_1/items/itm_1/open/ada");
        let own = filled(&document, path, &[("item_id", "itm_9"), ("other_id", "x")]);
        assert_eq!(own, "/orders/ord_1/items/itm_9/open/ada");
    }
}
