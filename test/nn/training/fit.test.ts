// What fit does beyond minibatches and events: the history, a training that has gone wrong, the
// best epoch, and a resumed iterable.

import { createHash } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  type EpochEvent,
  type FitOptions,
  type LayerSpec,
  type LearningRate,
  type LossName,
  MemoryError,
  readSafetensors,
  relu,
  Sequential,
  saveModel,
  sgd,
  sigmoid,
  softmax,
  Trainer,
  type TrainingEvent,
  warmup,
  writeSafetensors,
} from "../../../src/index.ts";

const FEATURES = 4;

/** Examples of two classes, told apart by a curve and some noise. */
function problem(count: number, seed = 3) {
  const random = createRuntimeSync().random(seed);
  const x = Float32Array.from(random.randn(count, FEATURES).data);
  const noise = random.randn(count).data;
  const y = Int32Array.from({ length: count }, (_, n) =>
    (x[4 * n] as number) * (x[4 * n + 1] as number) + 0.3 * (noise[n] as number) > 0 ? 1 : 0,
  );
  return { x, y };
}

const deep: LayerSpec[] = [affine(16), batchnorm(), relu(), affine(2)];

function start(layers: readonly LayerSpec[] = deep, learningRate = 0.02): Trainer {
  const model = new Sequential(createRuntimeSync(), { input: [FEATURES], layers, seed: 5 });
  return new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate }), seed: 1 });
}

async function all(events: AsyncIterable<TrainingEvent>): Promise<TrainingEvent[]> {
  const list: TrainingEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const epochsOf = (events: readonly TrainingEvent[]) =>
  events.filter((event): event is EpochEvent => event.type === "epoch");
const digest = (trainer: Trainer) =>
  createHash("sha256").update(trainer.checkpoint()).digest("hex");
const figures = ({ examplesPerSecond, ...rest }: TrainingEvent) => rest;

/** The same checkpoint with its training changed. */
function changed(bytes: Uint8Array, edit: (run: Record<string, unknown>) => void): Uint8Array {
  const { tensors, metadata } = readSafetensors(bytes);
  const training = JSON.parse(metadata.get("training") as string);
  edit(training.run);
  return writeSafetensors(tensors, new Map([...metadata, ["training", JSON.stringify(training)]]));
}

test.each(["float32", "float64"] as const)(
  "one example through a %s model in training gives beta, and no gradient to what is below",
  (dtype) => {
    const runtime = createRuntimeSync();
    const layers = [batchnorm(), affine(2), batchnorm()];
    const model = new Sequential(runtime, { input: [3], layers, dtype });
    const state = model.stateDict();
    state["2.bias"]!.data.set([0.25, -3]);
    const running = ["0.running_mean", "0.running_var", "2.running_mean", "2.running_var"];
    const before = running.map((name) => [...state[name]!.data]);
    const scores = model.forward([[7, -1e30, 0.1]], { mode: "train" });
    expect([...scores.data]).toEqual([0.25, -3]);
    const { dx } = model.backward(runtime.tensor([[1, 2]], [1, 2], dtype) as never, { dx: true });
    expect([...dx.data].map(Math.abs)).toEqual([0, 0, 0]);
    for (const { gradient } of model.parameters()) {
      expect([...gradient.data].every(Number.isFinite)).toBe(true);
    }
    expect(running.map((name) => [...state[name]!.data])).toEqual(before);
  },
);

describe("awaited, fit", () => {
  test("trains to its end, and gives the epochs and the best of them", async () => {
    const [data, validation] = [problem(60), problem(30, 8)];
    const looped = start();
    const events = await all(looped.fit({ ...data, validation }, { epochs: 6 }));
    const awaited = start();
    const history = await awaited.fit({ ...data, validation }, { epochs: 6 });
    expect(digest(awaited)).toBe(digest(looped));
    expect(Array.isArray(history)).toBe(true);
    expect(history.map(figures)).toEqual(epochsOf(events).map(figures));
    const lowest = Math.min(...history.map((event) => event.validation!.loss));
    expect(history.best).toBe(history.find((event) => event.validation!.loss === lowest));
    const { best } = await awaited.fit(data, { epochs: 2 });
    expect(best?.validation).toBeUndefined();
  });

  test("is a generator all the same, whose events may have been taken before", async () => {
    const fit = start().fit(problem(40), { epochs: 2, batchSize: 20 });
    expect((await fit.next()).value).toMatchObject({ type: "step", step: 1 });
    const history = await fit;
    expect(history).toHaveLength(2);
    expect(await fit.next()).toEqual({ value: undefined, done: true });
    expect(await fit).toBe(history);
    const left = start().fit(problem(40), { epochs: 2, batchSize: 20 });
    await left.next();
    expect(await left.return()).toEqual({ value: undefined, done: true });
    expect(await left).toHaveLength(0);
    const thrown = start().fit(problem(40), { epochs: 2 });
    await thrown.next();
    await expect(thrown.throw(new Error("enough"))).rejects.toThrow("enough");
    expect(Object.prototype.toString.call(thrown)).toBe("[object AsyncGenerator]");
  });

  test("does nothing until somebody asks", async () => {
    const trainer = start();
    trainer.fit(problem(40), { epochs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(trainer.steps).toBe(0);
  });

  test("rejects with what ends the training", async () => {
    const signal = AbortSignal.abort(new Error("no"));
    const aborted = () => start().fit(problem(40), { epochs: 1, signal });
    await expect((async () => aborted())()).rejects.toThrow("no");
    expect(await aborted().then(undefined, ({ message }) => message)).toBe("no");
    expect(
      await start()
        .fit(problem(40), { epochs: 1 })
        .then(({ length }) => length),
    ).toBe(1);
  });
});

describe("a training that has gone wrong", () => {
  const data = problem(40);

  test("NaN in x ends fit with the step, before anything is learned of it", async () => {
    const x = data.x.slice();
    x[FEATURES * 39] = Number.NaN;
    const trainer = start([affine(8), relu(), affine(2)]);
    const kept: string[] = [];
    const run = async () => {
      for await (const event of trainer.fit({ ...data, x }, { epochs: 3, batchSize: 10 })) {
        if (event.type === "step") kept.push(saveModel(trainer.model).join());
      }
    };
    await expect(run()).rejects.toThrow(
      /^Trainer\.fit: the loss of step [1-4] of epoch 1 is NaN: x holds NaN or infinities\..* stopOnNaN: false goes on$/,
    );
    if (kept.length > 0) expect(saveModel(trainer.model).join()).toBe(kept.at(-1));
    expect(trainer.steps).toBe(kept.length);
    const events = await all(
      trainer.fit({ ...data, x }, { epochs: 3, batchSize: 10, stopOnNaN: false }),
    );
    expect(epochsOf(events).at(-1)).toMatchObject({ epoch: 3, loss: Number.NaN });
  });

  test("a loss that becomes infinite ends it, with a word about the rate", async () => {
    const network = { input: [1], layers: [affine(1)], dtype: "float64" } as const;
    const model = new Sequential(createRuntimeSync(), network);
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd({ learningRate: 1e160 }) });
    const x = Float32Array.from({ length: 40 }, (_, n) => n);
    await expect(trainer.fit({ x, y: x }, { epochs: 1, batchSize: 4 })).rejects.toThrow(
      "Trainer.fit: the loss of step 2 of epoch 1 is Infinity: a lower learningRate or clipNorm may help. The model is as before that step",
    );
    expect(Number.isFinite(model.stateDict()["0.weight"]?.item())).toBe(true);
  });

  test("parameters that the last step spoiled end it with their name", async () => {
    const model = new Sequential(createRuntimeSync(), { input: [FEATURES], layers: [affine(2)] });
    const optimizer = sgd({ learningRate: Number.MAX_VALUE });
    const trainer = new Trainer(model, { loss: "softmax", optimizer });
    const options = { epochs: 1, batchSize: 40 };
    await expect(trainer.fit(data, options)).rejects.toThrow(
      /^Trainer\.fit: 0\.weight holds NaN or infinities after step 1 of epoch 1, and the model has them now: .* stopOnNaN: false goes on$/,
    );
    expect(await trainer.fit(data, { ...options, stopOnNaN: false })).toHaveLength(1);
  });

  test("large parameters whose squares overflow are none that went wrong", async () => {
    const model = new Sequential(createRuntimeSync(), { input: [FEATURES], layers: [affine(2)] });
    model.stateDict()["0.weight"]!.data.fill(3e38);
    const trainer = new Trainer(model, {
      loss: "softmax",
      optimizer: sgd({ learningRate: 1e-30 }),
    });
    const x = new Float32Array(FEATURES);
    expect(await trainer.fit({ x, y: [1] }, { epochs: 1 })).toHaveLength(1);
  });

  describe("a layer that makes probabilities under a loss that takes scores", () => {
    afterEach(() => {
      vi.restoreAllMocks();
    });
    const warnings = (last: LayerSpec[], loss: LossName) => {
      const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
      const layers = [affine(2), ...last];
      const model = new Sequential(createRuntimeSync(), { input: [FEATURES], layers });
      const trainer = new Trainer(model, { loss, optimizer: sgd() });
      const y = loss === "softmax" || loss === "svm" ? [0] : [[0, 1]];
      trainer.step(new Float32Array(FEATURES), y);
      trainer.step(new Float32Array(FEATURES), y);
      return warn.mock.calls.map(([text]) => text as string);
    };

    test.each<[LayerSpec, LossName]>([
      [softmax(), "softmax"],
      [sigmoid(), "bce"],
      [softmax(), "svm"],
      [sigmoid(), "softmax"],
    ])("%j under %s is told once, with what to do", (layer, loss) => {
      expect(warnings([layer], loss)).toEqual([
        `Trainer: the loss "${loss}" takes scores, and the model ends in ${layer.kind}(): leave that layer out, and model.probabilities(x) gives what it gave`,
      ]);
    });

    test("is no matter under mse, below another layer, and in a host without console", () => {
      expect(warnings([sigmoid()], "mse")).toEqual([]);
      expect(warnings([softmax(), affine(2)], "softmax")).toEqual([]);
      vi.stubGlobal("console", undefined);
      try {
        start([affine(2), softmax()]);
      } finally {
        vi.unstubAllGlobals();
      }
    });
  });
});

test("memory that undisposed predictions fill says how many there are, and that a scope frees them", () => {
  const runtime = createRuntimeSync({ maxMemory: 1 << 20 });
  const model = new Sequential(runtime, { input: [2], layers: [affine(2)] });
  let error: unknown;
  try {
    for (let i = 0; i < 1e6; i++) model.predict([1, 2]);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(MemoryError);
  const { tensors } = runtime.memory;
  expect(tensors).toBeGreaterThan(1000);
  expect((error as Error).message).toContain(
    `; ${tensors} tensors are alive: dispose() frees one, runtime.scope(fn) those that fn makes`,
  );
  // In a scope there is no end to them.
  const scoped = createRuntimeSync({ maxMemory: 1 << 20 });
  const other = new Sequential(scoped, { input: [2], layers: [affine(2)] });
  for (let i = 0; i < 20_000; i++) {
    scoped.scope(() => {
      other.predict([1, 2]);
    });
  }
});

describe("restoreBest", () => {
  const [data, validation] = [problem(40), problem(40, 9)];
  const set = { ...data, validation };
  const layers = [affine(12), batchnorm(), relu(), affine(2)];
  const options: FitOptions = {
    epochs: 30,
    batchSize: 16,
    earlyStopping: { patience: 4, restoreBest: true },
  };
  const bytesAfter = async (epoch: number) => {
    const trainer = start(layers, 0.1);
    for await (const event of trainer.fit(set, options)) {
      if (event.type === "epoch" && event.epoch === epoch) return saveModel(trainer.model).join();
    }
    throw new Error("no such epoch");
  };

  test("puts back parameters and running values of the best epoch, with the last event", async () => {
    const trainer = start(layers, 0.1);
    const events: EpochEvent[] = [];
    let atTheEnd = "";
    for await (const event of trainer.fit(set, options)) {
      if (event.type !== "epoch") continue;
      events.push(event);
      if (event.stopped) atTheEnd = saveModel(trainer.model).join();
    }
    const losses = events.map((event) => event.validation!.loss);
    const best = losses.indexOf(Math.min(...losses)) + 1;
    expect(events.at(-1)).toMatchObject({ stopped: true, epoch: best + 4 });
    expect(best).toBeGreaterThan(1);
    expect(atTheEnd).toBe(await bytesAfter(best));
    expect(trainer.evaluate(validation).loss).toBe(losses[best - 1]);
  });

  test("puts them back too where the epochs come to their end, and not without it", async () => {
    const few: FitOptions = {
      ...options,
      epochs: 12,
      earlyStopping: { patience: 50, restoreBest: true },
    };
    const trainer = start(layers, 0.1);
    const { best } = await trainer.fit(set, few);
    expect((best as EpochEvent).epoch).toBeLessThan(12);
    expect(saveModel(trainer.model).join()).toBe(await bytesAfter((best as EpochEvent).epoch));
    const plain = start(layers, 0.1);
    await plain.fit(set, { ...few, earlyStopping: { patience: 50 } });
    expect(plain.evaluate(validation).loss).toBeGreaterThan((best as EpochEvent).validation!.loss);
  });

  test("is the training loss's best without validation", async () => {
    const trainer = start(layers, 0.3);
    const history = await trainer.fit(data, {
      ...options,
      epochs: 9,
      earlyStopping: { patience: 9, restoreBest: true },
    });
    expect(history.best).toBeDefined();
    const other = start(layers, 0.3);
    await other.fit(data, { ...options, epochs: history.best!.epoch, earlyStopping: undefined });
    expect(saveModel(trainer.model)).toEqual(saveModel(other.model));
  });

  test("killed after any epoch and resumed, the training ends with the same bits", async () => {
    const whole = start(layers, 0.1);
    const expected = await all(whole.fit(set, options));
    for (let kill = 1; kill < expected.length; kill += 4) {
      const first = start(layers, 0.1);
      let count = 0;
      for await (const _ of first.fit(set, options)) if (++count === kill) break;
      const bytes = first.checkpoint();
      const second = Trainer.resume(createRuntimeSync(), bytes);
      expect(second.checkpoint()).toEqual(bytes);
      for await (const _ of second.fit(set, options)) count++;
      expect(count).toBe(expected.length);
      expect(digest(second)).toBe(digest(whole));
    }
  });

  test("a new run forgets the best of the last, and a checkpoint without one is read", async () => {
    const trainer = start(layers, 0.1);
    for await (const event of trainer.fit(set, options)) if (event.epoch === 3) break;
    expect(readSafetensors(trainer.checkpoint()).tensors.has("best.0.weight")).toBe(true);
    const restarted = await trainer.fit(data, { epochs: 1, batchSize: 16, restart: true });
    expect(restarted).toHaveLength(1);
    expect(readSafetensors(trainer.checkpoint()).tensors.has("best.0.weight")).toBe(false);
    expect(() =>
      trainer.fit(set, { epochs: 1, earlyStopping: { patience: 1, restoreBest: 1 as never } }),
    ).toThrow("Trainer.fit: restoreBest must be true or false, got 1");
  });

  test("a best copy that is not whole is refused with what is missing", async () => {
    const trainer = start(layers, 0.1);
    for await (const event of trainer.fit(set, options)) if (event.epoch === 2) break;
    const { tensors, metadata } = readSafetensors(trainer.checkpoint());
    (tensors as Map<string, unknown>).delete("best.1.running_var");
    expect(() => Trainer.resume(createRuntimeSync(), writeSafetensors(tensors, metadata))).toThrow(
      "missing: best.1.running_var (12,)",
    );
  });
});

describe("a run that is resumed over an iterable", () => {
  const batch = { x: new Float32Array(FEATURES), y: [0] };
  const resumed = async (step: number) => {
    const trainer = start();
    for await (const _ of trainer.fit([batch, batch], { epochs: 1 })) break;
    const bytes = changed(trainer.checkpoint(), (run) => {
      run.step = step;
    });
    return Trainer.resume(createRuntimeSync(), bytes);
  };

  test.each<[string, () => AsyncIterable<typeof batch> | Iterable<typeof batch>]>([
    [
      "an endless generator",
      function* () {
        for (;;) yield batch;
      },
    ],
    [
      "an endless asynchronous generator",
      async function* () {
        for (;;) yield batch;
      },
    ],
  ])("of %s stops on abort while it passes over what it has had", async (_, make) => {
    const trainer = await resumed(Number.MAX_SAFE_INTEGER);
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 1);
    const fit = trainer.fit(make(), { epochs: 1, signal: stop.signal });
    await expect(fit.next()).rejects.toThrow("enough");
  });

  test("gives the event loop turns on the way, and goes on at the right batch", async () => {
    const trainer = await resumed(300_000);
    let turns = 0;
    const beat = setInterval(() => turns++, 0);
    const first = await trainer
      .fit(
        (function* () {
          for (;;) yield batch;
        })(),
        { epochs: 1 },
      )
      .next();
    clearInterval(beat);
    expect(first.value).toMatchObject({ type: "step", step: 300_001 });
    expect(turns).toBeGreaterThan(0);
  });
});

test("warmups without end, or one that holds itself, are a RangeError and no stack overflow", () => {
  const nested = (depth: number) => {
    let rate: LearningRate = 0.1;
    for (let i = 0; i < depth; i++) rate = warmup({ steps: 1, after: rate });
    return rate;
  };
  const circle = { kind: "warmup", steps: 1, after: 0 as LearningRate } as const;
  Object.assign(circle, { after: circle });
  const model = new Sequential(createRuntimeSync(), { input: [2], layers: [affine(2)] });
  const trainerOf = (learningRate: LearningRate) =>
    new Trainer(model, { loss: "softmax", optimizer: sgd({ learningRate }) });
  for (const rate of [nested(9), nested(200_000), circle]) {
    expect(() => trainerOf(rate)).toThrow(
      new RangeError("Trainer: warmups are nested more than 8 deep"),
    );
  }
  const trainer = trainerOf(nested(8));
  const resumed = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
  expect(resumed.step([[1, 2]], [0])).toEqual(trainer.step([[1, 2]], [0]));
});
