// What Node has and a browser has not. `getBuiltinModule` (Node 20.16) is no import, so that a
// bundler for browsers finds nothing to resolve.

/** The bytes of a file: URL, or null in a host that reads no files this way. */
export function readFileUrl(url: URL): Uint8Array<ArrayBuffer> | null {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  return fs ? new Uint8Array(fs.readFileSync(url)) : null;
}
