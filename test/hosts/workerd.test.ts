// A bare workerd, the runtime of Cloudflare's Workers: modules as they are, named in its configuration.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { build } from "esbuild";
import { afterAll, describe, expect } from "vitest";
import { folderWith, imports, packaged, row, suiteSource } from "./hosts.ts";
import { Program } from "./processes.ts";

const workerd = packaged("workerd", "@cloudflare/workerd-linux-64", "bin/workerd");

const worker = `${imports}
  export default {
    async fetch(request) {
      if (request.method !== "POST") return Response.json(await suite({ lamella, predict }));
      const wasm = new Uint8Array(await request.arrayBuffer());
      const { name, message } = await lamella.createRuntime({ wasm }).catch((error) => error);
      return Response.json({ name, message });
    },
  };`;

/** A Worker in a folder, bundled as Cloudflare's own tools do it, but for names. */
async function bundle(name: string): Promise<string> {
  const folder = folderWith(name, { "worker.mjs": worker, "suite.mjs": suiteSource });
  const { warnings } = await build({
    entryPoints: [join(folder, "worker.mjs")],
    outdir: join(folder, "out"),
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    loader: { ".wasm": "copy" },
  });
  expect(warnings).toEqual([]);
  return join(folder, "out");
}

/** Starts a bundle; the address is that of its requests. */
async function serve(
  folder: string,
  date: string,
  flags: string[],
): Promise<{ program: Program; url: string }> {
  const modules = readdirSync(folder)
    .sort((a) => (a === "worker.js" ? -1 : 1)) // the first is the Worker
    .map((file) => {
      const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
      return `(name = "${file}", ${kind} = embed "${file}")`;
    });
  const config = `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [(name = "main", worker = (
        modules = [${modules.join(", ")}],
        compatibilityDate = "${date}",
        compatibilityFlags = ${JSON.stringify(flags)},
      ))],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
    );`;
  const file = join(folder, `${date}.capnp`);
  writeFileSync(file, config);
  const program = new Program(workerd.path, ["serve", "--control-fd=3", file], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const lines = createInterface(program.child.stdio[3] as Readable);
  const port = new Promise<number>((resolve) => {
    lines.on("line", (line) => {
      const { event, port } = JSON.parse(line);
      if (event === "listen") resolve(port);
    });
  });
  return { program, url: `http://127.0.0.1:${await program.until(port, 20)}/` };
}

// From 2025-06-01 on bytes are compiled while a Worker starts, though not in a handler; before, never. nodejs_compat makes
// a Worker look like Node.
describe.each([["2024-09-23"], ["2025-06-01"], ["2026-11-01"], ["2026-11-01", "nodejs_compat"]])(
  "compatibility date %s %s",
  (date, ...flags) => {
    const settings = [`compatibility date ${date}`, ...flags].join(", ");
    let started: ReturnType<typeof serve> | undefined;
    const ask = async (request: RequestInit) => {
      started ??= bundle(`workerd-${[date, ...flags].join("-")}`).then((folder) =>
        serve(folder, date, flags),
      );
      const { program, url } = await started;
      return program.until(
        fetch(url, request).then((response) => response.json()),
        60,
      );
    };
    afterAll(async () => (await started)?.program.end());

    row(workerd, `\`import\` by esbuild, condition \`workerd\`, ${settings}`, () => ask({}));

    row(workerd, `bytes in a handler are refused, ${settings}`, async () => {
      const wasm = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
      expect(await ask({ method: "POST", body: wasm })).toEqual({
        name: "CompileError",
        message: expect.stringMatching(
          /^createRuntime: wasm: this host takes none of the given builds: .*disallowed by embedder/,
        ),
      });
      return null;
    });
  },
);
