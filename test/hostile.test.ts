// Every public call with hostile values in place of every argument, of every option and of every
// element: whatever it is given, it says in some 2,000 characters what was wrong, in words of its
// own, and comes to an end.

import { afterAll, describe, expect, test } from "vitest";
import * as lamella from "../src/index.ts";
import { named } from "../src/nn/engine/kinds.ts";
import * as serving from "../src/predict.ts";
import { unary } from "./nn/every.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls are made with wrong types here
type Any = any;

const MOST_CHARACTERS = 2000;
const LONG = "A".repeat(200_000);
const MANY = 20_000;

/** What a hostile value itself throws passes through; it is no message of ours. */
class OwnError extends Error {}
const fail = (): never => {
  throw new OwnError("by the value itself");
};

const revoked = <T extends object>(target: T): T => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const traps = Object.fromEntries(
  Object.getOwnPropertyNames(Reflect).map((name) => [name, fail]),
) as ProxyHandler<object>;
const circular: unknown[] = [];
circular.push(circular);
const schedule: Record<string, unknown> = { kind: "warmup", steps: 1 };
schedule.after = schedule;

/** Made anew for each call. */
const hostile: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  "a negative number": () => -1,
  "a fraction": () => 0.5,
  NaN: () => NaN,
  Infinity: () => Infinity,
  "a large number": () => 2 ** 53,
  "an empty string": () => "",
  "a long string": () => LONG,
  "a long string of what must be escaped": () => "\u0000\u2028\u202e\ud800".repeat(50_000),
  "the name of what every object has": () => "toString",
  "the name of every object's prototype": () => "__proto__",
  "the name of a constructor": () => "constructor",
  "a symbol": () => Symbol("s"),
  "a symbol with a long description": () => Symbol(LONG),
  "a bigint": () => 2n,
  "a bigint of a million bits": () => 1n << 1_000_000n,
  "a function": () => () => undefined,
  "a function with a long source": () => new Function(`/* ${LONG} */`),
  "a function that throws": () => fail,
  "a class": () => class {},
  "an empty object": () => ({}),
  "an object without a prototype": () => Object.create(null),
  "an object whose toString is no function": () => ({ toString: 1, valueOf: 1 }),
  "an object whose toString throws": () => ({ toString: fail, valueOf: fail, toJSON: fail }),
  "an object with a long toString": () => ({ toString: () => LONG }),
  "an object that is no primitive value": () => ({ [Symbol.toPrimitive]: () => ({}) }),
  "an object with a long tag": () => ({ [Symbol.toStringTag]: LONG }),
  "an object whose tag throws": () =>
    Object.defineProperty({}, Symbol.toStringTag, { get: fail, enumerable: true }),
  "an object that throws where it is read": () => new Proxy({}, traps),
  "an array that throws where it is read": () => new Proxy([], traps),
  "a function that throws where it is read": () => new Proxy(fail, traps),
  "a revoked proxy": () => revoked({}),
  "a revoked proxy of an array": () => revoked([]),
  "an object of a kind with a long name": () => ({ kind: LONG }),
  "an object of the kind toString": () => ({ kind: "toString" }),
  "an object of a kind that is none": () => ({ kind: { toString: 1 } }),
  "an object with a length": () => ({ length: 2 ** 40 }),
  "an object with a length that is none": () => ({ length: { toString: 1 } }),
  "an object with many keys": () =>
    Object.fromEntries(Array.from({ length: MANY }, (_, i) => [`key${i}`, i])),
  "an object with a long key": () => ({ [LONG]: 1 }),
  "an object with a symbol for a key": () => ({ [Symbol(LONG)]: 1 }),
  "a schedule that holds itself": () => schedule,
  "an empty array": () => [],
  "an array of strings": () => ["1", LONG],
  "an array of symbols": () => [Symbol("s")],
  "an array of objects": () => [{ toString: 1 }, Object.create(null)],
  "an array of null": () => [null],
  "an array that holds itself": () => circular,
  "an array of many numbers": () => new Array(MANY).fill(1),
  "an array of many strings": () => new Array(MANY).fill("1"),
  "an array of many arrays": () => Array.from({ length: MANY }, () => [1]),
  "an array with nothing in it": () => new Array(2 ** 32 - 1),
  "an array of arrays with nothing in them": () => [new Array(2 ** 32 - 1)],
  "bytes of an ended buffer": () => {
    const bytes = new Uint8Array(8);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  },
  "big integers": () => new BigInt64Array(4),
  "a DataView": () => new DataView(new ArrayBuffer(8)),
  "a Map": () => new Map([[LONG, LONG]]),
  "a Set": () => new Set([LONG]),
  "a Promise": () => Promise.resolve(),
  "a date that is none": () => new Date(NaN),
  "an iterable that throws": () => ({ [Symbol.iterator]: fail }),
  "an iterable that is none": () => ({ [Symbol.iterator]: () => 1 }),
  "a tensor": () => runtime.ones([2, 3]),
  "a disposed tensor": () => {
    const tensor = runtime.ones([2]);
    tensor.dispose();
    return tensor;
  },
};

const runtime = lamella.createRuntimeSync({ maxMemory: 2 ** 28 });
const ones = (...shape: number[]) => runtime.ones(shape);
const specs = () => [
  lamella.normalize({ mean: [0, 1, 2], std: 1 }),
  lamella.affine(4, { weight: lamella.heNormal(), bias: lamella.zeros(), useBias: true }),
  lamella.batchnorm({ eps: 1e-5, momentum: 0.9 }),
  lamella.leakyRelu(0.1),
  lamella.dropout(0.5, { seed: 1 }),
  lamella.affine(3),
];
const x = () => [
  [1, 2, 3],
  [4, 5, 6],
];
const model = new lamella.Sequential(runtime, { input: [3], layers: specs() });
const trainer = new lamella.Trainer(model, { loss: "softmax", optimizer: lamella.sgd() });
const predictor = model.compile({ maxBatch: 2 });
const file = lamella.saveModel(model);
const checkpoint = trainer.checkpoint();
const torchFile = lamella.writeSafetensors({
  "0.weight": { dtype: "F32", shape: [1, 3], data: new Float32Array(3) },
  "0.bias": { dtype: "F32", shape: [1], data: new Float32Array(1) },
});

/** The name of a call, right arguments for it, and how it is made. */
type Call = readonly [name: string, args: () => Any[], run: (...args: Any[]) => unknown];

const functional = (
  name: string,
  args: () => Any[],
  gradients = ["dx"],
  dout: () => Any = () => ones(2, 3),
): Call[] => {
  const { [`${name}Forward`]: forward, [`${name}Backward`]: backward } = lamella as Any;
  const options = () => Object.fromEntries(gradients.map((key) => [key, undefined]));
  return [
    [`${name}Forward`, args, forward],
    [`${name}Backward`, () => [dout(), forward(...args()).cache, options()], backward],
  ];
};

/** The settings of a layer, as they are where none are given. */
const usual = (kind: string) =>
  Object.fromEntries(
    Object.entries(named[kind]?.settings ?? {}).map(([name, [, fallback]]) => [name, fallback]),
  );

const loss = (name: string, y: () => Any, options: Any = {}): Call => [
  name,
  () => [ones(2, 3), y(), { dx: ones(2, 3), ...options }],
  (lamella as Any)[name],
];

async function firstEvent(data: Any, options: Any) {
  for await (const event of trainer.fit(data, options)) return event;
}

const trainerOptions = () => ({
  loss: "softmax",
  optimizer: lamella.adam({
    learningRate: lamella.warmup({ steps: 2, after: lamella.cosine({ from: 1, steps: 2 }) }),
  }),
  l2: 0.1,
  clipNorm: 1,
  classWeights: [1, 2, 3],
  seed: 1,
});

const calls: Call[] = [
  ...functional(
    "affine",
    () => [ones(2, 3), ones(3, 3), ones(3), { out: ones(2, 3), activation: "relu" }],
    ["dx", "dw", "db"],
  ),
  ...functional(
    "batchnorm",
    () => [
      ...[ones(2, 3), ones(3), ones(3)],
      { mode: "train", eps: 1e-5, momentum: 0.9, runningMean: ones(3), runningVar: ones(3) },
      { out: ones(2, 3) },
    ],
    ["dx", "dgamma", "dbeta"],
  ),
  ...functional("dropout", () => [
    ones(2, 3),
    { p: 0.5, mode: "train", seed: 1 },
    { out: ones(2, 3) },
  ]),
  ...functional("prelu", () => [ones(2, 3), ones(3), { out: ones(2, 3) }], ["dx", "dslope"]),
  ...functional("normalize", () => [ones(2, 3), ones(3), ones(3), { out: ones(2, 3) }]),
  ...unary.flatMap((name) =>
    functional(name, () => [ones(2, 3), { ...usual(name), out: ones(2, 3) }]),
  ),
  loss("softmaxLoss", () => [0, 2], { classWeights: [1, 2, 3] }),
  loss("svmLoss", () => [0, 2], { classWeights: [1, 2, 3] }),
  loss("bceWithLogitsLoss", () => ones(2, 3)),
  loss("mseLoss", () => ones(2, 3)),
  ["recalibrate", () => [[ones(2, 3)], { mode: "train" }], lamella.recalibrate],
  [
    "numericalGradient",
    () => [(x: Any) => lamella.tanhForward(x).out, ones(1, 2), ones(1, 2), 1e-3],
    lamella.numericalGradient,
  ],
  ["relativeError", () => [ones(2), [1, 2]], lamella.relativeError],
  [
    "createRuntimeSync",
    () => [{ seed: 1, initialMemory: 65536, maxMemory: 2 ** 20, wasm: undefined }],
    (options) => lamella.createRuntimeSync(options).dispose(),
  ],
  [
    "createRuntime",
    () => [{ seed: 1, initialMemory: 65536, maxMemory: 2 ** 20, threads: 1, wasm: undefined }],
    async (options) => (await lamella.createRuntime(options)).dispose(),
  ],
  ["runtime.tensor", () => [x(), [2, 3], "float32"], (...args) => (runtime as Any).tensor(...args)],
  ["runtime.zeros", () => [[2, 3], "float32"], (...args) => (runtime as Any).zeros(...args)],
  ["runtime.full", () => [[2, 3], 1, "float32"], (...args) => (runtime as Any).full(...args)],
  ["runtime.scope", () => [() => 1], (fn) => runtime.scope(fn)],
  ["runtime.random", () => [1], (seed) => runtime.random(seed)],
  ["tensor.reshape", () => [[3, -1]], (shape) => ones(2, 3).reshape(shape)],
  ["random.rand", () => [2, 3], (...shape) => runtime.random(1).rand(...shape)],
  ["random.randn", () => [[2, 3]], (shape) => runtime.random(1).randn(shape)],
  ["random.randint", () => [1, 5, [2]], (...args) => (runtime.random(1) as Any).randint(...args)],
  ["random.permutation", () => [5], (n) => runtime.random(1).permutation(n)],
  [
    "Sequential",
    () => [
      runtime,
      { input: [3], layers: specs(), dtype: "float32", seed: 1, initializer: lamella.heNormal() },
    ],
    (...args) => new (lamella.Sequential as Any)(...args).dispose(),
  ],
  ["forward", () => [x(), { mode: "train" }], (...args) => (model as Any).forward(...args)],
  [
    "backward",
    () => [ones(2, 3), { dx: true }],
    (...args) => {
      model.forward(x(), { mode: "train" });
      return (model as Any).backward(...args);
    },
  ],
  ["loadStateDict", () => [model.stateDict()], (dict) => model.loadStateDict(dict)],
  ["predict", () => [x()], (x) => model.predict(x)],
  ["classify", () => [x()], (x) => model.classify(x)],
  [
    "evaluate",
    () => [{ x: x(), y: [0, 2], loss: "softmax", batchSize: 2, classWeights: [1, 2, 3] }],
    (options) => model.evaluate(options),
  ],
  [
    "evaluate by targets",
    () => [{ x: x(), y: x(), loss: "mse" }],
    (given) => model.evaluate(given),
  ],
  ["compile", () => [{ maxBatch: 2 }], (options) => model.compile(options).dispose()],
  ["Predictor.run", () => [1], (batch) => predictor.run(batch)],
  ["Predictor.predict", () => [[1, 2, 3]], (x) => predictor.predict(x)],
  [
    "Trainer",
    () => [model, trainerOptions()],
    (...args) => new (lamella.Trainer as Any)(...args).dispose(),
  ],
  ["Trainer.step", () => [x(), [0, 2]], (...args) => (trainer as Any).step(...args)],
  [
    "Trainer.evaluate",
    () => [{ x: x(), y: [0, 2], batchSize: 2 }],
    (options) => trainer.evaluate(options),
  ],
  [
    "Trainer.fit",
    () => [
      { x: x(), y: [0, 2], validation: { x: x(), y: [0, 2] } },
      {
        ...{ epochs: 1, batchSize: 2, restart: true, signal: undefined, stopOnNaN: false },
        earlyStopping: { patience: 1, minDelta: 0 },
      },
    ],
    firstEvent,
  ],
  [
    "Trainer.fit over an iterable",
    () => [[{ x: x(), y: [0, 2] }], { epochs: 1, restart: true, stopOnNaN: false }],
    firstEvent,
  ],
  [
    "Trainer.resume",
    () => [runtime, checkpoint],
    (...args) => {
      const resumed = (lamella.Trainer as Any).resume(...args);
      resumed.dispose();
      resumed.model.dispose();
    },
  ],
  ["saveModel", () => [model], lamella.saveModel],
  ["loadModel", () => [runtime, file], (...args) => (lamella as Any).loadModel(...args).dispose()],
  [
    "loadTorch",
    () => [
      runtime,
      torchFile,
      { input: [3], layers: [lamella.affine(1)], dtype: "float32", prefix: "" },
    ],
    (...args) => (lamella as Any).loadTorch(...args).dispose(),
  ],
  ["readSafetensors", () => [file], lamella.readSafetensors],
  [
    "writeSafetensors",
    () => [{ t: { dtype: "F32", shape: [1], data: new Float32Array(1) } }, [["key", "value"]]],
    lamella.writeSafetensors as Any,
  ],
  [
    "toTypedArray",
    () => ["float32"],
    (dtype) => lamella.readSafetensors(torchFile).tensors.get("0.bias")?.toTypedArray(dtype),
  ],
  [
    "copyTo",
    () => [new Float32Array(1)],
    (target) => lamella.readSafetensors(torchFile).tensors.get("0.bias")?.copyTo(target),
  ],
  [
    "loadPredictorSync",
    () => [file, { maxBatch: 1, wasm: undefined }],
    (...args) => (serving as Any).loadPredictorSync(...args).dispose(),
  ],
  [
    "loadPredictor",
    () => [file, { maxBatch: 1, wasm: undefined }],
    async (...args) => (await (serving as Any).loadPredictor(...args)).dispose(),
  ],
  ...["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"].map((name): Call => {
    const { [name]: make } = lamella as Any;
    return [
      name,
      () => [Object.fromEntries(Object.entries(make()).filter(([key]) => key !== "kind"))],
      (options) => new lamella.Trainer(model, { loss: "svm", optimizer: make(options) }).dispose(),
    ];
  }),
];

/** What may stand in the place of an argument: the argument, and what is in it. */
function* placesIn(value: Any, path: (string | number)[]): Generator<(string | number)[]> {
  yield path;
  if (value === null || typeof value !== "object" || path.length > 4) return;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return;
  for (const key of Object.keys(value)) {
    const part = Array.isArray(value) ? Number(key) : key;
    yield* placesIn(value[key], [...path, part]);
  }
}

function put(args: Any[], path: (string | number)[], value: unknown): void {
  let at: Any = args;
  for (const part of path.slice(0, -1)) at = at[part];
  Object.defineProperty(at, path.at(-1)!, { value, writable: true, enumerable: true });
}

const foreign =
  /Cannot convert|is not (a function|iterable|defined|a constructor)|Cannot (read prop|destructure|set|use)|reading '|Maximum call stack|Invalid (array|typed array|string|date|time)|out of bounds|circular|not assignable|called on|offset is|object null/i;

/** What is wrong with an error that a call threw. */
function problemOf(error: unknown): string | undefined {
  if (error instanceof OwnError) return undefined;
  if (!(error instanceof Error)) return `throws ${typeof error}, which is no Error`;
  const { message } = error;
  if (message.length > MOST_CHARACTERS) return `has a message of ${message.length} characters`;
  // No value of ours can say more of it than the engine does.
  if (
    /proxy that has been revoked|Class constructors cannot be|iterator method is not an object/.test(
      message,
    )
  ) {
    return undefined;
  }
  if (foreign.test(message)) return `throws the engine's own "${message}"`;
  const isNamed =
    /^[\w.]+( \([^)]*\))?: ./.test(message) || /^Invalid forward |^out of memory: /.test(message);
  return isNamed ? undefined : `does not say whose error it is: "${message}"`;
}

describe.each(calls)("%s", (name, args, run) => {
  const places = runtime.scope(() => [...args().flatMap((arg, i) => [...placesIn(arg, [i])])]);

  test("right arguments are taken", async () => {
    await run(...args());
  });

  test.each(places.map((path) => [path.join("."), path] as const))(
    "with a hostile value as argument %s says in its own words what is wrong, or takes it",
    async (place, path) => {
      const problems: string[] = [];
      for (const [what, make] of Object.entries(hostile)) {
        const given = args();
        try {
          put(given, path, make());
          await run(...given);
        } catch (error) {
          const problem = problemOf(error);
          if (problem) problems.push(`${name}: ${what} as ${place} ${problem.slice(0, 300)}`);
        }
      }
      expect(problems).toEqual([]);
    },
  );
});

afterAll(() => runtime.dispose());

describe("a runtime that is disposed by the n-th read of an argument, whichever that is", () => {
  /**
   * Calls of which each argument is read through proxies; what they give are the numbers to
   * compare.
   */
  const calls: Record<string, [() => object, (runtime: lamella.Runtime, given: Any) => unknown]> = {
    zeros: [() => [2, 3], (runtime, shape) => [...runtime.zeros(shape).data]],
    tensor: [
      () => [
        [1, 2],
        [3, 4],
      ],
      (runtime, rows) => [...runtime.tensor(rows).data],
    ],
    batchnormForward: [
      () => ({ mode: "train", eps: 1e-3, momentum: 0.8 }),
      (runtime, param) => {
        const [x, one] = [
          runtime.tensor([
            [1, 2],
            [3, 5],
          ]),
          runtime.ones([2]),
        ];
        return [...lamella.batchnormForward(x, one, one, param).out.data];
      },
    ],
    Sequential: [
      () => ({
        input: [3],
        layers: [lamella.affine(4), lamella.batchnorm(), lamella.affine(3)],
        seed: 5,
      }),
      (runtime, options) => [...new lamella.Sequential(runtime, options).predict([1, 2, 3]).data],
    ],
    Trainer: [
      () => ({
        ...{ loss: "softmax", l2: 0.1, clipNorm: 1, seed: 2, classWeights: [1, 2] },
        optimizer: lamella.adam({ learningRate: lamella.cosine({ from: 0.1, steps: 5 }) }),
      }),
      (runtime, options) => {
        const model = new lamella.Sequential(runtime, {
          input: [1],
          layers: [lamella.affine(2)],
          seed: 1,
        });
        return new lamella.Trainer(model, options).step([1, 2], [0, 1]);
      },
    ],
    evaluate: [
      () => ({ x: [[1], [2]], y: [0, 1], loss: "softmax", classWeights: [1, 2] }),
      (runtime, options) => {
        const model = new lamella.Sequential(runtime, {
          input: [1],
          layers: [lamella.affine(2)],
          seed: 1,
        });
        return model.evaluate(options);
      },
    ],
  };
  const watched = (value: unknown, read: () => void): unknown => {
    if (value === null || typeof value !== "object") return value;
    const through =
      (trap: "get" | "has" | "getOwnPropertyDescriptor") => (target: Any, key: Any) => {
        read();
        return trap === "get" ? watched(target[key], read) : Reflect[trap](target, key);
      };
    return new Proxy(value, {
      get: through("get"),
      has: through("has") as never,
      getOwnPropertyDescriptor: through("getOwnPropertyDescriptor") as never,
    });
  };

  test.each(Object.keys(calls))("%s: is a DisposedError, or nothing was left to do", (name) => {
    const [make, call] = calls[name]!;
    const expected = call(lamella.createRuntimeSync({ seed: 7 }), make());
    let reads = 0;
    expect(
      call(
        lamella.createRuntimeSync({ seed: 7 }),
        watched(make(), () => reads++),
      ),
    ).toEqual(expected);
    expect(reads).toBeGreaterThan(1);
    for (let last = 1; last <= reads; last++) {
      const runtime = lamella.createRuntimeSync({ seed: 7 });
      let left = last;
      const given = watched(make(), () => {
        if (--left === 0) runtime.dispose();
      });
      expect(() => call(runtime, given)).toThrow(lamella.DisposedError);
    }
  });
});
