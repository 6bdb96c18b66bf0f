// Files of PyTorch: those of ../shared/models against what torch itself read of them, and damaged
// and hostile ones, which are written here.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { zipSync } from "fflate";
import {
  affine,
  batchnorm,
  conv2d,
  createRuntime,
  dropout,
  FormatError,
  flatten,
  loadTorch,
  logSoftmax,
  maxPool2d,
  relu,
  type SafetensorsFile,
  writeSafetensors,
} from "lamella";
import { describe, expect, test } from "vitest";
import { readTorch } from "../../../src/torch.ts";
import {
  differenceOf,
  expectedOf,
  hasModels,
  inputOf,
  type ModelCase,
  modelBytes,
  modelsFolder,
} from "../../support/models.ts";
import { fuzz } from "../../support/mutations.ts";

const runtime = await createRuntime();

/** The numbers of a tensor as float64, and those of int64 as BigInts are. */
function numbersOf(file: SafetensorsFile, name: string): number[] {
  const entry = file.tensors.get(name);
  if (!entry) throw new Error(`no ${name} among ${[...file.tensors.keys()]}`);
  if (entry.dtype === "BOOL") return [...entry.data];
  const values = new Float64Array(entry.size);
  entry.copyTo(values);
  return [...values];
}

/** A number of the expected values, where those that JSON has not are strings. */
const plain = (value: unknown): number =>
  typeof value === "string" ? Number(value.replace(/inf\w*/i, "Infinity")) : Number(value);

describe.skipIf(!hasModels)("files that torch wrote", () => {
  const corner = (hasModels ? expectedOf("pt_corner").files : {}) as Record<string, unknown>;

  test.each(Object.keys(corner))("%s has the tensors that torch reads", (name) => {
    const file = readTorch(readFileSync(`${modelsFolder}/pt_corner/${name}`));
    const expected = corner[name] as Record<string, { dtype: string; shape: number[]; data: [] }>;
    expect([...file.tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    const names: Record<string, string> = { bool: "BOOL", uint8: "U8", bfloat16: "BF16" };
    for (const [key, { dtype, shape, data }] of Object.entries(expected)) {
      const entry = file.tensors.get(key);
      expect(entry?.shape).toEqual(shape);
      const own = names[dtype] ?? dtype.replace("float", "F").replace("int", "I");
      expect(entry?.dtype).toBe(own);
      const values = [data].flat(9).map(plain);
      if (own === "I64") expect(numbersOf(file, key).map(Number)).toEqual(values);
      else expect(numbersOf(file, key)).toEqual(values);
    }
  });

  test("each file of the folder has expected values", () => {
    const files = readdirSync(`${modelsFolder}/pt_corner`).filter((name) => name.endsWith(".pt"));
    expect(Object.keys(corner).sort()).toEqual(files.sort());
  });

  test.each(
    hasModels
      ? readdirSync(`${modelsFolder}/expected`).filter((name) => /^tensors-/.test(name))
      : [],
  )("%s: each tensor has the bytes that torch reads", (name) => {
    const model = name.slice("tensors-".length, -".json".length);
    const { tensors } = expectedOf(`tensors-${model}`);
    const file = readTorch(readFileSync(`${modelsFolder}/${model}`));
    const listed = Object.entries(
      tensors as Record<string, { shape: number[]; sha256_f64le: string }>,
    );
    expect(listed.length).toBeGreaterThan(0);
    for (const [key, { shape, sha256_f64le }] of listed) {
      expect(file.tensors.get(key)?.shape, key).toEqual(shape);
      const values = Float64Array.from(numbersOf(file, key));
      const digest = createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
      expect(digest, key).toBe(sha256_f64le);
    }
  });
});

describe.skipIf(!hasModels)("networks whose weights torch wrote", () => {
  // PyTorch's images are (C, H, W), and a flattened image too; ours are (H, W, C).
  const networks = {
    "gen_digits_cnn.pt": {
      input: [8, 8, 1],
      layers: [
        ...[conv2d(8, 3, { padding: 1 }), batchnorm(), relu(), maxPool2d(2)],
        ...[conv2d(16, 3, { padding: 1, useBias: false }), batchnorm(), relu(), maxPool2d(2)],
        ...[flatten(), affine(32), relu(), dropout(0.5), affine(10)],
      ],
      names: {},
    },
    "burn_mnist.pt": {
      input: [28, 28, 1],
      layers: [
        ...[conv2d(8, 3), relu(), conv2d(16, 3), relu(), conv2d(24, 3), relu(), batchnorm()],
        ...[flatten(), affine(32), relu(), affine(10), batchnorm(), logSoftmax()],
      ],
      names: { conv1: "0", conv2: "2", conv3: "4", norm1: "6", fc1: "8", fc2: "10", norm2: "11" },
    },
  };

  test.each([
    ["gen_digits_cnn.pt", networks["gen_digits_cnn.pt"]],
    ["gen_digits_cnn_legacy.pth", networks["gen_digits_cnn.pt"]],
    ["burn_mnist.pt", networks["burn_mnist.pt"]],
  ])("%s gives the scores that torch gives", (name, { input, layers, names }) => {
    const file = readTorch(modelBytes(name));
    const expected = expectedOf(name);
    runtime.scope(() => {
      const model = loadTorch(runtime, file, { input, layers, names });
      for (const { inputs, outputs } of expected.cases as ModelCase[]) {
        // One channel: its order makes no difference to the input.
        const x = inputOf(inputs.x as never);
        const scores = model.predict(
          runtime.tensor(x, [x.length / (input[0]! * input[1]!), ...input]),
        );
        const difference = differenceOf(scores.data, Object.values(outputs)[0] as never);
        expect(difference).toBeLessThanOrEqual(expected.suggested_abs_tolerance as number);
      }
      model.dispose();
    });
  });
});

/** Writes pickles of protocol 2, as much as these tests need. */
const pickle = (...parts: (string | number | Uint8Array)[]): Uint8Array =>
  Buffer.concat([
    Buffer.from([0x80, 2]),
    ...parts.map((part) =>
      typeof part === "number"
        ? Buffer.from([part])
        : typeof part === "string"
          ? Buffer.from(part, "latin1")
          : Buffer.from(part),
    ),
    Buffer.from("."),
  ]);
const text = (value: string) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from("X"), Buffer.from(Uint32Array.of(bytes.length).buffer), bytes]);
};
const whole = (value: number) =>
  Buffer.concat([Buffer.from("J"), Buffer.from(Int32Array.of(value).buffer)]);
const global = (module: string, name: string) => `c${module}\n${name}\n`;
const tuple = (...parts: (string | Uint8Array)[]) =>
  Buffer.concat([
    Buffer.from("("),
    ...parts.map((part) => Buffer.from(part as string, "latin1")),
    Buffer.from("t"),
  ]);

/** A tensor as torch.save pickles one. */
const tensor = (shape: number[], strides: number[], offset = 0, length = 6, key = "0") =>
  Buffer.concat([
    Buffer.from(global("torch._utils", "_rebuild_tensor_v2")),
    tuple(
      Buffer.concat([
        tuple(
          text("storage"),
          global("torch", "FloatStorage"),
          text(key),
          text("cpu"),
          whole(length),
        ),
        Buffer.from("Q"),
      ]),
      whole(offset),
      tuple(...shape.map(whole)),
      tuple(...strides.map(whole)),
      "\x89",
      Buffer.concat([Buffer.from(global("collections", "OrderedDict")), Buffer.from(")R")]),
    ),
    Buffer.from("R"),
  ]);

const storage = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
const archive = (data: Uint8Array, files: Record<string, Uint8Array> = { "net/data/0": storage }) =>
  zipSync({ "net/data.pkl": data, ...files }, { level: 0 });

describe("a pickle", () => {
  test("views are read by their strides: a transposed, a sliced and an expanded tensor", () => {
    const read = (part: Uint8Array) => {
      const file = readTorch(archive(pickle(part)));
      return numbersOf(file, "tensor");
    };
    expect(read(tensor([2, 3], [3, 1]))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(read(tensor([3, 2], [1, 3]))).toEqual([0, 3, 1, 4, 2, 5]);
    expect(read(tensor([2, 2], [3, 1], 1))).toEqual([1, 2, 4, 5]);
    expect(read(tensor([2, 3], [0, 2]))).toEqual([0, 2, 4, 0, 2, 4]);
    expect(read(tensor([], []))).toEqual([0]);
    expect(read(tensor([0, 3], [3, 1]))).toEqual([]);
  });

  test("numbers and strings beside the tensors are metadata", () => {
    const file = readTorch(
      archive(
        pickle(
          "}(",
          text("w"),
          tensor([6], [1]),
          text("epoch"),
          whole(7),
          text("note"),
          text("x"),
          "u",
        ),
      ),
    );
    expect([...file.metadata]).toEqual([
      ["epoch", "7"],
      ["note", "x"],
    ]);
    expect([...file.tensors.keys()]).toEqual(["w"]);
  });

  test.each([
    ["posix.system", global("posix", "system")],
    ["builtins.eval", global("builtins", "eval")],
    ["torch.load", global("torch", "load")],
    ["torch.storage._load_from_bytes", global("torch.storage", "_load_from_bytes")],
    ["torch.nn.modules.container.Sequential", global("torch.nn.modules.container", "Sequential")],
    ["collections.OrderedDict.__init__", global("collections", "OrderedDict.__init__")],
    ["torch.constructor", global("torch", "constructor")],
    ["torch.__proto__", global("torch", "__proto__")],
    [".hasOwnProperty", global("", "hasOwnProperty")],
  ])("that asks for %s is refused by that name", (name, part) => {
    for (const file of [archive(pickle(part)), pickle(part)]) {
      expect(() => readTorch(file)).toThrow(FormatError);
      expect(() => readTorch(file)).toThrow(JSON.stringify(name));
    }
  });

  test.each([
    [
      "a tensor behind its storage",
      tensor([2, 3], [3, 1], 1),
      /ends at element 6 of a storage of 6/,
    ],
    [
      "a stride beyond its storage",
      tensor([2, 3], [100, 1]),
      /ends at element 102 of a storage of 6/,
    ],
    ["a negative stride", tensor([2], [-1]), /strides must be a whole number from 0 up, got -1/],
    [
      "a shape of billions",
      tensor([2000000000, 2000000000], [0, 0]),
      /more bytes than the file can have/,
    ],
    ["shapes and strides of other ranks", tensor([2, 3], [1]), /2 lengths and 1 strides/],
    ["a storage that is not there", tensor([2], [1], 0, 6, "9"), /no storage "net\/data\/9"/],
    [
      "two tensors of one name",
      Buffer.concat([
        Buffer.from("}("),
        text("a.b"),
        tensor([1], [1]),
        text("a"),
        Buffer.from("}("),
        text("b"),
        tensor([1], [1]),
        Buffer.from("uu"),
      ]),
      /two tensors have the name "a.b"/,
    ],
    ["a list that holds itself", Buffer.from("]q\0h\0a"), /nested deeper than 64/],
    [
      "lists that double thirty times",
      Buffer.concat([
        Buffer.from("]"),
        ...Array.from({ length: 30 }, (_, i) =>
          Buffer.concat([
            Buffer.from([0x71, i]),
            Buffer.from("]("),
            Buffer.from([0x68, i, 0x68, i]),
            Buffer.from("e"),
          ]),
        ),
      ]),
      /more than 1000000 values/,
    ],
    ["an opcode of another protocol", Buffer.from("I7\n"), /opcode 0x49/],
    ["an empty stack", Buffer.from("0"), /empty stack/],
    ["a value that was not stored", Buffer.from("h\x05"), /recalls value 5/],
    ["a call of what is no function", Buffer.from("})R"), /calls what is no function/],
    ["attributes for a list", Buffer.from("]}b"), /attributes to what is no dictionary/],
  ])("with %s is a FormatError that says so", (_, part, message) => {
    const file = archive(pickle(part));
    expect(() => readTorch(file)).toThrow(FormatError);
    expect(() => readTorch(file)).toThrow(message);
  });
});

describe("a file", () => {
  const file = archive(pickle("}(", text("w"), tensor([2, 3], [3, 1]), "u"));

  test("that is cut anywhere is a FormatError", () => {
    for (let length = 0; length < file.length; length++) {
      expect(() => readTorch(file.subarray(0, length)), `${length} bytes`).toThrow(FormatError);
    }
  });

  test.each([
    ["a Keras model", zipSync({ "config.json": new Uint8Array(2) }), /loadKeras of lamella\/keras/],
    ["an archive without a pickle", zipSync({ a: new Uint8Array(2) }), /one data.pkl, got 0/],
    ["a bomb", zipSync({ "net/data.pkl": new Uint8Array(1e7) }), /claims more than 64 times/],
    ["a page", Buffer.from("<!DOCTYPE html>"), /HTML/],
    ["an older pickle of something else", pickle("]"), /a pickle, and none of PyTorch/],
    [
      "numbers of another machine",
      archive(pickle("}"), { "net/byteorder": Buffer.from("big") }),
      /big-endian/,
    ],
  ])("that is %s is told", (_, bytes, message) => {
    expect(() => readTorch(bytes)).toThrow(FormatError);
    expect(() => readTorch(bytes)).toThrow(message);
  });

  test("of safetensors is read as well", () => {
    const bytes = writeSafetensors({ w: { dtype: "F32", shape: [6], data: storage } });
    expect(numbersOf(readTorch(bytes), "w")).toEqual([0, 1, 2, 3, 4, 5]);
    expect(() => readTorch("net.pt" as never)).toThrow(TypeError);
  });

  const runs = Number(process.env.LAMELLA_FUZZ_RUNS ?? 1000);
  const seed = Number(process.env.LAMELLA_FUZZ_SEED ?? 21);
  test(`${runs} mutations (seed ${seed}) are each read or refused with a FormatError`, () => {
    const seeds = hasModels
      ? ["simple_legacy.pt", "nested_dict.pt", "legacy_shared_storage.pt", "checkpoint.pt"].map(
          (name) => modelBytes(`pt_corner/${name}`),
        )
      : [file];
    fuzz({ runs, seed, seeds: [...seeds, file], read: readTorch });
  });
});
