import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  adam,
  adamw,
  affine,
  batchnorm,
  cosine,
  createRuntimeSync,
  dropout,
  FormatError,
  loadModel,
  momentum,
  normalize,
  type Optimizer,
  type Runtime,
  readSafetensors,
  relu,
  rmsprop,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  step,
  Trainer,
  type TrainerOptions,
  type TrainingEvent,
  warmup,
  writeSafetensors,
} from "../../src/index.ts";
import { seeded } from "../support/core.ts";

const EXAMPLES = 53;
const FEATURES = 5;

function problem() {
  const random = createRuntimeSync().random(11);
  const x = Float32Array.from(random.randn(EXAMPLES, FEATURES).data);
  const y = random.randint(3, null, EXAMPLES).toTypedArray();
  return { x, y, validation: { x: x.slice(0, 100), y: y.slice(0, 20) } };
}
const data = problem();
const options = { epochs: 4, batchSize: 12, earlyStopping: { patience: 3, minDelta: 0.01 } };
const EVENTS = 4 * (5 + 1);

/**
 * Of all that a training leaves: parameters, running values, optimizer state, generators, counters.
 */
const digest = (trainer: Trainer) =>
  createHash("sha256").update(trainer.checkpoint()).digest("hex");

function start(
  runtime: Runtime,
  dtype: "float32" | "float64",
  extra: Partial<TrainerOptions>,
): Trainer {
  const model = new Sequential(runtime, {
    input: [FEATURES],
    layers: [
      normalize({ mean: 0.1, std: 2 }),
      affine(9),
      batchnorm(),
      relu(),
      dropout(0.3),
      affine(3),
    ],
    dtype,
    seed: 6,
  });
  return new Trainer(model, { loss: "softmax", optimizer: momentum(), seed: 8, ...extra });
}

/** What an event tells but for the time that passed. */
const figures = ({ examplesPerSecond, ...rest }: TrainingEvent) => rest;

const cases: [string, "float32" | "float64", Partial<TrainerOptions>][] = [
  [
    "sgd, l2, clipping",
    "float32",
    { optimizer: sgd({ learningRate: 0.1 }), l2: 1e-3, clipNorm: 0.5 },
  ],
  [
    "momentum, steps",
    "float64",
    { optimizer: momentum({ learningRate: step({ from: 0.1, every: 3, factor: 0.7 }) }) },
  ],
  ["rmsprop, svm", "float32", { loss: "svm", optimizer: rmsprop() }],
  [
    "adam, warmup and cosine",
    "float32",
    {
      optimizer: adam({
        learningRate: warmup({ steps: 4, after: cosine({ from: 0.05, steps: 15 }) }),
      }),
    },
  ],
  ["adamw", "float64", { optimizer: adamw({ learningRate: 0.02 }) }],
  ["class weights", "float32", { classWeights: [0.1, 0.7, 1 / 3] }],
  ["svm, class weights", "float64", { loss: "svm", classWeights: Float32Array.of(3, 1, 0.1) }],
];

describe.each(cases)("%s (%s)", (_, dtype, extra) => {
  const random = seeded(77);
  /** One run that nothing interrupts. */
  const whole = (async () => {
    const trainer = start(createRuntimeSync(), dtype, extra);
    const events: object[] = [];
    for await (const event of trainer.fit(data, options)) events.push(figures(event));
    return { events, digest: digest(trainer), model: saveModel(trainer.model) };
  })();

  test("killed after any event and resumed in another runtime, it ends with the same bits", async () => {
    const expected = await whole;
    for (let kill = 1; kill < expected.events.length; kill++) {
      const first = start(createRuntimeSync(), dtype, extra);
      const events: object[] = [];
      let bytes = new Uint8Array();
      for await (const event of first.fit(data, options)) {
        events.push(figures(event));
        if (events.length < kill) continue;
        bytes = first.checkpoint(); // and the process is gone
        break;
      }
      const second = Trainer.resume(createRuntimeSync({ seed: 99 }), bytes);
      expect(digest(second)).toBe(createHash("sha256").update(bytes).digest("hex"));
      for await (const event of second.fit(data, options)) events.push(figures(event));
      expect(events).toEqual(expected.events);
      expect(digest(second)).toBe(expected.digest);
      expect(saveModel(second.model)).toEqual(expected.model);
    }
  });

  test("killed again and again, with a larger batch evaluated in between", async () => {
    const expected = await whole;
    let trainer = start(createRuntimeSync(), dtype, extra);
    const events: object[] = [];
    for (let round = 0; events.length < expected.events.length && round < 200; round++) {
      let left = 1 + Math.floor(4 * random());
      for await (const event of trainer.fit(data, options)) {
        events.push(figures(event));
        if (--left === 0) break;
      }
      trainer.evaluate({ ...data, batchSize: 50 });
      if (events.length < expected.events.length)
        trainer = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
    }
    expect(events).toEqual(expected.events);
    expect(digest(trainer)).toBe(expected.digest);
  });
});

test("with steps by hand as well, and with two trainings in one runtime", async () => {
  const runtime = createRuntimeSync();
  const run = async (resumeAfter: number) => {
    let trainer = start(runtime, "float32", {});
    for (let i = 0; i < 20; i++) {
      if (i === resumeAfter) trainer = Trainer.resume(runtime, trainer.checkpoint());
      trainer.step(data.x.subarray(0, 5 * (i + 1)), data.y.subarray(0, i + 1));
    }
    return digest(trainer);
  };
  expect(await run(7)).toBe(await run(-1));
});

test("from an iterable, whose batches so far are passed over", async () => {
  const batches = [0, 1, 2, 3].map((n) => ({
    x: data.x.subarray(50 * n, 50 * n + 50),
    y: data.y.subarray(10 * n, 10 * n + 10),
  }));
  const whole = start(createRuntimeSync(), "float32", {});
  for await (const _ of whole.fit(batches, { epochs: 2 }));
  let trainer = start(createRuntimeSync(), "float32", {});
  let count = 0;
  for (let round = 0; round < 4; round++) {
    let left = 3;
    for await (const _ of trainer.fit(batches, { epochs: 2 })) {
      count++;
      if (--left === 0) break;
    }
    if (count < 10) trainer = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
  }
  expect(count).toBe(10);
  expect(digest(trainer)).toBe(digest(whole));
});

test("a fit that came to its end is not continued: the next adds its epochs", async () => {
  const [a, b] = [
    start(createRuntimeSync(), "float32", {}),
    start(createRuntimeSync(), "float32", {}),
  ];
  for await (const _ of a.fit(data, { epochs: 2, batchSize: 12 }));
  const resumed = Trainer.resume(createRuntimeSync(), a.checkpoint());
  const events: TrainingEvent[] = [];
  for await (const event of resumed.fit(data, { epochs: 1, batchSize: 12 })) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: "epoch", epoch: 1, epochs: 1 });
  expect(resumed.steps).toBe(15);
  for await (const _ of b.fit(data, { epochs: 3, batchSize: 12 }));
  // nothing of the sequence is lost between them
  expect(saveModel(resumed.model)).toEqual(saveModel(b.model));
});

test("a fit left with its last event has come to its end", async () => {
  const trainer = start(createRuntimeSync(), "float32", {});
  for await (const event of trainer.fit(data, { epochs: 1, batchSize: 12 })) {
    if (event.type === "epoch") break;
  }
  const resumed = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
  for (const next of [trainer, resumed]) {
    const { value } = await next.fit(data, { epochs: 1, batchSize: 12 }).next();
    expect(value).toMatchObject({ type: "step", epoch: 1, step: 1 });
  }
});

test("other data than the run began with are refused", async () => {
  const trainer = start(createRuntimeSync(), "float32", {});
  for await (const _ of trainer.fit(data, options)) break;
  const fewer = { x: data.x.subarray(0, 50), y: data.y.subarray(0, 10) };
  expect(() => trainer.fit(fewer, options)).toThrow(
    "Trainer.fit: the run that goes on is over 53 examples, got 10 examples",
  );
  expect(() => trainer.fit([fewer], options)).toThrow("got an iterable");
  const events: TrainingEvent[] = [];
  for await (const event of trainer.fit(fewer, { ...options, restart: true })) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: "epoch", epoch: 4, steps: 1 });
});

test("a run that never took a step binds nobody", async () => {
  const trainer = start(createRuntimeSync(), "float32", {});
  const first = trainer.fit(data, { ...options, signal: AbortSignal.abort() });
  await expect(first.next()).rejects.toThrow();
  const bad = trainer.fit([{ x: [1], y: [0] }], options);
  await expect(bad.next()).rejects.toThrow("x has 1 numbers");
  const fewer = { x: data.x.subarray(0, 50), y: data.y.subarray(0, 10) };
  for await (const event of trainer.fit(fewer, options)) {
    expect(event).toMatchObject({ epoch: 1, step: 1 });
    break;
  }
});

test("losses that are NaN or infinite survive", () => {
  const make = () =>
    start(createRuntimeSync(), "float32", { optimizer: sgd({ learningRate: 1e38 }) });
  const trainer = make();
  const y = data.y.subarray(0, 10);
  for (let i = 0; i < 5; i++) trainer.step(data.x.subarray(0, 50), y);
  const resumed = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
  expect(digest(resumed)).toBe(digest(trainer));
});

test("those of an epoch under way too", async () => {
  const runtime = createRuntimeSync();
  const model = new Sequential(runtime, {
    input: [1],
    layers: [affine(1)],
    dtype: "float64",
  });
  const trainer = new Trainer(model, { loss: "mse", optimizer: sgd({ learningRate: 0 }) });
  const batches = [1e200, 0].map((target) => ({ x: [0], y: [[target]] }));
  const options = { epochs: 1, stopOnNaN: false };
  for await (const { loss } of trainer.fit(batches, options)) {
    expect(loss).toBe(Infinity); // the square of 1e200
    break;
  }
  const resumed = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
  const events: TrainingEvent[] = [];
  for await (const event of resumed.fit(batches, options)) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: "epoch", loss: Infinity, accuracy: Number.NaN });
});

describe("a checkpoint that is none", () => {
  const runtime = createRuntimeSync();
  const bytes = start(createRuntimeSync(), "float32", { optimizer: adam() }).checkpoint();
  const changed = (
    change: (tensors: Map<string, never>, metadata: Map<string, string>) => void,
  ) => {
    const { tensors, metadata } = readSafetensors(bytes);
    change(tensors as never, metadata);
    return writeSafetensors(tensors, metadata);
  };
  const training = (edit: (saved: Record<string, never>) => void) =>
    changed((_, metadata) => {
      const saved = JSON.parse(metadata.get("training")!);
      edit(saved);
      metadata.set("training", JSON.stringify(saved));
    });

  test.each<[string, () => Uint8Array, unknown, string]>([
    [
      "a model",
      () => saveModel(start(runtime, "float32", {}).model),
      FormatError,
      'expected a checkpoint, got "model", which loadModel reads',
    ],
    [
      "a file of somebody else",
      () => writeSafetensors({}),
      FormatError,
      "Trainer.resume: not a file of this package",
    ],
    [
      "half a file",
      () => bytes.subarray(0, bytes.length >> 1),
      FormatError,
      "Trainer.resume: tensor",
    ],
    [
      "a newer version",
      () => changed((_, m) => m.set("version", "3")),
      FormatError,
      'expected version 1 or 2 of the file, got "3"',
    ],
    [
      "no training",
      () => changed((_, m) => m.delete("training")),
      FormatError,
      "expected an object in JSON as the metadata's training",
    ],
    [
      "no layers",
      () => changed((_, m) => m.set("architecture", "{}")),
      ShapeError,
      "input: shape must be an array",
    ],
    [
      "a tensor too few",
      () => changed((t) => t.delete("model.1.weight")),
      ShapeError,
      "missing: 1.weight (5, 9)",
    ],
    [
      "no optimizer state",
      () => changed((t) => t.delete("optimizer.m.1.weight")),
      ShapeError,
      "missing: optimizer.m.1.weight (5, 9)",
    ],
    [
      "a tensor too many",
      () => changed((t) => t.set("more", t.get("generator")!)),
      ShapeError,
      "extra: more (2512,)",
    ],
    [
      "a step that is none",
      () => training((s) => Object.assign(s, { taken: -1 })),
      FormatError,
      "taken is -1",
    ],
    [
      "no place in dropout's stream",
      () => training((s) => delete s.dropout),
      FormatError,
      "Trainer.resume: dropout.key is undefined in the metadata's training",
    ],
    [
      "a run that is none",
      () => training((s) => Object.assign(s, { run: { epoch: 1 } })),
      FormatError,
      "run.step is undefined",
    ],
    [
      "another optimizer",
      () => training((s) => Object.assign(s, { optimizer: { kind: "lion" } })),
      TypeError,
      "optimizer must be one of",
    ],
    [
      "a generator beyond its state",
      () =>
        changed((t) => {
          const wrong = {
            ...(t.get("generator") as unknown as object),
            dtype: "U8",
            shape: [2512],
            data: new Uint8Array(2512).fill(255),
          };
          t.set("generator", wrong as never);
        }),
      RangeError,
      "not the state of a generator",
    ],
  ])("%s: refused, and nothing stays allocated", (_, make, kind, message) => {
    const given = make();
    const { memory } = runtime;
    const resume = () => Trainer.resume(runtime, given);
    expect(resume).toThrow(kind as never);
    expect(resume).toThrow(message);
    expect(runtime.memory).toMatchObject({ bytesLive: memory.bytesLive, tensors: memory.tensors });
  });

  // What may stand in a field, whatever its kind is: a text, null or a fraction may be right in
  // some.
  const hostile: unknown[] = [
    ...[{}, [], [1], { toString: 1 }, "", "1", "NaN", true, false, null],
    ...[-1, 0.5, 2 ** 32, 2 ** 53, 1e308, "A".repeat(1e5)],
  ];

  test("in any field of its training is refused by a message with the field's name, or goes on", async () => {
    const trainer = start(createRuntimeSync(), "float32", { optimizer: adam(), l2: 0.1, seed: 3 });
    for await (const event of trainer.fit(data, options)) {
      if ("step" in event && event.step === 2) break;
    }
    const { tensors, metadata } = readSafetensors(trainer.checkpoint());
    const written = metadata.get("training") as string;
    const paths: string[][] = [];
    const visit = (value: object, path: string[]) => {
      for (const [key, part] of Object.entries(value)) {
        paths.push([...path, key]);
        if (part !== null && typeof part === "object") visit(part, [...path, key]);
      }
    };
    visit(JSON.parse(written), []);
    for (const field of ["run.lossSum", "run.right", "run.best", "power2", "dropout.key"]) {
      expect(paths.map((path) => path.join("."))).toContain(field);
    }
    const { bytesLive } = runtime.memory;
    const accepted = new Set<string>();
    for (const path of paths) {
      const key = path.at(-1) as string;
      for (const value of [undefined, ...hostile]) {
        const saved = JSON.parse(written);
        let at = saved;
        for (const part of path.slice(0, -1)) at = at[part];
        at[key] = value;
        const text = JSON.stringify(saved);
        const bytes = writeSafetensors(tensors, {
          ...Object.fromEntries(metadata),
          training: text,
        });
        try {
          const resumed = Trainer.resume(runtime, bytes);
          const again = Trainer.resume(runtime, resumed.checkpoint());
          for (const each of [resumed, resumed.model, again, again.model]) each.dispose();
          accepted.add(`${path.join(".")}: ${text.length > 1e4 ? "long" : JSON.stringify(value)}`);
        } catch (error) {
          expect(error).toSatisfy(
            (error) =>
              error instanceof FormatError ||
              error instanceof RangeError ||
              error instanceof TypeError,
          );
          const { message } = error as Error;
          expect(message).toMatch(/^(Trainer|Trainer\.resume): /);
          // An optimizer without a kind is none.
          expect(message).toContain(key === "kind" ? path[0] : key);
          expect(message.length).toBeLessThan(400);
        }
      }
    }
    // No object, text or truth value goes for a number; a loss may be NaN.
    const wrong = /^(power|taken|dropout|run).*: ([[{tfl]|"(?!NaN"))/;
    expect([...accepted].filter((what) => wrong.test(what))).toEqual([]);
    expect([...accepted]).toContain('run.lossSum: "NaN"');
    for (const what of ["power1: -1", "taken: 0.5", "dropout.key: 4294967296", "run.count: -1"]) {
      expect(accepted).not.toContain(what);
    }
    expect(runtime.memory).toMatchObject({ bytesLive });
  });

  test("and loadModel says who reads one", () => {
    expect(() => loadModel(runtime, bytes)).toThrow(
      'loadModel: expected a model, got "checkpoint", which Trainer.resume reads',
    );
  });

  test("holds the optimizer in its own dtype and the epoch's place: a file that others can read", () => {
    const { tensors } = readSafetensors(bytes);
    expect(tensors.get("optimizer.v.1.weight")).toMatchObject({
      dtype: "F32",
      shape: [FEATURES, 9],
    });
    expect(tensors.get("generator")?.dtype).toBe("U8");
  });
});

test("a process that is killed, again and again, and started anew ends with the bits of one that is not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lamella-resume-"));
  const program = (name: string) => `
    import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
    import { adam, affine, batchnorm, createRuntime, dropout, relu, saveModel, Sequential, Trainer } from "lamella";
    const file = ${JSON.stringify(join(folder, name))};
    const runtime = await createRuntime();
    const random = runtime.random(5);
    const x = random.randn(400, 8).toTypedArray();
    const y = random.randint(3, null, 400).toTypedArray();
    const layers = [affine(64), batchnorm(), relu(), dropout(0.2), affine(3)];
    const trainer = existsSync(file)
      ? Trainer.resume(runtime, readFileSync(file))
      : new Trainer(new Sequential(runtime, { input: [8], layers }), { loss: "softmax", optimizer: adam() });
    for await (const event of trainer.fit({ x, y }, { epochs: 6, batchSize: 10 })) {
      writeFileSync(file + ".new", trainer.checkpoint()); // whole, or not there: a kill may come at any time
      renameSync(file + ".new", file);
      if (event.step === 1) console.log("begun");
    }
    console.log(Buffer.from(saveModel(trainer.model)).toString("base64"));`;
  const start = (name: string) =>
    spawn(process.execPath, ["--input-type=module", "--eval", program(name)], {
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
    });
  /**
   * What a process printed, and whether it came to its end; it is killed so long after its first
   * line.
   */
  const outcome = (child: ReturnType<typeof start>, milliseconds?: number) =>
    new Promise<{ stdout: string; code: number | null }>((resolve) => {
      let stdout = "";
      child.stdout!.on("data", (text) => {
        if (stdout === "" && milliseconds !== undefined)
          setTimeout(() => child.kill("SIGKILL"), milliseconds);
        stdout += text;
      });
      child.on("close", (code) => resolve({ stdout, code }));
    });
  try {
    const whole = await outcome(start("whole"));
    const random = seeded(4);
    let kills = 0;
    let result = await outcome(start("killed"), 20 * random());
    while (result.code !== 0 && kills < 50) {
      kills++;
      result = await outcome(start("killed"), kills < 6 ? 20 * random() : undefined);
    }
    expect(kills).toBeGreaterThan(1);
    expect(result.stdout.split("\n").at(-2)).toBe(whole.stdout.split("\n").at(-2));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a training gives these bits, on every engine and machine", async () => {
  const trainer = start(createRuntimeSync(), "float32", cases[3]![2]);
  for await (const _ of trainer.fit(data, { epochs: 2, batchSize: 12, lastBatch: "keep" }));
  const hash = createHash("sha256");
  for (const { data } of Object.values(trainer.model.stateDict())) hash.update(data);
  expect(hash.digest("hex")).toBe(
    "b1bbe1a23990e5f5759969ee85d21e664f49fa1cffc029542e12561bc7d57a64",
  );
});

test("every event is counted", async () => {
  const events: TrainingEvent[] = [];
  const optimizer: Optimizer = sgd();
  for await (const event of start(createRuntimeSync(), "float32", { optimizer }).fit(data, {
    epochs: 4,
    batchSize: 12,
  }))
    events.push(event);
  expect(events).toHaveLength(EVENTS);
});
