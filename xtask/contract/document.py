"""Whether what the OpenAPI document says can be done at all, which no validator of documents asks.

A schema may be valid and yet be met by nothing (`allOf` of a string and an object), by too much (an object without a word about
its fields, of which typed clients make one that has none), or by what never comes (`null` in a header). Clients that are made
from it then don't compile, or fail when they are run. `document.py FILE` names each such place and ends with 1.
"""

import json
import re
import sys
from pathlib import Path

from openapi_schema_validator import OAS31Validator, oas31_format_checker

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}

# What is tried for a value without examples, by type. A schema that none of these meets has to say one that does.
GUESSES = {
    "string": ["text", "", "a" * 20, "2026-01-31T12:34:56Z", "2026-01-31", "01234567-89ab-7def-8123-456789abcdef",
               "ada@example.com", "https://example.com/", "0"],
    "integer": [1, 0, 1000],
    "number": [1.5, 0],
    "boolean": [True],
    "array": [[]],
    "null": [None],
}


class Document:
    def __init__(self, content):
        self.content = content
        self.faults = []

    def resolve(self, schema):
        while isinstance(schema, dict) and "$ref" in schema:
            value = self.content
            for part in schema["$ref"].removeprefix("#/").split("/"):
                value = value[part.replace("~1", "/").replace("~0", "~")]
            schema = value | {key: said for key, said in schema.items() if key != "$ref"}
        return schema

    def meets(self, schema, value):
        whole = schema | {"components": self.content.get("components", {})}
        return OAS31Validator(whole, format_checker=oas31_format_checker).is_valid(value)

    def fault(self, place, words):
        self.faults.append(f"{place}: {words}")

    def witness(self, schema, depth=0):
        """A value that meets the schema, in a list; an empty list if none was found."""
        full = self.resolve(schema)
        for value in self.candidates(full, depth):
            if self.meets(schema, value):
                return [value]
        return []

    def candidates(self, schema, depth):
        yield from schema.get("examples", [])
        if "example" in schema:
            yield schema["example"]
        yield from schema.get("enum", [])
        if "const" in schema:
            yield schema["const"]
        for key in ("oneOf", "anyOf", "allOf"):
            for one in schema.get(key, []):
                yield from self.witness(one, depth + 1)
        if "minimum" in schema:
            yield schema["minimum"]
        types = schema.get("type", [])
        for kind in [types] if isinstance(types, str) else types:
            if kind == "object":
                yield from self.filled(schema, depth)
            elif kind == "array" and depth < 20:
                yield from ([value] for value in self.witness(schema.get("items", {}), depth + 1))
            yield from GUESSES.get(kind, [])

    def filled(self, schema, depth):
        """An object with every field that can be filled."""
        if depth > 20:
            return
        values = {name: self.witness(field, depth + 1) for name, field in schema.get("properties", {}).items()}
        yield {name: found[0] for name, found in values.items() if found}

    def look_at_schema(self, place, schema):
        if not isinstance(schema, dict):
            return
        if not self.witness(schema):
            self.fault(place, "nothing was found that meets this schema: mend it, or give it an example")
        for value in [*schema.get("examples", []), *([schema["example"]] if "example" in schema else [])]:
            if not self.meets(schema, value):
                self.fault(place, f"the example {json.dumps(value)} does not meet the schema")
        if "default" in schema and not self.meets(schema, schema["default"]):
            self.fault(place, f"the default {json.dumps(schema['default'])} does not meet the schema")
        says_fields = schema.keys() & {"properties", "additionalProperties", "patternProperties"}
        if schema.get("type") == "object" and not says_fields:
            self.fault(place, "an object without `properties` and `additionalProperties` has no field for typed clients")
        for name, field in schema.get("properties", {}).items():
            self.look_at_schema(f"{place}/properties/{name}", field)
        for key in ("oneOf", "anyOf", "allOf"):
            for index, one in enumerate(schema.get(key, [])):
                self.look_at_schema(f"{place}/{key}/{index}", one)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                self.look_at_schema(f"{place}/{key}", schema[key])

    def may_be_null(self, schema):
        return self.meets(schema, None)

    def never_null(self, place, schema, where):
        """No field is nullable, in a form or a query string, which cannot say it."""
        for name, field in self.resolve(schema).get("properties", {}).items():
            if self.may_be_null(field):
                self.fault(f"{place}/{name}", f"`null` cannot be said in {where}")

    def null_only_where_sent(self, place, schema, seen):
        """In an answer a field that may be absent is not nullable as well: it is one or the other."""
        if "$ref" in schema:
            if schema["$ref"] in seen:
                return
            seen.add(schema["$ref"])
            place = schema["$ref"]
        full = self.resolve(schema)
        for name, field in full.get("properties", {}).items():
            if name not in full.get("required", []) and self.may_be_null(field):
                self.fault(f"{place}/properties/{name}", "may be absent and may be `null` in an answer: say which")
            self.null_only_where_sent(f"{place}/properties/{name}", field, seen)
        for key in ("oneOf", "anyOf", "allOf"):
            for one in full.get(key, []):
                self.null_only_where_sent(place, one, seen)
        if isinstance(full.get("items"), dict):
            self.null_only_where_sent(f"{place}/items", full["items"], seen)

    def look_at_content(self, place, content):
        for media_type, media in content.items():
            schema = media.get("schema", {})
            self.look_at_schema(f"{place} {media_type}", schema)
            examples = [named.get("value") for named in media.get("examples", {}).values()]
            for value in [*examples, *([media["example"]] if "example" in media else [])]:
                if not self.meets(schema, value):
                    self.fault(f"{place} {media_type}", f"the example {json.dumps(value)} does not meet the schema")
            if media_type == "application/x-www-form-urlencoded":
                self.never_null(place, schema, "a form")

    def look(self):
        for name, schema in self.content.get("components", {}).get("schemas", {}).items():
            self.look_at_schema(f"#/components/schemas/{name}", schema)
        seen = set()
        for path, item in self.content["paths"].items():
            for method, operation in item.items():
                if method in METHODS:
                    self.look_at_operation(f"{method.upper()} {path}", operation, seen)
        return self.faults

    def look_at_operation(self, place, operation, seen):
        for parameter in operation.get("parameters", []):
            parameter = self.resolve(parameter)
            schema, name = parameter.get("schema", {}), f"{place} {parameter['in']} {parameter['name']}"
            self.look_at_schema(name, schema)
            if self.may_be_null(schema):
                self.fault(name, "`null` cannot be said in a parameter")
            if "example" in parameter and not self.meets(schema, parameter["example"]):
                self.fault(name, f"the example {json.dumps(parameter['example'])} does not meet the schema")
        body = self.resolve(operation.get("requestBody", {}))
        self.look_at_content(f"{place} request", body.get("content", {}))
        for media in body.get("content", {}).values():
            if self.may_be_null(media.get("schema", {})):
                self.fault(f"{place} request", "a body that may be left out is not `null` as well: clients are made wrong of that")
        for status, response in operation["responses"].items():
            content = self.resolve(response).get("content", {})
            self.look_at_content(f"{place} {status}", content)
            for media in content.values():
                self.null_only_where_sent(f"{place} {status}", media.get("schema", {}), seen)


# Each has to be found, else this file looks at nothing.
STRING_AND_OBJECT = {"allOf": [{"type": "string", "enum": ["a"]}, {"type": "object"}]}
BROKEN = [
    ("nothing was found", {"type": "object", "required": ["a"], "properties": {"a": STRING_AND_OBJECT}}),
    ("has no field", {"type": "object"}),
    ("does not meet", {"type": "string", "pattern": "^[!-~]*$", "examples": ["…"]}),
    ("does not meet", {"type": "string", "enum": ["a"], "default": "b"}),
    ("say which", {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
    ("cannot be said", {"type": ["string", "null"]}),
]


def document_with(schema):
    answer = {"description": "An answer.", "content": {"application/json": {"schema": schema}}}
    parameter = {"in": "header", "name": "a", "schema": schema}
    return {"paths": {"/": {"get": {"parameters": [parameter], "responses": {"200": answer}}}}}


def main():
    for words, schema in BROKEN:
        faults = Document(document_with(schema)).look()
        if not any(words in fault for fault in faults):
            sys.exit(f"document.py is blind to what it calls `{words}`: {schema}")
    faults = Document(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).look()
    for fault in sorted(set(faults)):
        print(re.sub(r"\s+", " ", fault), file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
