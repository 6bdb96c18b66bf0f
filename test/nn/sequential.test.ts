import { describe, expect, test, vi } from "vitest";
import * as copy from "../../build/index.js";
import {
  adam,
  adamw,
  affine,
  affineBackward,
  affineForward,
  batchnorm,
  constant,
  cosine,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  dropout,
  flatten,
  gelu,
  heNormal,
  heUniform,
  type LayerSpec,
  leakyRelu,
  linear,
  maxPool2d,
  momentum,
  nesterov,
  normal,
  normalize,
  numericalGradient,
  type Optimizer,
  RuntimeMismatchError,
  relu,
  reluBackward,
  reluForward,
  rmsprop,
  type Schedule,
  Sequential,
  ShapeError,
  sgd,
  sigmoid,
  softmax,
  softmaxLoss,
  step,
  type Tensor,
  Trainer,
  tanh,
  uniform,
  warmup,
  xavierNormal,
  xavierUniform,
} from "../../src/index.ts";
import { DropoutStream } from "../../src/nn/engine/engine.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import { refuse } from "../memory/refusals.ts";
import { kinds } from "./every.ts";

const runtime = createRuntimeSync();
const model = (input: number[], layers: LayerSpec[], seed = 0) =>
  new Sequential(runtime, { input, layers, dtype: "float64", seed });

describe("the gradients of a whole network are the numeric ones, to 1e-6", () => {
  const networks: Record<string, LayerSpec[]> = {
    plain: [affine(9), relu(), affine(8), relu(), affine(4)],
    "that narrows at once": [affine(99), affine(4)],
    "with batch normalisation": [
      affine(9),
      batchnorm(),
      relu(),
      affine(8),
      batchnorm(),
      relu(),
      affine(4),
    ],
    "with dropout": [affine(9), relu(), dropout(0.4, { seed: 5 }), affine(4)],
    "with batch normalisation and dropout": [
      affine(9, { useBias: false }),
      batchnorm(),
      relu(),
      dropout(0.3, { seed: 6 }),
      affine(4),
    ],
    "with dropout after what reads its output": [
      affine(9),
      sigmoid(),
      dropout(0.4, { seed: 5 }),
      relu(),
      affine(4),
    ],
    "of every activation": [
      normalize({ mean: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], std: 1.7 }),
      flatten(),
      affine(7),
      sigmoid(),
      affine(7),
      tanh(),
      tanh(),
      affine(7),
      leakyRelu(0.2),
      dropout(0.2, { seed: 1 }),
      affine(7),
      gelu(),
      relu(),
      affine(5),
      softmax(),
      flatten(),
      affine(4),
    ],
    "with dropout after softmax, which reads its output": [
      affine(5),
      softmax(),
      dropout(0.4, { seed: 5 }),
      affine(4),
    ],
    "whose first layer works in place": [relu(), dropout(0.1, { seed: 2 }), affine(4)],
    "whose first layer only copies": [flatten(), affine(4)],
    "whose first layer is over the last axis": [softmax(), affine(4)],
  };
  for (const [name, layers] of Object.entries(networks)) {
    for (const mode of ["train", "test"] as const) {
      test(`${name}, in ${mode} mode`, () => {
        const net = model([2, 3], layers, 4);
        const random = runtime.random(231);
        const x = random.randn(8, 2, 3);
        const dout = random.randn(8, 4);
        // Running values that a test mode does something with.
        for (let i = 0; i < 3; i++) net.forward(random.randn(8, 2, 3), { mode: "train" });
        net.forward(x, { mode });
        const { dx } = net.backward(dout, { dx: true });
        const analytic = net.parameters().map(({ gradient }) => gradient.toTypedArray());
        const loss = () => {
          const scores = net.forward(x, { mode });
          return scores.data.reduce((sum, s, i) => sum + s * dout.data[i]!, 0);
        };
        for (const [i, { name, value }] of net.parameters().entries()) {
          const numeric = numericalGradient(loss, value);
          expect(error(analytic[i]!, numeric), name).toBeLessThan(1e-6);
        }
        expect(error(dx.data, numericalGradient(loss, x)), "dx").toBeLessThan(1e-6);
      });
    }
  }

  /**
   * The largest difference, relative to the largest gradient: a bias before batch normalisation has
   * gradient 0.
   */
  function error(a: ArrayLike<number>, numeric: Tensor): number {
    const scale = Math.max(1e-3, ...Array.from(a, Math.abs));
    return Math.max(...Array.from(a, (value, i) => Math.abs(value - numeric.data[i]!))) / scale;
  }
});

describe("the three-layer network of CS231n, 15-20-30-10, from seed 231", () => {
  // What the notebooks of published solutions print (FullyConnectedNets.ipynb,
  // BatchNormalization.ipynb).
  test.each([
    [false, [2.3004790897684924, 7.052114776533016]],
    [true, [2.2611955101340957, 6.996533220108303]],
  ])(
    "batch normalisation %s: the published initial losses, without and with reg 3.14",
    (normed, published) => {
      const random = runtime.random(231);
      const x = random.randn(2, 15);
      const y = random.randint(10, null, 2);
      const layers = [20, 30].flatMap((M) => [
        affine(M, { weight: normal(5e-2) }),
        ...(normed ? [batchnorm()] : []),
        relu(),
      ]);
      for (const [i, l2] of [0, 3.14].entries()) {
        const net = new Sequential(runtime, {
          input: [15],
          layers: [...layers, affine(10, { weight: normal(5e-2) })],
          dtype: "float64",
          seed: random, // whose draws go on from one model to the next
        });
        const { loss } = new Trainer(net, { loss: "softmax", optimizer: sgd(), l2 }).step(x, y);
        // Sums in another order than NumPy's: some 1e-15 of a loss of a few units.
        expect(Math.abs(loss - published[i]!)).toBeLessThan(1e-12);
      }
    },
  );
});

describe("initialisation", () => {
  const weights = (weight: ReturnType<typeof normal>, D = 400, M = 300) =>
    model([D], [affine(M, { weight })], 7)
      .parameters()[0]!
      .value.toTypedArray();
  const deviation = (values: Float64Array) =>
    Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);

  test("layer by layer from one stream of NumPy's, and nothing drawn for biases", () => {
    const net = model(
      [6],
      [affine(5, { weight: normal(0.1) }), affine(4, { weight: normal(0.1) })],
      231,
    );
    const random = runtime.random(231);
    for (const name of ["0.weight", "1.weight"]) {
      const { data, shape } = net.stateDict()[name]!;
      expect(data).toEqual(random.randn(shape).data.map((v) => 0.1 * v));
    }
  });

  test.each([
    ["heNormal", heNormal(), Math.sqrt(2 / 400)],
    ["heUniform", heUniform(), Math.sqrt(2 / 400)],
    ["xavierNormal", xavierNormal(), Math.sqrt(2 / 700)],
    ["xavierUniform", xavierUniform(), Math.sqrt(2 / 700)],
    ["uniform", uniform(-3, 3), Math.sqrt(3)],
  ])("%s has its deviation", (_, initializer, expected) => {
    // 120,000 draws: the deviation of the deviation is about 0.2 %.
    expect(deviation(weights(initializer)) / expected).toBeCloseTo(1, 2);
  });

  test("float32 weights are the float64 ones, rounded", () => {
    const wide = model([6], [affine(5)], 3).parameters()[0]!.value.data;
    const net = new Sequential(runtime, { input: [6], layers: [affine(5)], seed: 3 });
    expect(net.parameters()[0]!.value.data).toEqual(Float32Array.from(wide));
  });

  test("the model's initializer is that of all weights whose layer names none", () => {
    const layers = [affine(5), relu(), affine(4, { weight: normal(0.1) })];
    const net = new Sequential(runtime, { input: [6], layers, initializer: constant(2) });
    expect([...net.parameters()[0]!.value.data]).toEqual(new Array(30).fill(2));
    expect([...net.parameters()[2]!.value.data]).not.toContain(2);
  });

  test("an initializer whose numbers grow the memory when they are read gives them all the same", () => {
    const own = createRuntimeSync();
    const weight = ([D, M]: readonly number[]) => {
      const numbers = Array.from({ length: D! * M! }, (_, i) => i + 1);
      return Object.defineProperty(numbers, 0, { get: () => own.zeros([1e6]).size / 1e6 });
    };
    const net = new Sequential(own, { input: [2], layers: [affine(2, { weight })] });
    expect(Array.from(net.parameters()[0]!.value.data)).toEqual([1, 2, 3, 4]);
  });

  test("a list of layers that tells another length, or other layers, when it is read again", () => {
    let reads = 0;
    const list = new Proxy([affine(3), relu()], {
      get: (target, key, all) =>
        key === "length" && reads++ > 0 ? 0 : Reflect.get(target, key, all),
    });
    const net = new Sequential(runtime, { input: [2], layers: list });
    expect(net.layers.map(({ kind }) => kind)).toEqual(["affine", "relu"]);
    expect(net.output).toEqual([3]);
  });

  test("the gradient of a model that has been disposed is a DisposedError", () => {
    const net = new Sequential(runtime, { input: [2], layers: [affine(2)] });
    const [parameter] = net.parameters();
    net.dispose();
    const { memory } = runtime;
    expect(() => parameter!.gradient).toThrow(DisposedError);
    expect(runtime.memory).toEqual(memory);
  });

  test("an initializer of one's own is asked for as many numbers as there are", () => {
    const own = model(
      [2],
      [affine(3, { weight: (shape) => shape.map(() => 1) })].slice(1).concat(affine(1)),
      0,
    );
    expect(own.output).toEqual([1]);
    const bytes = runtime.memory.bytesLive;
    expect(() => model([2], [affine(3, { weight: () => [1, 2] })])).toThrow(
      "Sequential: the initializer of 0.weight must give 6 numbers, got 2",
    );
    expect(() => model([2], [affine(3, { weight: () => undefined as never })])).toThrow(
      "Sequential: the initializer of 0.weight must give 6 numbers, got undefined",
    );
    expect(runtime.memory.bytesLive).toBe(bytes);
  });
});

describe("forward", () => {
  const net = model([2, 3], [affine(5), batchnorm(), relu(), dropout(0.5), affine(4)], 1);
  const random = runtime.random(9);
  const x = random.randn(7, 2, 3);

  test("takes tensors, nested arrays, typed arrays and arrays alike, flat or not", () => {
    const scores = Array.from(net.forward(x).data);
    const flat = Array.from(x.data);
    const nested = Array.from({ length: 7 }, (_, n) =>
      [0, 1].map((r) => flat.slice(6 * n + 3 * r, 6 * n + 3 * r + 3)),
    );
    for (const given of [x.reshape([7, 6]), nested, flat, x.toTypedArray(), x.data]) {
      expect(Array.from(net.forward(given).data)).toEqual(scores);
      expect(Array.from(net.predict(given).data)).toEqual(scores);
    }
    expect(net.forward(x).shape).toEqual([7, 4]);
  });

  test("one example or many: the same scores, to the bit", () => {
    const many = random.randn(600, 2, 3);
    const all = net.predict(many);
    expect(all.shape).toEqual([600, 4]);
    for (const n of [0, 255, 256, 599]) {
      const one = net.predict(many.data.slice(6 * n, 6 * n + 6));
      expect(one.data).toEqual(all.data.slice(4 * n, 4 * n + 4));
    }
    expect(net.predict(new Float64Array(0)).shape).toEqual([0, 4]);
    const best = Array.from({ length: 600 }, (_, n) => {
      const scores = [...all.data.subarray(4 * n, 4 * n + 4)];
      return scores.indexOf(Math.max(...scores));
    });
    expect([...net.classify(many)]).toEqual(best);
  });

  test("each training pass drops others, and moves the running values; test mode neither", () => {
    const before = net.stateDict()["1.running_mean"]!.toTypedArray();
    expect(net.forward(x).data).toEqual(net.forward(x, { mode: "test" }).data);
    expect(net.stateDict()["1.running_mean"]!.data).toEqual(before);
    const first = net.forward(x, { mode: "train" }).data;
    expect(net.stateDict()["1.running_mean"]!.data).not.toEqual(before);
    expect(net.forward(x, { mode: "train" }).data).not.toEqual(first);
  });

  test("dropout draws for every 4,096 values anew, however they come in batches", () => {
    const make = () => new Sequential(runtime, { input: [4096], layers: [dropout(0.5)], seed: 5 });
    const passes = (net: Sequential, counts: number[]) =>
      counts.flatMap((N) => [
        ...net.forward(new Float32Array(4096 * N).fill(1), { mode: "train" }).data,
      ]);
    expect(passes(make(), [3, 1, 2])).toEqual(passes(make(), [1, 1, 1, 1, 1, 1]));
  });

  test("dropout draws on past 2 ** 32 blocks of its generator", () => {
    const stream = new DropoutStream(5);
    stream.counter = 3 * 2 ** 32 - 4;
    expect(stream.take(8)).toEqual({ low: 2 ** 32 - 4, high: 2 });
    expect(stream.take(8)).toEqual({ low: 4, high: 3 });
  });

  test("dropout does not depend on what else the runtime draws", () => {
    const make = () => model([6], [dropout(0.5)], 5);
    const [a, b] = [make(), make()];
    const first = a.forward(x, { mode: "train" }).data;
    net.forward(x, { mode: "train" });
    expect(b.forward(x, { mode: "train" }).data).toEqual(first);
  });

  test.each<[string, unknown, new (...args: never[]) => Error, string]>([
    [
      "features that do not fit",
      new Float32Array(7),
      ShapeError,
      "Sequential.forward: x has 7 numbers, which are no whole number of examples of shape (2, 3)",
    ],
    [
      "a tensor of another shape",
      runtime.zeros([2, 3, 2], "float64"),
      ShapeError,
      "Sequential.forward: x must have shape (N, 2, 3), got (2, 3, 2)",
    ],
    [
      "a tensor of another runtime",
      createRuntimeSync().zeros([1, 6], "float64"),
      RuntimeMismatchError,
      "Sequential.forward: x and the model belong to different runtimes",
    ],
    [
      "a tensor of another copy of the package",
      copy.createRuntimeSync().zeros([1, 6], "float64"),
      TypeError,
      "Sequential.forward: x must be a tensor, got a tensor of another copy of this package",
    ],
    [
      "nothing",
      null,
      TypeError,
      "Sequential.forward: x must be a typed array of numbers or an array, got null",
    ],
    [
      "no numbers",
      "abc",
      TypeError,
      "Sequential.forward: x must be a typed array of numbers or an array, got string",
    ],
    [
      "ragged rows",
      [[1, 2], [3]],
      ShapeError,
      "Sequential.forward: nested arrays are ragged: x[1] should be 2 entries, got 1",
    ],
  ])("%s: refused", (_, given, kind, message) => {
    const call = () => net.forward(given as never);
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  });

  test("of tensors takes none without an axis of examples", () => {
    const one = model([1], [relu()]);
    expect(one.forward([1, 2, 3, 4]).shape).toEqual([4, 1]);
    for (const shape of [[4], []]) {
      const call = () => one.forward(runtime.zeros(shape, "float64"));
      expect(call).toThrow(ShapeError);
      expect(call).toThrow("Sequential.forward: x must have shape (N, 1), got (");
    }
  });

  test("an empty batch passes in test mode, and is refused in training", () => {
    expect(net.forward([]).shape).toEqual([0, 4]);
    expect(() => net.forward([], { mode: "train" })).toThrow(RangeError);
    expect(() => net.forward(x, { mode: "eval" as never })).toThrow(
      'mode must be "train" or "test", got "eval"',
    );
  });
});

describe("evaluate", () => {
  const net = model([2], [affine(3)]);

  test.each<[string, unknown, new (...args: never[]) => Error, string]>([
    [
      "of another runtime",
      createRuntimeSync().zeros([1], "int32"),
      RuntimeMismatchError,
      "y and the model belong to different runtimes",
    ],
    ["of another dtype", runtime.zeros([1]), DTypeError, "y must be int32, got float32"],
    [
      "of another shape",
      runtime.zeros([1, 1], "int32"),
      ShapeError,
      "y must have shape (N,), got (1, 1)",
    ],
  ])("labels %s: refused", (_, y, kind, message) => {
    const call = () => net.evaluate({ x: [1, 2], y: y as never });
    expect(call).toThrow(kind);
    expect(call).toThrow(`Sequential.evaluate: ${message}`);
  });

  test("no examples: refused", () => {
    const call = () => net.evaluate({ x: [], y: [] });
    expect(call).toThrow(RangeError);
    expect(call).toThrow(
      "Sequential.evaluate: x has no examples, and the loss is a mean over them",
    );
  });
});

describe("backward", () => {
  test("after something else went through the model: refused", () => {
    const net = model([3], [affine(2)]);
    const dout = runtime.ones([2, 2], "float64");
    expect(() => net.backward(dout)).toThrow("no forward to go back through");
    net.forward([1, 2, 3, 4, 5, 6], { mode: "train" });
    net.backward(dout);
    net.backward(dout);
    expect(() => net.backward(runtime.ones([1, 2], "float64"))).toThrow(
      "Sequential.backward: dout must have shape (2, 2), got (1, 2)",
    );
    net.evaluate({ x: [1, 2, 3], y: [0] });
    expect(() => net.backward(dout)).toThrow(TypeError);
    net.forward([1, 2, 3, 4, 5, 6], { mode: "train" });
    new Trainer(net, { loss: "softmax", optimizer: sgd() }).step([1, 2, 3, 4, 5, 6], [0, 1]);
    expect(() => net.backward(dout)).toThrow(TypeError); // the weights have moved
  });

  test.each<[string, (net: Sequential<"float64">) => void]>([
    ["predict", (net) => net.predict([6, 5, 4, 3, 2, 1])],
    ["classify", (net) => net.classify([6, 5, 4, 3, 2, 1])],
    ["probabilities", (net) => net.probabilities([6, 5, 4, 3, 2, 1], { loss: "softmax" })],
  ])("after %s on as many examples: refused, as those are not the forward's", (_, call) => {
    const net = model([3], [affine(2), batchnorm()]);
    net.forward([1, 2, 3, 4, 5, 6], { mode: "train" });
    call(net);
    expect(() => net.backward(runtime.ones([2, 2], "float64"))).toThrow("no forward to go back");
  });

  test("overwrites the gradients rather than adding to them", () => {
    const net = model([3], [affine(2)]);
    const dout = runtime.ones([1, 2], "float64");
    net.forward([1, 2, 3]);
    net.backward(dout);
    net.backward(dout);
    expect(Array.from(net.parameters()[0]!.gradient.data)).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test.each<[string, LayerSpec[]]>([
    ["what is learned lies lowest", [batchnorm(), relu(), affine(2)]],
    ["nothing is learned below", [relu(), affine(2)]],
    ["nothing is learned at all", [relu(), tanh()]],
  ])("without dx: the same gradients, and nothing else is written, where %s", (_, layers) => {
    const own = createRuntimeSync();
    const bystander = own.ones([1000]);
    const N = 60_000; // dx at address 0 would reach the bystander
    const net = new Sequential(own, { input: [2], layers });
    const x = Float32Array.from(own.random(1).randn(N, 2).data);
    const dout = own.tensor(
      Float32Array.from(x, (value) => value * value),
      [N, 2],
    );
    net.forward(x, { mode: "train" });
    net.backward(dout, { dx: true }).dx.dispose();
    const gradients = net.parameters().map(({ gradient }) => gradient.toTypedArray());
    for (const { gradient } of net.parameters()) gradient.data.fill(Number.NaN);
    net.backward(dout);
    expect(net.parameters().map(({ gradient }) => gradient.data)).toEqual(gradients);
    expect(bystander.data).toEqual(new Float32Array(1000).fill(1));
  });

  test("refused for want of memory makes no gradient, and a gradient that was there stays", () => {
    const own = createRuntimeSync();
    const net = new Sequential(own, { input: [3], layers: [affine(2)] });
    const dout = own.ones([1, 2]);
    net.forward([1, 2, 3]).dispose();
    for (const k of [1, 2]) {
      const { bytesLive, tensors } = own.memory;
      expect(refuse(own, k, () => net.backward(dout))).toBeUndefined();
      expect(own.memory).toMatchObject({ bytesLive, tensors });
    }
    const { gradient } = net.parameters()[1]!;
    expect(refuse(own, 1, () => net.backward(dout))).toBeUndefined();
    expect(Array.from(gradient.data)).toEqual([0, 0]);
    net.backward(dout);
    expect(Array.from(gradient.data)).toEqual([1, 1]);
  });
});

describe("what stands where a number is due is told, and the call that takes one", () => {
  const wrong: [unknown, string][] = [
    [{ units: 3 }, "Object"],
    ["3", '"3"'],
    [[3], "[3]"],
    [new Map(), "Map"],
    [null, "null"],
    [true, "true"],
    [Symbol("3"), "Symbol(3)"],
    [3n, "3"],
    [relu, "a function"],
  ];
  // The numbers of the layers, the optimizers and the schedules, each made with what is given.
  const layer = (make: (given: never) => LayerSpec) => (given: unknown) =>
    new Sequential(runtime, { input: [4], layers: [make(given as never)] });
  const net = model([4], [affine(2)]);
  const optimizer = (make: (given: never) => Optimizer) => (given: unknown) =>
    new Trainer(net, { loss: "mse", optimizer: make(given as never) });
  const rate = (make: (given: never) => Schedule) =>
    optimizer((given) => sgd({ learningRate: make(given) }));
  const calls: Record<string, (given: unknown) => unknown> = {
    "affine(3)": layer((units) => affine(units)),
    "dropout(0.5)": layer((p) => dropout(p)),
    "leakyRelu(0.01)": layer((negativeSlope) => leakyRelu(negativeSlope)),
    "sgd({ …, learningRate: 0.1 })": optimizer((learningRate) => sgd({ learningRate })),
    "momentum({ momentum: 0.1 })": optimizer((share) => momentum({ momentum: share })),
    "nesterov({ momentum: 0.1 })": optimizer((share) => nesterov({ momentum: share })),
    "rmsprop({ decayRate: 0.1 })": optimizer((decayRate) => rmsprop({ decayRate })),
    "rmsprop({ eps: 0.1 })": optimizer((eps) => rmsprop({ eps })),
    "adam({ beta1: 0.1 })": optimizer((beta1) => adam({ beta1 })),
    "adam({ beta2: 0.1 })": optimizer((beta2) => adam({ beta2 })),
    "adamw({ weightDecay: 0.1 })": optimizer((weightDecay) => adamw({ weightDecay })),
    "step({ …, from: 0.1 })": rate((from) => step({ from, every: 1, factor: 1 })),
    "step({ …, every: 100 })": rate((every) => step({ from: 1, every, factor: 1 })),
    "step({ …, factor: 0.1 })": rate((factor) => step({ from: 1, every: 1, factor })),
    "linear({ …, to: 0.1 })": rate((to) => linear({ from: 1, to, steps: 1 })),
    "cosine({ …, steps: 100 })": rate((steps) => cosine({ from: 1, steps })),
    "warmup({ …, steps: 100 })": rate((steps) => warmup({ steps, after: 1 })),
    "warmup({ …, after: 0.1 })": rate((after) => warmup({ steps: 1, after })),
  };
  test.each(Object.entries(calls))("%s", (call, make) => {
    for (const [given, shown] of wrong) {
      const { memory } = runtime;
      expect(() => make(given)).toThrow(RangeError);
      expect(() => make(given)).toThrow(`, got ${shown}: write ${call}`);
      expect(runtime.memory).toEqual(memory);
    }
  });
});

describe("construction refuses, by index and kind of the layer", () => {
  test.each<[LayerSpec[] | unknown, unknown, string]>([
    [[], TypeError, "layers must be a list of one layer or more"],
    [
      [relu],
      TypeError,
      `Sequential: layer 0 must be one of ${kinds.join(", ")}, got a function: call it`,
    ],
    [[affine(3), { kind: "conv" }], TypeError, 'got "conv"'],
    [[{ kind: ["relu"] }], TypeError, "got [relu]"],
    [[affine(3), null], TypeError, "layer 1 must be one of"],
    [[affine(0)], RangeError, "layer 0 (affine): units must be a whole number from 1 up, got 0"],
    [[affine(2.5)], RangeError, "layer 0 (affine): units"],
    [[{ kind: "affine", units: Number }], RangeError, "from 1 up, got a function"],
    [
      [affine(2, { weight: 1 as never })],
      TypeError,
      "layer 0 (affine): weight and bias must be initializers",
    ],
    [
      [affine(2, { bias: 1 as never })],
      TypeError,
      "layer 0 (affine): weight and bias must be initializers",
    ],
    [
      [relu(), maxPool2d(2)],
      ShapeError,
      "layer 1 (maxPool2d): takes examples of shape (H, W, C), got (2, 3)",
    ],
    [
      [affine(3), batchnorm({ eps: 0 })],
      RangeError,
      "layer 1 (batchnorm): eps must be above 0, got 0",
    ],
    [
      [affine(3), batchnorm({ eps: "1" as never })],
      RangeError,
      'layer 1 (batchnorm): eps must be above 0, got "1"',
    ],
    [
      [affine(3), batchnorm({ momentum: "1" as never })],
      RangeError,
      'layer 1 (batchnorm): momentum must be in [0, 1], got "1"',
    ],
    [
      [affine(3), batchnorm({ momentum: -0.5 })],
      RangeError,
      "layer 1 (batchnorm): momentum must be in [0, 1], got -0.5",
    ],
    [
      [affine(3), batchnorm({ momentum: 1.5 })],
      RangeError,
      "layer 1 (batchnorm): momentum must be in [0, 1]",
    ],
    [[dropout(1)], RangeError, "layer 0 (dropout): p must be in [0, 1), got 1"],
    [[dropout(-0.5)], RangeError, "layer 0 (dropout): p must be in [0, 1), got -0.5"],
    [
      [{ kind: "dropout", p: "0.5" }],
      RangeError,
      'layer 0 (dropout): p must be in [0, 1), got "0.5"',
    ],
    [[dropout(0.5, { seed: -1 })], RangeError, "layer 0 (dropout): seed must be a whole number"],
    [[leakyRelu(-1)], RangeError, "layer 0 (leakyRelu): negativeSlope must be"],
    [[leakyRelu(Infinity)], RangeError, "negativeSlope must be a number from 0 up, got Infinity"],
    [
      [{ kind: "leakyRelu", negativeSlope: "1" }],
      RangeError,
      'negativeSlope must be a number from 0 up, got "1"',
    ],
    [
      [normalize({ mean: [1, 2], std: 1 })],
      ShapeError,
      "layer 0 (normalize): mean must be a number or 6 numbers, one for each feature of (2, 3), got 2",
    ],
    [[{ kind: "normalize", std: 1 }], ShapeError, "feature of (2, 3), got undefined"],
    [[normalize({ mean: "0" as never, std: 1 })], RangeError, "mean[0] must be a number, got 0"],
    [[normalize({ mean: 0, std: Infinity })], RangeError, "std[0] must be above 0, got Infinity"],
    [
      [normalize({ mean: [0, 0, Number.NaN, 0, 0, 0], std: 1 })],
      RangeError,
      "layer 0 (normalize): mean[2] must be a number, got NaN",
    ],
    [
      [normalize({ mean: -Infinity, std: 1 })],
      RangeError,
      "mean[0] must be a number, got -Infinity",
    ],
    [
      [normalize({ mean: 0, std: 0 })],
      RangeError,
      "layer 0 (normalize): std[0] must be above 0, got 0",
    ],
  ])("%j", (layers, kind, message) => {
    const { memory } = runtime;
    const make = () => new Sequential(runtime, { input: [2, 3], layers: layers as LayerSpec[] });
    expect(make).toThrow(kind as never);
    expect(make).toThrow(message);
    expect(runtime.memory).toEqual(memory);
  });

  test("not the ends of a range, which come to what is without them", () => {
    const x = runtime.random(3).randn(4, 6);
    const scores = (...layers: LayerSpec[]) =>
      model([6], layers).forward(x, { mode: "train" }).data;
    expect(scores(leakyRelu(0)).map(Math.abs)).toEqual(scores(relu())); // 0 · x is −0 below 0
    expect(scores(dropout(0))).toEqual(x.data);
    const kept = model([6], [batchnorm({ momentum: 1 })]);
    const replaced = model([6], [batchnorm({ momentum: 0 })]);
    for (const net of [kept, replaced]) net.forward(x, { mode: "train" });
    expect([...kept.stateDict()["0.running_mean"]!.data]).toEqual(new Array(6).fill(0));
    for (const [j, mean] of replaced.stateDict()["0.running_mean"]!.data.entries()) {
      const sum = x.data.reduce((sum, value, i) => sum + (i % 6 === j ? value : 0), 0);
      expect(mean).toBeCloseTo(sum / 4, 14);
    }
  });

  test.each([
    [{ input: [0] }, "input must be the shape of one example"],
    [{ input: [] }, "input must be the shape of one example, of whole numbers from 1 up, got ()"],
    [{ input: "784" }, "input: shape must be an array"],
    [{ dtype: "int32" }, 'dtype must be "float32" or "float64", got "int32"'],
    [{ seed: 1.5 }, "seed must be a whole number"],
    [{ seed: {} }, "seed must be a whole number"],
  ])("%j", (options, message) => {
    expect(
      () => new Sequential(runtime, { input: [2], layers: [affine(1)], ...options } as never),
    ).toThrow(message);
    expect(() => new Sequential({} as never, { input: [2], layers: [affine(1)] })).toThrow(
      "Sequential: runtime must be a runtime of this package",
    );
  });
});

describe("state", () => {
  const layers = [affine(3), batchnorm(), relu(), dropout(0.5), affine(2, { useBias: false })];

  test("has PyTorch's names, indexes counting all layers", () => {
    const net = model([4], layers);
    expect(Object.keys(net.stateDict())).toEqual([
      ...["0.weight", "0.bias"],
      ...["1.weight", "1.bias", "1.running_mean", "1.running_var"],
      "4.weight",
    ]);
    expect(net.parameters().map(({ name }) => name)).toEqual([
      "0.weight",
      "0.bias",
      "1.weight",
      "1.bias",
      "4.weight",
    ]);
    expect(Object.values(net.stateDict()).map(({ shape }) => shape)).toEqual([
      [4, 3],
      [3],
      [3],
      [3],
      [3],
      [3],
      [3, 2],
    ]);
  });

  test("of one model makes another the same", () => {
    const [a, b] = [model([4], layers, 1), model([4], layers, 2)];
    const x = runtime.random(1).randn(5, 4);
    a.forward(x, { mode: "train" });
    expect(b.predict(x).data).not.toEqual(a.predict(x).data);
    b.loadStateDict(a.stateDict());
    expect(b.predict(x).data).toEqual(a.predict(x).data);
  });

  test("that does not fit is refused with a list of all that is wrong, and nothing changes", () => {
    const net = model([4], layers, 1);
    const before = Object.values(net.stateDict()).map((t) => t.toTypedArray());
    const { "0.bias": bias, "1.bias": beta, ...rest } = net.stateDict();
    const dict = {
      ...rest,
      "0.weight": runtime.zeros([3, 4], "float64"),
      "1.bias": runtime.zeros([3]),
      "5.weight": runtime.zeros([2], "float64"),
    };
    const load = () => net.loadStateDict(dict as never);
    expect(load).toThrow(ShapeError);
    expect(load).toThrow(
      "Sequential.loadStateDict: the tensors are not those that are due\n" +
        "  shape: 0.weight must be (4, 3), got (3, 4)\n" +
        "  missing: 0.bias (3,)\n" +
        "  dtype: 1.bias must be float64, got float32\n" +
        "  extra: 5.weight (2,)",
    );
    expect(bias?.shape).toEqual(beta?.shape);
    expect(Object.values(net.stateDict()).map((t) => t.toTypedArray())).toEqual(before);
  });
});

test("tells what it was made from, in a list of its own", () => {
  const layers = [affine(4)];
  const net = model([2, 3], layers);
  layers.push(affine(5));
  expect(net.layers).toEqual([affine(4)]);
  expect(net.runtime).toBe(runtime);
  expect(net.dtype).toBe("float64");
  expect([net.input, net.output]).toEqual([[2, 3], [4]]);
});

test("prints itself as a table of layers, shapes and parameter counts", () => {
  const net = new Sequential(runtime, {
    input: [28, 28],
    layers: [affine(256, { useBias: false }), batchnorm(), relu(), dropout(0.2), affine(10)],
  });
  expect(net.summary()).toBe(
    [
      "   layer                 output       parameters",
      "   input                 (N, 28, 28)",
      "0  affine(256, no bias)  (N, 256)        200,704",
      "1  batchnorm             (N, 256)            512",
      "2  relu                  (N, 256)              0",
      "3  dropout(0.2)          (N, 256)              0",
      "4  affine(10)            (N, 10)           2,570",
      "203,786 parameters, float32, 817,192 bytes",
    ].join("\n"),
  );
  expect(`${net}`).toBe(net.summary());
  const large = model([1500], [affine(1000, { weight: constant(0), useBias: false })]);
  expect(large.summary()).toMatch(/1,500,000\n1,500,000 parameters, float64, 12,000,000 bytes$/);
  large.dispose();
});

describe("memory", () => {
  test("a model made in a scope outlives it; dispose gives everything back", () => {
    const own = createRuntimeSync();
    const { bytesLive, tensors } = own.memory;
    const net = own.scope(() => ({
      made: [new Sequential(own, { input: [3], layers: [affine(2), batchnorm(), dropout(0.5)] })],
    })).made[0]!;
    own.scope(() => {
      net.forward([1, 2, 3, 4, 5, 6], { mode: "train" });
      net.backward(own.ones([2, 2]));
    });
    net.predict([1, 2, 3]).dispose();
    net.dispose();
    net.dispose();
    expect(own.memory).toMatchObject({ bytesLive, tensors });
    expect(() => net.predict([1, 2, 3])).toThrow(DisposedError);
    expect(() => net.summary()).toThrow("Sequential.summary: the model has been disposed");
  });

  test("in a scope that throws away everything a model stays whole", () => {
    const own = createRuntimeSync();
    let net: Sequential | undefined;
    own.scope(() => {
      net = new Sequential(own, { input: [3], layers: [affine(2)] });
    });
    own.ones([1000]);
    expect(net!.predict([0, 0, 0]).data).toEqual(Float32Array.of(0, 0));
  });

  // At its first values, and at its last weight already.
  test.each([1000, 10_000])(
    "a model that does not fit leaves nothing allocated: %d scores",
    (units) => {
      const own = createRuntimeSync({ maxMemory: 1 << 20 });
      const { bytesLive, tensors } = own.memory;
      expect(
        () => new Sequential(own, { input: [1000], layers: [affine(100), affine(units)] }),
      ).toThrow("out of memory");
      expect(own.memory).toMatchObject({ bytesLive, tensors });
    },
  );

  test("a layer that works in place has no buffer for what it puts out", () => {
    const N = 50;
    const live = (...layers: LayerSpec[]) => {
      const own = createRuntimeSync();
      const net = new Sequential(own, { input: [64], layers });
      const { bytesLive } = own.memory;
      net.forward(new Float32Array(64 * N)).dispose();
      return own.memory.bytesLive - bytesLive;
    };
    const plain = live(leakyRelu());
    const mean = { mean: 0, std: 1 };
    expect(live(normalize(mean), relu(), flatten(), leakyRelu(), tanh())).toBe(plain);
    for (const layer of [sigmoid(), tanh(), softmax()]) expect(live(layer)).toBe(plain);
    const mask = 4 * 64 * N;
    expect(live(dropout(0.5), dropout(0.5)) - live(dropout(0.5))).toBe(mask);
  });

  test("a plan holds a few rows of each example, and the workspace of one layer", () => {
    const own = createRuntimeSync();
    const D = 5000;
    const net = new Sequential(own, { input: [D], layers: [batchnorm(), batchnorm()] });
    const { bytesLive } = own.memory;
    net.forward(new Float32Array(D));
    // The scores that it gave, input, two outputs, two gradients, targets; statistics in float64.
    const rows = 7 * 4 * D + 2 * 16 * D;
    // The workspace is that of a strip of the features.
    expect(own.memory.bytesLive - bytesLive).toBeGreaterThan(rows);
    expect(own.memory.bytesLive - bytesLive).toBeLessThan(rows + 65536);
  });

  test("a plan that does not fit leaves the model usable", () => {
    const own = createRuntimeSync({ maxMemory: 1 << 20 });
    const net = new Sequential(own, { input: [10], layers: [affine(10), affine(2)] });
    expect(() => net.forward(new Float32Array(10 * 20_000))).toThrow("out of memory");
    expect(net.forward(new Float32Array(10)).shape).toEqual([1, 2]);
  });
});

test("ReLU costs no pass of its own after an affine layer, and one elsewhere", () => {
  const relus = (...layers: LayerSpec[]) => {
    const own = createRuntimeSync() as LamellaRuntime;
    const pass = vi.spyOn(own.kernels("float32"), "relu_forward");
    new Sequential(own, { input: [3], layers }).predict([1, -2, 3]);
    return pass.mock.calls.length;
  };
  expect(relus(affine(5), relu(), affine(2), relu())).toBe(0);
  expect(relus(relu(), affine(5), batchnorm(), relu())).toBe(2);
});

test("the passes give what the calls by hand give, to the bit", () => {
  const net = model([6], [affine(5), relu(), affine(3)], 8);
  const x = runtime.random(2).randn(4, 6);
  const y = [0, 1, 2, 1];
  const [w1, b1, w2, b2] = net.parameters().map(({ value }) => value) as Tensor<"float64">[];
  const hidden = affineForward(x, w1!, b1!);
  const active = reluForward(hidden.out);
  const scores = affineForward(active.out, w2!, b2!);
  const { loss, dx: dscores } = softmaxLoss(scores.out, y);
  const top = affineBackward(dscores, scores.cache);
  const bottom = affineBackward(reluBackward(top.dx, active.cache), hidden.cache);

  expect(net.forward(x, { mode: "train" }).data).toEqual(scores.out.data);
  const { dx } = net.backward(dscores, { dx: true });
  expect(dx.data).toEqual(bottom.dx.data);
  expect(net.parameters().map(({ gradient }) => gradient.data)).toEqual(
    [bottom.dw, bottom.db, top.dw, top.db].map(({ data }) => data),
  );
  expect(net.evaluate({ x, y }).loss).toBe(loss);
});
