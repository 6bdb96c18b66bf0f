// Hostile model files: what saveModel, a checkpoint and PyTorch write, with something done to it
// that knows how it is built. Whatever comes of it is a model that works, or an error of SPEC's
// table, and nothing stays allocated.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  dropout,
  FormatError,
  loadModel,
  loadTorch,
  readSafetensors,
  relu,
  Sequential,
  saveModel,
  Trainer,
  warmup,
  writeSafetensors,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import { runs, seed, Tally } from "./runs.ts";

/** Each compiles or builds a model: a tenth of the facade's cases. */
const files = Math.ceil(runs / 10);

const layers = [affine(3), batchnorm(), relu(), dropout(0.2), affine(2)];
// Small enough that what a file claims is soon too much.
const runtime = createRuntimeSync({ maxMemory: 2 ** 22 });
const model = new Sequential(runtime, { input: [2], layers });
const trainer = new Trainer(model, {
  loss: "softmax",
  optimizer: adam({ learningRate: warmup({ steps: 3, after: 0.1 }) }),
});
trainer.step([1, 2, 3, 4], [0, 1]);
const saved = saveModel(model);
const quantised = saveModel(model, { weights: "int8" });
const checkpoint = trainer.checkpoint();
const torch = writeSafetensors(
  Object.entries(model.stateDict()).map(([name, value]) => [
    name,
    value.shape.length === 2
      ? { dtype: "F32", shape: [...value.shape].reverse(), data: value.toTypedArray() }
      : value,
  ]),
);

const readModel = (bytes: Uint8Array) => {
  const loaded = loadModel(runtime, bytes);
  try {
    loaded.predict(new Float64Array(loaded.input.reduce((a, b) => a * b, 1))).dispose();
  } finally {
    loaded.dispose();
  }
};
const readPredictor = (bytes: Uint8Array) => {
  const predictor = loadPredictorSync(bytes);
  predictor.run();
  predictor.dispose();
};

/** The readers, each with a valid file; what they give back is used once. */
const readers = {
  loadModel: { bytes: saved, read: readModel },
  "loadModel of int8 weights": { bytes: quantised, read: readModel },
  "loadPredictor of int8 weights": { bytes: quantised, read: readPredictor },
  "Trainer.resume": {
    bytes: checkpoint,
    read(bytes: Uint8Array) {
      const resumed = Trainer.resume(runtime, bytes);
      try {
        // What was read can be written.
        readSafetensors(resumed.checkpoint());
      } finally {
        resumed.dispose();
        resumed.model.dispose();
      }
    },
  },
  loadTorch: {
    bytes: torch,
    read: (bytes: Uint8Array) => loadTorch(runtime, bytes, { input: [2], layers }).dispose(),
  },
  loadPredictor: { bytes: saved, read: readPredictor },
};
const names = Object.keys(readers) as (keyof typeof readers)[];

/** JSON that is not what it should be. `layers` in the hundred thousands are tried below, once. */
const hostile = [
  ..."null true -1 0 0.5 1e308 1e999 -0 4294967296 9007199254740991 18446744073709551616".split(
    " ",
  ),
  ...'"" "NaN" "Infinity" "__proto__" "constructor" "softmax" "affine" "float64" "int32" [] {} [0] [-1]'.split(
    " ",
  ),
  ...[
    "[1e9,1e9]",
    "[4294967296,4294967296,4294967296]",
    "[9007199254740991,2]",
    "[[[[[[[[1]]]]]]]]",
  ],
  ...['{"kind":"affine","units":1e9}', '{"kind":"affine","units":2}', '{"kind":"__proto__"}'],
  ...['{"kind":"toString"}', '{"kind":"dropout","p":1}', '{"kind":"batchnorm","eps":0}'],
  ...[
    '{"__proto__":{"kind":"relu"}}',
    '{"kind":"softmax"}',
    '{"kind":"leakyRelu","negativeSlope":1e999}',
  ],
  ...['{"kind":"warmup","steps":1,"after":{"kind":"warmup","steps":1,"after":0.1}}'],
  "[".repeat(2000),
  "[".repeat(500) + "]".repeat(500),
  `[${Array(300).fill('{"kind":"relu"}').join(",")}]`,
];

interface Step {
  kind: number;
  a: number;
  b: number;
}

/** One place in a JSON text: a value in it is exchanged, doubled or dropped. */
function spoil(json: string, { kind, a, b }: Step): string {
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[[\]{},:]/g) ?? [];
  const values = [...tokens.keys()].filter((i) => !/^[\]},:]$/.test(tokens[i]!));
  const at = values[a % Math.max(values.length, 1)] ?? 0;
  const value = hostile[b % hostile.length]!;
  if (kind % 5 === 0) tokens[at] = value;
  else if (kind % 5 === 1) tokens.splice(at, 1);
  else if (kind % 5 === 2) tokens.splice(at, 0, tokens[b % tokens.length] ?? "", ",");
  else if (kind % 5 === 3) tokens[at] = tokens[values[b % values.length]!] ?? "";
  else
    tokens.splice(
      at,
      0,
      `"${["__proto__", "kind", "input", "units", "p"][b % 5]}"`,
      ":",
      value,
      ",",
    );
  return tokens.join("");
}

/**
 * Exchanges a tensor for one of another shape, dtype or name, or the metadata for what spoil makes
 * of them.
 */
function mutate(bytes: Uint8Array, steps: readonly Step[]): Uint8Array {
  const file = readSafetensors(bytes);
  const tensors = new Map(
    [...file.tensors].map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data }]),
  );
  const metadata = new Map(file.metadata);
  let raw: ((bytes: Uint8Array) => void) | undefined;
  for (const step of steps) {
    const { kind, a, b } = step;
    const keys = [...metadata.keys()];
    const key = keys[a % Math.max(keys.length, 1)];
    const [name, tensor] = [...tensors][a % Math.max(tensors.size, 1)] ?? [];
    if (kind < 5) {
      const where = kind < 4 ? ["architecture", "training"][b % 2]! : key;
      if (where !== undefined && metadata.has(where))
        metadata.set(where, spoil(metadata.get(where)!, { ...step, b: b >> 1 }));
    } else if (kind === 5 && key !== undefined) {
      metadata.set(key, hostile[b % hostile.length]!);
    } else if (kind === 6 && key !== undefined) {
      metadata.delete(key);
    } else if (kind === 7 && name !== undefined) {
      tensors.delete(name);
    } else if (kind === 8 && tensor) {
      tensors.set(
        ["__proto__", "0.weight ", "extra", "model.0.weight", "0.weight_scale"][b % 5]!,
        tensor,
      );
    } else if (kind === 9 && tensor && name !== undefined) {
      tensors.set(name, { ...tensor, shape: [...tensor.shape].reverse().concat(b % 2 ? [1] : []) });
    } else {
      // In the bytes of the file, header and all.
      raw = (written) => {
        written[a % written.length] = b & 255;
      };
    }
  }
  const written = writeSafetensors(tensors, metadata);
  raw?.(written);
  return written;
}

const anyFile = fc.record({
  reader: fc.nat(names.length - 1),
  steps: fc.array(fc.record({ kind: fc.nat(11), a: fc.nat(5000), b: fc.nat(5000) }), {
    minLength: 1,
    maxLength: 3,
  }),
});

const known = /^(FormatError|ShapeError|DTypeError|TypeError|RangeError|MemoryError)$/;

/** What a reader makes of bytes; throws where that is no error of ours, or something stays. */
function outcomeOf(name: keyof typeof readers, bytes: Uint8Array): string {
  const before = runtime.memory;
  let outcome = "taken";
  try {
    readers[name].read(bytes);
  } catch (error) {
    const { name: kind, message } = error as Error;
    // An engine's own TypeError or RangeError has no operation at its beginning.
    if (!known.test(kind) || !/^[\w.]+( \(.*?\))?: ./.test(message)) throw error;
    outcome = kind;
  }
  const { bytesLive, tensors } = runtime.memory;
  if (bytesLive !== before.bytesLive || tensors !== before.tensors)
    throw new Error(
      `${name}: something stays allocated: ${JSON.stringify([before, runtime.memory])}`,
    );
  return outcome;
}

test.each(names)("%s reads its file as it is", (name) => {
  expect(outcomeOf(name, readers[name].bytes)).toBe("taken");
});

test(`${files} hostile model files (seed ${seed}) each give a model that works, or an error of SPEC's table, and leave no memory held`, {
  timeout: 0,
}, () => {
  const tally = new Tally("model files", files);
  fc.assert(
    fc.property(anyFile, ({ reader, steps }) => {
      const name = names[reader]!;
      tally.count(outcomeOf(name, mutate(readers[name].bytes, steps)));
    }),
    { numRuns: files, seed },
  );
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(runtime.memory.bytesReserved).toBeLessThanOrEqual(2 ** 22);
  for (const name of ["taken", "FormatError", "ShapeError", "TypeError", "RangeError"]) {
    expect(tally.outcomes.get(name)).toBeGreaterThan(files / 1000);
  }
});

/** A model's file with another architecture. */
const withArchitecture = (architecture: string) => {
  const { tensors, metadata } = readSafetensors(saved);
  return writeSafetensors(tensors, new Map(metadata).set("architecture", architecture));
};

test.each([
  [
    "a hundred thousand layers",
    `{"input":[2],"layers":[${Array(1e5).fill('{"kind":"relu"}').join(",")}]}`,
  ],
  [
    "a shape whose product overflows",
    '{"input":[9007199254740991,9007199254740991],"layers":[{"kind":"affine","units":2}]}',
  ],
  [
    "more units than there is memory",
    '{"input":[2],"layers":[{"kind":"affine","units":9007199254740991}]}',
  ],
  ["keys called __proto__", '{"__proto__":{"input":[2]},"layers":[{"__proto__":{"kind":"relu"}}]}'],
])(
  "%s: an error or a model, within seconds and without memory for what the file claims",
  (_, architecture) => {
    const bytes = withArchitecture(architecture);
    const { arrayBuffers } = process.memoryUsage();
    for (const name of ["loadModel", "loadPredictor"] as const) {
      expect(outcomeOf(name, bytes)).not.toBe("taken");
    }
    expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(2 ** 24);
  },
);

test("JSON nested deeper than the engine's stack is a FormatError, and leaves no memory held", () => {
  const before = runtime.memory;
  const deep = withArchitecture(`{"input":${"[".repeat(1e5)}${"]".repeat(1e5)},"layers":[]}`);
  expect(() => loadModel(runtime, deep)).toThrow(FormatError);
  expect(() => loadPredictorSync(deep)).toThrow(FormatError);
  expect(runtime.memory).toEqual(before);
});
