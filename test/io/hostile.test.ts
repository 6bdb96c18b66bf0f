// What SECURITY.md promises of model files that somebody made to do harm. The format itself is in
// safetensors.test.ts and fuzz.test.ts; here it is what the metadata claim.

import { describe, expect, test } from "vitest";
import {
  createRuntimeSync,
  FormatError,
  loadModel,
  MemoryError,
  relu,
  type SafetensorsData,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";

const runtime = createRuntimeSync();

/** A file of ours with this architecture, valid or not. */
function file(
  architecture: unknown,
  tensors: Record<string, SafetensorsData> = {},
  more: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const text = typeof architecture === "string" ? architecture : JSON.stringify(architecture);
  const metadata = { format: "lamella", kind: "model", version: "1", weight_layout: "in,out" };
  return writeSafetensors(tensors, { ...metadata, architecture: text, ...more });
}

function errorOf(fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

/** What both readers say of it, and that nothing stays allocated. */
function refusals(bytes: Uint8Array<ArrayBuffer>): Error[] {
  const { memory } = runtime;
  const errors = [
    errorOf(() => loadModel(runtime, bytes)),
    errorOf(() => loadPredictorSync(bytes)),
  ];
  expect(runtime.memory).toEqual(memory);
  return errors;
}

const dtype = "float32";
const layers = [{ kind: "relu" }];
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

/** A message is no longer, with the names of all kinds, which are some 300 characters. */
const MOST = 600;

describe("metadata", () => {
  const deep = nested(200_000);
  test.each([
    ["the architecture", deep],
    ["the layers", `{"input":[2],"dtype":"${dtype}","layers":${deep}}`],
    ["the input", `{"input":${deep},"dtype":"${dtype}","layers":[{"kind":"relu"}]}`],
    ["a kind", `{"input":[2],"dtype":"${dtype}","layers":[{"kind":${deep}}]}`],
    ["a setting", `{"input":[2],"dtype":"${dtype}","layers":[{"kind":"affine","units":${deep}}]}`],
    [
      "something unknown",
      `{"input":[2],"layers":[{"kind":"relu"}],"x":${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}}`,
    ],
  ])("nested two hundred thousand deep are a FormatError, not a full stack: %s", (_, text) => {
    for (const error of refusals(file(text))) {
      expect(error).toBeInstanceOf(FormatError);
      expect(error.message).toContain("as the metadata's architecture");
    }
  });

  test("of a checkpoint, as deep, are a FormatError, and its model is not left behind", () => {
    const model = new Sequential(runtime, { input: [2], layers: [relu()] });
    const trainer = new Trainer(model, { loss: "mse", optimizer: sgd() });
    const architecture = JSON.stringify({ input: [2], dtype, layers });
    const { memory } = runtime;
    for (const training of [
      `{"loss":"mse","optimizer":{"kind":"sgd","learningRate":0.1,"x":${nested(1e5)}}}`,
      `{"loss":"mse","optimizer":{"kind":"sgd","learningRate":${'{"kind":"warmup","steps":1,"after":'.repeat(1e4)}1${"}".repeat(1e4)}}}`,
    ]) {
      const bytes = file(architecture, {}, { kind: "checkpoint", training });
      expect(() => Trainer.resume(runtime, bytes)).toThrow(FormatError);
    }
    expect(runtime.memory).toEqual(memory);
    trainer.dispose();
    model.dispose();
  });

  test("of a megabyte in one word give messages of a line", () => {
    const long = "x".repeat(1_000_000);
    for (const bytes of [
      file({ input: [2], dtype, layers: [{ kind: long }] }),
      file({ input: [2], dtype: long, layers }),
      file({ input: [2], dtype, layers }, {}, { kind: long }),
      file({ input: [2], dtype, layers }, {}, { version: long }),
      file({ input: [2], dtype, layers: [{ kind: "affine", units: long }] }),
    ]) {
      for (const { message } of refusals(bytes)) expect(message.length).toBeLessThan(MOST);
    }
  });

  test("that are lists, or objects without a text of their own, are told as what they are", () => {
    const long = "x".repeat(1_000_000);
    for (const word of [
      [long],
      Array(100_000).fill(7),
      [[long]],
      { toString: 1 },
      [{ toString: 1 }],
    ]) {
      for (const bytes of [
        file({ input: [2], dtype, layers: [{ kind: word }] }),
        file({ input: [2], dtype, layers: [{ kind: "affine", units: word }] }),
        file({ input: [2], dtype: word, layers }),
        file({ input: word, dtype, layers }),
        file({ input: [word, long], dtype, layers }),
        file({ input: [2], dtype, layers }, {}, { classes: JSON.stringify(word) }),
        file({ input: [2], dtype, layers }, {}, { classes: JSON.stringify([word]) }),
      ]) {
        for (const { message } of refusals(bytes)) {
          expect(message).toMatch(/^(loadModel|loadPredictor|Sequential)/);
          expect(message.length).toBeLessThan(MOST);
        }
      }
    }
  });

  test("of another value than is due, whatever it is, are refused in words, and not by the engine", () => {
    const long = "x".repeat(1_000_000);
    const many = new Array(100_000).fill(long.slice(0, 10));
    const values: unknown[] = [
      { toString: 1 },
      { toJSON: 1, length: 3 },
      long,
      many,
      [many],
      [{ kind: 1 }],
    ];
    for (const value of values) {
      for (const claim of [
        { input: value, dtype, layers },
        { input: [value], dtype, layers },
        { input: [2], dtype: value, layers },
        { input: [2], dtype, layers: value },
        { input: [2], dtype, layers: [value] },
        { input: [2], dtype, layers: [{ kind: value }] },
        { input: [2], dtype, layers: [{ kind: "affine", units: value }] },
        { input: [2], dtype, layers: [{ kind: "dropout", p: value }] },
        { input: [2], dtype, layers: [{ kind: "batchnorm", eps: value }] },
        { input: [2], dtype, layers: [{ kind: "leakyRelu", negativeSlope: value }] },
      ]) {
        for (const { message } of refusals(file(claim))) {
          expect(message).toMatch(/^(loadModel|loadPredictorSync|Sequential): /);
          expect(message.length).toBeLessThan(2000);
        }
      }
    }
  });

  test("of twenty thousand layers without weights are listed in a few lines", () => {
    const many = Array(20_000).fill({ kind: "batchnorm" });
    for (const { message } of refusals(file({ input: [2], dtype, layers: many }))) {
      expect(message).toContain("missing: 0.");
      expect(message).toMatch(/… and 799\d\d more$/);
      expect(message.length).toBeLessThan(2000);
    }
  });

  test("of a hundred thousand layers without tensors give a message of a page, with how many more there are", () => {
    const count = 100_000;
    const claim = {
      input: [2],
      dtype,
      layers: new Array(count).fill({ kind: "affine", units: 2 }),
    };
    for (const { message } of refusals(file(claim))) {
      expect(message).toContain("\n  missing: 0.weight (2, 2)\n  missing: 0.bias (2,)\n");
      const lines = message.split("\n").slice(1, -1);
      const more = 2 * count - lines.length;
      expect(message).toMatch(new RegExp(`\n  … and ${more} more$`));
      expect(message.length).toBeLessThan(2000);
    }
  });

  test("beside a hundred thousand tensors too many give as short a message, whatever the names", () => {
    const data = new Float32Array(1);
    const names = Array.from({ length: 100_000 }, (_, i) => `${i}\u001b[2J\n${"n".repeat(99)}`);
    const tensors = Object.fromEntries(
      names.map((name) => [name, { dtype: "F32", shape: [], data } as const]),
    );
    for (const { message } of refusals(file({ input: [2], dtype, layers }, tensors))) {
      expect(message).toMatch(/extra: "0\\u001b\[2J\\nn+…" \(\)\n/);
      expect(message).toMatch(/\n {2}… and 999\d\d more$/);
      expect(message.length).toBeLessThan(2000);
    }
  });

  test("that name what every object has find nothing by it", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      refusals(file({ input: [2], dtype, layers: [{ kind: name }] }));
      refusals(file({ input: [2], dtype: name, layers }));
      for (const { message } of refusals(file({ input: [2], dtype, layers }, {}, { kind: name }))) {
        expect(message).toMatch(/: expected a model, got "\w+"$/);
      }
    }
    refusals(file(`{"__proto__":{"input":[2],"dtype":"${dtype}","layers":[{"kind":"relu"}]}}`));
    expect(({} as Record<string, unknown>).layers).toBeUndefined();
    expect(({} as Record<string, unknown>).input).toBeUndefined();
  });
});

describe("claims", () => {
  test("of weights that are not in the file are refused before anything is allocated", () => {
    for (const units of [2 ** 31, 2 ** 40, 2 ** 52]) {
      for (const { message } of refusals(
        file({ input: [2], dtype, layers: [{ kind: "affine", units }] }),
      )) {
        expect(message).toContain(`missing: 0.weight (2, ${units})`);
      }
    }
  });

  // Examples of any size are what a layer without weights may claim: the memory is asked for when
  // the model runs.
  test("of examples that no memory holds are a MemoryError, at the latest when the model runs", () => {
    for (const input of [[2 ** 40], [2 ** 30, 2 ** 30, 2 ** 30], [2 ** 32]]) {
      const bytes = file({ input, dtype, layers });
      expect(() => loadPredictorSync(bytes)).toThrow(MemoryError);
      const { memory } = runtime;
      const model = loadModel(runtime, bytes);
      expect(() => model.compile()).toThrow(MemoryError);
      model.dispose();
      expect(runtime.memory).toEqual(memory);
    }
  });

  test("that only maxMemory bounds are bounded by it", () => {
    const small = createRuntimeSync({ maxMemory: 2 ** 21 });
    const model = loadModel(small, file({ input: [2 ** 24], dtype, layers }));
    expect(() => model.compile()).toThrow(MemoryError);
    expect(small.memory.bytesReserved).toBeLessThanOrEqual(2 ** 21);
    small.dispose();
  });
});

describe("int8 weights", () => {
  const units = 2;
  const architecture = {
    ...{ input: [3], dtype, layers: [{ kind: "affine", units, useBias: false }] },
  };
  const integers = new Int8Array([1, -2, 3, 127, -127, 0]);
  const weight: SafetensorsData = { dtype: "I8", shape: [3, 2], data: integers };
  const scale = (...values: number[]): SafetensorsData => ({
    ...{ dtype: "F32", shape: [values.length], data: Float32Array.from(values) },
  });
  const refused = (tensors: Record<string, SafetensorsData>, version = "2") =>
    refusals(file(architecture, tensors, { version }));

  test("with a scale for each column are read", () => {
    const bytes = file(architecture, { "0.weight": weight, "0.weight_scale": scale(2, 0) });
    const model = loadModel(runtime, bytes);
    expect([...(model.parameters()[0]?.value.data ?? [])]).toEqual([2, -0, 6, 0, -254, 0]);
    expect([...loadPredictorSync(bytes).predict([1, 2, 3])]).toEqual([2 + 12 - 762, 0]);
    model.dispose();
  });

  test.each<[string, Record<string, SafetensorsData>, string]>([
    ["no scales", {}, "none"],
    ["scales of another layer", { "1.weight_scale": scale(1, 1) }, "none"],
    ["too few scales", { "0.weight_scale": scale(1) }, "F32 (1,)"],
    ["too many scales", { "0.weight_scale": scale(1, 1, 1) }, "F32 (3,)"],
    ["no scale", { "0.weight_scale": scale() }, "F32 (0,)"],
    ["scales of two axes", { "0.weight_scale": { ...scale(1, 1), shape: [1, 2] } }, "F32 (1, 2)"],
    ["one scale without axes", { "0.weight_scale": { ...scale(1), shape: [] } }, "F32 ()"],
    ["a scale that is NaN", { "0.weight_scale": scale(1, Number.NaN) }, "F32 (2,) with NaN"],
    ["an infinite scale", { "0.weight_scale": scale(Infinity, 1) }, "F32 (2,) with Infinity"],
    ["a negative scale", { "0.weight_scale": scale(1, -0.5) }, "F32 (2,) with -0.5"],
    [
      "scales in float64",
      { "0.weight_scale": { ...scale(1, 1), dtype: "F64", data: new Float64Array(2) } },
      "F64 (2,)",
    ],
    [
      "scales that are int8 themselves",
      { "0.weight_scale": { ...scale(1, 1), dtype: "I8", data: new Int8Array(2) } },
      "I8 (2,)",
    ],
  ])("with %s are a FormatError that says so", (_, tensors, given) => {
    for (const version of ["1", "2"]) {
      for (const error of refused({ "0.weight": weight, ...tensors }, version)) {
        expect(error).toBeInstanceOf(FormatError);
        expect(error.message).toMatch(
          /: expected 0\.weight_scale, the scales of an I8 tensor, to be F32 \(2,\) of numbers from 0 up, got /,
        );
        expect(error.message.split("got ")[1]).toBe(given);
      }
    }
  });

  test("of another shape than is due, or beside their floats, are a ShapeError with a list", () => {
    const flat = { ...weight, shape: [6] };
    for (const error of refused({ "0.weight": flat, "0.weight_scale": scale(1, 1, 1, 1, 1, 1) })) {
      expect(error).toBeInstanceOf(ShapeError);
      expect(error.message).toContain("shape: 0.weight must be (3, 2), got (6,)");
    }
    const floats: SafetensorsData = { dtype: "F32", shape: [3, 2], data: new Float32Array(6) };
    for (const error of refused({ "0.weight": floats, "0.weight_scale": scale(1, 1) })) {
      expect(error).toBeInstanceOf(ShapeError);
      expect(error.message).toContain("extra: 0.weight_scale (2,)");
    }
    for (const error of refused({
      "0.weight": { ...weight, shape: [3, 2, 0], data: new Int8Array() },
    })) {
      expect(error).toBeInstanceOf(FormatError);
    }
    for (const error of refused({ "0.weight": { ...weight, shape: [], data: new Int8Array(1) } })) {
      expect(error).toBeInstanceOf(FormatError);
      expect(error.message).toContain("to be F32 () of");
    }
    const unsigned: SafetensorsData = { ...weight, dtype: "U8", data: new Uint8Array(6) };
    for (const error of refused({ "0.weight": unsigned, "0.weight_scale": scale(1, 1) })) {
      expect(error.message).toContain("dtype: 0.weight must be float32, got U8");
    }
  });

  test("of which there are a hundred thousand, whatever their names, give a message of a line", () => {
    const data = new Int8Array(1);
    const names = Array.from({ length: 100_000 }, (_, i) => `${i}\u001b[2J\n${"n".repeat(99)}`);
    const tensors = Object.fromEntries(
      names.map((name) => [name, { dtype: "I8", shape: [1], data } as const]),
    );
    for (const { message } of refused(tensors)) {
      expect(message).not.toContain("\u001b");
      expect(message.length).toBeLessThan(MOST);
    }
  });
});

test("a model's numbers are data: NaN and infinities load, compute by IEEE 754, and harm no other model", () => {
  const shape = [2, 2];
  const weight = (value: number) =>
    ({ dtype: "F32", shape, data: new Float32Array(4).fill(value) }) as const;
  const bias = { dtype: "F32", shape: [2], data: new Float32Array(2) } as const;
  const one = (value: number) =>
    file(
      { input: [2], dtype, layers: [{ kind: "affine", units: 2, useBias: true }] },
      {
        "0.weight": weight(value),
        "0.bias": bias,
      },
    );
  const good = loadModel(runtime, one(1));
  const before = Array.from(good.predict(runtime.ones([1, 2])).data);
  for (const value of [Number.NaN, Infinity, -Infinity, 3.4e38]) {
    const model = loadModel(runtime, one(value));
    expect(Number.isFinite(model.predict(runtime.ones([1, 2])).data[0])).toBe(false);
    expect(Array.from(good.predict(runtime.ones([1, 2])).data)).toEqual(before);
  }
  expect(before).toEqual([2, 2]);
  expect(saveModel(good)).toEqual(saveModel(loadModel(runtime, saveModel(good))));
});
