// A page's program, typed by openapi-typescript and called through openapi-fetch, against the running server.

import assert from "node:assert/strict";
import { test } from "node:test";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";
import { email, password, url } from "./setting.js";

type Session = components["schemas"]["SessionResponse"];

const api = createClient<paths>({ baseUrl: url });
const bearer = (session: Session) => ({ headers: { Authorization: `Bearer ${session.access_token}` } });

/** What was answered, if it is what was hoped for. */
function answered<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): NonNullable<T> {
  assert.ok(data, `${response.status} ${response.url}: ${JSON.stringify(error)}`);
  return data;
}

async function login(identifier: string): Promise<Session> {
  return answered(await api.POST("/api/v1/auth/login", { body: { identifier, password, transport: "body" } }));
}

test("a page signs up with the refresh token in a cookie, and a native app in the body", async () => {
  const body = { email: "cookie@example.org", password, name: "Ada", username: "ada", transport: "cookie" } as const;
  const made = await api.POST("/api/v1/auth/signup", { body });
  const session = answered(made);
  assert.equal(session.refresh_token, undefined);
  assert.match(made.response.headers.get("set-cookie") ?? "", /^__Host-ashlar_refresh=/);

  // Absent or a string, and never null: that this compiles is the test.
  const token: string | undefined = (await login("ada")).refresh_token;
  assert.ok(token);
  const next = answered(await api.POST("/api/v1/auth/refresh", { body: { refresh_token: token } }));
  const left = await api.POST("/api/v1/auth/logout", bearer(next));
  assert.equal(left.response.status, 204);
});

test("an OAuth client names itself and gets tokens", async () => {
  const form = (grant: components["schemas"]["TokenForm"]) =>
    api.POST("/api/v1/auth/token", {
      body: grant,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
  const tokens = answered(await form({ grant_type: "password", username: email, password, client_id: "web" }));
  answered(await form({ grant_type: "refresh_token", refresh_token: tokens.refresh_token, client_id: "web" }));
  const refused = await form({ grant_type: "password", username: email, password: "wrong", client_id: "web" });
  assert.equal(refused.response.status, 400);
  assert.equal(refused.response.headers.get("www-authenticate"), null);
});

test("an account is read, changed under a condition, and cleared", async () => {
  const session = await login(email);
  const read = await api.GET("/api/v1/users/me", bearer(session));
  assert.equal(answered(read).email, email);
  const tag = read.response.headers.get("etag");
  assert.ok(tag);
  const again = await api.GET("/api/v1/users/me", { ...bearer(session), params: { header: { "If-None-Match": tag } } });
  assert.equal(again.response.status, 304);

  const change = { params: { header: { "If-Match": tag } }, body: { name: "Ada King", phone: "+4915112345678" } };
  assert.equal(answered(await api.PATCH("/api/v1/users/me", { ...bearer(session), ...change })).name, "Ada King");
  const stale = await api.PATCH("/api/v1/users/me", { ...bearer(session), ...change, body: { name: "Ada" } });
  assert.equal(stale.response.status, 412);
  const cleared = await api.PATCH("/api/v1/users/me", { ...bearer(session), body: { phone: null } });
  assert.equal(answered(cleared).phone, null);
});

test("an admin finds an account and changes it", async () => {
  const session = await login(email);
  const query = { q: "ada", status: "active", sort: "-created_at", limit: 10 } as const;
  const page = answered(await api.GET("/api/v1/admin/users", { ...bearer(session), params: { query } }));
  const found = page.items.find((user) => user.username === "ada");
  assert.ok(found);
  const changed = await api.PATCH("/api/v1/admin/users/{user_id}", {
    ...bearer(session),
    params: { path: { user_id: found.id } },
    body: { status: "suspended" },
  });
  assert.equal(answered(changed).status, "suspended");
});
