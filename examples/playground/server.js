// @ts-check
// Files over HTTP, to this machine alone.

import { createServer } from "node:http";
import { extname } from "node:path";

/** @type {Record<string, string>} */
const types = {
  "": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const headers = {
  // Isolated from other origins, a page may share memory between threads.
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  // Nothing may be asked of anybody but this server. Lamella's threads start from a Blob.
  "content-security-policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; " +
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
};

/**
 * @param {Map<string, Uint8Array>} files By their paths
 * @param {number} port 0 for any that is free
 * @returns {Promise<string>} The address, once it listens
 */
export function serve(files, port) {
  const server = createServer((request, response) => {
    // Anything may stand in a request's line: "*", "//", an address of another host.
    const { url } = request;
    const pathname = url?.startsWith("/") ? new URL(`http://localhost${url}`).pathname : undefined;
    const body = files.get(pathname ?? "");
    if (pathname === undefined || !body) {
      const [status, text] = pathname === undefined ? [400, "expected a path"] : [404, "not found"];
      response.writeHead(status, { ...headers, "content-type": "text/plain" }).end(`${text}\n`);
      return;
    }
    const type = types[extname(pathname)] ?? "application/octet-stream";
    response.writeHead(200, {
      ...headers,
      "content-type": type,
      "content-length": body.byteLength,
    });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = /** @type {import("node:net").AddressInfo} */ (server.address());
      resolve(`http://127.0.0.1:${address.port}/`);
    });
  });
}
