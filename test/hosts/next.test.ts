// A Next.js application with edge routes, built and started by Next itself. `next start` is laxer
// than the edge it stands for: here its contexts refuse to compile bytes, as that does.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect } from "vitest";
import { folderWith, here, imports, inPackage, row, suiteSource } from "./hosts.ts";
import { freePort, Program, run } from "./processes.ts";

const next = inPackage("Next.js", "next");

const layout = `
  export default function Layout({ children }) {
    return <html><body>{children}</body></html>;
  }`;

/** A route of GET requests. */
const route = (runtime: string, answer: string) => `${imports.replace("./", "../")}
  export const runtime = "${runtime}";
  export const dynamic = "force-dynamic";
  export async function GET() {
    ${answer}
  }`;
const report = "return Response.json(await suite({ lamella, predict }));";
const bytes = `
  const wasm = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const { name, message } = await lamella.createRuntime({ wasm }).catch((error) => error);
  return Response.json({ name, message });`;

const strict = `
  const vm = require("node:vm");
  const { createContext } = vm;
  vm.createContext = (object, options) =>
    createContext(object, { ...options, codeGeneration: { strings: false, wasm: false } });`;

const env = { NEXT_TELEMETRY_DISABLED: "1" };
const cli = (folder: string) => join(folder, "node_modules/next/dist/bin/next");

/**
 * The built application. Turbopack takes no package from outside its folder, so the packages are
 * linked into it.
 */
async function build(name: string, flags: string[]): Promise<string> {
  const folder = folderWith(name, {
    "package.json": JSON.stringify({ private: true }),
    "strict.cjs": strict,
  });
  folderWith(`${name}/app`, { "layout.jsx": layout, "suite.mjs": suiteSource });
  folderWith(`${name}/app/edge`, { "route.js": route("edge", report) });
  folderWith(`${name}/app/bytes`, { "route.js": route("edge", bytes) });
  folderWith(`${name}/app/node`, { "route.js": route("nodejs", report) });
  const copy = (from: string) =>
    run("cp", ["-rl", from, "."], { cwd: folder }).catch(() =>
      run("cp", ["-r", from, "."], { cwd: folder }),
    );
  await copy(join(here, "node_modules"));
  await run("cp", ["-r", "../node_modules/lamella", "node_modules/lamella"], { cwd: folder });
  await run(process.execPath, [cli(folder), "build", ...flags], { cwd: folder, env });
  return folder;
}

interface Application {
  program: Program;
  url: string;
  folder: string;
}

async function start(folder: string): Promise<Application> {
  const port = await freePort();
  const args = ["--require", "./strict.cjs", cli(folder), "start", "--hostname=127.0.0.1"];
  const program = new Program(process.execPath, [...args, `--port=${port}`], { cwd: folder, env });
  const url = `http://127.0.0.1:${port}/`;
  await program.untilAnswers(url);
  return { program, url, folder };
}

describe.each(["turbopack", "webpack"])("built by %s", (bundler) => {
  let started: Promise<Application> | undefined;
  const application = () => {
    started ??= build(`next-${bundler}`, [`--${bundler}`]).then(start);
    return started;
  };
  afterAll(async () => (await started)?.program.end());

  async function ask(path: string) {
    const { program, url } = await application();
    const answer = fetch(url + path).then(async (response) => {
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      throw new Error(`status ${response.status}: ${text}\n${program.output.stderr}`);
    });
    return program.until(answer, 60);
  }

  const edge = async () => {
    const report = await ask("edge");
    const { folder } = await application();
    const files = readdirSync(join(folder, ".next/server"), { recursive: true }).map(String);
    // Both cores were emitted, not compiled from bytes.
    expect(files.filter((file) => file.endsWith(".wasm"))).toHaveLength(2);
    return report;
  };
  row(next, `\`import\`, edge runtime, ${bundler}`, edge, 150);

  row(next, `bytes are refused, edge runtime, ${bundler}`, async () => {
    expect(await ask("bytes")).toEqual({
      name: "CompileError",
      message: expect.stringMatching(
        /^createRuntime: wasm: this host takes none of the given builds: .*disallowed by embedder/,
      ),
    });
    return null;
  });

  row(next, `\`import\`, Node runtime, ${bundler}`, () => ask("node"));
});
