// @ts-check
import { readFileSync } from "node:fs";
import { defaultDevice, init, numpy as np } from "@jax-js/jax";
import { localAsync } from "../support/measure.js";

const name = "jax-js";

/** @returns {Promise<import("./index.js").Participant>} */
export async function open() {
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error("its wasm device does not start");
  defaultDevice("wasm");
  const entry = import.meta.resolve("@jax-js/jax");
  const { version } = JSON.parse(readFileSync(new URL("../package.json", entry), "utf8"));
  return { name, version: `${version}, wasm`, product };
}

/** @param {import("./index.js").Product} work */
function product({ M, N, K, direction, x, w }) {
  if (direction !== "forward") return null;
  const [xs, ws] = [np.array(x).reshape([M, K]), np.array(w).reshape([K, N])];
  // An operation consumes its operands; `ref` keeps them.
  const call = () => np.matmul(xs.ref, ws.ref).blockUntilReady();
  return {
    name,
    time: localAsync(async () => (await call()).dispose()),
    result: async () => /** @type {Float32Array} */ (await (await call()).data()),
    dispose() {
      xs.dispose();
      ws.dispose();
    },
  };
}
