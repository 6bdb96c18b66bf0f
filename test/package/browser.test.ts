import { accessSync, constants } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Project, run } from "./installed.ts";
import { train } from "./train.ts";

function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const chromium = findProgram("chromium", "chromium-browser");
const flags = [
  "--headless",
  "--no-sandbox", // root has none
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

const entry = `
  import * as lamella from "lamella";
  ${train}
  const output = document.querySelector("output");
  train(lamella).then(
    (loss) => { output.textContent = loss; },
    (error) => { output.textContent = String(error); },
  );
`;
const page = `<!doctype html>
<title>lamella</title>
<link rel="icon" href="data:,">
<output>nothing yet</output>
<script type="module" src="/page.js"></script>
`;

describe("a page bundled by esbuild", () => {
  const project = new Project();
  let script = "";

  beforeAll(async () => {
    await project.install();
    const { outputFiles, warnings } = await build({
      stdin: { contents: entry, resolveDir: project.folder },
      bundle: true,
      format: "esm",
      write: false,
    });
    expect(warnings).toEqual([]);
    script = outputFiles[0]!.text;
  }, 120_000);
  afterAll(() => project.remove());

  /** What the page shows in Chromium, and which paths were asked of the server. */
  async function open(
    headers: Record<string, string>,
  ): Promise<{ shown: string; asked: string[] }> {
    const files: Record<string, [type: string, body: string]> = {
      "/": ["text/html; charset=utf-8", page],
      "/page.js": ["text/javascript; charset=utf-8", script],
    };
    const asked: string[] = [];
    const server = createServer(({ url = "" }, response) => {
      asked.push(url);
      const [type, body] = files[url] ?? ["text/plain", "not found"];
      response.writeHead(files[url] ? 200 : 404, { ...headers, "content-type": type }).end(body);
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    try {
      const { port } = server.address() as AddressInfo;
      const { stdout } = await run(
        chromium!,
        [
          ...flags,
          `--user-data-dir=${join(project.folder, "profile")}`,
          "--virtual-time-budget=30000",
          "--dump-dom",
          `http://127.0.0.1:${port}/`,
        ],
        project.folder,
      );
      return { shown: /<output>(.*?)<\/output>/.exec(stdout)?.[1] ?? stdout, asked };
    } finally {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  }

  const property =
    "trains in Chromium to the bits that Node gives, and fetches nothing beside its script";
  const policies: [name: string, headers: Record<string, string>][] = [
    ["without a security policy", {}],
    [
      "under a policy that lets WebAssembly be compiled and no more",
      { "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'" },
    ],
  ];

  if (!chromium && !process.env.CI) {
    const message = `${property}, skipped: no chromium on the PATH`;
    // Reporters leave out the names of skipped tests.
    console.warn(message);
    test.skip(message);
    return;
  }

  test.each(policies)(`${property}, %s`, async (_, headers) => {
    expect(chromium, "chromium on the PATH, which CI must have").toBeDefined();
    const inNode = await project.node(
      "train.mjs",
      `import * as lamella from "lamella";\n${train}\ntrain(lamella).then(console.log);\n`,
    );
    const { shown, asked } = await open(headers);
    expect(shown).toBe(inNode);
    expect(asked.sort()).toEqual(["/", "/page.js"]);
  });
});
