// @ts-check
// A server for a page: the files of this folder, on this machine alone.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

/** @type {Record<string, string>} */
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  // A URL's path has no ".." left in it, so it stays in the folder.
  const file = new URL(`.${pathname === "/" ? "/index.html" : pathname}`, import.meta.url);
  const type = types[extname(file.pathname)];
  try {
    if (!type) throw new Error("not for the page");
    const body = await readFile(file);
    response.writeHead(200, { "content-type": type }).end(body);
  } catch {
    response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
  }
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${port}/`);
});
