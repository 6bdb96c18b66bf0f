// The same command in Deno and Bun, where they are on this machine: on the PATH, or installed for
// test/hosts.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Folder, iris, outcome, program, root } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const folders = (process.env.PATH ?? "").split(delimiter);
const find = (name: string, own: string) =>
  [join(root, "test/hosts/node_modules", own), ...folders]
    .map((path) => join(path, name))
    .find((path) => existsSync(path));

describe.each([
  { host: "Deno", path: find("deno", "@deno/linux-x64-glibc"), args: ["run", "-A"] },
  { host: "Bun", path: find("bun", "@oven/bun-linux-x64-baseline/bin"), args: [] },
])("in $host", ({ host, path, args }) => {
  if (!path) {
    const reason = `not run, for ${host} is not there: npm run hosts:install`;
    console.warn(`test/cli/hosts.test.ts: ${reason}`);
    test.skip(reason);
    return;
  }
  const lamella = (...more: string[]) => {
    const env = { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_DIR: folder.path };
    const child = spawn(path, [...args, program, ...more], { cwd: folder.path, env });
    child.stdin.end("5.1,3.5,1.4,0.2\n");
    return outcome(child);
  };

  test("it trains to the bytes of Node's file, predicts from the standard input, and refuses alike", async () => {
    const own = ["train", iris, "--epochs", "5", "--threads", "2", "-q", "-o"];
    await folder.succeeding(...own, "node");
    expect(await lamella(...own, host)).toMatchObject({ stderr: "", code: 0 });
    expect(folder.read(host)).toEqual(folder.read("node"));
    const { stdout, code } = await lamella("predict", host, "-");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^class,probability\nsetosa,0\.\d+\n$/);
    expect(await lamella("train", "none.csv")).toEqual({
      ...{ stdout: "", code: 1 },
      stderr: "lamella train: none.csv: no such file\n",
    });
    expect((await lamella("train", iris, "--epoch")).code).toBe(2);
  });
});
