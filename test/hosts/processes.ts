// Programs that a test starts: each in a process group of its own, which is ended as a whole.

import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import { environment, type Output } from "../package/installed.ts";

const running = new Set<Program>();
process.on("exit", () => {
  for (const program of running) program.end();
});

/** A program that is running until it ends by itself or is ended. */
export class Program {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly output: Output = { stdout: "", stderr: "" };
  /** Its exit code; null for one that was ended. */
  readonly ended: Promise<number | null>;

  constructor(
    program: string,
    args: readonly string[],
    { cwd, env = {}, stdio = ["ignore", "pipe", "pipe"] }: Options,
  ) {
    const options = { cwd, env: { ...environment(), ...env }, stdio, detached: true };
    this.child = spawn(program, args, options);
    for (const name of ["stdout", "stderr"] as const) {
      this.child[name]?.setEncoding("utf8").on("data", (text) => {
        this.output[name] += text;
      });
    }
    running.add(this);
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", resolve);
    });
    this.ended.catch(() => {}).finally(() => running.delete(this));
  }

  /** Ends it and all that it started. */
  end(): void {
    try {
      process.kill(-this.child.pid!, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  /** Waits for a server that listens. */
  untilAnswers(url: string): Promise<void> {
    const answers = async () => {
      while (running.has(this)) {
        if (await fetch(url).catch(() => null)) return;
        await new Promise((later) => setTimeout(later, 100));
      }
    };
    return this.until(answers(), 30);
  }

  /**
   * What a promise gives, while the program runs; an error with its output when it ends first, or
   * takes too long.
   */
  async until<T>(promise: Promise<T>, seconds: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const failed = (what: string) =>
      new Error(`${what}\n${this.output.stdout}${this.output.stderr}`);
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(failed(`nothing after ${seconds} seconds`)), seconds * 1000);
    });
    const gone = this.ended.then((code) => Promise.reject(failed(`it ended with ${code}`)));
    gone.catch(() => {});
    try {
      return await Promise.race([promise, late, gone]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A port of the loopback's that nobody listens on, for programs that want to be told one. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

export interface Options {
  cwd: string;
  /** Beyond the environment that a shell of one's own has. */
  env?: Record<string, string>;
  stdio?: StdioOptions;
}

/**
 * Runs a program to its end; one that fails or takes more than two minutes is an error with all
 * that it printed.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: Options,
): Promise<Output> {
  const started = new Program(program, args, options);
  try {
    const seconds = 120;
    const code = await Promise.race([
      started.ended,
      new Promise<string>((late) => setTimeout(late, seconds * 1000, `${seconds} s`).unref()),
    ]);
    if (code === 0) return started.output;
    const { stdout, stderr } = started.output;
    throw new Error(`${program} ${args.join(" ")} ended with ${code}\n${stdout}${stderr}`);
  } finally {
    started.end();
  }
}
