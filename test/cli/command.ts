// The command as it is built, driven as a process in a folder of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { environment } from "../package/installed.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const program = `${root}build/cli.js`;
export const iris = `${root}examples/tabular/iris.csv`;

export interface Outcome {
  stdout: string;
  stderr: string;
  code: number | null;
}

/** Waits for a process; `watch` sees all that it has printed, whenever that is more. */
export function outcome(child: ChildProcess, watch?: (stdout: string) => void): Promise<Outcome> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    watch?.(stdout);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ stdout, stderr, code }));
  });
}

/** A folder for the time of a file's tests. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "lamella-cli-"));

  start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [program, ...args], { cwd: this.path, env: environment() });
  }

  lamella(...args: string[]): Promise<Outcome> {
    const child = this.start(...args);
    child.stdin?.end();
    return outcome(child);
  }

  /** With a text as the standard input. */
  given(input: string, ...args: string[]): Promise<Outcome> {
    const child = this.start(...args);
    child.stdin?.end(input);
    return outcome(child);
  }

  /** The standard output of a command that must not fail. */
  async succeeding(...args: string[]): Promise<string> {
    const { stdout, stderr, code } = await this.lamella(...args);
    if (code !== 0) throw new Error(`lamella ${args.join(" ")}: ${code}\n${stderr}`);
    return stdout;
  }

  write(name: string, contents: string | Uint8Array): void {
    writeFileSync(join(this.path, name), contents);
  }

  read(name: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(readFileSync(join(this.path, name)));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The bytes of an IDX file of unsigned bytes. */
export const idx = (shape: number[], elements: ArrayLike<number>) =>
  Uint8Array.from([
    ...[0, 0, 8, shape.length],
    ...shape.flatMap((length) => [length >>> 24, length >>> 16, length >>> 8, length]),
    ...Array.from(elements),
  ]);
