// Uses the script as a person would, and the pages without it.
"use strict";
const assert = require("node:assert");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { browser, close, serve } = require("./chromium.cjs");

const folder = process.argv[2];
const posts = [];
const streams = new Set();
let instead = {};

const options = (purpose) => purpose === "add"
  ? { rp: { id: "localhost", name: "Chancery" }, user: { id: "AQID", name: "ada", displayName: "Ada" }, challenge: "AAAA",
    pubKeyCredParams: [{ type: "public-key", alg: -7 }], authenticatorSelection: { residentKey: "required" } }
  : { rpId: "localhost", challenge: "AAAA", userVerification: "preferred", allowCredentials: [] };

// Forms are answered slowly, so that a second press would be seen.
function special(request, response) {
  const path = new URL(request.url, "http://localhost").pathname;
  if (request.method === "POST") {
    let body = "";
    request.on("data", (piece) => { body += piece; }).on("end", () => {
      const fields = Object.fromEntries(new URLSearchParams(body));
      if (path.startsWith("/passkeys/")) {
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ publicKey: options(fields.purpose) }));
        return;
      }
      posts.push({ path, fields });
      setTimeout(() => response.writeHead(303, { location: "/forgot-sent.html" }).end(), 300);
    });
    return true;
  }
  if (path.endsWith("/events")) {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(":\n\n");
    streams.add(response);
    return true;
  }
  if (instead[path]) {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(readFileSync(join(folder, instead[path])));
    return true;
  }
  return false;
}

const change = () => streams.forEach((stream) => stream.write("event: change\ndata: {}\n\n"));
const until = (page, text) => page.waitForFunction((wanted) => document.body.innerText.includes(wanted), { timeout: 5000 }, text);
const shows = (page, selector) => page.$eval(selector, (element) => element.checkVisibility());
const posted = async (page, act) => {
  posts.length = 0;
  await Promise.all([page.waitForNavigation(), act()]);
  assert.equal(posts.length, 1, `one post, and not ${JSON.stringify(posts)}`);
  return posts[0];
};

const steps = {
  async "a question comes before what cannot be taken back"(page, root) {
    const button = "form[action$='/revoke'] button";
    await page.goto(`${root}/members.html`);
    await page.click(button);
    assert.match(await page.$eval("dialog[open] p", (text) => text.innerText), /Take back the invitation/);
    assert.equal(await page.evaluate(() => document.activeElement.innerText), "Cancel");
    await page.keyboard.press("Escape");
    assert.equal(await page.$("dialog"), null);
    assert.equal(posts.length, 0);
    await page.click(button);
    const { path, fields } = await posted(page, () => page.click("dialog .danger"));
    assert.deepEqual([path, fields.csrf], ["/members/invitations/i1/revoke", "a1b2c3"]);
  },
  async "a form is sent once"(page, root) {
    await page.goto(`${root}/forgot.html`);
    await page.type("#email", "ada@northwind.example");
    const { fields } = await posted(page, () => page.evaluate(() => {
      const button = document.querySelector("main button[type=submit]");
      button.click();
      return new Promise((done) => setTimeout(() => { button.click(); done(); }, 50));
    }));
    assert.equal(fields.email, "ada@northwind.example");
  },
  async "the button that was pressed says where a form goes"(page, root) {
    await page.goto(`${root}/approval.html`);
    await page.type("#reason", "Only one payment came in.");
    const { path, fields } = await posted(page, () => page.click(".pair .danger"));
    assert.match(path, /\/reject$/);
    assert.equal(fields.reason, "Only one payment came in.");
  },
  async "a password can be looked at"(page, root) {
    await page.goto(`${root}/sign-in.html`);
    await page.click("[data-reveal]");
    assert.equal(await page.$eval("#password", (field) => field.type), "text");
  },
  async "what is copied is what is there"(page, root) {
    await page.browserContext().overridePermissions(root, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
    await page.goto(`${root}/recovery-codes.html`);
    await page.bringToFront();
    await page.click("[data-copy]");
    await until(page, "Copied");
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^([0-9a-f-]{14}\n){9}[0-9a-f-]{14}$/);
  },
  async "the inbox follows what happens"(page, root) {
    await page.goto(`${root}/inbox.html`);
    await page.waitForSelector("[data-state=here]");
    await page.focus(".request-link");
    const focused = await page.evaluate(() => document.activeElement.id);
    change();
    await page.waitForFunction(() => document.querySelector("#spoken").textContent.includes("4 requests"));
    assert.equal(await page.evaluate(() => document.activeElement.id), focused);
    instead["/inbox.html"] = "inbox-empty.html";
    change();
    await until(page, "Nothing waits");
    await page.waitForFunction(() => document.querySelector("#spoken").textContent === "Nothing waits.");
    // Whoever was signed out sees the door: what is there stays.
    instead["/inbox.html"] = "sign-in.html";
    change();
    await new Promise((later) => setTimeout(later, 600));
    assert.ok(await page.$("#inbox"));
  },
  async "nothing is taken from whoever is writing"(page, root) {
    await page.goto(`${root}/approval.html`);
    await new Promise((later) => setTimeout(later, 300));
    await page.type("#reason", "I am");
    instead["/approval.html"] = "approval-rejected.html";
    change();
    await page.waitForFunction(() => document.querySelector("[data-live-stale]").checkVisibility());
    assert.equal(await page.$eval("#reason", (field) => field.value), "I am");
    await page.$eval("#reason", (field) => { field.value = ""; });
    change();
    await until(page, "Rejected");
    assert.equal(await page.$("#reason"), null);
  },
  async "a passkey is made, and signs in"(page, root) {
    const session = await page.createCDPSession();
    await session.send("WebAuthn.enable");
    await session.send("WebAuthn.addVirtualAuthenticator", { options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    } });
    await page.goto(`${root}/factors.html`);
    await page.type("#passkey-name", "Laptop");
    const made = await posted(page, () => page.click("form[data-passkey=create] button"));
    assert.equal(made.path, "/account/passkeys");
    assert.equal(made.fields.name, "Laptop");
    const { id, response } = JSON.parse(made.fields.credential);
    assert.ok(response.attestationObject);
    await page.goto(`${root}/second-factor.html`);
    const used = await posted(page, () => page.click("form[data-passkey=get] button"));
    assert.deepEqual([used.path, used.fields.purpose], ["/sign-in/factor", "second-factor"]);
    const proof = JSON.parse(used.fields.credential);
    assert.equal(proof.id, id);
    assert.ok(proof.response.signature);
  },
  async "a passkey that is refused is told beside its button"(page, root) {
    const session = await page.createCDPSession();
    await session.send("WebAuthn.enable");
    await session.send("WebAuthn.addVirtualAuthenticator", { options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    } });
    await page.goto(`${root}/second-factor.html`);
    await page.click("form[data-passkey=get] button");
    await page.waitForFunction(() => document.querySelector("[data-passkey-error]").checkVisibility());
    assert.equal(await page.$eval("form[data-passkey] button", (button) => button.disabled), false);
  },
  async "all but passkeys works without the script"(page, root) {
    await page.setJavaScriptEnabled(false);
    await page.goto(`${root}/sign-in.html`);
    assert.equal(await shows(page, "form[data-passkey]"), false);
    assert.equal(await shows(page, "[data-reveal]"), false);
    await page.type("#email", "ada@northwind.example");
    await page.type("#password", "correct horse");
    const { path, fields } = await posted(page, () => page.keyboard.press("Enter"));
    assert.deepEqual([path, fields.email, fields.csrf], ["/sign-in", "ada@northwind.example", "a1b2c3"]);
    await page.goto(`${root}/approval.html`);
    await page.type("#reason", "Paid twice.");
    assert.match((await posted(page, () => page.click(".pair .primary"))).path, /\/approve$/);
    await page.goto(`${root}/members.html`);
    await posted(page, () => page.click("form[action$='/revoke'] button"));
  },
};

async function main() {
  const chromium = await browser();
  const { server, root } = await serve(folder, special);
  for (const [name, step] of Object.entries(steps)) {
    posts.length = 0;
    streams.clear();
    instead = {};
    const context = await chromium.createBrowserContext();
    const page = await context.newPage();
    page.on("pageerror", (error) => { throw error; });
    await step(page, root).catch((error) => { error.message = `${name}: ${error.message}`; throw error; });
    await context.close();
  }
  await close(chromium, server);
  console.log(`${Object.keys(steps).length} steps: all as they should be`);
}

main().catch((error) => { console.error(error); process.exit(1); });
