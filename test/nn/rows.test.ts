// Every call takes the same kinds of data, and reads them once: whatever an array does while it is
// read, and whatever a class says of a typed array, the numbers that were checked are those that
// are computed with.

import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test } from "vitest";
import * as copy from "../../build/index.js";
import {
  type AnyModel,
  adam,
  affine,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  type Labels,
  RuntimeMismatchError,
  relu,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  softmaxLoss,
  svmLoss,
  Trainer,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";

// biome-ignore lint/suspicious/noExplicitAny: what is given has other types than are taken
type Any = any;

const runtime = createRuntimeSync();
const flat = [1, 2, 3, 4, 5, 6];
const rows = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const y = [0, 2, 1];
const C = 3;

class Lying extends Float32Array {
  override get length() {
    return 999_999;
  }
  override get byteOffset() {
    return 8;
  }
  override get buffer() {
    return new ArrayBuffer(8);
  }
  override get [Symbol.toStringTag](): Any {
    return "Float64Array";
  }
  override subarray(): Any {
    return new Float32Array(2).fill(77);
  }
  override slice(): Any {
    return this.subarray();
  }
  override *[Symbol.iterator](): Any {
    yield 77;
  }
  static get [Symbol.species](): Any {
    return Array;
  }
}

const lying = () => {
  const x = new Lying(6);
  for (let i = 0; i < 6; i++) x[i] = flat[i] as number;
  Object.defineProperty(x, "constructor", { value: Array });
  return x;
};

/** A typed array of float16, where the host has none: of its kind. */
const { Float16Array } = globalThis as { Float16Array?: Float32ArrayConstructor };

function shared(): Float32Array {
  const x = new Float32Array(new SharedArrayBuffer(24));
  x.set(flat);
  return x;
}

type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number, most = bytes) =>
  new (ArrayBuffer as Any)(bytes, { maxByteLength: most }) as Resizable;

/** The three examples as each kind of data. */
const kinds: Record<string, () => Any> = {
  numbers: () => flat,
  "nested arrays": () => rows,
  "frozen nested arrays": () => Object.freeze(rows.map((row) => Object.freeze([...row]))),
  "arrays of Float32Array": () => rows.map((row) => Float32Array.from(row)),
  "arrays of Float64Array": () => rows.map((row) => Float64Array.from(row)),
  "arrays of Uint8Array": () => rows.map((row) => Uint8Array.from(row)),
  "arrays of Buffer": () => rows.map((row) => Buffer.from(row)),
  "arrays and typed arrays": () => [[1, 2], Int8Array.of(3, 4), [5, 6]],
  Int8Array: () => Int8Array.from(flat),
  Uint8Array: () => Uint8Array.from(flat),
  Uint8ClampedArray: () => Uint8ClampedArray.from(flat),
  Buffer: () => Buffer.from(flat),
  Int16Array: () => Int16Array.from(flat),
  Uint16Array: () => Uint16Array.from(flat),
  Int32Array: () => Int32Array.from(flat),
  Uint32Array: () => Uint32Array.from(flat),
  Float32Array: () => Float32Array.from(flat),
  Float64Array: () => Float64Array.from(flat),
  ...(Float16Array && {
    Float16Array: () => Float16Array.from(flat),
    "arrays of Float16Array": () => rows.map((row) => Float16Array.from(row)),
  }),
  "a part of a larger array": () => Float32Array.of(9, 9, ...flat, 9).subarray(2, 8),
  "an array of another realm": () => runInNewContext("[[1, 2], [3, 4], [5, 6]]"),
  "a typed array of another realm": () => runInNewContext("Float32Array.of(1, 2, 3, 4, 5, 6)"),
  "a view of shared memory": shared,
  "a view of a resizable buffer": () => {
    const x = new Float32Array(resizable(24, 48));
    x.set(flat);
    return x;
  },
  "a subclass that lies": lying,
  "a proxy of arrays": () =>
    new Proxy(
      rows.map((row) => new Proxy(row, {})),
      {},
    ),
  "a float32 tensor": () => runtime.tensor(rows),
  "a float64 tensor": () => runtime.tensor(rows, undefined, "float64"),
  "an int32 tensor": () => runtime.tensor(rows, undefined, "int32"),
};

const modelOf = (dtype: "float32" | "float64") =>
  new Sequential(runtime, { input: [2], layers: [affine(4), relu(), affine(C)], dtype, seed: 7 });
const weightsOf = (model: AnyModel<Any>) =>
  model.parameters().map(({ value }) => Array.from(value.data));

async function fitted(dtype: "float32" | "float64", x: Any, labels: Any): Promise<unknown> {
  const trainer = new Trainer(modelOf(dtype), { loss: "softmax", optimizer: adam() });
  const validation = { x, y: labels };
  const losses: number[] = [];
  for await (const event of trainer.fit(
    { x, y: labels, validation },
    { epochs: 2, batchSize: 2 },
  )) {
    losses.push(event.loss, event.type === "epoch" ? event.validation!.loss : 0);
  }
  return [losses, weightsOf(trainer.model)];
}

/** Each call that takes examples. */
const calls: Record<string, (dtype: "float32" | "float64", x: Any) => unknown> = {
  "Sequential.forward": (dtype, x) => modelOf(dtype).forward(x, { mode: "train" }).toTypedArray(),
  "Sequential.predict": (dtype, x) => modelOf(dtype).predict(x).toTypedArray(),
  "Sequential.classify": (dtype, x) => modelOf(dtype).classify(x),
  "Sequential.evaluate": (dtype, x) => modelOf(dtype).evaluate({ x, y, batchSize: 2 }),
  "Trainer.step": (dtype, x) => {
    const trainer = new Trainer(modelOf(dtype), { loss: "softmax", optimizer: sgd() });
    return [trainer.step(x, y), weightsOf(trainer.model)];
  },
  "Trainer.step, as targets of mse": (dtype, x) => {
    const model = new Sequential(runtime, { input: [2], layers: [affine(2)], dtype });
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd() });
    return [trainer.step(flat, x), weightsOf(trainer.model)];
  },
  "Trainer.fit": (dtype, x) => fitted(dtype, x, y),
  "Predictor.predict of a compiled model": (dtype, x) =>
    modelOf(dtype).compile({ maxBatch: 3 }).predict(x),
  "Predictor.predict of a file": (dtype, x) =>
    loadPredictorSync(saveModel(modelOf(dtype)), { maxBatch: 3 }).predict(x),
  "Runtime.tensor": (dtype, x) => runtime.tensor(x, [3, 2], dtype).toTypedArray(),
};

describe.each(Object.keys(calls))("%s takes the same", (name) => {
  const call = calls[name]!;

  test.each(Object.keys(kinds))("of %s", async (kind) => {
    for (const dtype of ["float32", "float64"] as const) {
      expect(await call(dtype, kinds[kind]!())).toEqual(await call(dtype, Float32Array.from(flat)));
    }
  });
});

test("float64 draws enter a float32 model, rounded once, and functional calls keep their DTypeError", () => {
  const draws = runtime.random(3).randn(3, 2);
  const model = modelOf("float32");
  const rounded = Float32Array.from(draws.toTypedArray());
  expect(model.predict(draws).data).toEqual(model.predict(rounded).data);
  const x = runtime.ones([3, C]);
  expect(() => softmaxLoss(x, y, { dx: runtime.zeros([3, C], "float64") as Any })).toThrow(
    DTypeError,
  );
});

test("tensors of other runtimes and other copies are refused by models, and taken by predictors, which have no runtime", () => {
  const model = modelOf("float32");
  const other = createRuntimeSync().tensor(rows);
  const foreign = copy.createRuntimeSync().tensor(rows);
  expect(() => model.predict(other)).toThrow(RuntimeMismatchError);
  expect(() => model.predict(foreign)).toThrow("a tensor of another copy of this package");
  const predictor = model.compile({ maxBatch: 3 });
  for (const x of [other, foreign]) expect(predictor.predict(x)).toEqual(predictor.predict(flat));
  const wrong = runtime.zeros([2, 3]);
  expect(() => predictor.predict(wrong)).toThrow(
    "Predictor.predict: x must have shape (N, 2), got (2, 3)",
  );
  expect(() =>
    predictor.predict([
      [1, 2, 3],
      [4, 5, 6],
    ]),
  ).toThrow(ShapeError);
});

describe("labels", () => {
  const oneHot = [
    [1, 0, 0],
    [0, 0, 1],
    [0, 1, 0],
  ];
  const labels: Record<string, () => Any> = {
    numbers: () => y,
    Int32Array: () => Int32Array.from(y),
    Uint8Array: () => Uint8Array.from(y),
    Buffer: () => Buffer.from(y),
    Uint32Array: () => Uint32Array.from(y),
    "an int32 tensor": () => runtime.tensor(y, [3], "int32"),
    "one-hot rows": () => oneHot,
    "one-hot rows of typed arrays": () => oneHot.map((row) => Uint8Array.from(row)),
    "a one-hot float32 tensor": () => runtime.tensor(oneHot),
    "a one-hot float64 tensor": () => runtime.tensor(oneHot, undefined, "float64"),
    "a one-hot int32 tensor": () => runtime.tensor(oneHot, undefined, "int32"),
    "a proxy of an array": () => new Proxy([...y], {}),
    "a view of shared memory": () => {
      const own = new Int32Array(new SharedArrayBuffer(12));
      own.set(y);
      return own;
    },
  };

  test.each(Object.keys(labels))("as %s are the same to all calls", async (kind) => {
    const given = () => labels[kind]!();
    const x = runtime.tensor([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3]);
    for (const loss of [softmaxLoss, svmLoss]) {
      const [own, usual] = [loss(x, given() as Labels), loss(x, y)];
      expect([own.loss, own.dx.data]).toEqual([usual.loss, usual.dx.data]);
    }
    const model = modelOf("float32");
    for (const loss of ["softmax", "svm"] as const) {
      const evaluation = model.evaluate({ x: flat, y: given(), loss });
      expect(evaluation).toEqual(model.evaluate({ x: flat, y, loss }));
    }
    expect(await fitted("float32", flat, given())).toEqual(await fitted("float32", flat, y));
  });

  const model = modelOf("float32");
  const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
  const x = runtime.ones([3, C]);
  const each: [string, (y: Any) => unknown][] = [
    ["softmaxLoss", (y) => softmaxLoss(x, y)],
    ["svmLoss", (y) => svmLoss(x, y)],
    ["Sequential.evaluate", (y) => model.evaluate({ x: flat, y })],
    ["Trainer.step", (y) => trainer.step(flat, y)],
    ["Trainer.fit", (y) => trainer.fit({ x: flat, y }, { epochs: 1 })],
  ];

  test.each<[string, () => Any, Any, RegExp]>([
    [
      "class names",
      () => ["yes", "no", "yes"],
      TypeError,
      /y\[0\] is "yes", .*const classes = \["yes", …\], then y\.map\(\(name\) => classes\.indexOf\(name\)\)/,
    ],
    ["booleans", () => [0, true, false], TypeError, /y\[1\] is true, .*write y\.map\(Number\)/],
    [
      "rows of two ones",
      () => oneHot.with(1, [0, 1, 1]),
      RangeError,
      /y\[1\] is no one-hot row, .*argmax/,
    ],
    [
      "rows without a one",
      () => oneHot.with(2, [0, 0, 0]),
      RangeError,
      /y\[2\] is no one-hot row, .*argmax/,
    ],
    [
      "rows of probabilities",
      () => runtime.tensor(oneHot.with(0, [0.8, 0.1, 0.1])),
      RangeError,
      /y\[0\] is no one-hot row, .*argmax/,
    ],
    ["rows of NaN", () => oneHot.with(0, [NaN, 0, 1]), RangeError, /y\[0\] is no one-hot row/],
    [
      "one-hot rows of another width",
      () => [
        [1, 0],
        [0, 1],
        [1, 0],
      ],
      ShapeError,
      /\(3, 2\)/,
    ],
    ["a column", () => [[0], [2], [1]], ShapeError, /y must have shape .* got \(3, 1\)/],
    ["too few one-hot rows", () => oneHot.slice(1), ShapeError, /y (has|but)|but y has 2|2 labels/],
    ["a Promise", () => Promise.resolve(y), TypeError, /got a Promise: await it/],
    [
      "floats in a row",
      () => Float32Array.from(y),
      DTypeError,
      /y must be int32, got float32; one-hot/,
    ],
  ])("%s are refused with what to do", (_, given, kind, message) => {
    const before = weightsOf(model);
    const { memory } = runtime;
    for (const [name, call] of each) {
      const labels = given();
      expect(() => call(labels), name).toThrow(kind);
      expect(() => call(labels), name).toThrow(message);
    }
    expect(weightsOf(model)).toEqual(before);
    expect(runtime.memory.bytesReserved).toBe(memory.bytesReserved);
  });

  test("boolean targets are refused by place", () => {
    const net = new Sequential(runtime, { input: [2], layers: [affine(1)] });
    const bce = new Trainer(net, { loss: "bce", optimizer: sgd() });
    expect(() => bce.step([1, 2, 3, 4], [true, false] as Any)).toThrow(
      "Trainer.step: y[0] must be a number, got boolean",
    );
  });
});

/** Runs fn once, when element i of the array is read. */
function trap<T extends readonly unknown[]>(array: T, i: number, fn: () => void): T {
  const own = [...array];
  let isSprung = false;
  Object.defineProperty(own, i, {
    get() {
      if (!isSprung) {
        isSprung = true;
        fn();
      }
      return array[i];
    },
  });
  return own as unknown as T;
}

describe("what happens while data are read", () => {
  const open: { dispose(): void }[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.dispose();
  });
  const fresh = () => {
    const own = createRuntimeSync({ initialMemory: 65536 * 2 });
    open.push(own);
    const model = new Sequential(own, {
      input: [2],
      layers: [affine(4), relu(), affine(C)],
      seed: 7,
    });
    return { own, model };
  };
  const grow = (own: Any) => own.zeros([own.memory.bytesReserved / 4]);

  test.each([
    ["softmaxLoss", softmaxLoss],
    ["svmLoss", svmLoss],
  ])(
    "growth of the memory by a label: %s writes what it always does, and nowhere else",
    (_, loss) => {
      const usual = loss(runtime.ones([3, C]), y);
      const { own } = fresh();
      const x = own.ones([3, C]);
      const dx = own.zeros([3, C]);
      const behind = own.ones([64]);
      const given = trap(y, 1, () => void grow(own));
      expect(loss(x, given, { dx }).loss).toBe(usual.loss);
      expect(dx.data).toEqual(usual.dx.data);
      expect(x.data).toEqual(new Float32Array(9).fill(1));
      expect(behind.data).toEqual(new Float32Array(64).fill(1));
    },
  );

  test("scores, gradients or the runtime disposed by a label are a DisposedError", () => {
    for (const which of ["x", "dx", "own"] as const) {
      const { own } = fresh();
      const tensors = { own, x: own.ones([3, C]), dx: own.zeros([3, C]) };
      const labels = trap(y, 2, () => tensors[which].dispose());
      expect(() => softmaxLoss(tensors.x, labels, { dx: tensors.dx }), which).toThrow(
        DisposedError,
      );
    }
  });

  test("growth of the memory by an example: the scores are what they always are", () => {
    const expected = modelOf("float32").predict(flat).data;
    for (const at of [0, 3, 5]) {
      const { own, model } = fresh();
      const predictor = model.compile({ maxBatch: 3 });
      expect(predictor.predict(trap(flat, at, () => void grow(own)))).toEqual(
        modelOf("float32").compile({ maxBatch: 3 }).predict(flat),
      );
      expect(model.predict(trap(flat, at, () => void grow(own))).data).toEqual(expected);
      expect(
        model.predict([rows[0], trap(rows[1]!, 1, () => void grow(own)), rows[2]] as Any).data,
      ).toEqual(expected);
    }
  });

  test("another prediction of the same model, from within: neither disturbs the other", () => {
    const { model } = fresh();
    const predictor = model.compile({ maxBatch: 3 });
    const usual = predictor.predict(flat);
    const given = trap(flat, 4, () => void predictor.predict([9, 9, 9, 9, 9, 9]));
    expect(predictor.predict(given)).toEqual(usual);
    const scores = model.predict(flat).toTypedArray();
    expect(model.predict(trap(flat, 4, () => void model.predict(Array(600).fill(9)))).data).toEqual(
      scores,
    );
  });

  test("another step or prediction, from within a label: the step learns its own examples", async () => {
    const usual = new Trainer(fresh().model, { loss: "softmax", optimizer: sgd() });
    usual.step(flat, y);
    const { model } = fresh();
    const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
    trainer.step(
      flat,
      trap(y, 1, () => void model.predict(Array(600).fill(9))),
    );
    expect(weightsOf(model)).toEqual(weightsOf(usual.model));

    const other = fresh().model;
    const fitting = new Trainer(other, { loss: "softmax", optimizer: sgd() });
    let reads = 0;
    const labels = [...y];
    // fit reads all labels once, when it is called.
    Object.defineProperty(labels, 1, {
      get() {
        if (++reads === 1) other.predict(Array(600).fill(9)).dispose();
        return y[1];
      },
    });
    for await (const _ of fitting.fit({ x: flat, y: labels }, { epochs: 1, batchSize: 3 }));
    expect(reads).toBe(1);
    const plain = new Trainer(fresh().model, { loss: "softmax", optimizer: sgd() });
    for await (const _ of plain.fit({ x: flat, y }, { epochs: 1, batchSize: 3 }));
    expect(weightsOf(other)).toEqual(weightsOf(plain.model));
  });

  test("the model, the trainer or the runtime disposed from within is a DisposedError", () => {
    for (const which of ["own", "model", "trainer"] as const) {
      for (const data of [
        (fn: () => void) => [trap(flat, 2, fn), y],
        (fn: () => void) => [flat, trap(y, 2, fn)],
      ]) {
        const { own, model } = fresh();
        const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
        const all = { own, model, trainer };
        const [x, labels] = data(() => all[which].dispose()) as [Any, Any];
        expect(() => trainer.step(x, labels), which).toThrow(DisposedError);
      }
    }
    const { own } = fresh();
    expect(() => own.tensor(trap(flat, 2, () => own.dispose()))).toThrow(DisposedError);
    const { model } = fresh();
    const predictor = model.compile({ maxBatch: 3 });
    expect(() => predictor.predict(trap(flat, 2, () => predictor.dispose()))).toThrow(
      DisposedError,
    );
  });

  test("each element and each length is read once", () => {
    const reads = new Map<string, number>();
    const spy = (array: Any[], name: string): Any =>
      new Proxy(array, {
        get(target, key, receiver) {
          if (key === "length" || /^\d+$/.test(String(key))) {
            const place = `${name}[${String(key)}]`;
            reads.set(place, (reads.get(place) ?? 0) + 1);
          }
          return Reflect.get(target, key, receiver);
        },
      });
    const { own, model } = fresh();
    const nested = () =>
      spy(
        rows.map((row, i) => spy(row, `x[${i}]`)),
        "x",
      );
    const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
    const predictor = model.compile({ maxBatch: 3 });
    for (const call of [
      () => own.tensor(nested()),
      () => own.tensor(nested(), spy([3, 2], "shape")),
      () => model.predict(nested()),
      () => predictor.predict(nested()),
      () => trainer.step(nested(), spy(y, "y")),
      () => softmaxLoss(own.ones([3, C]), spy(y, "y")),
    ]) {
      reads.clear();
      call();
      expect(reads.size).toBeGreaterThan(2);
      expect([...reads].filter(([, count]) => count !== 1)).toEqual([]);
    }
  });

  test("a proxy whose length lies, or whose elements change, gives an error or the numbers that were read first", () => {
    const { own, model } = fresh();
    const lies = (length: unknown) =>
      new Proxy([...flat], {
        get: (array, key) => (key === "length" ? length : (array as Any)[key]),
      });
    for (const length of [8, 2 ** 31, 2 ** 32 - 1, -2, 0.5, "many", NaN, Infinity]) {
      let scores: Any;
      try {
        scores = model.predict(lies(length) as Any).data;
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        continue;
      }
      expect(scores.length % C).toBe(0);
      expect(scores.length).toBeLessThanOrEqual(9);
    }
    expect(() => softmaxLoss(own.ones([3, C]), lies(2 ** 31) as Any)).toThrow(ShapeError);
    let reads = 0;
    const shape = new Proxy([2, 2], {
      get: (array, key) => (key === "0" && reads++ > 0 ? -2 : (array as Any)[key]),
    });
    expect(own.zeros(shape).shape).toEqual([2, 2]);
  });
});

describe("a typed array whose buffer changes", () => {
  const withResize = typeof (ArrayBuffer.prototype as Any).resize === "function";

  test.runIf(withResize).each(["x", "y"] as const)(
    "made smaller while fit trains (%s): a TypeError, and no stale row is learned",
    async (which) => {
      for (const transfers of [false, true]) {
        const model = modelOf("float32");
        const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
        const N = 64;
        const buffer = resizable(which === "x" ? 8 * N : 4 * N);
        const data = {
          x: which === "x" ? new Float32Array(buffer) : new Float32Array(2 * N),
          y: which === "y" ? new Int32Array(buffer) : new Int32Array(N),
        };
        let steps = 0;
        const run = async () => {
          for await (const event of trainer.fit(data, { epochs: 2, batchSize: 8 })) {
            if (event.type === "step" && ++steps === 1) {
              if (transfers) structuredClone(buffer, { transfer: [buffer] });
              else buffer.resize(64);
            }
          }
        };
        await expect(run()).rejects.toThrow(TypeError);
        expect(steps).toBe(1);
        expect(trainer.steps).toBe(1);
      }
    },
  );

  test.runIf(withResize)(
    "made larger while fit trains: the examples are those that there were",
    async () => {
      const train = async (grows: boolean) => {
        const trainer = new Trainer(modelOf("float32"), { loss: "softmax", optimizer: sgd() });
        const buffer = resizable(8 * 16, 8 * 64);
        const x = new Float32Array(buffer); // whose length follows the buffer's
        x.forEach((_, i) => {
          x[i] = i % 5;
        });
        for await (const _ of trainer.fit(
          { x, y: Array(16).fill(1) },
          { epochs: 2, batchSize: 16 },
        )) {
          if (grows) buffer.resize(8 * 64);
        }
        return weightsOf(trainer.model);
      };
      expect(await train(true)).toEqual(await train(false));
    },
  );

  test.runIf(withResize)("made smaller by a label, between the check of x and its use", () => {
    const trainer = new Trainer(modelOf("float32"), { loss: "softmax", optimizer: sgd() });
    const buffer = resizable(24);
    const before = weightsOf(trainer.model);
    const labels = trap(y, 1, () => buffer.resize(8));
    expect(() => trainer.step(new Float32Array(buffer), labels)).toThrow(/x's buffer is gone/);
    expect(weightsOf(trainer.model)).toEqual(before);
  });

  test("transferred before the call is a TypeError of every call that takes it", () => {
    const model = modelOf("float32");
    const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd() });
    const sent = Float32Array.from(flat);
    structuredClone(sent.buffer, { transfer: [sent.buffer] });
    for (const call of [
      () => model.predict(sent),
      () => model.forward(sent),
      () => model.compile().predict(sent),
      () => trainer.step(sent, []),
      () => trainer.fit({ x: sent, y: [] }, { epochs: 1 }),
      () => runtime.tensor([sent]),
    ]) {
      expect(call).toThrow(call.toString().includes("tensor") ? Error : TypeError);
    }
  });
});

test("labels of a class that lies are those that it has", () => {
  class Labels extends Int32Array {
    override get length() {
      return 3;
    }
    override get [Symbol.toStringTag]() {
      return "Int32Array" as const;
    }
  }
  const own = createRuntimeSync();
  const x = own.ones([3, C]);
  const behind = own.ones([64]);
  const long = new Labels([0, 1, 2, 1_000_000, 1_000_000]);
  for (const loss of [softmaxLoss, svmLoss]) {
    expect(() => loss(x, long)).toThrow("y has 5 labels but x has 3 rows");
    const wrong = new Labels([0, 1, 1_000_000]);
    expect(() => loss(x, wrong)).toThrow("y[2] is 1000000, expected a whole number in [0, 3)");
  }
  expect(behind.data).toEqual(new Float32Array(64).fill(1));
});
