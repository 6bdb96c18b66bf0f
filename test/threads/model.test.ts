// The protocol of assembly/threads/queue.ts as a small machine, in every order in which its
// threads' steps can follow each other. What is one step here is one atomic access there, or
// touches nothing that others do.

import { describe, expect, test } from "vitest";

/** The shared memory. */
interface Memory {
  /** The number of the job whose words are there. */
  words: number;
  remaining: number;
  pending: number;
}

interface Thread {
  /** The next step. */
  at: string;
  /** What it has read. */
  seen: number;
  /** The job whose words its task has read. */
  job: number;
  /** On what it sleeps. */
  sleeps: "" | "remaining" | "pending";
}

interface State {
  memory: Memory;
  /** The caller first. */
  threads: Thread[];
  /** Jobs posted so far. */
  job: number;
  /** "job:task" of all tasks that ran. */
  ran: string[];
}

interface Machine {
  jobs: number;
  tasks: number;
  workers: number;
  /** A mistake to be found. */
  mistake?: "words last" | "no wake" | "pending last" | "words before taking" | "no last wake";
}

function start({ workers }: Machine): State {
  const thread = (at: string): Thread => ({ at, seen: 0, job: 0, sleeps: "" });
  return {
    memory: { words: 0, remaining: 0, pending: 0 },
    threads: [thread("post"), ...Array.from({ length: workers }, () => thread("look"))],
    job: 0,
    ran: [],
  };
}

/** One step of one thread, and its next; throws where something is wrong. */
function step(machine: Machine, state: State, id: number): string {
  const { memory, threads } = state;
  const me = threads[id]!;
  const wake = (on: Thread["sleeps"]) => {
    for (const thread of threads) if (thread.sleeps === on) thread.sleeps = "";
  };
  const { mistake } = machine;
  switch (me.at) {
    // fork
    case "post":
      if (state.job === machine.jobs) return "close";
      state.job++;
      if (mistake !== "words last") memory.words = state.job;
      return mistake === "pending last" ? "open" : "count";
    case "count":
      memory.pending = machine.tasks;
      return mistake === "pending last" ? "wake" : "open";
    case "open":
      memory.remaining = machine.tasks;
      return mistake === "pending last" ? "count" : "wake";
    case "wake":
      if (mistake === "words last") memory.words = state.job;
      if (mistake !== "no wake") wake("remaining");
      return "look";
    case "join":
      me.seen = memory.pending;
      return me.seen === 0 ? "post" : "nap";
    case "nap":
      if (memory.pending === me.seen) me.sleeps = "pending";
      return "join";
    case "close":
      memory.remaining = -1;
      return "wake all";
    case "wake all":
      wake("remaining");
      return "end";

    // runOne
    case "look":
      me.seen = memory.remaining;
      if (mistake === "words before taking") me.job = memory.words;
      return me.seen > 0 ? "take" : id === 0 ? "join" : "idle";
    case "take":
      if (memory.remaining !== me.seen) {
        me.seen = memory.remaining;
        return me.seen > 0 ? "take" : id === 0 ? "join" : "idle";
      }
      memory.remaining--;
      return "begin";
    case "begin":
      if (mistake !== "words before taking") me.job = memory.words;
      return "run";
    case "run": {
      const name = `${me.job}:${me.seen - 1}`;
      if (memory.words !== me.job) throw new Error(`the words changed under task ${name}`);
      if (state.ran.includes(name)) throw new Error(`task ${name} ran twice`);
      state.ran = [...state.ran, name].sort();
      return "finish";
    }
    case "finish":
      memory.pending--;
      return memory.pending === 0 ? "tell" : "look";
    case "tell":
      if (mistake !== "no last wake") wake("pending");
      return "look";

    // a worker without a task
    case "idle":
      if (memory.remaining < 0) return "end";
      return "sleep";
    case "sleep":
      if (memory.remaining === 0) me.sleeps = "remaining";
      return "look";
    default:
      throw new Error(me.at);
  }
}

/** How many states there are; throws where one of them is wrong. */
function explore(machine: Machine): number {
  const seen = new Set<string>();
  const open = [JSON.stringify(start(machine))];
  while (open.length > 0) {
    const text = open.pop()!;
    if (seen.has(text)) continue;
    seen.add(text);
    const { threads, ran } = JSON.parse(text) as State;
    const runnable = threads.flatMap(({ at, sleeps }, id) =>
      at === "end" || sleeps !== "" ? [] : [id],
    );
    if (runnable.length === 0) {
      const asleep = threads.filter(({ at }) => at !== "end").length;
      if (asleep > 0) throw new Error(`${asleep} threads sleep for ever`);
      if (ran.length !== machine.jobs * machine.tasks) throw new Error("a task was lost");
    }
    for (const id of runnable) {
      const state = JSON.parse(text) as State;
      state.threads[id]!.at = step(machine, state, id);
      open.push(JSON.stringify(state));
    }
  }
  return seen.size;
}

describe("in every order of steps each task runs once, on its own words, and nobody sleeps for ever", () => {
  test.each([
    { jobs: 1, tasks: 2, workers: 1 },
    { jobs: 3, tasks: 2, workers: 1 },
    { jobs: 2, tasks: 3, workers: 1 },
    { jobs: 1, tasks: 3, workers: 2 },
    { jobs: 2, tasks: 2, workers: 2 },
  ])("$jobs jobs of $tasks tasks, $workers workers", (machine) => {
    expect(explore(machine)).toBeGreaterThan(50);
  });
});

describe("the model finds", () => {
  const machine = { jobs: 2, tasks: 2, workers: 1 };

  test.each([
    ["words last", /the words changed under|ran twice|lost/],
    ["pending last", /ran twice|for ever|lost|words changed/],
    ["words before taking", /the words changed under|ran twice/],
    ["no last wake", /sleep for ever/],
  ] as const)("the mistake: %s", (mistake, message) => {
    expect(() => explore({ ...machine, mistake })).toThrow(message);
  });

  test("that nobody is lost where workers are not woken for a job: the caller does it all, but the end wakes them", () => {
    expect(explore({ ...machine, mistake: "no wake" })).toBeGreaterThan(50);
  });
});
