// A browser at a page of ours: the page posts what it found, the server counts what was asked of
// it.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { type Host, onPath } from "./hosts.ts";
import { Program } from "./processes.ts";

export const chromium = onPath("Chromium", "chromium", "chromium-browser");
export const firefox = onPath("Firefox", "firefox-esr", "firefox");

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

/** What came of a visit. */
export interface Visit {
  /** What the page posted, by name. */
  posted: Map<string, unknown>;
  /** Paths that were asked for, without those that were posted to. */
  asked: string[];
}

/** Neither browser is to ask anybody but the page's server for anything. */
export const chromiumFlags = [
  "--headless",
  "--no-sandbox", // root has none
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];
export const firefoxPreferences = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.newtabpage.activity-stream.feeds.asrouterfeed": false,
  "browser.region.network.url": "",
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.safebrowsing.update.enabled": false,
  "browser.search.update": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.server": "data:,",
  "toolkit.telemetry.unified": false,
};

function start({ name, path }: Host, profile: string, url: string): Program {
  const env = { HOME: profile };
  if (name === "Chromium") {
    const args = [...chromiumFlags, `--user-data-dir=${profile}`, url];
    return new Program(path, args, { cwd: profile, env });
  }
  const lines = Object.entries(firefoxPreferences).map(
    ([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});\n`,
  );
  writeFileSync(join(profile, "user.js"), lines.join(""));
  const args = ["--headless", "--no-remote", "--profile", profile, url];
  return new Program(path, args, { cwd: profile, env });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  request.setEncoding("utf8");
  let text = "";
  for await (const part of request) text += part;
  return text;
}

function close(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((closed) => server.close(closed));
}

/**
 * Opens / of a folder in a browser, and waits until the page has posted to /done. Everything is
 * served with these headers; index.html is the page.
 * @param through another server, told the address of this one, that passes on to it what is posted:
 *   its own address
 */
export async function visit(
  browser: Host,
  folder: string,
  headers: Record<string, string>,
  through: (url: string) => Promise<string> = async (url) => url,
): Promise<Visit> {
  const posted = new Map<string, unknown>();
  const asked: string[] = [];
  let isDone: () => void;
  const done = new Promise<void>((resolve) => {
    isDone = resolve;
  });
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url!, "http://host").pathname);
    if (request.method === "POST") {
      const text = await bodyOf(request);
      // Reports of a policy's violations come one by one.
      if (path === "/violations") {
        posted.set(path, [...((posted.get(path) as unknown[]) ?? []), JSON.parse(text)]);
      } else posted.set(path, JSON.parse(text));
      response.writeHead(204, headers).end();
      if (path === "/done") isDone();
      return;
    }
    asked.push(path);
    const file = join(folder, normalize(path === "/" ? "/index.html" : path));
    try {
      const body = readFileSync(file);
      const type = types[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { ...headers, "content-type": type }).end(body);
    } catch {
      response.writeHead(404, { ...headers, "content-type": "text/plain" }).end("not found");
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const profile = mkdtempSync(join(tmpdir(), "lamella-profile-"));
  const { port } = server.address() as AddressInfo;
  let program: Program | undefined;
  try {
    program = start(browser, profile, await through(`http://127.0.0.1:${port}/`));
    await program.until(done, 50);
  } catch (cause) {
    const given = JSON.stringify(Object.fromEntries(posted)).slice(0, 2000);
    throw new Error(`${browser.name} at ${asked}, which posted ${given}`, { cause });
  } finally {
    program?.end();
    await close(server);
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  return { posted, asked };
}
