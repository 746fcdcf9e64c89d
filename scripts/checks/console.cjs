// Drives the console in Chromium: node console.cjs OPEN CLOSED [--screenshots]. OPEN is the admin listener of
// the demo, which loopback reaches without a token; CLOSED is one with tokens.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const http = require("node:http");
const { chromium } = require("playwright-core");

const [open, closed, ...options] = process.argv.slice(2);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const OPERATOR = "token-of-the-operators";
const VIEWER = "token-of-those-who-read";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const LOOKS = [];
for (const width of [1280, 360]) {
  for (const colorScheme of ["light", "dark"]) LOOKS.push({ width, colorScheme });
}

const faults = [];
let seen = 0;

// Notes whatever a page does that it must not do.
async function watched(context, allowed) {
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error("policy: " + event.violatedDirective + " " + event.blockedURI);
    });
  });
  const page = await context.newPage();
  const note = (what) => faults.push(`${page.url()}: ${what}`);
  page.on("console", (message) => {
    // A status of an error page is said by the browser itself.
    const isStatus = message.text().startsWith("Failed to load resource: the server responded");
    if (["error", "warning"].includes(message.type()) && !isStatus) note(message.text());
  });
  page.on("pageerror", (error) => note(String(error)));
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (!allowed.includes(origin)) note(`asks ${request.url()}`);
  });
  return page;
}

async function visit(page, url, status = 200) {
  const answer = await page.goto(url, { waitUntil: "load" });
  assert.equal(answer.status(), status, url);
  seen += 1;
  return answer;
}

// Digits of callers' numbers, outside of ids.
function numbers(text) {
  return text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "").match(/[0-9]{7,}/g) || [];
}

async function checkPage(page, url, status) {
  let requests = 0;
  const count = () => { requests += 1; };
  page.on("request", count);
  await visit(page, url, status);
  page.off("request", count);
  assert.ok(requests <= 5, `${url}: ${requests} requests`);
  const { text, wide, headings } = await page.evaluate(() => ({
    text: document.body.innerText,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    headings: document.querySelectorAll("h1").length,
  }));
  if (wide > 0) faults.push(`${url}: scrolls sideways by ${wide} pixels`);
  if (headings !== 1) faults.push(`${url}: ${headings} h1`);
  const found = numbers(text);
  if (found.length > 0) faults.push(`${url}: shows ${found.join(", ")}`);
}

async function checkAxe(page, url, look) {
  await page.evaluate(axe);
  const result = await page.evaluate(
    (values) => window.axe.run(document, { runOnly: { type: "tag", values } }),
    RULES,
  );
  for (const violation of result.violations) {
    const nodes = violation.nodes.map((node) => node.html.slice(0, 120)).join(" | ");
    faults.push(`${url} (${look}): axe ${violation.id}: ${nodes}`);
  }
}

// What is checked for is found where it is: a style that the policy forbids, and a picture without a text.
async function theChecksFind(browser) {
  const page = await watched(await browser.newContext(), [open]);
  await visit(page, `${open}/console/`);
  await page.evaluate(() => { document.body.setAttribute("style", "color: red"); });
  await page.waitForTimeout(100);
  assert.ok(faults.some((fault) => fault.includes("style-src")), "a violation is noted");
  await page.context().close();
  const bypassing = await watched(await browser.newContext({ bypassCSP: true }), [open]);
  await visit(bypassing, `${open}/console/`);
  await bypassing.evaluate(() => { document.body.append(document.createElement("img")); });
  await checkAxe(bypassing, open, "");
  assert.ok(faults.some((fault) => fault.includes("axe image-alt")), "axe finds it");
  await bypassing.context().close();
  faults.length = 0;
}

// The pages of a console, with ids that it has.
async function pagesOf(base, page) {
  await visit(page, `${base}/console/submissions`);
  const link = await page.locator('tbody a[href^="/console/submissions/"]').first();
  const submission = base + (await link.getAttribute("href"));
  const call = await page.locator('tbody a[href^="/console/calls/"]').nth(3).getAttribute("href");
  return [
    [`${base}/console/`, 200],
    [base + call, 200],
    [`${base}/console/calls/unknown`, 200],
    [`${base}/console/submissions`, 200],
    [`${base}/console/submissions?state=dead&since=24h`, 200],
    [`${base}/console/submissions?limit=5`, 200],
    [submission, 200],
    [`${submission}/replay?include_delivered=true`, 200],
    [`${submission}/discard`, 200],
    [`${base}/console/replay?state=delivered&include_delivered=true`, 200],
    [`${base}${call}/erase`, 200],
    [`${base}/console/setup/quick`, 200],
    [`${base}/console/audit`, 200],
    [`${base}/console/insights`, 200],
    [`${base}/console/insights?days=90&survey=quick`, 200],
    [`${base}/console/submissions?insights=counted&rating=1-2`, 200],
    [`${base}/console/accounts`, 200],
    [`${base}/console/quarantine`, 200],
    [`${base}/console/playground`, 200],
    [`${base}/console/playground?call=${call.split("/").pop()}`, 200],
    [`${base}/console/nowhere`, 404],
  ];
}

async function everyPage(browser) {
  const first = await watched(await browser.newContext(), [open, closed]);
  const pages = await pagesOf(open, first);
  pages.push([`${closed}/console/login`, 200]);
  await first.context().close();
  for (const { width, colorScheme } of LOOKS) {
    const look = `${width} px, ${colorScheme}`;
    const screen = { viewport: { width, height: 800 }, colorScheme };
    for (const javaScriptEnabled of [true, false]) {
      const context = await browser.newContext({ ...screen, javaScriptEnabled });
      const page = await watched(context, [open, closed]);
      for (const [url, status] of pages) await checkPage(page, url, status);
      await context.close();
    }
    // axe is injected, which the policy of the pages forbids.
    const context = await browser.newContext({ ...screen, bypassCSP: true });
    const page = await watched(context, [open, closed]);
    for (const [url, status] of pages) {
      await visit(page, url, status);
      await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = true; }));
      await checkAxe(page, url, look);
    }
    await context.close();
  }
}

// Presses Tab until the focus is on what matches.
async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses += 1) {
    const is = await page.evaluate((it) => document.activeElement.matches(it), selector);
    if (is) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`no Tab reaches ${selector} on ${page.url()}`);
}

// Finds the dead call, sees what a replay would do, replays it and sees it delivered.
async function byKeyboard(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await watched(context, [open]);
  await visit(page, `${open}/console/`);
  await tabTo(page, 'a[href="/console/submissions?state=dead"]');
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console/submissions?state=dead");
  await tabTo(page, 'a[href="/console/calls/call-that-is-dead"]');
  await page.keyboard.press("Enter");
  await page.waitForURL("**/console/calls/call-that-is-dead");
  await shot(page, "call");
  await tabTo(page, "summary");
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("details[open]").count() > 0, "Enter opens the raw webhook");
  assert.match(await page.locator("details[open] pre").first().innerText(), /From=\*+23/);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("details[open]").count(), 0, "Escape closes it");
  await page.evaluate(() => document.getElementById("main").focus());
  await tabTo(page, 'a[href$="/replay"]');
  await page.keyboard.press("Enter");
  await page.waitForURL("**/replay");
  await page.waitForSelector("table");
  await shot(page, "replay");
  await tabTo(page, "form.confirm button");
  await page.keyboard.press("Enter");
  await page.waitForURL("**done=replayed");
  await page.waitForSelector('h2 .state[data-state="delivered"]', { timeout: 20000 });
  assert.match(await page.locator(".timeline").innerText(), /operator: replay/);
  await visit(page, `${open}/console/insights`);
  await shot(page, "insights");
  await context.close();
}

// A region that holds the focus is not replaced, however often the page is asked for again.
async function focusStays(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await watched(context, [open]);
  await visit(page, `${open}/console/calls/unknown`);
  await page.locator("#find").focus();
  await page.keyboard.type("abc");
  for (let looks = 0; looks < 3; looks += 1) {
    await page.waitForResponse((it) => it.url().endsWith("/calls/unknown"), { timeout: 15000 });
  }
  const value = await page.evaluate(() => document.activeElement.id + document.activeElement.value);
  assert.equal(value, "findabc");
  await context.close();
}

// A look that fails is said until the next that does not, also of a page that has not changed.
async function failureIsOver(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const look = () => page.waitForResponse((it) => it.url().endsWith("/calls/unknown"), { timeout: 15000 });
  await visit(page, `${open}/console/calls/unknown`);
  await look();
  await page.route("**/calls/unknown", (route) => route.abort());
  await page.locator("#live", { hasText: "Not updated" }).waitFor({ timeout: 15000 });
  await page.unroute("**/calls/unknown");
  assert.equal((await look()).status(), 304);
  await page.locator("#live:empty").waitFor({ state: "attached", timeout: 1000 });
  await context.close();
}

// Everything that a form does, without JavaScript.
async function withoutJavaScript(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await watched(context, [open]);
  await visit(page, `${open}/console/`);
  await page.fill("#find", "call-that-is-dead");
  await page.click(".find button");
  await page.waitForURL("**/console/calls/call-that-is-dead");
  await page.click('a[href$="/replay"]');
  await page.check('input[name="include_delivered"]');
  await page.click("text=Show the difference");
  await page.waitForURL("**include_delivered=true");
  assert.match(await page.locator("tbody").innerText(), /unchanged/);
  await page.click("form.confirm button");
  await page.waitForURL("**done=replayed");
  await page.click("text=Reveal numbers");
  assert.match(await page.content(), /14155550123/);
  await page.goto(`${open}/console/calls/call-that-is-dead`);
  assert.doesNotMatch(await page.content(), /14155550123/);
  await context.close();
}

// Rules are changed and tried: a fault leads to its place, and steps, tables and differences are shown.
async function playground(browser) {
  for (const { width, colorScheme } of LOOKS) {
    const screen = { viewport: { width, height: 800 }, colorScheme };
    const context = await browser.newContext({ ...screen, bypassCSP: true });
    const page = await watched(context, [open]);
    await visit(page, `${open}/console/playground`);
    const rules = await page.inputValue("#rules");
    assert.match(rules, /^surveys:/);
    await page.fill("#rules", rules.replace("question: problem", "question: problme"));
    await page.click("text=Try");
    await page.waitForSelector("text=did you mean");
    await checkAxe(page, page.url(), "a fault");
    await page.click("a[data-line]");
    const at = await page.evaluate(() => {
      const field = document.activeElement;
      return [field.id, field.value.slice(field.selectionStart, field.selectionStart + 7)];
    });
    assert.deepEqual(at, ["rules", "problme"]);
    await page.fill("#rules", rules.replace("scale: { from: [1, 5] }", "scale: { from: [5, 1] }"));
    await page.click("text=What would the last 200 calls become?");
    await page.waitForSelector("#calls");
    assert.ok(await page.locator(".steps li").count() >= 5, "every step is shown");
    assert.match(await page.locator("#calls ~ .scroll tbody").innerText(), /rating/);
    const found = numbers(await page.locator("#calls ~ .scroll").innerText());
    assert.deepEqual(found, []);
    await checkAxe(page, page.url(), `playground, ${width} px, ${colorScheme}`);
    const wide = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.ok(wide <= 0, `the playground scrolls sideways by ${wide} pixels`);
    if (width === 1280 && colorScheme === "light") await shot(page, "playground");
    await context.close();
  }
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await watched(context, [open]);
  await visit(page, `${open}/console/playground`);
  await page.click("text=Try");
  await page.waitForSelector(".steps li");
  await context.close();
}

// A page of another origin, as a browser opens it.
function serve(html) {
  const server = http.createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(request.url === "/" ? html : "");
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve([server, server.address().port]));
  });
}

async function logIn(page, token) {
  await page.goto(`${closed}/console/submissions?state=dead`);
  await page.waitForURL("**/console/login?next=**");
  await page.fill("#token", token);
  await page.click("form.confirm button");
  await page.waitForURL("**/console/submissions?state=dead");
}

// The session, and the pages of other origins that would use it.
async function sessions(browser) {
  const [server, port] = await serve(
    `<a id="link" href="${closed}/console/submissions?state=dead">an alert</a>
     <form method="post" action="${closed}/console/accounts/demo/pause"><input name="reason" value="x"><button id="post">x</button></form>
     <form method="post" action="${open}/console/accounts/demo/pause"><input name="reason" value="x"><button id="open">x</button></form>`,
  );
  const hosts = [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
  for (const javaScriptEnabled of [true, false]) {
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await watched(context, [open, closed, ...hosts]);
    await logIn(page, OPERATOR);
    assert.match(await page.locator("header").innerText(), /staging/);
    // 127.0.0.1 with another port is the same site, localhost is another one.
    for (const host of hosts) {
      await page.goto(host);
      await page.click("#link");
      await page.waitForURL("**/console/submissions?state=dead");
      await page.waitForSelector("h1:has-text('Submissions')");
      for (const button of ["#post", "#open"]) {
        await page.goto(host);
        const [answer] = await Promise.all([
          page.waitForResponse((it) => it.url().endsWith("/pause")),
          page.click(button),
        ]);
        assert.equal(answer.status(), 403, `${host}, ${button}`);
      }
    }
    await page.goto(`${closed}/console/accounts`);
    assert.equal(await page.locator("text=Resume").count(), 0);
    await page.click("text=Log out");
    await page.waitForURL("**/console/login");
    await logIn(page, VIEWER);
    await page.goto(`${closed}/console/accounts`);
    assert.equal(await page.locator("main button").count(), 0);
    await context.close();
  }
  server.close();
}

async function shot(page, name) {
  if (!options.includes("--screenshots")) return;
  fs.mkdirSync("docs/images", { recursive: true });
  await page.screenshot({ path: `docs/images/console-${name}.jpg`, type: "jpeg", quality: 60 });
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    for (const check of [theChecksFind, everyPage, byKeyboard, focusStays, failureIsOver, withoutJavaScript, playground, sessions]) {
      const began = Date.now();
      await check(browser);
      console.log(`${check.name.padEnd(18)} ${((Date.now() - began) / 1000).toFixed(1)} s`);
    }
  } finally {
    await browser.close();
  }
  if (faults.length > 0) {
    console.error([...new Set(faults)].join("\n"));
    process.exit(1);
  }
  console.log(`${seen} pages: no violation, no error, no other host`);
}

main().catch((error) => {
  console.error(error);
  console.error([...new Set(faults)].join("\n"));
  process.exit(1);
});
