// Opens every page in light and dark, wide and narrow, under the policy for content, and tells what axe-core
// finds, what the policy refused, what failed in the script, and what runs out of the page at its side.
"use strict";
const { readdirSync } = require("node:fs");
const axe = require("axe-core");
const { browser, close, serve } = require("./chromium.cjs");

// In the dark, nothing but colours is another: only those are examined.
const LOOKS = [
  { scheme: "light", width: 1280, axe: {} },
  { scheme: "dark", width: 1280, axe: { runOnly: ["color-contrast"] } },
  { scheme: "light", width: 320, axe: {} },
  { scheme: "light", width: 768 },
];

async function examine(page, options) {
  const { violations } = await page.evaluate((rules) => axe.run(document, rules), { resultTypes: ["violations"], ...options });
  const first = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ");
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${first(nodes)}`);
}

async function main() {
  const folder = process.argv[2];
  const names = readdirSync(folder).filter((name) => name.endsWith(".html") && name !== "index.html");
  const chromium = await browser();
  const { server, root } = await serve(folder);
  const found = [];
  for (const look of LOOKS) {
    const page = await chromium.newPage();
    await page.setViewport({ width: look.width, height: 800 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: look.scheme }]);
    await page.evaluateOnNewDocument(axe.source);
    let at = "";
    const tell = (text) => found.push(`${at}, ${look.scheme}, ${look.width}: ${text}`);
    page.on("console", (message) => { if (message.type() === "error") tell(message.text()); });
    page.on("pageerror", (error) => tell(error.message));
    page.on("dialog", (dialog) => { tell(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    for (const name of names) {
      at = name;
      await page.goto(`${root}/${name}`, { waitUntil: "load" });
      const beyond = await page.evaluate(({ scrollWidth, clientWidth } = document.documentElement) => scrollWidth - clientWidth);
      if (beyond > 0) tell(`${beyond} pixels run out at the side`);
      if (look.axe) (await examine(page, look.axe)).forEach(tell);
    }
    await page.close();
  }
  await close(chromium, server);
  if (names.length < 80) found.push(`only ${names.length} pages`);
  console.log(found.length ? found.join("\n") : `${names.length} pages: nothing found`);
  process.exitCode = found.length ? 1 : 0;
}

main().catch((error) => { console.error(error); process.exit(1); });
