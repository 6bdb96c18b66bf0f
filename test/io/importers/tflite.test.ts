// TFLite files that are written here, by the same library that reads them: what is computed, what
// is refused, and damaged files.

import { Builder } from "flatbuffers";
import { createRuntime, FormatError, UnsupportedError } from "lamella";
import { describe, expect, test } from "vitest";
import { loadTflite } from "../../../src/tflite.ts";
import { fuzz } from "../../support/mutations.ts";

const runtime = await createRuntime();

interface TensorOf {
  shape: number[];
  type?: number;
  data?: ArrayBufferView;
  /** Scales and zero points of the axis. */
  scales?: number[];
  axis?: number;
}

interface OperatorOf {
  code: number;
  custom?: string;
  inputs: number[];
  outputs: number[];
  /** Writes the table of options. */
  options?: (builder: Builder) => number;
}

interface ModelOf {
  tensors: TensorOf[];
  operators: OperatorOf[];
  inputs: number[];
  outputs: number[];
}

/** A TFLite file, as the schema says: numbers of fields are those of schema.fbs. */
function fileOf({ tensors, operators, inputs, outputs }: ModelOf): Uint8Array {
  const b = new Builder(1024);
  const offsets = (list: number[]) => {
    b.startVector(4, list.length, 4);
    for (const offset of list.toReversed()) b.addOffset(offset);
    return b.endVector();
  };
  const ints = (list: number[]) => {
    b.startVector(4, list.length, 4);
    for (const value of list.toReversed()) b.addInt32(value);
    return b.endVector();
  };
  const table = (fields: number, write: () => void) => {
    b.startObject(fields);
    write();
    return b.endObject();
  };
  const buffers = [table(1, () => {})];
  const made = tensors.map(({ shape, type = 0, data, scales, axis = 0 }, i) => {
    let buffer = 0;
    if (data) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      b.startVector(1, bytes.length, 16);
      for (const byte of bytes.toReversed()) b.addInt8(byte);
      const vector = b.endVector();
      buffers.push(table(1, () => b.addFieldOffset(0, vector, 0)));
      buffer = buffers.length - 1;
    }
    let quantization = 0;
    if (scales) {
      b.startVector(4, scales.length, 4);
      for (const scale of scales.toReversed()) b.addFloat32(scale);
      const vector = b.endVector();
      quantization = table(7, () => {
        b.addFieldOffset(2, vector, 0);
        b.addFieldInt32(6, axis, 0);
      });
    }
    const [lengths, name] = [ints(shape), b.createString(`tensor${i}`)];
    return table(9, () => {
      b.addFieldOffset(0, lengths, 0);
      b.addFieldInt8(1, type, 0);
      b.addFieldInt32(2, buffer, 0);
      b.addFieldOffset(3, name, 0);
      if (quantization) b.addFieldOffset(4, quantization, 0);
    });
  });
  const codes = operators.map(({ code, custom }) => {
    const name = custom ? b.createString(custom) : 0;
    return table(4, () => {
      b.addFieldInt8(0, Math.min(code, 127), 0);
      if (name) b.addFieldOffset(1, name, 0);
      b.addFieldInt32(3, code, 0);
    });
  });
  const run = operators.map(({ inputs, outputs, options }, i) => {
    const [from, to, chosen] = [ints(inputs), ints(outputs), options?.(b)];
    return table(9, () => {
      b.addFieldInt32(0, i, -1);
      b.addFieldOffset(1, from, 0);
      b.addFieldOffset(2, to, 0);
      if (chosen) b.addFieldOffset(4, chosen, 0);
    });
  });
  const parts = [offsets(made), ints(inputs), ints(outputs), offsets(run)];
  const graph = table(5, () => {
    for (const [i, part] of parts.entries()) b.addFieldOffset(i, part, 0);
  });
  const lists = [offsets(codes), offsets([graph]), offsets(buffers)];
  const root = table(8, () => {
    b.addFieldInt32(0, 3, 0);
    b.addFieldOffset(1, lists[0] as number, 0);
    b.addFieldOffset(2, lists[1] as number, 0);
    b.addFieldOffset(4, lists[2] as number, 0);
  });
  b.finish(root, "TFL3");
  return b.asUint8Array();
}

const option =
  (fields: Record<number, number>, kind: "int8" | "float32" = "int8") =>
  (b: Builder): number => {
    b.startObject(8);
    for (const [id, value] of Object.entries(fields)) {
      if (kind === "int8") b.addFieldInt8(Number(id), value, -1);
      else b.addFieldFloat32(Number(id), value, -1);
    }
    return b.endObject();
  };

/** x (1, 3) → relu(x · wᵀ + b) of two units, and softmax. */
const dense = (weight: TensorOf): ModelOf => ({
  tensors: [
    { shape: [1, 3] },
    weight,
    { shape: [2], data: Float32Array.of(0.5, -1) },
    { shape: [1, 2] },
    { shape: [1, 2] },
  ],
  operators: [
    { code: 9, inputs: [0, 1, 2], outputs: [3], options: option({ 0: 1 }) },
    { code: 25, inputs: [3], outputs: [4], options: option({ 0: 1 }, "float32") },
  ],
  inputs: [0],
  outputs: [4],
});
const plain = { shape: [2, 3], data: Float32Array.of(1, 2, 3, -1, 0, 1) };

function predicted(file: Uint8Array, x: number[]): number[] {
  return runtime.scope(() => {
    const model = loadTflite(runtime, file);
    const { data } = model.predict(Float32Array.from(x) as never) as { data: Float32Array };
    const values = [...data];
    model.dispose();
    return values;
  });
}

describe("a file of TFLite", () => {
  // relu(x · wᵀ + b) = (6.5, 0) for x = (1, 1, 1)
  const expected = [1 / (1 + Math.exp(-6.5)), 1 / (1 + Math.exp(6.5))];

  test.each([
    ["float32", plain, 0],
    [
      "float16",
      { ...plain, type: 1, data: Uint16Array.of(0x3c00, 0x4000, 0x4200, 0xbc00, 0, 0x3c00) },
      0,
    ],
    [
      "int8, each row with its scale",
      { ...plain, type: 9, data: Int8Array.of(2, 4, 6, -4, 0, 4), scales: [0.5, 0.25] },
      0,
    ],
  ])("has weights of %s", (_, weight, worst) => {
    const scores = predicted(fileOf(dense(weight)), [1, 1, 1]);
    scores.forEach((score, i) => {
      expect(Math.abs(score - (expected[i] as number))).toBeLessThanOrEqual(worst + 1e-7);
    });
  });

  test("takes any number of examples", () => {
    expect(predicted(fileOf(dense(plain)), [1, 1, 1, 0, 0, 0])).toHaveLength(4);
  });

  test("has channels that are padded", () => {
    const file = fileOf({
      tensors: [
        { shape: [1, 1, 2, 2] },
        { shape: [4, 2], type: 2, data: Int32Array.of(0, 0, 1, 0, 0, 1, 1, 2) },
        { shape: [1, 2, 3, 5] },
      ],
      operators: [{ code: 34, inputs: [0, 1], outputs: [2] }],
      inputs: [0],
      outputs: [2],
    });
    const row = [0, 1, 2, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0];
    expect(predicted(file, [1, 2, 3, 4])).toEqual([...new Array(15).fill(0), ...row]);
  });

  const model = dense(plain);
  const [first, second] = model.operators as [OperatorOf, OperatorOf];
  test.each([
    [
      "a custom operator",
      { ...model, operators: [{ ...first, code: 32, custom: "Mine" }, second] },
      /custom operator "Mine" \("tensor3"\)/,
    ],
    [
      "an operator that is not here",
      { ...model, operators: [first, { ...second, code: 121 }] },
      /operator 121 \("tensor4"\)/,
    ],
    [
      "another fused activation",
      { ...model, operators: [{ ...first, options: option({ 0: 2 }) }, second] },
      /FULLY_CONNECTED \("tensor3": the fused activation 2\)/,
    ],
    [
      "quantised activations",
      { ...model, tensors: [{ shape: [1, 3], type: 9 }, ...model.tensors.slice(1)] },
      /the input "tensor0" of int8/,
    ],
  ])("with %s is refused by its name", (_, given, message) => {
    const before = runtime.memory.bytesLive;
    const file = fileOf(given);
    expect(() => loadTflite(runtime, file)).toThrow(UnsupportedError);
    expect(() => loadTflite(runtime, file)).toThrow(message);
    expect(runtime.memory.bytesLive).toBe(before);
  });

  test.each([
    ["text", Buffer.from("hello, world"), /whose bytes 4 to 7 are TFL3, got 12 bytes/],
    ["an empty file", new Uint8Array(0), /got 0 bytes/],
    [
      "a constant of another size",
      fileOf(dense({ ...plain, shape: [2, 4] })),
      /has 24 bytes, expected 32/,
    ],
    [
      "an output that nothing computes",
      fileOf({ ...model, outputs: [1] }),
      /output 0 is computed by no operator/,
    ],
    ["a tensor that is not there", fileOf({ ...model, inputs: [9] }), /input 0 is tensor 9 of 5/],
  ])("that is %s is told", (_, file, message) => {
    expect(() => loadTflite(runtime, file)).toThrow(FormatError);
    expect(() => loadTflite(runtime, file)).toThrow(message);
  });

  test("that is cut anywhere is a FormatError, or is whole without its end", () => {
    const file = fileOf(model);
    for (let length = 0; length < file.length - 64; length++) {
      expect(() => loadTflite(runtime, file.subarray(0, length)), `${length}`).toThrow(FormatError);
    }
  });

  const runs = Number(process.env.LAMELLA_FUZZ_RUNS ?? 1000);
  const seed = Number(process.env.LAMELLA_FUZZ_SEED ?? 21);
  test(`${runs} mutations (seed ${seed}) are read or refused, and leave no memory held`, () => {
    const before = runtime.memory.bytesLive;
    const names = ["UnsupportedError", "ShapeError", "RangeError", "MemoryError", "TypeError"];
    fuzz({
      ...{ runs, seed, seeds: [fileOf(model)] },
      read: (bytes) => loadTflite(runtime, bytes).dispose(),
      allowed: (error) => names.includes((error as Error).name),
    });
    expect(runtime.memory.bytesLive).toBe(before);
  });
});
