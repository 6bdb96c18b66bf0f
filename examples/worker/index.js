// @ts-check
// Serves a digit network from the edge, on this machine: trains it, bundles a Worker with it, and starts workerd, the
// runtime of Cloudflare Workers.
//
//   node examples/worker/index.js [--port N] [--load]
//
// worker/ is what would be deployed; all else is this command.

import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { readMnist } from "../support/idx.js";
import { bundleWorker, emptyWorker } from "./bundle.js";
import { measureFirstRequests, measureLoad } from "./measure.js";
import { readOptions } from "./options.js";
import { trainUnlessThere } from "./train.js";
import { serve, tool } from "./workerd.js";

const options = readOptions();
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

const output = fileURLToPath(new URL("../../build/worker/", import.meta.url));
const model = fileURLToPath(new URL("worker/model.safetensors", import.meta.url));

await tool("workerd"); // first, since without it there is nothing to train for
const { accuracy, seconds } = await trainUnlessThere(model, `${output}model.json`);
const how = seconds > 0 ? `trained in ${seconds.toFixed(1)} s` : "trained before";
console.log(`the network, ${how}: ${(100 * accuracy).toFixed(2)} % of the test digits read right`);

const { test } = readMnist();
const bundle = `${output}bundle`;
rmSync(bundle, { recursive: true, force: true });
mkdirSync(bundle, { recursive: true });
const config = bundleWorker(bundle);
const sizes = readdirSync(bundle)
  .filter((name) => !name.endsWith(".capnp"))
  .map((name) => `${name} ${(statSync(`${bundle}/${name}`).size / 1000).toFixed(1)} KB`);
console.log(`the Worker: ${sizes.join(", ")}`);

if (options.load) {
  console.log(await measureFirstRequests(emptyWorker(`${output}empty`), config, test));
  const server = await serve(config);
  const load = await measureLoad(server.url, test, options);
  await server.stop();
  console.log(load.text);
  if (load.lost > 0) process.exitCode = 1;
} else {
  const server = await serve(config, options.port);
  const sample = relative(process.cwd(), `${output}digit`) || "digit";
  const pixels = test.images.subarray(0, 28 * 28);
  writeFileSync(`${sample}.json`, JSON.stringify({ pixels: Array.from(pixels) }));
  writeFileSync(
    `${sample}.png`,
    encode({ width: 28, height: 28, data: pixels, channels: 1, depth: 8 }),
  );
  console.log(`
listening on ${server.url}, until Ctrl-C. Draw there, or:

  curl ${server.url}/health
  curl --json @${sample}.json ${server.url}/predict
  curl -H 'content-type: image/png' --data-binary @${sample}.png ${server.url}/predict

The sample is a ${test.labels[0]} of MNIST's test digits.
`);
  const code = await server.ended;
  console.error(`workerd ended: ${code}`);
  process.exitCode = 1;
}
