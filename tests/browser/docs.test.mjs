// /docs and /redoc in a real browser, with every request to somewhere else blocked and counted.
//
// `cargo xtask ci --only browser` starts the server, signs a user up and says in the environment where everything is.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { launchOptions, setting } from "./browser.mjs";

const base = setting("URL");
const ours = new Set(setting("ORIGINS").split(","));
const email = setting("EMAIL");
const password = setting("PASSWORD");
const screenshots = setting("FOLDER");

let browser;
let operations;

before(async () => {
  browser = await chromium.launch(launchOptions());
  const document = await (await fetch(`${base}/openapi.json`)).json();
  operations = Object.entries(document.paths).flatMap(([route, item]) =>
    Object.keys(item)
      .filter((key) => ["get", "put", "post", "delete", "patch", "head", "options", "trace"].includes(key))
      .map((method) => `${method.toUpperCase()} ${route}`),
  );
  assert.ok(operations.length > 0, "the OpenAPI document has no operations");
});

after(async () => {
  await browser?.close();
});

test("/docs lists every operation, signs in and tries one out", async () => {
  await withPage("docs", async (page) => {
    await page.goto(`${base}/docs`);
    await page.locator(".opblock").first().waitFor();
    const shown = await page.locator(".opblock-summary").evaluateAll((summaries) =>
      summaries.map((summary) => {
        const method = summary.querySelector(".opblock-summary-method").textContent.trim();
        return `${method} ${summary.querySelector("[data-path]").dataset.path}`;
      }),
    );
    assert.deepEqual(shown.sort(), [...operations].sort());

    await authorize(page);
    const answer = await tryOut(page, "GET", "/api/v1/users/me");
    assert.equal(answer.status, "200", answer.body);
    assert.ok(answer.body.includes(email), `the answer does not have ${email}: ${answer.body}`);
  });
});

test("/docs tries the token endpoint out: the form has what it needs, and the browser opens no box of its own", async () => {
  await withPage("docs-token", async (page) => {
    // Under another name of this machine, as many open it: the document names the server that is called.
    await page.goto(`${base.replace("localhost", "127.0.0.1")}/docs`);
    const answer = await tryOut(page, "POST", "/api/v1/auth/token", { username: email, password, client_id: "web" });
    assert.equal(answer.status, "200", answer.body);
    assert.ok(answer.body.includes('"token_type": "Bearer"'), answer.body);
  });
});

test("/redoc renders every operation", async () => {
  await withPage("redoc", async (page) => {
    await page.goto(`${base}/redoc`);
    // Redoc renders in slices: the last operation may take a moment.
    for (const part of ['[data-section-id^="operation/"]', 'li[data-item-id*="/operation/"]']) {
      await page.locator(part).nth(operations.length - 1).waitFor({ state: "attached" });
      assert.equal(await page.locator(part).count(), operations.length, part);
    }
    await page.getByText("/api/v1/users/me").first().waitFor({ state: "attached" });
  });
});

/** Opens a page that may ask nobody but us, and fails when it tried, or wrote an error to the console. */
async function withPage(name, look) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1600 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const problems = [];
  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (ours.has(url.origin) || ["data:", "blob:"].includes(url.protocol)) return route.continue();
    problems.push(`asked for ${url.href}`);
    return route.abort();
  });
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.stack}`));
  page.on("requestfailed", (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  try {
    await look(page);
  } finally {
    await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
    // Before the context closes: what it then cuts off is nobody's failure.
    page.removeAllListeners();
    await context.close();
    if (problems.length > 0) console.error(`${name}: what the page did:\n${problems.join("\n")}`);
  }
  assert.deepEqual(problems, []);
}

/** Signs in through the Authorize dialog, with the OAuth 2.0 password flow. */
async function authorize(page) {
  await page.locator(".scheme-container button.authorize").click();
  const dialog = page.locator(".dialog-ux");
  const scheme = dialog.locator(".auth-container", { hasText: "/api/v1/auth/token" });
  await scheme.locator("#oauth_username").fill(email);
  await scheme.locator("#oauth_password").fill(password);
  await scheme.locator("button.authorize").click();
  await scheme.locator("button", { hasText: "Logout" }).waitFor();
  await page.screenshot({ path: path.join(screenshots, "docs-authorize.png") });
  await dialog.locator("button.btn-done").first().click();
}

/** Opens an operation, fills in fields of its form, executes it and returns what Swagger UI shows of the answer. */
async function tryOut(page, method, route, form = {}) {
  const operation = page.locator(`.opblock-${method.toLowerCase()}`, { has: page.locator(`[data-path="${route}"]`) });
  await operation.locator(".opblock-summary-control").first().click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  for (const [name, value] of Object.entries(form)) {
    await operation.locator(`tr[data-property-name="${name}"], tr[data-param-name="${name}"]`).locator("input").first().fill(value);
  }
  await operation.getByRole("button", { name: "Execute" }).click();
  const live = operation.locator(".live-responses-table .response");
  await live.waitFor();
  await operation.scrollIntoViewIfNeeded();
  return {
    status: (await live.locator(".response-col_status").textContent()).trim(),
    body: await live.locator(".response-col_description").textContent(),
  };
}
