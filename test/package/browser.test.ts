import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentAt, withChromium } from "../support/chromium.ts";
import { Project } from "./installed.ts";
import { train } from "./train.ts";

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
      const shown = await documentAt(`http://127.0.0.1:${port}/`);
      return { shown: /<output>(.*?)<\/output>/.exec(shown)?.[1] ?? shown, asked };
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

  withChromium(property, () => {
    test.each(policies)(`${property}, %s`, async (_, headers) => {
      const inNode = await project.node(
        "train.mjs",
        `import * as lamella from "lamella";\n${train}\ntrain(lamella).then(console.log);\n`,
      );
      const { shown, asked } = await open(headers);
      expect(shown).toBe(inNode);
      expect(asked.sort()).toEqual(["/", "/page.js"]);
    });
  });
});
