// What the tests here have in common.

import assert from "node:assert/strict";

/** What `cargo xtask ci --only browser` says of this. */
export const setting = (name) => {
  const value = process.env[`ASHLAR_TEST_${name}`];
  assert.ok(value, `ASHLAR_TEST_${name} is not set: run \`cargo xtask ci --only browser\``);
  return value;
};

/** The browser of the system. Its own calls home are switched off, so that what is blocked is what our pages asked for. */
export const launchOptions = () => ({
  executablePath: setting("BROWSER"),
  headless: true,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
