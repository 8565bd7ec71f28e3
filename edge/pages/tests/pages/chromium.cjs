// Chromium, and a server of the gallery with the headers that the real one sends.
"use strict";
const { existsSync, readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { join } = require("node:path");
const puppeteer = require("puppeteer-core");

const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript" };

exports.browser = () => {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const places = (process.env.PATH ?? "").split(":").flatMap((folder) => names.map((name) => join(folder, name)));
  const executablePath = process.env.CHROMIUM ?? places.find((path) => existsSync(path));
  if (!executablePath) throw new Error("no Chromium on the PATH: install it, or name it in CHROMIUM");
  return puppeteer.launch({ executablePath, headless: true, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
};

// Answers with files of the gallery, unless `special` does.
exports.serve = (folder, special = () => false) => new Promise((ready) => {
  const server = createServer((request, response) => {
    response.setHeader("content-security-policy", process.env.CONTENT_SECURITY_POLICY);
    if (special(request, response)) return;
    const path = new URL(request.url, "http://localhost").pathname;
    if (path.endsWith("/events")) {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(":\n\n");
      return;
    }
    if (path.startsWith("/passkeys/")) {
      const publicKey = { rpId: "localhost", challenge: "AAAA", allowCredentials: [] };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ publicKey }));
      return;
    }
    const file = join(folder, path);
    const type = TYPES[/\.\w+$/.exec(path)?.[0]];
    if (!type || !existsSync(file)) { response.writeHead(404).end(); return; }
    response.writeHead(200, { "content-type": type }).end(readFileSync(file));
  });
  server.listen(0, "127.0.0.1", () => ready({ server, root: `http://localhost:${server.address().port}` }));
});

// Closes everything, streams that are still open included.
exports.close = async (browser, server) => {
  await browser.close();
  server.closeAllConnections();
  server.close();
};
