// Writes a TypeScript file in which every field of every request body is filled in, as the document says it can be: the compiler
// then says whether the types that openapi-typescript made of the same document agree.
//
// `node filled.mjs openapi.json > filled.ts`

import { readFileSync } from "node:fs";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const bodies = Object.values(document.paths)
  .flatMap((item) => Object.values(item))
  .filter((operation) => operation.requestBody)
  .flatMap(({ operationId, requestBody }) =>
    Object.entries(requestBody.content).map(([type, { schema }]) => ({ operationId, type, value: fill(schema) })),
  );

console.log(`import type { operations } from "./api.js";

type Content<O extends keyof operations> = operations[O] extends { requestBody?: { content: infer C } } ? C : never;
type Body<O extends keyof operations, T extends string> = T extends keyof Content<O> ? Content<O>[T] : never;
`);
for (const [index, { operationId, type, value }] of bodies.entries()) {
  const [name, of] = [JSON.stringify(operationId), JSON.stringify(type)];
  console.log(`export const body${index}: Body<${name}, ${of}> = ${JSON.stringify(value, null, 2)};\n`);
}

/** A value that meets the schema, with every field, and something in every object that may have any. */
function fill(schema) {
  if (schema.$ref) return fill(schema.$ref.slice(2).split("/").reduce((value, part) => value[part], document));
  const [first] = [...(schema.enum ?? []), ...(schema.examples ?? [])];
  if (schema.const !== undefined) return schema.const;
  if (first !== undefined) return first;
  const [one] = schema.oneOf ?? schema.anyOf ?? [];
  if (one) return fill(one);
  if (schema.allOf) return schema.allOf.map(fill).reduce((all, next) => (isObject(all, next) ? { ...all, ...next } : all));
  const [type] = [schema.type].flat();
  switch (type) {
    case "object":
      return {
        ...Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, field]) => [name, fill(field)])),
        ...(schema.additionalProperties === true ? { anything: ["at", "all"] } : {}),
      };
    case "array":
      return [fill(schema.items)];
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    case "string":
      return "text";
    default:
      throw new Error(`what is to be filled in here? ${JSON.stringify(schema)}`);
  }
}

function isObject(...values) {
  return values.every((value) => typeof value === "object" && value !== null);
}
