// The handlers of docs/hosts/, taken from its pages and run: in a project that has the package as a
// stranger gets it, in the runtime where it is on this machine.

import { type ChildProcess, spawn } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { affine, createRuntime, relu, Sequential, saveModel, softmax } from "../../src/index.ts";
import { Project, run } from "../package/installed.ts";
import { attack } from "../support/hostile_requests.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The files in a page: a block under a line that is a file's name. */
function filesOf(page: string): Record<string, string> {
  const text = readFileSync(`${root}docs/hosts/${page}`, "utf8");
  const found = text.matchAll(/^`([\w./-]+)`\n\n```\w+\n([\s\S]*?)^```$/gm);
  return Object.fromEntries([...found].map(([, name, block]) => [name!, block!]));
}

const project = new Project();
const example = [5.1, 3.5, 1.4, 0.2];
/** What the model says of the example. */
let scores: number[] = [];

beforeAll(async () => {
  await project.install();
  const runtime = await createRuntime();
  const layers = [affine(8), relu(), affine(3), softmax()];
  const model = new Sequential(runtime, { input: [4], layers, seed: 1 });
  writeFileSync(join(project.folder, "model.safetensors"), saveModel(model));
  scores = [...(model.compile() as { predict(x: number[]): Float32Array }).predict(example)];
  for (const page of ["cloudflare.md", "deno-deploy.md", "vercel.md", "aws-lambda.md"]) {
    for (const [name, text] of Object.entries(filesOf(page))) {
      const file = join(project.folder, page.slice(0, -3), name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }
}, 120_000);
afterAll(() => project.remove());

const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a server, and waits for the line in which it says where it listens. */
function start(
  program: string,
  args: string[],
  cwd: string,
  listens: RegExp,
  env: Record<string, string> = {},
): Promise<number> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  running.add(child);
  return new Promise((resolve, reject) => {
    let printed = "";
    for (const stream of child.stdio.slice(1)) {
      (stream as NodeJS.ReadableStream).on("data", (bytes) => {
        printed += bytes;
        const port = listens.exec(printed)?.[1];
        if (port) resolve(Number(port));
      });
    }
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${program} ended (${code}): ${printed}`)));
  });
}

/** What each handler answers to: good, bad, another method. */
async function answers(handle: (request: Request) => Response | Promise<Response>): Promise<void> {
  const post = (body: string) => handle(new Request("http://127.0.0.1/", { method: "POST", body }));
  const good = await post(JSON.stringify(example));
  expect([good.status, await good.json()]).toEqual([200, scores]);
  // Numbers that float32 holds, and whose products it does not: JSON would make them null.
  const large = await post("[3e38,3e38,3e38,3e38]");
  expect([large.status, await large.json()]).toEqual([
    400,
    { error: "the numbers are too large for the model" },
  ]);
  const long = await post(`[1,2,3,4${" ".repeat(1 << 20)}]`);
  expect([long.status, await long.json()]).toEqual([413, { error: "expected at most 1152 bytes" }]);
  const numberless = [
    "[1,2,3,1e39]",
    "[1,2,3,-1e999]",
    '[1,2,3,"4"]',
    "[1,2,3,[4]]",
    "[1,2,3,true]",
  ];
  const shapeless = ["[]", "[1,2,3,4,5]", "[[1,2,3,4]]", "{}", '"1234"', "4", "NaN", "[1,2,3,NaN]"];
  const cut = ["", "{", "[1,2,3]", "[1,2,3,null]", '{"length":4}', "null", "[1,2,3,4"];
  for (const bad of [...cut, ...numberless, ...shapeless]) {
    const answer = await post(bad);
    expect([bad, answer.status, await answer.json()]).toEqual([
      bad,
      400,
      { error: "expected a JSON list of 4 numbers" },
    ]);
  }
}
/** A body that ends by an error is the client's fault. */
async function takesHalfABody(handle: (request: Request) => Response | Promise<Response>) {
  const body = new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode("[1,2,"));
      controller.error(new Error("the client went away"));
    },
  });
  const half = new Request("http://127.0.0.1/", { method: "POST", body, duplex: "half" } as object);
  expect((await handle(half)).status).toBe(400);
}
/** A server that runs answers whatever it was sent before. */
async function survives(port: number): Promise<void> {
  await attack(port, async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: JSON.stringify(example),
    });
    expect([answer.status, await answer.json()]).toEqual([200, scores]);
  });
}
async function refusesGet(handle: (request: Request) => Response | Promise<Response>) {
  const { status, headers } = await handle(new Request("http://127.0.0.1/"));
  expect([status, headers.get("allow")]).toEqual([405, "POST"]);
}
const over =
  (port: number) =>
  async (request: Request): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/`, {
      method: request.method,
      body: request.method === "POST" ? await request.text() : null,
    });

/**
 * A test that needs a program of this machine: CI must have it, elsewhere it is said to be missing.
 */
function needing(
  program: string | undefined,
  install: string,
  name: string,
  body: (program: string) => Promise<void>,
): void {
  if (program || process.env.CI) {
    test(name, async () => {
      expect(program, `must be there in CI: ${install}`).toBeDefined();
      await body(program!);
    });
    return;
  }
  const message = `${name}: not run, for it is not there: ${install}`;
  console.warn(`test/docs/hosts.test.ts: ${message}`);
  test.skip(message);
}

function findWorkerd(): string | undefined {
  try {
    return createRequire(`${root}examples/worker/tools/package.json`)("workerd").default;
  } catch {
    return undefined;
  }
}

function findDeno(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return [`${root}test/hosts/node_modules/@deno/linux-x64-glibc`, ...folders]
    .map((folder) => join(folder, "deno"))
    .find((path) => existsSync(path));
}

describe("cloudflare.md", () => {
  needing(
    findWorkerd(),
    "`npm ci` in examples/worker/tools",
    "its handler answers in workerd",
    async (workerd) => {
      const folder = join(project.folder, "cloudflare");
      symlinkSync("../model.safetensors", join(folder, "model.safetensors"));
      const config = JSON.parse(readFileSync(join(folder, "wrangler.jsonc"), "utf8"));
      await build({
        entryPoints: { worker: join(folder, config.main) },
        outdir: join(folder, "dist"),
        bundle: true,
        format: "esm",
        conditions: ["workerd"],
        loader: { ".wasm": "copy", ".safetensors": "copy" },
        assetNames: "[name]",
      });
      writeFileSync(
        join(folder, "dist/config.capnp"),
        `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [(name = "main", worker = (
          modules = [
            (name = "worker.js", esModule = embed "worker.js"),
            (name = "predict.wasm", wasm = embed "predict.wasm"),
            (name = "model.safetensors", data = embed "model.safetensors"),
          ],
          compatibilityDate = "${config.compatibility_date}",
        ))],
        sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
      );`,
      );
      const args = ["serve", "--control-fd=3", "config.capnp"];
      const port = await start(workerd, args, join(folder, "dist"), /"port":(\d+)/);
      await answers(over(port));
      await refusesGet(over(port));
      await survives(port);
    },
  );
});

describe("deno-deploy.md", () => {
  needing(
    findDeno(),
    "the package deno, on the PATH",
    "its program answers in Deno",
    async (deno) => {
      const folder = join(project.folder, "deno-deploy");
      copyFileSync(join(project.folder, "model.safetensors"), join(folder, "model.safetensors"));
      const page = readFileSync(`${root}docs/hosts/deno-deploy.md`, "utf8");
      const [, args] = /`deno (run .*?)`/.exec(page)!;
      const env = {
        PORT: "0",
        NO_COLOR: "1",
        DENO_DIR: join(folder, "cache"),
        DENO_NO_UPDATE_CHECK: "1",
      };
      const port = await start(deno, args!.split(" "), folder, /:(\d+)\//, env);
      await answers(over(port));
      await refusesGet(over(port));
      await survives(port);
    },
  );
});

describe("vercel.md", () => {
  test("its function answers in Node", async () => {
    const folder = join(project.folder, "vercel");
    symlinkSync("../../model.safetensors", join(folder, "api/model.safetensors"));
    const { functions } = JSON.parse(readFileSync(join(folder, "vercel.json"), "utf8"));
    expect(functions).toEqual({ "api/predict.js": { includeFiles: "api/model.safetensors" } });
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    writeFileSync(
      join(folder, "serve.mjs"),
      `import { createServer } from "node:http";
      import { POST } from "./api/predict.js";
      const server = createServer(async (request, response) => {
        const body = Buffer.concat(await request.toArray());
        const answer = await POST(new Request("http://127.0.0.1/", { method: "POST", body }));
        response.writeHead(answer.status).end(await answer.text());
      }).listen(0, "127.0.0.1", () => console.log("port", server.address().port));`,
    );
    const port = await start(process.execPath, ["serve.mjs"], folder, /port (\d+)/);
    await answers(over(port));
  });

  test("its edge function answers where WebAssembly is not compiled from bytes, nor text as code", async () => {
    const folder = join(project.folder, "vercel");
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    symlinkSync("../model.safetensors", join(folder, "model.safetensors"));
    await run(process.execPath, ["model.mjs"], folder);
    // What Vercel's own build does with `?module`.
    const modules: WebAssembly.Module[] = [];
    const { outputFiles } = await build({
      entryPoints: [join(folder, "api/edge.js")],
      bundle: true,
      write: false,
      format: "esm",
      conditions: ["edge-light"],
      plugins: [
        {
          name: "module",
          setup({ onResolve, onLoad }) {
            onResolve({ filter: /\.wasm\?module$/ }, ({ path, resolveDir }) => ({
              path: join(resolveDir, path.replace("?module", "")),
              namespace: "module",
            }));
            onLoad({ filter: /.*/, namespace: "module" }, ({ path }) => {
              const count = modules.push(new WebAssembly.Module(readFileSync(path)));
              return { contents: `export default modules[${count - 1}]` };
            });
          },
        },
      ],
    });
    expect(modules).toHaveLength(1);
    const context = createContext(
      { modules, Request, Response, atob, TextDecoder, TextEncoder, URL },
      { codeGeneration: { strings: false, wasm: false } },
    );
    const compile = "new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))";
    expect(() => runInContext(compile, context)).toThrow(/disallowed by embedder/);
    // A script has no exports, and a top-level await only within a function.
    const script = outputFiles[0]!.text.replace(
      /export \{([\s\S]*?)\};\s*$/,
      (_, names: string) => `return {${names.replace(/([\w$]+) as ([\w$]+)/g, "$2: $1")}};`,
    );
    const { config, default: handler } = await runInContext(`(async () => {${script}})()`, context);
    expect(config).toEqual({ runtime: "edge" });
    await answers(handler);
    await refusesGet(handler);
    await takesHalfABody(handler);
  });
});

describe("aws-lambda.md", () => {
  test("its zip, unpacked where nothing else is, answers API Gateway's events", async () => {
    const folder = join(project.folder, "aws-lambda");
    symlinkSync("../model.safetensors", join(folder, "model.safetensors"));
    for (const name of ["esbuild", "fflate"]) {
      mkdirSync(join(folder, "node_modules"), { recursive: true });
      symlinkSync(`${root}node_modules/${name}`, join(folder, "node_modules", name));
    }
    await run(process.execPath, ["package.mjs"], folder);
    const zip = unzipSync(readFileSync(join(folder, "function.zip")));
    expect(Object.keys(zip).sort()).toEqual(["index.mjs", "model.safetensors"]);

    const task = mkdtempSync(join(tmpdir(), "lamella-lambda-"));
    try {
      for (const [name, bytes] of Object.entries(zip)) writeFileSync(join(task, name), bytes);
      writeFileSync(
        join(task, "invoke.mjs"),
        `import { handler } from "./index.mjs";
        const event = (method, body, isBase64Encoded = false) => ({
          version: "2.0", rawPath: "/", headers: { "content-type": "application/json" },
          requestContext: { http: { method, path: "/" } }, body, isBase64Encoded,
        });
        const text = ${JSON.stringify(JSON.stringify(example))};
        const events = [
          event("POST", text), event("POST", btoa(text), true), event("POST", "{"), event("POST", undefined),
          event("POST", "[1]"), event("GET", undefined),
          event("POST", "[1,2,3,1e39]"), event("POST", "[3e38,3e38,3e38,3e38]"),
          event("POST", "[1,2,3,4" + " ".repeat(2000) + "]"), event("POST", btoa(" ".repeat(2000)), true),
          event("POST", "!", true), event("POST", "[1,2,3,null]"),
        ];
        console.log(JSON.stringify(await Promise.all(events.map((event) => handler(event)))));`,
      );
      const { stdout } = await run(process.execPath, ["invoke.mjs"], task);
      const results: { statusCode: number; body: string; headers: Record<string, string> }[] =
        JSON.parse(stdout);
      expect(results.map(({ statusCode }) => statusCode)).toEqual([
        ...[200, 200, 400, 400, 400, 405],
        ...[400, 400, 413, 413, 400, 400],
      ]);
      expect(results.slice(0, 2).map(({ body }) => JSON.parse(body))).toEqual([scores, scores]);
      expect(results[5]!.headers.allow).toBe("POST");
    } finally {
      rmSync(task, { recursive: true });
    }
  });
});

test("every command of the pages is said to be tried or not", () => {
  for (const page of ["cloudflare.md", "deno-deploy.md", "vercel.md", "aws-lambda.md"]) {
    const text = readFileSync(`${root}docs/hosts/${page}`, "utf8");
    const rows = [...text.matchAll(/^\| `.*\| ([^|]*) \|$/gm)].map(([, said]) => said);
    expect(rows).not.toEqual([]);
    for (const said of rows) expect(said).toMatch(/^(tried here|not tried: needs? an account)/);
  }
});
