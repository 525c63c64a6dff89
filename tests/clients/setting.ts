// Where everything is: `cargo xtask ci --only clients` says it in the environment.

import assert from "node:assert/strict";

function setting(name: string): string {
  const value = process.env[`ASHLAR_TEST_${name}`];
  assert.ok(value, `ASHLAR_TEST_${name} is not set: run \`cargo xtask ci --only clients\``);
  return value;
}

/** The API, as browsers reach it. */
export const url = setting("URL");
/** An admin's address. */
export const email = setting("EMAIL");
/** The password of every account here. */
export const password = setting("PASSWORD");
