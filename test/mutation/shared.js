// What build/shared.js is, with the pool of src/ in place of the bundle's own.

import { readFileSync } from "node:fs";
import { Pool } from "../../src/runtime/pool.ts";

const url = new URL("../../build/core.shared.wasm", import.meta.url);

export default {
  variant: "shared",
  file: "lamella/core.shared.wasm",
  Pool,
  hex: readFileSync(url, "hex"),
};
