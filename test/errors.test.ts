// SPEC's table of bad input: every row, for every call that it applies to. Whatever is refused
// leaves the memory, the operands and the parameters as they were. The rows of Runtime, Random and
// relativeError are in test/tensor.

import { describe, expect, test } from "vitest";
import * as copy from "../build/index.js";
import * as lamella from "../src/index.ts";
import { named } from "../src/nn/engine/kinds.ts";
import * as predict from "../src/predict.ts";
import type { LamellaRuntime } from "../src/tensor/runtime.ts";
import { formatShape } from "../src/tensor/shape.ts";
import { kinds, unary, windowed } from "./nn/every.ts";

const {
  AliasError,
  DisposedError,
  DTypeError,
  FormatError,
  UnsupportedError,
  MemoryError,
  RuntimeMismatchError,
  ShapeError,
} = lamella;

// biome-ignore lint/suspicious/noExplicitAny: calls are made with wrong types here
type Any = any;
type ErrorClass = new (...args: never[]) => Error;
type Shape = readonly number[];
type Arguments = Record<string, Any>;

const parents: [ErrorClass, ErrorClass[]][] = [
  [ShapeError, [RangeError]],
  [AliasError, [RangeError]],
  [DTypeError, [TypeError]],
  [FormatError, [SyntaxError]],
  [UnsupportedError, [TypeError]],
  [DisposedError, []],
  [RuntimeMismatchError, []],
  [MemoryError, []],
];

test.each(parents)("a %o has its name and its parents", (type, of) => {
  const error = new (type as Any)("message", 1, 2);
  expect(error).toBeInstanceOf(Error);
  for (const builtIn of [RangeError, SyntaxError, TypeError]) {
    expect(error instanceof builtIn).toBe(of.includes(builtIn));
  }
  expect([error.name, error.message]).toEqual([type.name, "message"]);
  expect(error.stack).toMatch(new RegExp(`^${type.name}: message\n`));
});

const runtime = lamella.createRuntimeSync() as LamellaRuntime;
const otherRuntime = lamella.createRuntimeSync();
const foreignRuntime = copy.createRuntimeSync();

/** All tensors that a call here may be handed. */
const watched: lamella.Tensor[] = [];

function made(shape: Shape, dtype: lamella.DType = "float32"): lamella.Tensor<Any> {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, (_, i) => (i % 5) + 1);
  const tensor = runtime.tensor(values, shape, dtype);
  watched.push(tensor);
  return tensor;
}

function disposed(shape: Shape): lamella.Tensor {
  const tensor = runtime.ones(shape);
  tensor.dispose();
  return tensor;
}

function ofDisposedRuntime(shape: Shape): lamella.Tensor {
  const ended = lamella.createRuntimeSync();
  const tensor = ended.ones(shape);
  ended.dispose();
  return tensor;
}

const pool = { kernel: 1 };
/** What a forward takes between its operands and its options: by that argument's name. */
const parameters: Record<string, readonly [name: string, value: Any]> = {
  attentionForward: ["param", { heads: 1 }],
  avgPool1dForward: ["poolParam", pool],
  avgPool2dForward: ["poolParam", pool],
  batchnormForward: ["bnParam", { mode: "train" }],
  conv1dForward: ["convParam", {}],
  conv2dForward: ["convParam", {}],
  convTranspose2dForward: ["convParam", {}],
  dropoutForward: ["dropoutParam", { mode: "train", p: 0.5 }],
  groupnormForward: ["param", { groups: 1 }],
  layernormForward: ["param", {}],
  maxPool1dForward: ["poolParam", pool],
  maxPool2dForward: ["poolParam", pool],
  permuteForward: ["axes", [1, 0]],
  upsample2dForward: ["upsampleParam", { scale: 1 }],
  zeroPad2dForward: ["padding", 0],
};
/** A copy each time: training stores running values in it. */
const parametersOf = (forward: string): Any[] =>
  structuredClone(parameters[forward]?.slice(1) ?? []);

/** A forward's cache, made by one copy of the package on one of its runtimes, and the operands. */
function cacheOf(forward: string, api: Any = lamella, on: Any = runtime, of = calls) {
  const shapes = Object.values((of[forward] as Call).operands);
  const operands: lamella.Tensor[] = shapes.map((shape) => on.ones(shape));
  const { cache } = api[forward](...operands, ...parametersOf(forward));
  return { cache, operands };
}

/** How a call is made from tensors by the names that errors give them. */
interface Call {
  /** The shapes of those that it must get. */
  operands: Record<string, Shape>;
  /** The shapes of those that it may get. */
  optional: Record<string, Shape>;
  /** What its errors compare the others with. */
  first: string;
  /** The call whose cache it takes. */
  forward?: string;
  /** Destinations that may not share data with others. */
  apart?: Record<string, readonly string[]>;
  run(given: Arguments): unknown;
}

const steady = made([4]);

/** The bnParam that was given, with the running values that were. */
function bnParamOf({ bnParam = { mode: "train" }, ...given }: Arguments): Any {
  for (const key of ["runningMean", "runningVar"]) {
    const tensor = given[`bnParam.${key}`];
    if (tensor !== undefined) bnParam[key] = tensor;
  }
  return bnParam;
}

/** All calls, at these sizes. */
function callsAt(N: number, D: number, M: number): Record<string, Call> {
  const running = { "bnParam.runningMean": [D], "bnParam.runningVar": [D] };
  const labels = Array.from({ length: N }, (_, n) => n % D);
  const unaryCalls = (name: string) => {
    const { columns, keeps } = named[name] as NonNullable<(typeof named)[string]>;
    const forward: Call = {
      operands: { x: [N, D] },
      optional: { out: [N, D] },
      first: "x",
      apart: columns || keeps === "x" ? { out: ["x"] } : {},
      run: ({ x, out }) => (lamella as Any)[`${name}Forward`](x, { out }),
    };
    const backward: Call = {
      operands: { dout: [N, D] },
      optional: { dx: [N, D] },
      first: "the cache",
      forward: `${name}Forward`,
      apart: columns ? { dx: ["dout", "the cache's out"] } : {},
      run: ({ dout, cache, dx }) => (lamella as Any)[`${name}Backward`](dout, cache, { dx }),
    };
    return { [`${name}Forward`]: forward, [`${name}Backward`]: backward };
  };
  const targetLossCall = (loss: typeof lamella.mseLoss): Call => ({
    operands: { x: [N, D], y: [N, D] },
    optional: { dx: [N, D] },
    first: "x",
    apart: { dx: ["x", "y"] },
    run: ({ x, y, dx }) => loss(x, y, { dx }),
  });
  const lossCall = (loss: typeof lamella.softmaxLoss): Call => ({
    operands: { x: [N, D] },
    optional: { dx: [N, D] },
    first: "x",
    apart: { dx: ["x"] },
    run: ({ x, y, dx }) => loss(x, y === undefined ? labels : y, { dx }),
  });
  /** Calls of one operand whose output is apart from it. */
  const apartCalls = (name: string, x: Shape, out: Shape) => ({
    [`${name}Forward`]: {
      operands: { x },
      optional: { out },
      first: "x",
      apart: { out: ["x"] },
      run: ({ x, out }: Arguments) =>
        (lamella as Any)[`${name}Forward`](x, ...parametersOf(`${name}Forward`), { out }),
    },
    [`${name}Backward`]: {
      operands: { dout: out },
      optional: { dx: x },
      first: "the cache",
      forward: `${name}Forward`,
      apart: { dx: ["dout"] },
      run: ({ dout, cache, dx }: Arguments) =>
        (lamella as Any)[`${name}Backward`](dout, cache, { dx }),
    },
  });
  /** Normalisations with a gain and a bias, and no running values. */
  const normCalls = (name: string, x: Shape) => ({
    [`${name}Forward`]: {
      operands: { x, gamma: [D], beta: [D] },
      optional: { out: x },
      first: "x",
      apart: { out: ["x", "gamma", "beta"] },
      run: ({ x, gamma, beta, out }: Arguments) =>
        (lamella as Any)[`${name}Forward`](x, gamma, beta, ...parametersOf(`${name}Forward`), {
          out,
        }),
    },
    [`${name}Backward`]: {
      operands: { dout: x },
      optional: { dx: x, dgamma: [D], dbeta: [D] },
      first: "the cache",
      forward: `${name}Forward`,
      apart: {
        dx: ["dout", "the cache's x", "dgamma"],
        dgamma: ["dout", "the cache's gamma", "dbeta"],
        dbeta: ["dout", "the cache's gamma"],
      },
      run: ({ dout, cache, dx, dgamma, dbeta }: Arguments) =>
        (lamella as Any)[`${name}Backward`](dout, cache, { dx, dgamma, dbeta }),
    },
  });
  const broadcastCalls = (name: string, apart: Call["apart"], saved: string[]) => ({
    [`${name}Forward`]: {
      operands: { a: [N, D], b: [D] },
      optional: { out: [N, D] },
      first: "a",
      ...(apart && { apart }),
      run: ({ a, b, out }: Arguments) => (lamella as Any)[`${name}Forward`](a, b, { out }),
    },
    [`${name}Backward`]: {
      operands: { dout: [N, D] },
      optional: { da: [N, D], db: [D] },
      first: "the cache",
      forward: `${name}Forward`,
      apart: { da: ["dout", ...saved, "db"], db: ["dout", ...saved] },
      run: ({ dout, cache, da, db }: Arguments) =>
        (lamella as Any)[`${name}Backward`](dout, cache, { da, db }),
    },
  });
  /** Convolutions, whose filters are of one cell. */
  const convCalls = (name: string, x: Shape, w: Shape, out: Shape) => ({
    [`${name}Forward`]: {
      operands: { x, w, b: [M] },
      optional: { out },
      first: "x",
      apart: { out: ["x", "w", "b"] },
      run: ({ x, w, b, out }: Arguments) =>
        (lamella as Any)[`${name}Forward`](x, w, b, ...parametersOf(`${name}Forward`), { out }),
    },
    [`${name}Backward`]: {
      operands: { dout: out },
      optional: { dx: x, dw: w, db: [M] },
      first: "the cache",
      forward: `${name}Forward`,
      apart: {
        dx: ["dout", "the cache's x", "dw", "db"],
        dw: ["dout", "the cache's w", "dx"],
        db: ["dout", "the cache's b", "dw"],
      },
      run: ({ dout, cache, dx, dw, db }: Arguments) =>
        (lamella as Any)[`${name}Backward`](dout, cache, { dx, dw, db }),
    },
  });
  /** Recurrent layers over one step of D features, with M states. */
  const recurrentCalls = (name: string, G: number) => {
    const operands: Record<string, Shape> = {
      ...{ x: [N, 1, D], h0: [N, M], ...(name === "lstm" && { c0: [N, M] }) },
      ...{ wx: [D, G * M], wh: [M, G * M], b: [G * M] },
      ...(name === "gru" && { bh: [G * M] }),
    };
    const names = Object.keys(operands);
    const read = names.filter((name) => !/^bh?$/.test(name)).map((name) => `the cache's ${name}`);
    const states = { dh: [N, M], ...(name === "lstm" && { dc: [N, M] }) };
    const gradients = Object.fromEntries(names.map((name) => [`d${name}`, operands[name]!]));
    return {
      [`${name}Forward`]: {
        operands,
        optional: { out: [N, 1, M] },
        first: "x",
        apart: { out: names.filter((name) => G === 1 || !/^[wb]/.test(name)) },
        run: ({ out, ...given }: Arguments) =>
          (lamella as Any)[`${name}Forward`](...names.map((name) => given[name]), { out }),
      },
      [`${name}Backward`]: {
        operands: { dout: [N, 1, M] },
        optional: { ...gradients, ...states },
        first: "the cache",
        forward: `${name}Forward`,
        // Those of one size, where all lengths are 1.
        apart: Object.fromEntries(
          Object.keys(gradients).map((name) => [
            name,
            G > 1 && /^d(w|b)/.test(name)
              ? ["the cache's wx", "the cache's wh"]
              : [
                  "dout",
                  ...Object.keys(states),
                  ...read.filter((each) => G === 1 || !/ w/.test(each)),
                ],
          ]),
        ),
        run: ({ dout, cache, bnParam, ...others }: Arguments) =>
          (lamella as Any)[`${name}Backward`](dout, cache, others),
      },
    };
  };
  const image = [N, D, M, M];
  return {
    attentionForward: {
      operands: { q: [N, 1, D], k: [N, 1, D], v: [N, 1, D] },
      optional: { out: [N, 1, D] },
      first: "q",
      apart: { out: ["q", "k", "v"] },
      run: ({ q, k, v, out }) => lamella.attentionForward(q, k, v, { heads: 1 }, { out }),
    },
    attentionBackward: {
      operands: { dout: [N, 1, D] },
      optional: { dq: [N, 1, D], dk: [N, 1, D], dv: [N, 1, D] },
      first: "the cache",
      forward: "attentionForward",
      apart: {
        dq: ["dout", "the cache's q", "the cache's k", "the cache's v"],
        dk: ["dout", "the cache's q", "the cache's k", "the cache's v", "dq"],
        dv: ["dout", "the cache's q", "the cache's k", "the cache's v", "dq", "dk"],
      },
      run: ({ dout, cache, dq, dk, dv }) => lamella.attentionBackward(dout, cache, { dq, dk, dv }),
    },
    ...recurrentCalls("rnn", 1),
    ...recurrentCalls("lstm", 4),
    ...recurrentCalls("gru", 3),
    ...convCalls("conv2d", image, [M, D, 1, 1], [N, M, M, M]),
    ...convCalls("conv1d", [N, D, M], [M, D, 1], [N, M, M]),
    ...convCalls("convTranspose2d", image, [D, M, 1, 1], [N, M, M, M]),
    ...apartCalls("maxPool2d", image, image),
    ...apartCalls("avgPool2d", image, image),
    ...apartCalls("maxPool1d", [N, D, M], [N, D, M]),
    ...apartCalls("avgPool1d", [N, D, M], [N, D, M]),
    ...apartCalls("globalAvgPool", [N, D, M], [N, D]),
    ...apartCalls("zeroPad2d", image, image),
    ...apartCalls("upsample2d", image, image),
    ...apartCalls("permute", [N, D], [D, N]),
    ...normCalls("layernorm", [N, D]),
    ...normCalls("groupnorm", [N, D, M]),
    ...broadcastCalls("add", undefined, []),
    ...broadcastCalls("multiply", { out: ["a", "b"] }, ["the cache's a", "the cache's b"]),
    affineForward: {
      operands: { x: [N, D], w: [D, M], b: [M] },
      optional: { out: [N, M] },
      first: "x",
      apart: { out: ["x", "w", "b"] },
      run: ({ x, w, b, out }) => lamella.affineForward(x, w, b, { out }),
    },
    affineBackward: {
      operands: { dout: [N, M] },
      optional: { dx: [N, D], dw: [D, M], db: [M] },
      first: "the cache",
      forward: "affineForward",
      apart: {
        dx: ["dout", "the cache's x", "dw", "db"],
        dw: ["dout", "the cache's w", "dx"],
        db: ["dout", "the cache's b", "dw"],
      },
      run: ({ dout, cache, dx, dw, db }) => lamella.affineBackward(dout, cache, { dx, dw, db }),
    },
    ...Object.assign({}, ...unary.map(unaryCalls)),
    preluForward: {
      operands: { x: [N, D], slope: [D] },
      optional: { out: [N, D] },
      first: "x",
      apart: { out: ["x", "slope"] },
      run: ({ x, slope, out }) => lamella.preluForward(x, slope, { out }),
    },
    preluBackward: {
      operands: { dout: [N, D] },
      optional: { dx: [N, D], dslope: [D] },
      first: "the cache",
      forward: "preluForward",
      apart: {
        dx: ["the cache's x"],
        dslope: ["the cache's slope"],
      },
      run: ({ dout, cache, dx, dslope }) => lamella.preluBackward(dout, cache, { dx, dslope }),
    },
    normalizeForward: {
      operands: { x: [N, D], mean: [D], std: [D] },
      optional: { out: [N, D] },
      first: "x",
      apart: { out: ["mean", "std"] },
      run: ({ x, mean, std, out }) => lamella.normalizeForward(x, mean, std, { out }),
    },
    normalizeBackward: {
      operands: { dout: [N, D] },
      optional: { dx: [N, D] },
      first: "the cache",
      forward: "normalizeForward",
      apart: { dx: ["the cache's std"] },
      run: ({ dout, cache, dx }) => lamella.normalizeBackward(dout, cache, { dx }),
    },
    batchnormForward: {
      operands: { x: [N, D], gamma: [D], beta: [D] },
      optional: { out: [N, D], ...running },
      first: "x",
      apart: {
        out: ["x", "gamma", "beta", "bnParam.runningMean", "bnParam.runningVar"],
        "bnParam.runningMean": ["x", "gamma", "beta", "bnParam.runningVar"],
        "bnParam.runningVar": ["x", "gamma", "beta"],
      },
      run: ({ x, gamma, beta, out, ...rest }) =>
        lamella.batchnormForward(x, gamma, beta, bnParamOf(rest), { out }),
    },
    batchnormBackward: {
      operands: { dout: [N, D] },
      optional: { dx: [N, D], dgamma: [D], dbeta: [D] },
      first: "the cache",
      forward: "batchnormForward",
      apart: {
        dx: ["dout", "the cache's x", "dgamma"],
        dgamma: ["dout", "the cache's gamma", "dbeta"],
        dbeta: ["dout", "the cache's gamma"],
      },
      run: ({ dout, cache, dx, dgamma, dbeta }) =>
        lamella.batchnormBackward(dout, cache, { dx, dgamma, dbeta }),
    },
    recalibrate: {
      operands: { "batches[0]": [N, D], "batches[1]": [2, D] },
      optional: running,
      first: "batches[0]",
      apart: { "bnParam.runningMean": ["bnParam.runningVar"] },
      run: (given) => {
        lamella.recalibrate([given["batches[0]"], given["batches[1]"]], bnParamOf(given));
      },
    },
    dropoutForward: {
      operands: { x: [N, D] },
      optional: { out: [N, D] },
      first: "x",
      run: ({ x, out, param }) =>
        lamella.dropoutForward(x, param ?? { p: 0.5, mode: "train" }, { out }),
    },
    dropoutBackward: {
      operands: { dout: [N, D] },
      optional: { dx: [N, D] },
      first: "the cache",
      forward: "dropoutForward",
      run: ({ dout, cache, dx }) => lamella.dropoutBackward(dout, cache, { dx }),
    },
    softmaxLoss: lossCall(lamella.softmaxLoss),
    svmLoss: lossCall(lamella.svmLoss),
    bceWithLogitsLoss: targetLossCall(lamella.bceWithLogitsLoss),
    mseLoss: targetLossCall(lamella.mseLoss),
    numericalGradient: {
      operands: { x: [N, D] },
      optional: { dout: [N] },
      first: "x",
      run: ({ x, dout }) => lamella.numericalGradient(() => steady, x, dout),
    },
  };
}

const calls = callsAt(4, 3, 2);
const names = Object.keys(calls);

/** Good arguments of each call, the optional ones left out. */
function goodFor(calls: Record<string, Call>): Record<string, Arguments> {
  const good: Record<string, Arguments> = {};
  for (const [name, { operands, forward }] of Object.entries(calls)) {
    const given: Arguments = {};
    for (const [operand, shape] of Object.entries(operands)) given[operand] = made(shape);
    if (forward) {
      given.cache = cacheOf(forward, lamella, runtime, calls).cache;
      for (const key of ["x", "w", "a", "b", "gamma", "mask", "out", "std"]) {
        if (given.cache[key]) watched.push(given.cache[key]);
      }
    }
    good[name] = given;
  }
  return good;
}

const good = goodFor(calls);

/**
 * What a call that is refused, or that fails, leaves as it was: the figures, and each tensor's
 * bytes on a line.
 */
function snapshot(tensors: lamella.Tensor[] = watched, of: lamella.Runtime = runtime): string {
  const { bytesPeak: _, ...figures } = of.memory;
  const bytes = tensors.map(({ data: { buffer, byteOffset, byteLength } }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString("base64"),
  );
  return [JSON.stringify(figures), ...bytes].join("\n");
}

/**
 * Makes a call with some arguments exchanged, which it must refuse by this error, changing nothing.
 */
function refuses(
  name: string,
  exchanged: Arguments,
  type: ErrorClass,
  message: string | RegExp,
): void {
  const before = snapshot();
  const bnParam = { ...exchanged.bnParam };
  let error: unknown;
  try {
    (calls[name] as Call).run({ ...good[name], ...exchanged });
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof Error)) throw new Error("the call was not refused");
  expect(`${error.constructor.name}: ${error.message}`).toMatch(
    typeof message === "string" ? `${type.name}: ${name}: ${message}` : message,
  );
  expect(error.constructor).toBe(type);
  expect(snapshot()).toBe(before);
  expect({ ...exchanged.bnParam }).toEqual(bnParam);
}

const tensors = names.flatMap((name) => {
  const { operands, optional, first } = calls[name] as Call;
  const list = (arguments_: Record<string, Shape>, isOptional: boolean) =>
    Object.entries(arguments_).map(([argument, shape]) => ({
      ...{ name, argument, shape, first, isOptional },
      isFirst: argument === first,
    }));
  return [...list(operands, false), ...list(optional, true)];
});

describe.each(tensors)("$name: $argument", (row) => {
  const { name, argument, shape, first, isOptional, isFirst } = row;

  test("that is no tensor is a TypeError", () => {
    for (const [wrong, given] of [
      [5, "number"],
      ["x", "string"],
      [true, "boolean"],
      [() => 1, "function"],
      [{}, "Object"],
      [[1, 2], "Array"],
      [Float32Array.of(1), "Float32Array"],
    ] as const) {
      refuses(name, { [argument]: wrong }, TypeError, `${argument} must be a tensor, got ${given}`);
    }
    if (isOptional) return;
    for (const wrong of [undefined, null]) {
      if (wrong === null && argument === "b" && name.startsWith("conv")) continue; // no bias
      if (wrong === null && argument === "bh") continue;
      const message = `${argument} must be a tensor, got ${wrong}`;
      refuses(name, { [argument]: wrong }, TypeError, message);
    }
  });

  test("of another copy of the package is a TypeError that says so", () => {
    const wrong = { [argument]: foreignRuntime.ones(shape) };
    const message = `${argument} must be a tensor, got a tensor of another copy of this package`;
    refuses(name, wrong, TypeError, message);
  });

  test("that has been disposed is a DisposedError", () => {
    const wrong = { [argument]: disposed(shape) };
    refuses(name, wrong, DisposedError, `${argument} has been disposed`);
  });

  test("of a disposed runtime is a DisposedError", () => {
    const wrong = { [argument]: ofDisposedRuntime(shape) };
    refuses(name, wrong, DisposedError, /runtime has been disposed$/);
  });

  if (!isFirst) {
    test("of another runtime is a RuntimeMismatchError with both", () => {
      const wrong = { [argument]: otherRuntime.ones(shape) };
      const message = `${argument} and ${first} belong to different runtimes`;
      refuses(name, wrong, RuntimeMismatchError, message);
    });
  }

  test("of a dtype that does not fit is a DTypeError with both", () => {
    for (const dtype of isFirst ? (["int32"] as const) : (["float64", "int32"] as const)) {
      const message = isFirst
        ? `${argument} must be float32 or float64, got int32`
        : `${argument} is ${dtype} but ${first} is float32`;
      refuses(name, { [argument]: made(shape, dtype) }, DTypeError, message);
    }
  });

  if (isOptional && argument !== "dout") {
    test("of another shape is a ShapeError with both", () => {
      const [rows = 0, columns] = shape;
      const others = [
        [...shape].reverse(),
        [...shape, 1],
        [rows + 1, ...shape.slice(1)],
        [rows * (columns ?? 1), 1],
        [],
      ];
      for (const wrong of others) {
        if (formatShape(wrong) === formatShape(shape)) continue;
        const both = `${formatShape(shape)}, got ${formatShape(wrong)}`;
        const message = `${argument} must have shape ${both}`;
        refuses(name, { [argument]: made(wrong) }, ShapeError, message);
      }
    });
  }
});

test("a DisposedError tells which tensor's runtime has been disposed", () => {
  for (const { name, argument, shape, isFirst } of tensors) {
    if (isFirst) continue;
    const wrong = { [argument]: ofDisposedRuntime(shape) };
    refuses(name, wrong, DisposedError, `${argument}'s runtime has been disposed`);
  }
});

describe("shapes that do not fit each other are a ShapeError", () => {
  test.each<[name: string, shapes: Record<string, Shape>, message: string]>([
    ["affineForward", { x: [4] }, "x must have shape (N, d_1, …, d_k), got (4,)"],
    ["affineForward", { x: [] }, "x must have shape (N, d_1, …, d_k), got ()"],
    ["affineForward", { x: [4, 5] }, "x has 5 features per example but w has 3 rows"],
    ["affineForward", { x: [4, 3, 2] }, "x has 6 features per example but w has 3 rows"],
    ["affineForward", { x: [4, 0] }, "x has 0 features per example but w has 3 rows"],
    ["affineForward", { x: [3, 4] }, "x has 4 features per example but w has 3 rows"],
    ["affineForward", { w: [3] }, "w must have shape (D, M), got (3,)"],
    ["affineForward", { w: [3, 2, 1] }, "w must have shape (D, M), got (3, 2, 1)"],
    ["affineForward", { w: [2, 3] }, "x has 3 features per example but w has 2 rows"],
    ["affineForward", { b: [] }, "b must have shape (M,), got ()"],
    ["affineForward", { b: [1, 2] }, "b must have shape (M,), got (1, 2)"],
    ["affineForward", { b: [3] }, "w has 2 columns but b has 3 elements"],
    ["affineForward", { b: [0] }, "w has 2 columns but b has 0 elements"],
    ["affineBackward", { dout: [2, 4] }, "dout must have shape (4, 2), got (2, 4)"],
    ["affineBackward", { dout: [8] }, "dout must have shape (4, 2), got (8,)"],
    ["affineBackward", { dout: [4, 3] }, "dout must have shape (4, 2), got (4, 3)"],
    ["affineBackward", { dout: [4, 2, 1] }, "dout must have shape (4, 2), got (4, 2, 1)"],
    ["reluBackward", { dout: [3, 4] }, "dout must have shape (4, 3), got (3, 4)"],
    ["reluBackward", { dout: [12] }, "dout must have shape (4, 3), got (12,)"],
    ["reluBackward", { dout: [0] }, "dout must have shape (4, 3), got (0,)"],
    ["softmaxForward", { x: [] }, "x must have shape (…, C), got ()"],
    ["softmaxBackward", { dout: [3, 4] }, "dout must have shape (4, 3), got (3, 4)"],
    ["sigmoidBackward", { dout: [12] }, "dout must have shape (4, 3), got (12,)"],
    ["geluBackward", { dout: [4, 3, 1] }, "dout must have shape (4, 3), got (4, 3, 1)"],
    ["normalizeForward", { x: [3] }, "x must have shape (N, d_1, …, d_k), got (3,)"],
    ["normalizeForward", { x: [4, 5] }, "mean must have shape (5,), got (3,)"],
    ["normalizeForward", { mean: [1, 3] }, "mean must have shape (3,), got (1, 3)"],
    ["normalizeForward", { std: [4] }, "std must have shape (3,), got (4,)"],
    ["normalizeBackward", { dout: [3] }, "dout must have shape (4, 3), got (3,)"],
    ["bceWithLogitsLoss", { y: [3, 4] }, "y must have shape (4, 3), got (3, 4)"],
    ["bceWithLogitsLoss", { x: [12] }, "y must have shape (12,), got (4, 3)"],
    ["mseLoss", { y: [4] }, "y must have shape (4, 3), got (4,)"],
    ["batchnormForward", { x: [12] }, "x must have shape (N, C, …), got (12,)"],
    ["batchnormForward", { x: [2, 2, 3] }, "gamma must have shape (2,), got (3,)"],
    ["batchnormForward", { x: [3, 4] }, "gamma must have shape (4,), got (3,)"],
    ["batchnormForward", { gamma: [1, 3] }, "gamma must have shape (3,), got (1, 3)"],
    ["batchnormForward", { gamma: [4] }, "gamma must have shape (3,), got (4,)"],
    ["batchnormForward", { beta: [4] }, "beta must have shape (3,), got (4,)"],
    ["batchnormForward", { beta: [] }, "beta must have shape (3,), got ()"],
    ["batchnormBackward", { dout: [3, 4] }, "dout must have shape (4, 3), got (3, 4)"],
    ["batchnormBackward", { dout: [12] }, "dout must have shape (4, 3), got (12,)"],
    ["recalibrate", { "batches[0]": [12] }, "batches[0] must have shape (N, C, …), got (12,)"],
    ["recalibrate", { "batches[1]": [3] }, "batches[1] must have shape (N, C, …), got (3,)"],
    ["recalibrate", { "batches[1]": [2, 4] }, "batches[1] has 4 features but batches[0] has 3"],
    ["dropoutBackward", { dout: [3, 4] }, "dout must have shape (4, 3), got (3, 4)"],
    ["dropoutBackward", { dout: [12] }, "dout must have shape (4, 3), got (12,)"],
    ["softmaxLoss", { x: [4] }, "x must have shape (N, C), got (4,)"],
    ["softmaxLoss", { x: [4, 3, 1] }, "x must have shape (N, C), got (4, 3, 1)"],
    ["softmaxLoss", { x: [5, 3] }, "y has 4 labels but x has 5 rows"],
    ["svmLoss", { x: [] }, "x must have shape (N, C), got ()"],
    ["svmLoss", { x: [3, 4] }, "y has 4 labels but x has 3 rows"],
    ["numericalGradient", { dout: [3] }, "f(x) must have shape (3,), got (4,)"],
    ["numericalGradient", { dout: [] }, "f(x) must have shape (), got (4,)"],
  ])("%s of %j", (name, shapes, message) => {
    const wrong = Object.entries(shapes).map(([argument, shape]) => [argument, made(shape)]);
    refuses(name, Object.fromEntries(wrong), ShapeError, message);
  });

  test("in the very words of the contract", () => {
    const wrong = { x: made([2, 32, 32, 3]), w: made([784, 1]), b: made([1]) };
    const message = "x has 3072 features per example but w has 784 rows";
    refuses("affineForward", wrong, ShapeError, message);
  });
});

describe.each(names.filter((name) => calls[name]?.forward))("%s: the cache", (name) => {
  const forward = calls[name]?.forward as string;
  const due = `cache must be the one that ${forward} returned, got`;

  test("that is none is a TypeError", () => {
    for (const [wrong, given] of [
      [undefined, "undefined"],
      [null, "null"],
      [5, "number"],
      ["cache", "string"],
      [{}, "Object"],
      [[], "Array"],
      [{ operation: forward }, "Object"],
      [{ dispose() {} }, "Object"],
    ] as const) {
      refuses(name, { cache: wrong }, TypeError, `${due} ${given}`);
    }
    refuses(name, { cache: made([1]) }, TypeError, `${due} a tensor`);
  });

  test("of another layer is a TypeError that says of which", () => {
    for (const { forward: other } of Object.values(calls)) {
      if (!other || other === forward) continue;
      refuses(name, { cache: cacheOf(other).cache }, TypeError, `${due} that of ${other}`);
    }
  });

  test("of another copy of the package is a TypeError that says so", () => {
    const { cache } = cacheOf(forward, copy, foreignRuntime);
    refuses(name, { cache }, TypeError, /: cache must be .*another copy of this package/);
  });

  test("that has been disposed is a DisposedError", () => {
    const { cache } = cacheOf(forward);
    cache.dispose();
    refuses(name, { cache }, DisposedError, /: cache.* has been disposed$/);
  });

  test("of a disposed runtime is a DisposedError", () => {
    const ended = lamella.createRuntimeSync();
    const { cache } = cacheOf(forward, lamella, ended);
    ended.dispose();
    refuses(name, { cache }, DisposedError, /runtime has been disposed$/);
  });

  // A cache shows handles of its own, which have a dispose() like all others.
  test("whose operands were disposed through it is a DisposedError, not a read of freed memory", () => {
    const { cache, operands } = cacheOf(forward);
    for (const tensor of operands) tensor.dispose();
    const shown = ["x", "w", "a", "b", "gamma", "mask", "out", "std"].filter((key) => cache[key]);
    // Where shapes are all that a backward needs, there is nothing to dispose of.
    if (shown.length === 0) return;
    for (const key of shown) cache[key].dispose();
    refuses(name, { cache }, DisposedError, /disposed/);
  });
});

describe("a destination that shares data is an AliasError with both", () => {
  // Where all lengths are 1, any two tensors can be two handles on the same data.
  const units = callsAt(1, 1, 1);
  const given = goodFor(units);
  const rows = names.flatMap((name) =>
    Object.entries(units[name]?.apart ?? {}).flatMap(([target, others]) =>
      others.map((other) => ({ name, target, other })),
    ),
  );

  test.each(rows)("$name: $target and $other", ({ name, target, other }) => {
    const { operands, optional } = units[name] as Call;
    const saved = /^the cache's (\w+)$/.exec(other)?.[1];
    const partner = saved ? given[name]?.cache[saved] : made(operands[other] ?? optional[other]!);
    const exchanged: Arguments = { ...given[name], [target]: partner.reshape(optional[target]) };
    if (!saved) exchanged[other] = partner;
    const both = [target, other].join(".*");
    const swapped = [other, target].join(".*");
    const message = new RegExp(
      `^AliasError: ${name}: (${both}|${swapped}).* (not elementwise|\\w+Backward needs (x|both|a and b))$`,
    );
    refuses(name, exchanged, AliasError, message);
  });
});

describe.each(["softmaxLoss", "svmLoss"])("%s: the labels", (name) => {
  test("that are out of range or no whole numbers are a RangeError with index and value", () => {
    for (const [y, index, value] of [
      [[0, -1, 0, 0], 1, "-1"],
      [[0, 1, 2, 3], 3, "3"],
      [[4, 4, 4, 4], 0, "4"],
      [[0, 0.5, 0, 0], 1, "0.5"],
      [[0, 1, NaN, 0], 2, "NaN"],
      [[0, 1, Infinity, 0], 2, "Infinity"],
      [[0, 1, 2 ** 32, 0], 2, "4294967296"],
      [[0, null, 0, 0], 1, "null"],
      [[0, undefined, 0, 0], 1, "undefined"],
      // biome-ignore lint/suspicious/noSparseArray: a hole is what is tried
      [[0, , 0, 0], 1, "undefined"],
      [Int32Array.of(0, 0, -2147483648, 0), 2, "-2147483648"],
      [Uint8Array.of(0, 0, 0, 255), 3, "255"],
      [runtime.tensor([0, 1, 3, 0], [4], "int32"), 2, "3"],
      [runtime.tensor([-1, 1, 2, 0], [4], "int32"), 0, "-1"],
    ] as [Any, number, string][]) {
      const message = `y[${index}] is ${value}, expected a whole number in [0, 3)`;
      refuses(name, { y }, RangeError, message);
    }
  });

  test("that are strings of digits are told apart from the numbers that they look like", () => {
    const y = [0, "1", 0, 0];
    refuses(name, { y }, RangeError, /y\[1\] is .*("1"|string)/);
  });

  test("of another number than x has rows are a ShapeError with both", () => {
    for (const y of [[], [0], [0, 0, 0], Int32Array.of(0, 0, 0, 0, 0)]) {
      refuses(name, { y }, ShapeError, `y has ${y.length} labels but x has 4 rows`);
    }
    for (const [shape, form] of [
      [[3], "(3,)"],
      [[4, 1], "(4, 1)"],
      [[], "()"],
    ] as const) {
      const y = runtime.zeros(shape, "int32");
      refuses(name, { y }, ShapeError, `y must have shape (4,), got ${form}`);
    }
  });

  test("of a floating dtype are a DTypeError", () => {
    for (const dtype of ["float32", "float64"] as const) {
      const message = `y must be int32, got ${dtype}`;
      refuses(name, { y: runtime.zeros([4], dtype) }, DTypeError, message);
    }
    refuses(name, { y: new Float32Array(4) }, DTypeError, "y must be int32, got float32");
    refuses(name, { y: new Float64Array(4) }, DTypeError, "y must be int32, got float64");
  });

  test("that are none are a TypeError", () => {
    for (const [y, given] of [
      [null, "null"],
      [5, "number"],
      ["0000", "string"],
      [{}, "Object"],
      [new Set([0]), "Set"],
      [new DataView(new ArrayBuffer(4)), "DataView"],
      [new BigInt64Array(4), "BigInt64Array"],
      [foreignRuntime.zeros([4], "int32"), "a tensor of another copy of this package"],
    ] as const) {
      const message = `y must be an Int32Array, an array of whole numbers or an int32 tensor, got ${given}`;
      refuses(name, { y }, TypeError, message);
    }
  });

  test("that were disposed, or belong to another runtime, are refused", () => {
    const y = runtime.zeros([4], "int32");
    y.dispose();
    refuses(name, { y }, DisposedError, "y has been disposed");
    const message = "y and x belong to different runtimes";
    refuses(name, { y: otherRuntime.zeros([4], "int32") }, RuntimeMismatchError, message);
  });
});

describe("parameters", () => {
  const bn = (bnParam: object, message: string | RegExp, type: ErrorClass = RangeError) =>
    refuses("batchnormForward", { bnParam: { mode: "train", ...bnParam } }, type, message);
  const drop = (param: unknown, message: string | RegExp, type: ErrorClass = RangeError) =>
    refuses("dropoutForward", { param }, type, message);

  test("an unknown mode is a RangeError in the contract's words", () => {
    for (const mode of ["eval", "Train", "", undefined, null, 0, true, {}]) {
      const shown = mode && typeof mode === "object" ? "Object" : String(mode);
      const exact = (layer: string) =>
        new RegExp(`^RangeError: Invalid forward ${layer} mode "${shown}"$`);
      bn({ mode }, exact("batchnorm"));
      drop({ p: 0.5, mode }, exact("dropout"));
    }
    bn({ mode: Symbol("train") }, /Invalid forward batchnorm mode/);
    drop({ p: 0.5, mode: Symbol("train") }, /Invalid forward dropout mode/);
  });

  test("eps that is not above 0 is a RangeError", () => {
    for (const eps of [0, -0, -1e-5, -Infinity, NaN]) {
      for (const mode of ["train", "test"]) {
        bn({ mode, eps }, `eps must be above 0, got ${eps}`);
      }
    }
    for (const eps of ["x", null, {}, true]) bn({ eps }, /eps must be above 0, got /);
  });

  test("momentum outside [0, 1] is a RangeError, its ends are none", () => {
    for (const momentum of [-0.1, 1.1, -Infinity, Infinity, NaN]) {
      for (const mode of ["train", "test"]) {
        bn({ mode, momentum }, `momentum must be in [0, 1], got ${momentum}`);
      }
    }
    for (const momentum of ["x", null, {}]) bn({ momentum }, /momentum must be in \[0, 1\], got /);
    for (const momentum of [0, 1]) {
      runtime.scope(() =>
        calls.batchnormForward!.run({
          ...good.batchnormForward,
          bnParam: { mode: "train", momentum },
        }),
      );
    }
  });

  test("p outside [0, 1) is a RangeError", () => {
    for (const p of [-0.1, 1, 1.5, -Infinity, Infinity, NaN, undefined]) {
      for (const mode of ["train", "test"]) drop({ p, mode }, `p must be in [0, 1), got ${p}`);
    }
    for (const p of ["x", null, {}]) drop({ p, mode: "train" }, /p must be in \[0, 1\), got /);
  });

  test("a seed that is no whole number in [0, 2³²) is a RangeError", () => {
    for (const seed of [-1, 2 ** 32, 0.5, NaN, Infinity, null, {}]) {
      for (const mode of ["train", "test"]) {
        const shown = typeof seed === "number" ? seed : seed === null ? "null" : "Object";
        const message = `seed must be a whole number in [0, 4294967296), got ${shown}`;
        drop({ p: 0.5, mode, seed }, message);
      }
    }
  });

  test("a negativeSlope that is no finite number is a RangeError", () => {
    const { x } = good.leakyReluForward as Arguments;
    for (const negativeSlope of [NaN, Infinity, -Infinity, "0.1", {}] as Any[]) {
      const before = snapshot();
      const call = () => lamella.leakyReluForward(x, { negativeSlope });
      expect(call).toThrow(RangeError);
      const shown = { string: '"0.1"', object: "Object" }[typeof negativeSlope as string];
      expect(call).toThrow(
        `leakyReluForward: negativeSlope must be a finite number, got ${shown ?? negativeSlope}`,
      );
      expect(snapshot()).toBe(before);
    }
  });

  test("a number in a string is told apart from the number that it looks like", () => {
    expect.soft(() => bn({ eps: "0.001" }, /eps.*("0\.001"|string)/)).not.toThrow();
    expect.soft(() => bn({ momentum: "0.5" }, /momentum.*("0\.5"|string)/)).not.toThrow();
    expect.soft(() => drop({ p: "0.5", mode: "train" }, /p.*("0\.5"|string)/)).not.toThrow();
    expect.soft(() => drop({ p: 0, mode: "train", seed: "3" }, /seed.*("3"|string)/)).not.toThrow();
  });

  test("a string is shown in quotes, sixty characters of it at most", () => {
    for (const [dtype, shown] of [
      ["x".repeat(60), `"${"x".repeat(60)}"`],
      [`${"x".repeat(60)}y`, `"${"x".repeat(60)}…"`],
    ] as const) {
      expect(() => runtime.zeros([1], dtype as Any)).toThrow(new RegExp(`got ${shown}$`));
    }
  });

  test("that are no object are a TypeError", () => {
    const { x, gamma, beta } = good.batchnormForward as Arguments;
    for (const [wrong, given] of [
      [undefined, "undefined"],
      [null, "null"],
      ["train", "string"],
      [0.5, "number"],
    ] as const) {
      const before = snapshot();
      for (const [name, parameter, call] of [
        [
          "batchnormForward",
          "bnParam",
          () => lamella.batchnormForward(x, gamma, beta, wrong as Any),
        ],
        ["dropoutForward", "dropoutParam", () => lamella.dropoutForward(x, wrong as Any)],
        ["recalibrate", "bnParam", () => lamella.recalibrate([x], wrong as Any)],
      ] as const) {
        expect(call).toThrow(TypeError);
        expect(call).toThrow(`${name}: ${parameter} must be an object, got ${given}`);
      }
      expect(snapshot()).toBe(before);
    }
  });

  test("that cannot take the running values are refused before anything is changed", () => {
    const { x, gamma, beta } = good.batchnormForward as Arguments;
    const [runningMean, runningVar, out] = [made([3]), made([3]), made([4, 3])];
    const mode = "train" as const;
    const before = snapshot();
    for (const [bnParam, key] of [
      [Object.freeze({ mode, runningMean }), "runningVar"],
      [Object.freeze({ mode, runningVar }), "runningMean"],
      [Object.freeze({ mode, runningMean, runningVar: undefined }), "runningVar"],
      [Object.defineProperty({ mode, runningMean }, "runningVar", { get() {} }), "runningVar"],
    ] as [lamella.BatchnormParam<Any>, string][]) {
      for (const [name, call] of [
        ["batchnormForward", () => lamella.batchnormForward(x, gamma, beta, bnParam, { out })],
        ["recalibrate", () => lamella.recalibrate([x], bnParam)],
      ] as const) {
        const message = `${name}: bnParam must be an object that can be written to, as ${key} is made in it`;
        expect(call).toThrow(new TypeError(message));
      }
    }
    expect(snapshot()).toBe(before);
  });

  test("that have the running values, or can take them otherwise, are taken", () => {
    const { x, gamma, beta } = good.batchnormForward as Arguments;
    const [runningMean, runningVar] = [made([3]), made([3])];
    const mode = "train" as const;
    let held: lamella.Tensor<Any> | undefined;
    const accessors = {
      ...{ mode, runningMean },
      get runningVar() {
        return held;
      },
      set runningVar(tensor) {
        held = tensor;
      },
    };
    for (const bnParam of [
      Object.freeze({ mode, runningMean, runningVar }),
      Object.seal({ mode, runningMean, runningVar: undefined }),
      accessors,
    ]) {
      lamella.batchnormForward(x, gamma, beta, bnParam);
      expect(bnParam.runningVar?.shape).toEqual([3]);
    }
  });

  test("null as options is a TypeError before anything is made", () => {
    for (const name of names) {
      if (name === "recalibrate" || name === "numericalGradient") continue;
      const { cache, ...given } = good[name] as Arguments;
      const isLabelLoss = /^(softmax|svm)Loss$/.test(name);
      const more = cache ? [cache] : isLabelLoss ? [[0, 1, 2, 0]] : parametersOf(name);
      const args = [...Object.values(given), ...more, null];
      const before = snapshot();
      const message = `${name}: options must be an object, got null`;
      expect(() => (lamella as Any)[name](...args)).toThrow(new TypeError(message));
      expect(snapshot(), name).toBe(before);
    }
  });
});

describe("an empty batch", () => {
  test("is a RangeError where a mean over it is taken", () => {
    const x = made([0, 3]);
    const empty = "x has no rows (N = 0), and";
    refuses("batchnormForward", { x }, RangeError, `${empty} training takes a mean over them`);
    for (const name of ["softmaxLoss", "svmLoss"]) {
      for (const y of [[], new Int32Array(0), runtime.zeros([0], "int32")]) {
        refuses(name, { x, y }, RangeError, `${empty} the loss is a mean over them`);
      }
    }
    for (const name of ["bceWithLogitsLoss", "mseLoss"]) {
      const message = "x has no elements, and the loss is a mean over them";
      refuses(name, { x, y: made([0, 3]) }, RangeError, message);
    }
    const message = "batches hold no row to take a mean over";
    refuses("recalibrate", { "batches[0]": x, "batches[1]": x }, RangeError, message);
  });

  test("of batches, none at all, is a RangeError, and no list of them a TypeError", () => {
    const bnParam = { mode: "train" } as const;
    const message = "recalibrate: batches hold no row to take a mean over";
    expect(() => lamella.recalibrate([], bnParam)).toThrow(RangeError);
    expect(() => lamella.recalibrate([], bnParam)).toThrow(message);
    for (const batches of [undefined, null, 5, {}, good.reluForward?.x] as Any[]) {
      expect(() => lamella.recalibrate(batches, bnParam)).toThrow(TypeError);
      expect(() => lamella.recalibrate(batches, bnParam)).toThrow(
        /^recalibrate: batches must be iterable, got /,
      );
    }
    expect(Object.keys(bnParam)).toEqual(["mode"]);
  });

  test("shares no data with itself: a destination may be an operand", () => {
    const x = runtime.zeros([0, 3]);
    expect(lamella.geluForward(x, { out: x }).out).toBe(x);
  });

  test("passes everywhere else: empty outputs, and parameter gradients of 0", () => {
    for (const dtype of ["float32", "float64"] as const) {
      runtime.scope(() => {
        const x = runtime.zeros([0, 3], dtype);
        const column = runtime.ones([3], dtype);
        const affine = lamella.affineForward(
          x,
          runtime.ones([3, 2], dtype),
          runtime.ones([2], dtype),
        );
        expect(affine.out.shape).toEqual([0, 2]);
        const { dx, dw, db } = lamella.affineBackward(affine.out, affine.cache);
        expect([dx.shape, ...dw.data, ...db.data]).toEqual([[0, 3], 0, 0, 0, 0, 0, 0, 0, 0]);
        for (const name of unary) {
          const { out, cache } = (lamella as Any)[`${name}Forward`](x);
          expect((lamella as Any)[`${name}Backward`](out, cache).shape, name).toEqual([0, 3]);
        }
        const scaled = lamella.normalizeForward(x, column, column);
        expect(lamella.normalizeBackward(scaled.out, scaled.cache).shape).toEqual([0, 3]);
        for (const mode of ["train", "test"] as const) {
          const dropout = lamella.dropoutForward(x, { p: 0.5, mode });
          expect(lamella.dropoutBackward(dropout.out, dropout.cache).shape).toEqual([0, 3]);
        }
        const norm = lamella.batchnormForward(x, column, column, { mode: "test" });
        const gradients = lamella.batchnormBackward(norm.out, norm.cache);
        expect(gradients.dx.shape).toEqual([0, 3]);
        expect([...gradients.dgamma.data, ...gradients.dbeta.data]).toEqual([0, 0, 0, 0, 0, 0]);
        const gradient = lamella.numericalGradient((x) => lamella.reluForward(x).out, x);
        expect(gradient.shape).toEqual([0, 3]);
      });
    }
  });
});

describe("NaN and infinities as data", () => {
  test.each([NaN, Infinity, -Infinity])("%d is computed with, by every call", (value) => {
    for (const dtype of ["float32", "float64"] as const) {
      for (const [name, call] of Object.entries(calls)) {
        if (name === "numericalGradient") continue;
        runtime.scope(() => {
          const shapes = { ...call.operands, ...call.optional };
          const given: Arguments = {};
          for (const [argument, shape] of Object.entries(shapes)) {
            given[argument] = runtime.full(shape, value, dtype);
          }
          if (call.forward) {
            const operands = Object.values((calls[call.forward] as Call).operands);
            const tensors = operands.map((shape) => runtime.full(shape, value, dtype));
            const more = parametersOf(call.forward);
            given.cache = (lamella as Any)[call.forward](...tensors, ...more).cache;
          }
          call.run(given);
        });
      }
    }
  });
});

describe("memory that runs out in the middle of a call", () => {
  const limit = 4 * 65536;

  /** Sizes at which each call takes several blocks, workspaces among them. */
  const large = callsAt(9, 8, 7);

  test.each(names)("%s: leaves everything as it was, however far it came", (name) => {
    const { operands, forward, run } = large[name] as Call;
    const small = lamella.createRuntimeSync({
      initialMemory: limit,
      maxMemory: limit,
    }) as LamellaRuntime;
    const given: Arguments = {};
    for (const [argument, shape] of Object.entries(operands)) given[argument] = small.ones(shape);
    if (forward) given.cache = cacheOf(forward, lamella, small, large).cache;
    const bnParam = { mode: "train" };

    const holes = () => [...small.linear.blocks()].filter(({ free }) => free);
    const free = () => holes()[0]?.bytes ?? 0;
    const filler = (bytes: number) => (bytes > 0 ? small.create("float32", [bytes / 4]) : null);
    // Small blocks go into the smallest hole, until what is free is one piece.
    while (holes().length > 1) small.create("float32", [1]);
    const inputs = [...Object.values(given), ...Object.values(given.cache ?? {})].filter(
      (each) => typeof each?.toTypedArray === "function",
    );
    let failures = 0;
    for (let room = 0; ; room += 64) {
      const fill = filler(free() - room);
      expect(free()).toBe(room);
      const before = snapshot(inputs, small);
      let error: unknown;
      try {
        small.scope(() => run({ ...given, bnParam }));
      } catch (thrown) {
        error = thrown;
      }
      if (!error) break;
      failures++;
      expect(error).toBeInstanceOf(MemoryError);
      const { bytesRequested, bytesLive } = error as InstanceType<typeof MemoryError>;
      expect(bytesRequested).toBeGreaterThan(0);
      expect(bytesLive).toBeGreaterThanOrEqual(small.memory.bytesLive);
      expect(snapshot(inputs, small)).toBe(before);
      expect(bnParam).toEqual({ mode: "train" });
      // The next smaller call works.
      fill?.dispose();
      small.scope(() => {
        expect(lamella.reluForward(small.full([2], 3)).out.data).toEqual(Float32Array.of(3, 3));
      });
    }
    // Once for each block at least, where the one after it does not fit any more.
    expect(failures).toBeGreaterThan(2);
  });

  test("does not move the runtime's random stream", () => {
    const small = lamella.createRuntimeSync({
      initialMemory: limit,
      maxMemory: limit,
    }) as LamellaRuntime;
    const fresh = lamella.createRuntimeSync();
    const param = { p: 0.5, mode: "train" } as const;
    const x = small.ones([1000]);
    // Room for the output, and not for the mask.
    const { bytes } = [...small.linear.blocks()].at(-1) as { bytes: number };
    const fill = small.create("float32", [(bytes - 6016) / 4]);
    expect(() => lamella.dropoutForward(x, param)).toThrow(MemoryError);
    fill.dispose();
    const expected = lamella.dropoutForward(fresh.ones([1000]), param).out.data;
    expect(lamella.dropoutForward(x, param).out.data).toEqual(expected);
  });
});

test("what is refused does not move the runtime's random stream", () => {
  const [own, fresh] = [lamella.createRuntimeSync(), lamella.createRuntimeSync()];
  const x = own.ones([100]);
  const param = { p: 0.5, mode: "train" } as const;
  for (const wrong of [
    () => lamella.dropoutForward(x, { ...param, p: 1 }),
    () => lamella.dropoutForward(x, param, { out: own.ones([3]) }),
    () => lamella.dropoutForward(x, { ...param, mode: "eval" as "train" }),
  ]) {
    expect(wrong).toThrow(RangeError);
  }
  const expected = lamella.dropoutForward(fresh.ones([100]), param).out.data;
  expect(lamella.dropoutForward(x, param).out.data).toEqual(expected);
});

describe("a key that an options object does not have", () => {
  const network = { input: [3], layers: [lamella.affine(2)] };
  const model = new lamella.Sequential(runtime, network);
  const scores = model.forward(new Float32Array(3), { mode: "train" });
  const trainer = new lamella.Trainer(model, { loss: "softmax", optimizer: lamella.sgd() });
  const batch = { x: [[1, 2, 3]], y: [0] };
  const file = lamella.saveModel(model);

  interface Taker {
    /** A good call, but for what is added to this object. */
    call(options: Any): unknown;
    /** What the call takes. */
    keys: readonly string[];
    /** What it must get. */
    needs?: object;
    /** Nothing but options is given, so a number in their place is shown in the whole call. */
    isFirst?: boolean;
  }

  const node = lamella.input([2]);
  const graphOfOne = { inputs: { node }, outputs: { out: lamella.apply(lamella.relu(), node) } };
  /** All that take options, or parameters by name, by the name that the error begins with. */
  const withOptions = kinds.filter((kind) => {
    const { settings, argument } = named[kind]!;
    return settings && !argument;
  });
  const takers: Record<string, Taker> = {
    createRuntime: {
      call: (options) => lamella.createRuntime(options),
      keys: ["wasm", "threads", "seed", "initialMemory", "maxMemory"],
      isFirst: true,
    },
    createRuntimeSync: {
      call: (options) => lamella.createRuntimeSync(options),
      keys: ["wasm", "seed", "initialMemory", "maxMemory"],
      isFirst: true,
    },
    Sequential: {
      call: (options) => new lamella.Sequential(runtime, options),
      keys: ["input", "layers", "dtype", "seed", "initializer"],
      needs: network,
    },
    "Sequential.forward": { call: (options) => model.forward(batch.x, options), keys: ["mode"] },
    "Sequential.backward": { call: (options) => model.backward(scores, options), keys: ["dx"] },
    "Sequential.probabilities": {
      call: (options) => model.probabilities(batch.x, options),
      keys: ["loss"],
    },
    saveModel: { call: (options) => lamella.saveModel(model, options), keys: ["classes"] },
    "Sequential.compile": { call: (options) => model.compile(options), keys: ["maxBatch"] },
    "Sequential.evaluate": {
      call: (options) => model.evaluate(options),
      keys: ["x", "y", "loss", "batchSize", "classWeights"],
      needs: batch,
    },
    Trainer: {
      call: (options) => new lamella.Trainer(model, options),
      keys: ["loss", "optimizer", "l2", "clipNorm", "seed", "classWeights"],
      needs: { loss: "softmax", optimizer: lamella.sgd() },
    },
    "Trainer.evaluate": {
      call: (options) => trainer.evaluate(options),
      keys: ["x", "y", "batchSize"],
      needs: batch,
    },
    "Trainer.fit": {
      call: (options) => trainer.fit(batch, options),
      keys: [
        ...["epochs", "batchSize", "lastBatch", "restart", "validation", "signal"],
        ...["earlyStopping", "stopOnNaN"],
      ],
      needs: { epochs: 1 },
    },
    "Trainer.fit: earlyStopping": {
      call: (earlyStopping) => trainer.fit(batch, { epochs: 1, earlyStopping }),
      keys: ["patience", "minDelta", "restoreBest"],
      needs: { patience: 1 },
    },
    ...Object.fromEntries(
      (["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"] as const).map((kind) => [
        kind,
        {
          call: (options: Any) => (lamella as Any)[kind](options),
          keys: Object.keys((lamella as Any)[kind]()).filter((key) => key !== "kind"),
          isFirst: true,
        },
      ]),
    ),
    step: {
      call: (options) => lamella.step(options),
      keys: ["from", "every", "factor"],
      needs: { from: 1, every: 1, factor: 1 },
      isFirst: true,
    },
    linear: {
      call: (options) => lamella.linear(options),
      keys: ["from", "to", "steps"],
      needs: { from: 1, steps: 1 },
      isFirst: true,
    },
    cosine: {
      call: (options) => lamella.cosine(options),
      keys: ["from", "to", "steps"],
      needs: { from: 1, steps: 1 },
      isFirst: true,
    },
    warmup: {
      call: (options) => lamella.warmup(options),
      keys: ["steps", "after"],
      needs: { steps: 1, after: 1 },
      isFirst: true,
    },
    // Layers whose settings all have defaults and are given as one object.
    ...Object.fromEntries(
      withOptions.map((kind) => {
        const { settings = {}, first = [] } = named[kind]!;
        const call = (options: Any) => (lamella as Any)[kind](options);
        return [kind, { call, keys: [...Object.keys(settings), ...first], isFirst: true }];
      }),
    ),
    // Layers that take sizes first.
    ...Object.fromEntries(
      windowed.flatMap((kind) => {
        const { filters, kernel, ...settings } = named[kind]!.settings ?? {};
        if (!kernel) return [];
        const sizes = filters ? [2, 1] : [1];
        const call = (options: Any) => (lamella as Any)[kind](...sizes, options);
        return [[kind, { call, keys: [...Object.keys(settings), ...(named[kind]!.first ?? [])] }]];
      }),
    ),
    // Layers that take their units first.
    ...Object.fromEntries(
      kinds.flatMap((kind) => {
        const { units, ...settings } = named[kind]!.settings ?? {};
        if (!units) return [];
        const call = (options: Any) => (lamella as Any)[kind](2, options);
        return [[kind, { call, keys: [...Object.keys(settings), ...(named[kind]!.first ?? [])] }]];
      }),
    ),
    dropout: { call: (options) => lamella.dropout(0.5, options), keys: ["seed"] },
    normalize: {
      call: (options) => lamella.normalize(options),
      keys: ["mean", "std"],
      needs: { mean: 0, std: 1 },
      isFirst: true,
    },
    input: { call: (options) => lamella.input([2], options), keys: ["dtype", "name"] },
    Model: {
      call: (options) => new lamella.Model(runtime, options).dispose(),
      keys: ["inputs", "outputs", "dtype", "seed", "initializer"],
      needs: graphOfOne,
    },
    loadTorch: {
      call: (options) => lamella.loadTorch(runtime, file, options),
      keys: ["input", "layers", "dtype", "prefix"],
      needs: network,
    },
    loadPredictor: {
      call: (options) => predict.loadPredictor(file, options),
      keys: ["maxBatch", "wasm"],
    },
    loadPredictorSync: {
      call: (options) => predict.loadPredictorSync(file, options),
      keys: ["maxBatch", "wasm"],
    },
  };
  const pooling = ["kernel", "stride", "padding", "ceil", "layout"];
  const convolution = ["stride", "padding", "dilation", "groups", "layout"];
  const keysOf = {
    bnParam: ["mode", "eps", "momentum", "runningMean", "runningVar", "axis"],
    dropoutParam: ["p", "mode", "seed"],
    upsampleParam: ["scale", "layout"],
  };
  const keysOfParam: Record<string, string[]> = {
    attentionForward: ["heads", "causal", "mask"],
    groupnormForward: ["groups", "eps"],
  };
  // Indices are int32, and so embedding is not among the calls of floats alone.
  const indices = runtime.zeros([2], "int32");
  const table = made([3, 4]);
  const embedded = lamella.embeddingForward(indices, table);
  takers.embeddingForward = {
    call: (options) => lamella.embeddingForward(indices, table, options),
    keys: ["out"],
  };
  takers.embeddingBackward = {
    call: (options) => lamella.embeddingBackward(embedded.out, embedded.cache, options),
    keys: ["dw"],
  };
  takers.concatForward = {
    call: (options) => lamella.concatForward([steady, steady], options),
    keys: ["axis", "out"],
  };
  const joined = lamella.concatForward([steady, steady]);
  takers.concatBackward = {
    call: (options) => lamella.concatBackward(joined.out, joined.cache, options),
    keys: ["dx"],
  };
  for (const [name, { operands, optional, forward }] of Object.entries(calls)) {
    const { cache, ...given } = good[name] as Arguments;
    const isLabelLoss = /^(softmax|svm)Loss$/.test(name);
    const more = [
      ...(cache ? [cache] : parametersOf(name)),
      ...(isLabelLoss ? [[0, 1, 2, 0]] : []),
    ];
    if (name === "recalibrate") {
      takers["recalibrate: bnParam"] = {
        call: (bnParam) => lamella.recalibrate(Object.values(given) as Any, bnParam),
        keys: keysOf.bnParam,
      };
      continue;
    }
    if (name === "numericalGradient") continue; // its settings are arguments
    const own = {
      affineForward: ["activation"],
      globalAvgPoolForward: ["layout"],
      zeroPad2dForward: ["layout"],
      ...Object.fromEntries(
        unary.map((kind) => [`${kind}Forward`, Object.keys(named[kind]!.settings ?? {})]),
      ),
      softmaxLoss: ["classWeights"],
      svmLoss: ["classWeights"],
    };
    takers[name] = {
      call: (options) => (lamella as Any)[name](...Object.values(given), ...more, options),
      keys: [
        ...Object.keys(optional).filter((key) => !key.includes(".")),
        ...((own as Record<string, string[]>)[name] ?? []),
      ],
    };
    const [parameterName = "", needs] = parameters[name] ?? [];
    if (forward || !/[pP]aram$/.test(parameterName)) continue;
    const keys = {
      ...{ ...keysOf, param: keysOfParam[name] ?? ["eps"] },
      convParam: name.includes("Transpose") ? [...convolution, "outputPadding"] : convolution,
      poolParam: [...pooling, name.startsWith("max") ? "dilation" : "countPadding"],
    };
    takers[`${name}: ${parameterName}`] = {
      call: (param) => (lamella as Any)[name](...Object.values(given), param),
      keys: keys[parameterName as keyof typeof keys],
      needs: structuredClone(needs),
    };
    expect(Object.keys(given)).toEqual(Object.keys(operands));
  }

  /** The message with which a call refuses; it changes nothing. */
  async function refusal(call: () => unknown): Promise<string> {
    const before = snapshot();
    let error: unknown;
    try {
      await call();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(TypeError);
    expect(snapshot()).toBe(before);
    return (error as Error).message;
  }

  const list = Object.entries(takers);

  test.each(list)("is refused by %s, with the nearest that it has", async (name, taker) => {
    const { call, keys, needs } = taker;
    for (const key of keys) {
      for (const wrong of [`${key}s`, key.slice(1), key.replace(/(?=[A-Z])/, "_").toLowerCase()]) {
        // "betas" is a key of PyTorch's Adam, which is told apart.
        if (keys.includes(wrong) || wrong === "" || wrong === "betas") continue;
        const message = await refusal(() => call({ ...needs, [wrong]: undefined }));
        expect(message).toMatch(new RegExp(`^${name.split(":")[0]}.* has no "${wrong}"; `));
        expect(message).toMatch(new RegExp(`\\b${key}\\b`));
      }
    }
    for (const wrong of ["constructor", "__proto__x", "x".repeat(10_000), ""]) {
      const message = await refusal(() => call({ ...needs, [wrong]: 1 }));
      expect(message).toContain("has no ");
      expect(message.length).toBeLessThan(300);
    }
  });

  test.each(list)("is looked for in what %s inherits too", async (_, { call, needs }) => {
    const message = await refusal(() => call(Object.assign(Object.create({ wrong: 1 }), needs)));
    expect(message).toContain('has no "wrong"; ');
  });

  test.each(list)("is not what %s gets with something that is no object", async (name, taker) => {
    const { call, keys, isFirst } = taker;
    for (const [wrong, shown] of [
      [0.1, "0.1"],
      ["fast", '"fast"'],
    ] as const) {
      const message = await refusal(() => call(wrong));
      expect(message).toContain(`must be an object, got `);
      if (isFirst) expect(message).toContain(`write ${name}({ ${keys[0]}: ${shown} })`);
    }
    for (const wrong of [
      [],
      [1],
      new Map(),
      new Set([1]),
      new Float32Array(2),
      () => 1,
      made([1]),
    ]) {
      expect(await refusal(() => call(wrong))).toMatch(/must be an object|has no|one argument/);
    }
  });

  test("is all that these calls refuse: those that they have are taken", () => {
    for (const [name, taker] of list) {
      if (/^(create|load)/.test(name)) continue;
      const undefinedOnes = Object.fromEntries(taker.keys.map((key) => [key, undefined]));
      runtime.scope(() => {
        taker.call({ ...undefinedOnes, ...taker.needs });
      });
    }
  });

  test("is looked for by every function: each takes options and is above, or takes none", () => {
    const others = [
      ...["loadModel", "readSafetensors", "writeSafetensors", "encodeRow", "decodeScores"],
      ...["numericalGradient", "relativeError", "imageData"],
      // A number, or nothing.
      ...["constant", "normal", "uniform", "leakyRelu"],
      // Layers and nodes.
      "apply",
      // What moves takes a size, axes or a padding, and no options.
      ...["permute", "reshape", "upsample2d", "zeroPad2d"],
      ...withoutOptions,
    ];
    for (const [name, value] of Object.entries(lamella)) {
      if (typeof value !== "function" || value.prototype instanceof Error) continue;
      const isHere = list.some(([taker]) => taker.split(":")[0] === name);
      expect([name, isHere !== others.includes(name)]).toEqual([name, true]);
    }
  });

  // Layers without settings.
  const plain = kinds.filter((kind) => {
    const { settings, stored } = named[kind]!;
    return !settings && !stored;
  });
  const withoutOptions = [
    ...plain,
    ...["zeros", "ones", "heNormal", "heUniform", "xavierNormal", "xavierUniform"],
  ];

  test.each(withoutOptions)(
    "is any key of what is given to %s, which takes nothing",
    async (name) => {
      const call = (options: Any) => (lamella as Any)[name](options);
      const message = await refusal(() => call({ maxValue: 6 }));
      expect(message).toBe(`${name}: options has no "maxValue"; the known ones: none`);
      expect(await refusal(() => call(6))).toBe(`${name}: options must be an object, got 6`);
      expect(typeof call(undefined)).toBe(typeof call({}));
    },
  );

  test("of another framework is told what it is here", async () => {
    for (const [call, words] of [
      [() => lamella.adam({ lr: 0.5 } as Any), "learningRate"],
      [() => lamella.adam({ learning_rate: 0.5 } as Any), "learningRate"],
      [() => lamella.adam({ betas: [0.9, 0.999] } as Any), "beta1: 0.9"],
      [() => lamella.adam({ weightDecay: 0.1 } as Any), "adamw("],
      [() => lamella.adamw({ weight_decay: 0.1 } as Any), "weightDecay"],
      [() => lamella.sgd({ momentum: 0.9 } as Any), "momentum("],
      [() => lamella.sgd({ nesterov: true } as Any), "nesterov("],
      [() => lamella.rmsprop({ rho: 0.9 } as Any), "decayRate"],
      [() => lamella.rmsprop({ alpha: 0.9 } as Any), "decayRate"],
      [() => lamella.affine(4, { activation: "relu" } as Any), "relu() after it"],
      [() => lamella.affine(4, { trainable: false } as Any), "every layer"],
      [() => lamella.affine(4, { kernelInitializer: "zeros" } as Any), "weight"],
      [() => lamella.affine(4, { inputShape: [3] } as Any), "input of the Sequential"],
      [() => lamella.affine(4, lamella.relu() as Any), "a layer of its own"],
      [() => lamella.batchnorm({ epsilon: 1e-3 } as Any), "eps"],
      [() => lamella.leakyReluForward(steady, { alpha: 0.3 } as Any), "negativeSlope"],
      [() => new lamella.Trainer(model, { lr: 1 } as Any), "adam({ learningRate: 0.001 })"],
      [() => new lamella.Trainer(model, { clipnorm: 1 } as Any), "clipNorm"],
      [() => new lamella.Trainer(model, { max_norm: 1 } as Any), "clipNorm"],
      [() => trainer.fit(batch, { batch_size: 8 } as Any), "batchSize"],
      [() => trainer.fit(batch, { validationSplit: 0.2 } as Any), "validation: { x, y }"],
      [() => trainer.fit(batch, { validationData: batch } as Any), "validation"],
      [() => trainer.fit(batch, { callbacks: [] } as Any), "for await"],
      [() => trainer.fit(batch, { shuffle: false } as Any), "seed"],
      [() => trainer.fit(batch, { patience: 3 } as Any), "earlyStopping: { patience"],
    ] as const) {
      expect(await refusal(call)).toContain(words);
    }
  });

  test("is refused in a layer that was described by hand, and in one that a file describes", async () => {
    const layer = { kind: "affine", units: 2, activation: "relu" } as Any;
    const message = 'layer 0 (affine): the layer has no "activation"; ';
    expect(
      await refusal(() => new lamella.Sequential(runtime, { input: [3], layers: [layer] })),
    ).toContain(`Sequential: ${message}`);
    const { tensors, metadata } = lamella.readSafetensors(file);
    const architecture = JSON.stringify({ input: [3], dtype: "float32", layers: [layer] });
    const strange = lamella.writeSafetensors(
      tensors,
      new Map([...metadata, ["architecture", architecture]]),
    );
    expect(await refusal(() => lamella.loadModel(runtime, strange))).toContain(
      `Sequential: ${message}`,
    );
    expect(await refusal(() => predict.loadPredictorSync(strange))).toContain(
      `loadPredictorSync: ${message}`,
    );
  });

  test("is refused in an optimizer and a schedule that were described by hand", async () => {
    const rate = { ...lamella.cosine({ from: 1, steps: 2 }), warmup: 3 };
    for (const [optimizer, words] of [
      [{ ...lamella.adam(), lr: 1 } as Any, 'optimizer has no "lr"; learningRate is its name here'],
      [lamella.adam({ learningRate: rate }), 'learningRate has no "warmup"; '],
    ] as const) {
      const call = () => new lamella.Trainer(model, { loss: "softmax", optimizer });
      expect(await refusal(call)).toContain(words);
    }
  });

  test("is refused in a data set where it is like one that fit knows, and of no matter elsewhere", async () => {
    for (const wrong of [
      "validationData",
      "validation_split",
      "valid",
      "Validation",
      "vaildation",
    ]) {
      const call = () => trainer.fit({ ...batch, [wrong]: batch } as Any, { epochs: 1 });
      expect(await refusal(call)).toBe(
        `Trainer.fit: the data has no "${wrong}"; did you mean validation?`,
      );
    }
    const named = { ...batch, count: 1, classes: ["no", "yes"], values: 3 };
    await trainer.fit({ ...named, validation: named } as Any, { epochs: 1 }).next();
  });
});

test("an initializer of something else than numbers is refused", () => {
  for (const call of [
    () => lamella.normal({ scale: 1 } as Any),
    () => lamella.normal(undefined as Any),
    () => lamella.uniform(1 as Any, "2" as Any),
    () => lamella.constant(null as Any),
  ]) {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(/ must be a number, got /);
  }
});
