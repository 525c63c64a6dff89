// Another service that is given an access token and verifies it as the standards say, with libraries that know only those.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import * as oauth from "oauth4webapi";
import { email, password, url } from "./setting.js";

const jwks = `${url}/.well-known/jwks.json`;
const audience = "ashlar";
let token: string;

before(async () => {
  const body = new URLSearchParams({ grant_type: "password", username: email, password, client_id: "web" });
  const answer = await fetch(`${url}/api/v1/auth/token`, { method: "POST", body });
  token = ((await answer.json()) as { access_token: string }).access_token;
});

test("jose verifies an access token, as RFC 9068 says", async () => {
  assert.equal(decodeProtectedHeader(token).typ, "at+jwt");
  const requiredClaims = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
  const options = { issuer: url, audience, typ: "at+jwt", algorithms: ["EdDSA"], requiredClaims };
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(jwks)), options);
  assert.match(payload.sub ?? "", /^usr_/);
  await assert.rejects(jwtVerify(token, createRemoteJWKSet(new URL(jwks)), { ...options, audience: "another" }));
});

test("oauth4webapi accepts it as a resource server", async () => {
  const server = { issuer: url, jwks_uri: jwks };
  const request = new Request(`${url}/api/v1/users/me`, { headers: { Authorization: `Bearer ${token}` } });
  const options = { [oauth.allowInsecureRequests]: true, signingAlgorithms: ["EdDSA", "Ed25519"] };
  const claims = await oauth.validateJwtAccessToken(server, request, audience, options);
  assert.equal(typeof claims.client_id, "string");
});

test("oauth4webapi gets tokens as a public client and refreshes them", async () => {
  const server = { issuer: url, token_endpoint: `${url}/api/v1/auth/token` };
  const client = { client_id: "web" };
  const options = { [oauth.allowInsecureRequests]: true };
  const grant = async (name: string, parameters: Record<string, string>) => {
    const answer = await oauth.genericTokenEndpointRequest(server, client, oauth.None(), name, parameters, options);
    return oauth.processGenericTokenEndpointResponse(server, client, answer);
  };
  const first = await grant("password", { username: email, password });
  const next = await grant("refresh_token", { refresh_token: first.refresh_token ?? "" });
  assert.notEqual(next.access_token, first.access_token);
});
