// The servers of examples/ on Node: no request ends them. The Worker's is in worker.test.ts.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { root } from "../cli/command.ts";
import { Program } from "../hosts/processes.ts";
import { attack } from "../support/hostile_requests.ts";

const folder = mkdtempSync(join(tmpdir(), "lamella-servers-"));
const programs: Program[] = [];
afterAll(async () => {
  for (const program of programs) program.end();
  await Promise.all(programs.map(({ ended }) => ended));
  rmSync(folder, { recursive: true });
});

/** Where a program listens, from the line in which it says so. */
async function start(args: string[], cwd: string): Promise<{ program: Program; port: number }> {
  const program = new Program(process.execPath, args, { cwd, env: { PORT: "0" } });
  programs.push(program);
  for (;;) {
    const [, port] = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(program.output.stdout) ?? [];
    if (port) return { program, port: Number(port) };
    await new Promise((resolve) => program.child.stdout?.once("data", resolve));
  }
}

const playground = `
  import { serve } from ${JSON.stringify(pathToFileURL(`${root}examples/playground/server.js`).href)};
  const page = new TextEncoder().encode("<!doctype html>");
  console.log(await serve(new Map([["/", page]]), 0));`;

describe.each<[string, () => ReturnType<typeof start>]>([
  [
    "examples/browser/serve.js",
    () => {
      cpSync(`${root}examples/browser`, join(folder, "browser"), {
        recursive: true,
        filter: (path) => !path.includes("node_modules"),
      });
      return start(["serve.js"], join(folder, "browser"));
    },
  ],
  ["examples/playground/server.js", () => start(["--input-type=module", "-e", playground], folder)],
])("%s", (_, open) => {
  test("answers after every request that is none, half a one or a strange one", async () => {
    const { program, port } = await open();
    const isWell = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      expect([answer.status, await answer.text()]).toEqual([
        200,
        expect.stringMatching(/^<!doctype/),
      ]);
    };
    await isWell();
    await attack(port, isWell);
    expect(program.child.exitCode).toBe(null);
    expect(program.output.stderr).toBe("");
  }, 60_000);

  test("says what is wrong with a request, and gives no file of another folder", async () => {
    const { port } = await open();
    const ask = (target: string) => statusOf(port, target);
    expect(
      await Promise.all(["*", "http://a/", "//", "/nowhere.js", "/%2e%2e/run.js"].map(ask)),
    ).toEqual([400, 400, 404, 404, 404]);
    expect(await ask("/..%2frun.js")).toBe(404);
  });
});

/** The status for what stands in the request's line as it is. */
async function statusOf(port: number, target: string): Promise<number> {
  const { connect } = await import("node:net");
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("error", reject);
    socket.setEncoding("latin1").on("data", (text) => {
      received += text;
    });
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1])));
    socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  });
}
