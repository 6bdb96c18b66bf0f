// A bare workerd, the runtime of Cloudflare's Workers: modules as they are, named in its
// configuration.

import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, describe, expect } from "vitest";
import { folderWith, imports, row, suiteSource } from "./hosts.ts";
import { serve, workerd } from "./workers.ts";

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

// From 2025-06-01 on bytes are compiled while a Worker starts, though not in a handler; before,
// never. nodejs_compat makes a Worker look like Node.
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
