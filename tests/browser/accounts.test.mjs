// Two people, one after the other, in one browser: what it keeps of the first must never be shown to the second, and what it
// keeps of data that is gone to nobody.
//
// `cargo xtask ci --only browser` says in the environment where the binary is. The server here is of this test's own, because
// its data is deleted in between.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { launchOptions, setting } from "./browser.mjs";

const PATIENCE = 30_000;
const PASSWORD = "Blue-Granite-Stairs-51";

let browser;
let server;
let folder;
let port;

const base = () => `http://localhost:${port}`;

before(async () => {
  folder = await mkdtemp(path.join(setting("FOLDER"), "accounts-"));
  port = await freePort();
  server = await start();
  browser = await chromium.launch(launchOptions());
});

after(async () => {
  await browser?.close();
  await stop();
});

test("who signs in next sees himself, on every route", async () => {
  const page = await newPage();
  const [ada, eve] = [await signUp("ada"), await signUp("eve")];
  const routes = await routesOf([ada, eve]);
  await seesWhatIsTheirs(page, ada, routes);
  await seesWhatIsTheirs(page, eve, routes);
  await seesWhatIsTheirs(page, await signIn("ada"), routes);
  await page.context().close();
});

test("after the data was made anew, what the browser kept is shown to nobody", async () => {
  const page = await newPage();
  const before = await signUp("before");
  const routes = await routesOf([before]);
  await seesWhatIsTheirs(page, before, routes);

  await stop();
  await rm(path.join(folder, "data"), { recursive: true });
  server = await start();

  const now = await signUp("before");
  assert.notEqual(now.user.id, before.user.id);
  await seesWhatIsTheirs(page, now, routes);
  assert.equal((await ask(page, now, "/api/v1/users/me")).body.id, now.user.id);
  await page.context().close();
});

/** A page of the server's own. Requests are not routed: that would switch the browser's cache off. */
async function newPage() {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${base()}/docs`);
  return page;
}

/** What the page shows is what the server says to somebody who has no cache. */
async function seesWhatIsTheirs(page, person, routes) {
  for (const route of routes) {
    // Twice: the second time it has something of its own to ask with.
    for (const time of ["first", "second"]) {
      const shown = await ask(page, person, route);
      const answer = await fetch(base() + route, { headers: bearer(person) });
      const said = { status: answer.status, body: await answer.json() };
      for (const { body } of [shown, said]) delete body.request_id;
      assert.deepEqual(shown, said, `${route}, asked by ${person.user.email} for the ${time} time`);
    }
  }
}

/** What a script of the page gets, from the network or from what the browser kept: that is the browser's own affair. */
async function ask(page, person, route) {
  return page.evaluate(
    async ([url, headers]) => {
      const answer = await fetch(url, { headers });
      return { status: answer.status, body: await answer.json() };
    },
    [base() + route, bearer(person)],
  );
}

/** The paths of all operations that read and look at who asks, for each of these people. */
async function routesOf(people) {
  const { paths } = await (await fetch(`${base()}/openapi.json`)).json();
  const looksAtWhoAsks = ({ security }) => security === undefined || security.some((one) => !isEmpty(one));
  const secured = Object.entries(paths).filter(([, item]) => item.get && looksAtWhoAsks(item.get));
  const routes = new Set();
  for (const [template] of secured) {
    for (const person of people) {
      const route = Object.entries(person.ids).reduce((path, [name, id]) => path.replace(`{${name}}`, id), template);
      // Other ids are nobody's: 404 for everyone.
      if (!route.includes("{")) routes.add(route);
    }
  }
  for (const route of ["/api/v1/users/me", `/api/v1/users/${people[0].user.id}`]) {
    assert.ok(routes.has(route), `${route} is none of ${[...routes].join(" ")}`);
  }
  return routes;
}

const isEmpty = (requirement) => Object.keys(requirement).length === 0;

const bearer = (person) => ({ authorization: `Bearer ${person.access_token}` });

async function signUp(name) {
  const email = `${name}@example.org`;
  const session = await post("/api/v1/auth/signup", { email, password: PASSWORD, name });
  const ids = {
    user_id: session.user.id,
    // domain: upload
    upload_id: (
      await post("/api/v1/uploads", { filename: "a.png", content_type: "image/png", size: 100 }, bearer(session))
    ).upload.id,
    // end: upload
  };
  return { ...session, ids };
}

async function signIn(name) {
  return post("/api/v1/auth/login", { identifier: `${name}@example.org`, password: PASSWORD });
}

async function post(route, body, headers = {}) {
  const answer = await fetch(base() + route, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${route}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** A port that nobody uses. */
async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

/** Starts the server on its port and its data, and waits until it is ready. */
async function start() {
  const log = await open(path.join(folder, "server.log"), "a");
  const child = spawn(setting("BINARY"), [], {
    cwd: folder,
    // Nothing of our own environment: an unknown setting is refused.
    env: {
      ASHLAR_SERVER__BIND: `127.0.0.1:${port}`,
      ASHLAR_STORAGE__EMBEDDED_BIND: "127.0.0.1:0", // domain: upload
      ASHLAR_DATA_DIR: path.join(folder, "data"),
      ASHLAR_AUTH__ARGON2_MEMORY_KIB: "128",
      ASHLAR_AUTH__ARGON2_ITERATIONS: "1",
    },
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    assert.equal(child.exitCode, null, `the server ended: see ${folder}/server.log`);
    const ready = await fetch(`${base()}/health/ready`).catch(() => undefined);
    if (ready?.ok) return child;
    assert.ok(Date.now() < deadline, `the server is not ready: see ${folder}/server.log`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Stops it as a process manager does, and waits until it is gone. */
async function stop() {
  if (!server || server.exitCode !== null) return;
  const gone = once(server, "exit");
  server.kill("SIGTERM");
  await gone;
}
