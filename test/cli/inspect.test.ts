import { afterAll, describe, expect, test } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  dropout,
  flatten,
  relu,
  Sequential,
  saveModel,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { Folder } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());
const runtime = createRuntimeSync();
const model = new Sequential(runtime, {
  input: [2, 3],
  layers: [flatten(), affine(4), batchnorm(), relu(), dropout(0.25), affine(2)],
});
folder.write("model.safetensors", saveModel(model));
const trainer = new Trainer(model, { loss: "softmax", optimizer: adam() });
folder.write("checkpoint.safetensors", trainer.checkpoint());

// One, two, the largest, minus infinity, NaN, minus zero.
const f16 = Uint16Array.of(0x3c00, 0x4000, 0x7bff, 0xfc00, 0x7e00, 0x8000);
const bf16 = Uint16Array.of(0x3f80, 0xc000);
folder.write(
  "torch.safetensors",
  writeSafetensors(
    {
      half: { dtype: "F16", shape: [2, 3], data: f16 },
      brain: { dtype: "BF16", shape: [2], data: bf16 },
      large: { dtype: "I64", shape: [3], data: BigInt64Array.of(-(2n ** 62n), 0n, 2n ** 62n) },
      flags: { dtype: "BOOL", shape: [4], data: Uint8Array.of(0, 1, 1, 0) },
      tiny: { dtype: "F8_E4M3", shape: [2], data: Uint8Array.of(1, 2) },
      none: { dtype: "F32", shape: [0, 7], data: new Float32Array(0) },
      scalar: { dtype: "F64", shape: [], data: Float64Array.of(0.1) },
    },
    { format: "pt" },
  ),
);

const read = async (name: string) => JSON.parse(await folder.succeeding("inspect", name, "--json"));

describe("any safetensors file", () => {
  test("has dtype, shape, bytes and statistics over what is finite, as JSON", async () => {
    const { tensors, totals, metadata, architecture, fileBytes } = await read("torch.safetensors");
    expect({ metadata, architecture }).toEqual({ metadata: { format: "pt" } });
    expect(totals).toEqual({ tensors: 7, elements: 18, bytes: 12 + 4 + 24 + 4 + 2 + 8 });
    expect(fileBytes).toBe(folder.read("torch.safetensors").length);
    type Row = { name: string; dtype: string; shape: number[]; bytes: number; statistics: object };
    const by = new Map(tensors.map((row: Row) => [row.name, row]));
    const mean = (1 + 2 + 65504 + 0) / 4;
    const std = Math.sqrt(
      [1, 2, 65504, 0].reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4,
    );
    expect(by.get("half")).toEqual({
      ...{ name: "half", dtype: "F16", shape: [2, 3], bytes: 12 },
      statistics: { ...{ min: 0, max: 65504, mean, std }, ...{ zeros: 1, nan: 1, infinite: 1 } },
    });
    const whole = { nan: 0, infinite: 0 };
    expect(by.get("brain")).toMatchObject({
      statistics: { min: -2, max: 1, mean: -0.5, std: 1.5, zeros: 0, ...whole },
    });
    expect(by.get("large")).toMatchObject({
      statistics: { min: -(2 ** 62), max: 2 ** 62, mean: 0, zeros: 1, ...whole },
    });
    expect(by.get("flags")).toMatchObject({
      statistics: { min: 0, max: 1, mean: 0.5, std: 0.5, zeros: 2, ...whole },
    });
    expect(by.get("tiny")).toMatchObject({ dtype: "F8_E4M3", statistics: null });
    expect(by.get("none")).toMatchObject({
      shape: [0, 7],
      statistics: { min: null, max: null, mean: null, std: null, zeros: 0, ...whole },
    });
    expect(by.get("scalar")).toMatchObject({ shape: [], statistics: { mean: 0.1, std: 0 } });
  });

  test("is a table for people, with the totals below", async () => {
    const stdout = await folder.succeeding("inspect", "torch.safetensors");
    expect(stdout).toMatch(
      /^torch.safetensors: \d+ bytes, safetensors, format "pt"\n\ntensor +dtype +shape/,
    );
    expect(stdout).toMatch(/^half +F16 +\(2, 3\) +12 +0 +65504 +16377 +28364 +1 +1 +1$/m);
    expect(stdout).toMatch(/^large +I64 +\(3,\) +24 +-4.612e\+18 +4.612e\+18 +0 +3.765e\+18 /m);
    expect(stdout).toMatch(/^tiny +F8_E4M3 +\(2,\) +2( +–){7}$/m);
    expect(stdout).toMatch(/\n7 tensors, 18 numbers, 54 bytes\n$/);
  });

  test("cannot steer a terminal by its names", async () => {
    const evil = "\x1b[2J\u202e";
    folder.write(
      "evil.safetensors",
      writeSafetensors(
        { [evil]: { dtype: "U8", shape: [1], data: Uint8Array.of(1) } },
        { format: evil },
      ),
    );
    const stdout = await folder.succeeding("inspect", "evil.safetensors");
    expect(stdout).toContain("\\u{1b}[2J\\u{202e}");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]/);
    expect((await read("evil.safetensors")).tensors[0].name).toBe(evil);
  });
});

describe("a file of this package", () => {
  test.each(["model", "checkpoint"])(
    "tells the layers of a %s as the model itself does",
    async (kind) => {
      const { architecture, totals } = await read(`${kind}.safetensors`);
      expect(architecture).toEqual({
        ...{ input: [2, 3], dtype: "float32" },
        layers: [
          { layer: "flatten", output: [6], parameters: 0 },
          { layer: "affine(4)", output: [4], parameters: 28 },
          { layer: "batchnorm", output: [4], parameters: 8 },
          { layer: "relu", output: [4], parameters: 0 },
          { layer: "dropout(0.25)", output: [4], parameters: 0 },
          { layer: "affine(2)", output: [2], parameters: 10 },
        ],
      });
      const sizes = model.parameters().map(({ value }) => value.size);
      expect(totals.parameters).toBe(sizes.reduce((a, b) => a + b));
      const stdout = await folder.succeeding("inspect", `${kind}.safetensors`);
      expect(stdout).toContain(`a ${kind} of Lamella's\n`);
      // Where a layer has no parameters the model's own table has a 0, and this nothing.
      const rows = (text: string) => text.replace(/ +0$/gm, "").replace(/ +/g, " ");
      const table = model.summary().split("\n").slice(0, -1).join("\n");
      expect(rows(stdout)).toContain(rows(table));
    },
  );
});

test("every setting and shape of a layer is told by its record, and what no record holds is not guessed", async () => {
  const architecture = {
    input: [2, 3],
    dtype: "float32",
    layers: [
      ...[{ kind: "leakyRelu" }, { kind: "batchnorm" }, { kind: "affine", units: 4.5 }],
      ...[{ kind: "flatten" }, { kind: "dropout", p: 1 }, { kind: "conv2d" }],
      ...[{ kind: "affine", units: 5, useBias: false }, { kind: "toString" }, null, 7],
      { kind: "affine", units: "6" },
    ],
  };
  const data = Float32Array.of(1, 2);
  folder.write(
    "claims.safetensors",
    writeSafetensors(
      { "6.weight": { dtype: "F32", shape: [2], data } },
      { format: "lamella", kind: "model", architecture: JSON.stringify(architecture) },
    ),
  );
  const { layers } = (await read("claims.safetensors")).architecture;
  const shown = layers.map((row: { layer: string; output: number[] | null; parameters: number }) =>
    Object.values(row),
  );
  expect(shown).toEqual([
    ["leakyRelu(0.01)", [2, 3], 0],
    ["batchnorm", [2, 3], 0],
    ["affine", null, 0],
    ["flatten", null, 0],
    ["dropout", null, 0],
    ["conv2d", null, 0],
    ["affine(5, no bias)", [5], 2],
    ["toString", [5], 0],
    ["undefined", [5], 0],
    ["undefined", [5], 0],
    ["affine", null, 0],
  ]);
});

test("no file, or none of its kind, is told by its name", async () => {
  folder.write("text", "hello, this is no safetensors file");
  expect(await folder.lamella("inspect", "text")).toEqual({
    ...{ stdout: "", code: 1 },
    stderr: expect.stringMatching(
      /^lamella inspect: text: not a safetensors file: expected a header .*\n$/,
    ),
  });
  expect((await folder.lamella("inspect", "nowhere/x")).stderr).toBe(
    "lamella inspect: nowhere/x: no such file\n",
  );
});
