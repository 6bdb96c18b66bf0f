import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "../../src/index.ts";
import { half } from "./twin.ts";

const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

function entryOf(dtype: "F16" | "BF16") {
  const written = writeSafetensors({ all: { dtype, shape: [65536], data: all } });
  return readSafetensors(written).tensors.get("all")!;
}

test.each([
  ["F16", 5],
  ["BF16", 8],
] as const)(
  "all 65,536 %s become the float32 and the float64 that they are, by a twin that computes them",
  (dtype, exponentBits) => {
    const expected = Array.from(all, (bits) => half(bits, exponentBits));
    const narrow = entryOf(dtype).toTypedArray();
    const wide = entryOf(dtype).toTypedArray("float64");
    expect([narrow.constructor, wide.constructor]).toEqual([Float32Array, Float64Array]);
    for (const [bits, value] of expected.entries()) {
      // Object.is: zeros of both signs, and NaN.
      if (!Object.is(narrow[bits], value) || !Object.is(wide[bits], value)) {
        expect([bits, narrow[bits], wide[bits]]).toEqual([bits, value, value]);
      }
    }
    expect(expected.filter(Number.isNaN)).toHaveLength(2 * (2 ** (15 - exponentBits) - 1));
  },
);

test("all 65,536 float16s become what NumPy makes of them", () => {
  const url = new URL("../golden/safetensors.json", import.meta.url);
  const { float16 } = JSON.parse(readFileSync(url, "utf8"));
  const bits = new Uint32Array(entryOf("F16").toTypedArray("float32").buffer);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7fffffff) > 0x7f800000) bits[i] = 0x7fc00000; // one NaN for all
  }
  expect(createHash("sha256").update(bits).digest("hex")).toBe(float16);
});

test("all 65,536 bfloat16s, NaNs with their payload too, are the upper halves of their float32s", () => {
  const bits = new Uint32Array(entryOf("BF16").toTypedArray("float32").buffer);
  expect(Array.from(bits, (value) => value / 65536)).toEqual(Array.from(all));
});
