//! The OpenAPI document as a source of requests: what a test of every operation asks, whatever operations there are.

use serde_json::Value;

/// What a `$ref` of the document stands for, and anything else itself.
pub fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("outside: {reference}"));
            document.pointer(pointer).unwrap_or_else(|| panic!("dangling: {reference}"))
        }
        None => value,
    }
}

/// A path of the document with values in place of its parameters, out of their schemas: ids that nobody has.
pub fn concrete(document: &Value, template: &str) -> String {
    filled(document, template, &[])
}

/// The same with these values for the parameters of these names.
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

/// A value that fits the schema of a parameter of the path.
fn example<'d>(document: &'d Value, parameter: &'d Value) -> &'d str {
    let schema = resolve(document, &parameter["schema"]);
    let places = [&parameter["example"], &schema["examples"][0], &schema["example"], &schema["enum"][0]];
    let found = places.into_iter().find_map(Value::as_str);
    found.unwrap_or_else(|| panic!("give the schema of this parameter an example: {parameter}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_parameter_gets_a_value_of_its_own_schema() {
        let path = "/orders/{order_id}/items/{item_id}/{state}/{name}";
        let of = |name: &str, schema: Value| json!({"name": name, "in": "path", "schema": schema});
        let document = json!({
            "paths": {path: {
                "get": {"parameters": [
                    of("order_id", json!({"$ref": "#/components/schemas/Id_ord"})),
                    of("item_id", json!({"type": "string", "examples": ["itm_1", "itm_2"]})),
                ]},
                "delete": {"parameters": [
                    of("state", json!({"enum": ["open", "paid"]})),
                    {"name": "name", "in": "path", "example": "ada", "schema": {"type": "string"}},
                    {"name": "q", "in": "query", "schema": {"type": "string"}},
                ]},
            }},
            "components": {"schemas": {"Id_ord": {"examples": ["ord_1"]}}},
        });
        assert_eq!(concrete(&document, path), "/orders/ord_1/items/itm_1/open/ada");
        let own = filled(&document, path, &[("item_id", "itm_9"), ("other_id", "x")]);
        assert_eq!(own, "/orders/ord_1/items/itm_9/open/ada");
    }
}
