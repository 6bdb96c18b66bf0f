// Node's file system. `getBuiltinModule` (Node 20.16) is not an import, so that a bundler for
// browsers finds nothing to resolve.

/** Returns the bytes of a file: URL, or null in a host without Node's file system. */
export function readFileUrl(url: URL): Uint8Array<ArrayBuffer> | null {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  return fs ? new Uint8Array(fs.readFileSync(url)) : null;
}
