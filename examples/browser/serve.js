// @ts-check
// A server for a page: the files of this folder, on this machine alone.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

/** @type {Record<string, string>} */
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

const server = createServer(async (request, response) => {
  const refuse = (/** @type {number} */ status, /** @type {string} */ text, headers = {}) =>
    response.writeHead(status, { "content-type": "text/plain", ...headers }).end(`${text}\n`);
  const { method, url } = request;
  if (method !== "GET" && method !== "HEAD") return refuse(405, "GET, please", { allow: "GET" });
  // Anything may stand in a request's line: "*", "//", an address of another host.
  if (!url?.startsWith("/")) return refuse(400, "expected a path");
  const { pathname } = new URL(`http://localhost${url}`);
  try {
    // A URL's path has no ".." left in it, so it stays in the folder.
    const file = new URL(`.${pathname === "/" ? "/index.html" : pathname}`, import.meta.url);
    const type = types[extname(file.pathname)];
    if (!type) return refuse(404, "not found");
    const body = await readFile(file);
    response.writeHead(200, { "content-type": type }).end(body);
  } catch {
    refuse(404, "not found");
  }
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${port}/`);
});
