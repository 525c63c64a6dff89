// A page's program that uploads files, typed and called as those of calls.test.ts are.

import assert from "node:assert/strict";
import { test } from "node:test";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";
import { email, password, url } from "./setting.js";

type Session = components["schemas"]["SessionResponse"];

const api = createClient<paths>({ baseUrl: url });
const bearer = (session: Session) => ({ headers: { Authorization: `Bearer ${session.access_token}` } });

/** A picture of one pixel. */
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

/** What was answered, if it is what was hoped for. */
function answered<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): NonNullable<T> {
  assert.ok(data, `${response.status} ${response.url}: ${JSON.stringify(error)}`);
  return data;
}

async function login(identifier: string): Promise<Session> {
  return answered(await api.POST("/api/v1/auth/login", { body: { identifier, password, transport: "body" } }));
}

test("a file goes to the store and comes back", async () => {
  const session = await login(email);
  const rules = answered(await api.GET("/api/v1/config")).uploads;
  assert.ok(rules.types.includes("image/png") && png.length <= rules.max_size);
  const body = { filename: "one.png", content_type: "image/png", size: png.length, visibility: "private" } as const;
  const { upload, request } = answered(await api.POST("/api/v1/uploads", { ...bearer(session), body }));
  const { "content-length": _, ...headers } = request.headers;
  const sent = await fetch(request.url, { method: request.method, headers, body: png });
  assert.equal(sent.status, 200, await sent.text());

  const one = { ...bearer(session), params: { path: { upload_id: upload.id } } };
  const completed = answered(await api.POST("/api/v1/uploads/{upload_id}/complete", { ...one, body: {} }));
  assert.equal(completed.status, "completed");
  const headersForUrl = { ...bearer(session).headers, Accept: "application/json" };
  const download = await api.GET("/api/v1/uploads/{upload_id}/download", { ...one, headers: headersForUrl });
  const file = await fetch(answered(download).url);
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), png);
  const page = await api.GET("/api/v1/uploads", { ...bearer(session), params: { query: { limit: 1, include: "total" } } });
  assert.equal(answered(page).total, 1);
  const gone = await api.DELETE("/api/v1/uploads/{upload_id}", one);
  assert.equal(gone.response.status, 204);
});

test("a size above the limit is refused by the server, as the document says", async () => {
  const session = await login(email);
  const size = answered(await api.GET("/api/v1/config")).uploads.max_size + 1;
  const body = { filename: "large.png", content_type: "image/png", size, visibility: "private" } as const;
  const refused = await api.POST("/api/v1/uploads", { ...bearer(session), body });
  assert.equal(refused.response.status, 422);
  assert.equal(refused.error?.errors[0]?.pointer, "/size");
});
