// The code of assembly/threads/queue.ts itself, compiled so that another thread comes between two
// of its atomic accesses where the test says so: what threads do to each other by luck happens here
// in every run. Sleep, and the orders of steps in which the one that was interrupted is not the
// last to go on, are in model.test.ts.

import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { beforeAll, expect, test } from "vitest";
// @ts-expect-error: a script without types
import InlineTransform from "../../scripts/build/inline_transform.js";

const source = readFileSync(new URL("../../assembly/threads/queue.ts", import.meta.url), "utf8");

/** Stands for `atomic`: each access is a step, before which the test may let another thread run. */
const stepped = `
@external("test", "step") declare function step(): void;
@external("test", "run") declare function run(task: usize, thread: usize): void;

namespace stepped {
  export function load<T>(p: usize, offset: usize = 0): T {
    step();
    return atomic.load<T>(p + offset);
  }
  export function store<T>(p: usize, value: T, offset: usize = 0): void {
    step();
    atomic.store<T>(p + offset, value);
  }
  export function sub<T>(p: usize, value: T, offset: usize = 0): T {
    step();
    return atomic.sub<T>(p + offset, value);
  }
  export function cmpxchg<T>(p: usize, expected: T, value: T, offset: usize = 0): T {
    step();
    return atomic.cmpxchg<T>(p + offset, expected, value);
  }
  export function wait<T>(p: usize, expected: T, timeout: i64): i32 {
    step();
    return 2; // as after a nap
  }
  export function notify(p: usize, count: i32): i32 {
    step();
    return 0;
  }
}

export function take(thread: usize): bool {
  return runOne(thread);
}

export function post(tasks: usize): void {
  fork((task, thread) => run(task, thread), tasks);
}`;

const sources: Record<string, string> = {
  "entry.ts": 'export { threadsOpen, post, take } from "./queue";',
  "queue.ts": source.replaceAll("atomic.", "stepped.") + stepped,
};

interface Queue {
  threadsOpen(threads: number, maySleep: boolean): void;
  /** The caller's call. */
  post(tasks: number): void;
  /** A worker takes one task, where there is one. */
  take(thread: number): number;
}

let module: WebAssembly.Module;

beforeAll(async () => {
  const { error, stderr } = await asc.main(
    [
      ...["entry.ts", "--outFile", "queue.wasm", "--runtime", "stub", "--enable", "threads"],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "2", "--maximumMemory", "2"],
    ],
    {
      transforms: [InlineTransform],
      readFile: (name) => sources[name] ?? null,
      writeFile(_, contents) {
        if (typeof contents !== "string") module = new WebAssembly.Module(contents as BufferSource);
      },
      listFiles: () => [],
    },
  );
  if (error) throw new Error(String(stderr));
});

/**
 * Posts a job; before each of these steps another thread takes a task. Gives what ran, on which
 * threads, and how many steps there were.
 */
function play(tasks: number, turns: readonly number[]) {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const ran: number[] = [];
  const threads: number[] = [];
  let steps = 0;
  let thread = 0;
  const step = () => {
    if (++steps > 1000) throw new Error("the call does not end");
    if (!turns.includes(steps)) return;
    thread++;
    queue.take(thread);
    thread--;
  };
  const run = (task: number, thread: number) => {
    ran.push(task);
    threads.push(thread);
  };
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, test: { step, run } });
  const queue = exports as unknown as Queue;
  queue.threadsOpen(3, true);
  queue.post(tasks);
  return { ran: ran.sort(), threads, steps };
}

test.each([1, 2, 3, 4])(
  "of %i tasks each runs once, whenever two others come in between",
  (tasks) => {
    const due = [...Array(tasks).keys()];
    const alone = play(tasks, []);
    expect(alone.ran).toEqual(due);
    const seen = new Set<number>();
    for (let first = 1; first <= alone.steps; first++) {
      // A thread that came between may itself be interrupted: it has as many as four steps.
      for (let second = first; second <= alone.steps + 4; second++) {
        const { ran, threads } = play(tasks, [first, second]);
        expect(ran, `others before steps ${first} and ${second}`).toEqual(due);
        for (const thread of threads) seen.add(thread);
      }
    }
    expect(seen).toEqual(new Set([0, 1, 2]));
  },
);
