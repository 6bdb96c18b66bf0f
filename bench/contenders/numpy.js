// @ts-check
// NumPy in a Python process that lives as long as the run; numpy_server.py times its own calls, so what is
// between the processes does not count.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// OpenBLAS kernels with vectors of 512 bits.
const WIDE = new Set(["SkylakeX", "Cooperlake", "Sapphirerapids"]);

const INSTALL = "Debian: apt-get install python3-numpy libopenblas0-pthread";

/**
 * NumPy with what the processor picks and, where that is wider than 256 bits, NumPy held to AVX2, which is what
 * the targets were set against.
 *
 * @returns {Promise<import("./index.js").Participant[]>}
 */
export async function open() {
  const first = await Server.start({});
  const { core, wide } = first.hello;
  const participants = [participant("NumPy", first)];
  if (WIDE.has(core)) {
    const held = await Server.start({
      OPENBLAS_CORETYPE: "Haswell",
      NPY_DISABLE_CPU_FEATURES: wide.join(" "),
    });
    if (held.hello.core !== "Haswell") {
      throw new Error(`OpenBLAS runs ${held.hello.core} where Haswell was asked for`);
    }
    participants.push(participant("NumPy, AVX2", held));
  }
  return participants;
}

/** @typedef {{ numpy: string, openblas: string, core: string, wide: string[] }} Hello */

class Server {
  /** @type {((line: string) => void)[]} */
  waiting = [];
  ended = "";
  lastId = 0;
  /** @type {Hello} */
  hello = /** @type {any} */ (undefined);

  /** @param {NodeJS.ProcessEnv} environment */
  static async start(environment) {
    const failures = [];
    for (const python of [process.env.PYTHON, "/usr/bin/python3", "python3"]) {
      if (!python) continue;
      const server = new Server(python, environment);
      try {
        server.hello = await server.answer();
        return server;
      } catch (error) {
        failures.push(`${python}: ${error instanceof Error ? error.message : error}`);
      }
    }
    throw new Error(`${failures.join("; ")} (${INSTALL})`);
  }

  /**
   * @param {string} python
   * @param {NodeJS.ProcessEnv} environment
   */
  constructor(python, environment) {
    // What the caller's environment says of OpenBLAS is not for here.
    const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...rest } = process.env;
    this.child = spawn(python, [fileURLToPath(new URL("numpy_server.py", import.meta.url))], {
      env: { ...rest, OPENBLAS_NUM_THREADS: "1", ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let complaint = "";
    const end = (/** @type {string} */ reason) => {
      this.ended ||= reason;
      for (const resolve of this.waiting.splice(0)) resolve("");
    };
    this.child.stderr.on("data", (text) => {
      complaint += text;
    });
    this.child.stdin.on("error", () => {}); // told by the end of the process
    this.child.on("error", (error) => end(error.message));
    this.child.on("close", (code) =>
      end(complaint.trim().split("\n").pop() || `ended with ${code}`),
    );
    createInterface({ input: this.child.stdout }).on("line", (line) =>
      this.waiting.shift()?.(line),
    );
  }

  async answer() {
    if (this.ended) throw new Error(this.ended);
    const line = await new Promise((resolve) => this.waiting.push(resolve));
    if (!line) throw new Error(this.ended);
    return JSON.parse(line);
  }

  /** @param {object} request */
  ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.answer();
  }
}

/** @param {Float32Array | Int32Array} values */
const encode = (values) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

/** @param {string} text */
function decode(text) {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/**
 * @param {string} name
 * @param {Server} server
 * @returns {import("./index.js").Participant}
 */
function participant(name, server) {
  /**
   * @param {"product" | "network" | "training"} kind
   * @param {object} work
   */
  async function contender(kind, work) {
    const id = ++server.lastId;
    await server.ask({ make: kind, id, work });
    return {
      name,
      time: async (/** @type {number} */ repeats) =>
        (await server.ask({ time: id, repeats })).seconds,
      result: async () => decode((await server.ask({ result: id })).data),
      dispose: () => server.ask({ drop: id }),
    };
  }
  const { numpy, openblas, core } = server.hello;
  return {
    name,
    version: `${numpy}, OpenBLAS ${openblas}, kernels ${core}, 1 thread`,
    product: ({ x, w, dout, ...rest }) =>
      contender("product", { ...rest, x: encode(x), w: encode(w), dout: encode(dout) }),
    network: ({ sizes, batch, weights, biases }, input) =>
      contender("network", {
        sizes,
        batch,
        weights: weights.map(encode),
        biases: biases.map(encode),
        input: encode(input),
      }),
    training: ({ weights, biases, inputs, labels, ...rest }) =>
      contender("training", {
        ...rest,
        weights: weights.map(encode),
        biases: biases.map(encode),
        inputs: inputs.map(encode),
        labels: labels.map(encode),
      }),
    close: () => server.child.stdin.end(),
  };
}
