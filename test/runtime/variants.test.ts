// Other builds of the core by their imports: lamella/wasm/relaxed.

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import relaxed from "../../build/relaxed.js";
import {
  affineBackward,
  affineForward,
  createRuntime,
  createRuntimeSync,
  type Runtime,
  type RuntimeOptions,
  type WasmSource,
} from "../../src/index.ts";
import { Pool } from "../../src/runtime/pool.ts";
import type { LamellaRuntime } from "../../src/tensor/runtime.ts";
import { hasRelaxed, seeded } from "../support/core.ts";
import * as reference from "../support/reference.ts";

const bytesOf = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../build/${name}`, import.meta.url)));
const strictBytes = bytesOf("core.wasm");
const relaxedBytes = bytesOf("core.relaxed.wasm");
/**
 * As a host sees a build whose instructions it does not know: a section with an unheard-of number.
 */
const unknown = (bytes: Uint8Array) => new Uint8Array(Buffer.concat([bytes, Buffer.of(200, 1, 0)]));
/** A variant's import in such a host. */
const refused = {
  variant: "relaxed",
  file: "lamella/core.relaxed.wasm",
  hex: Buffer.from(unknown(relaxedBytes)).toString("hex"),
} as const;

async function variantsOf(options: RuntimeOptions): Promise<string[]> {
  return [(await createRuntime(options)).variant, createRuntimeSync(options).variant];
}

const own = hasRelaxed ? "relaxed" : "strict";

describe("the variant that computes is", () => {
  test("strict, where nothing is said", async () => {
    expect(await variantsOf({})).toEqual(["strict", "strict"]);
  });

  test(`the import's own where the host knows it (here: ${own})`, async () => {
    expect(WebAssembly.validate(relaxedBytes)).toBe(hasRelaxed);
    expect(await variantsOf({ wasm: relaxed })).toEqual([own, own]);
    expect(await variantsOf({ wasm: [relaxed] })).toEqual([own, own]);
  });

  test("strict, where this host takes none of the imports: it is there anyway", async () => {
    const strict = ["strict", "strict"];
    expect(await variantsOf({ wasm: refused })).toEqual(strict);
    expect(await variantsOf({ wasm: [refused, refused] })).toEqual(strict);
    expect(await variantsOf({ wasm: [unknown(strictBytes), refused] })).toEqual(strict);
    const withPool = { ...refused, variant: "shared", Pool } as const;
    expect(await variantsOf({ wasm: withPool })).toEqual(strict);
  });

  test("the first of a list that this host takes, whatever comes behind", async () => {
    expect(await variantsOf({ wasm: [refused, strictBytes, relaxed] })).toEqual([
      "strict",
      "strict",
    ]);
    expect(await variantsOf({ wasm: [refused, relaxed] })).toEqual([own, own]);
    expect(await variantsOf({ wasm: [strictBytes, relaxed] })).toEqual(["strict", "strict"]);
  });

  test.runIf(hasRelaxed)("told by the core itself, for bytes and modules too", async () => {
    const module = new WebAssembly.Module(relaxedBytes);
    for (const wasm of [relaxedBytes, module, [unknown(strictBytes), module]] as WasmSource[]) {
      expect(await variantsOf({ wasm })).toEqual(["relaxed", "relaxed"]);
    }
    // As an import gives it in a host that compiles nothing at run time.
    const wasm = { variant: "relaxed", file: "", module } as WasmSource;
    expect(await variantsOf({ wasm })).toEqual(["relaxed", "relaxed"]);
  });
});

test("an import that holds a module, for hosts that compile nothing at run time, gives that one", async () => {
  const module = new WebAssembly.Module(strictBytes);
  const wasm = { variant: "relaxed", file: "", module } as WasmSource;
  for (const runtime of [await createRuntime({ wasm }), createRuntimeSync({ wasm })]) {
    expect((runtime as LamellaRuntime).core.instance.module).toBe(module);
  }
});

describe("the bytes of an import are decoded", () => {
  const { Module } = WebAssembly;
  const { Buffer } = globalThis;
  /** A host with a decoder of its own. */
  type Own = { fromHex?: ((hex: string) => Uint8Array) | undefined };
  const { fromHex } = Uint8Array as Own;
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    if (fromHex) (Uint8Array as Own).fromHex = fromHex;
    else delete (Uint8Array as Own).fromHex;
  });

  /** Whether the host is given the bytes to compile. */
  function isDecoded(): boolean {
    let bytes: Uint8Array | undefined;
    vi.spyOn(WebAssembly, "Module").mockImplementation(
      class {
        constructor(source: Uint8Array<ArrayBuffer>) {
          bytes = source;
          // biome-ignore lint/correctness/noConstructorReturn: it stands for another class
          return new Module(source);
        }
      } as unknown as typeof WebAssembly.Module,
    );
    const hex = Buffer.from(strictBytes).toString("hex");
    createRuntimeSync({ wasm: { variant: "relaxed", file: "", hex } as WasmSource });
    return Buffer.from(bytes!).equals(strictBytes);
  }

  test("by the host's own decoder", () => {
    const own = vi.fn(function (this: unknown, hex: string) {
      expect(this).toBe(Uint8Array);
      return Uint8Array.from(Buffer.from(hex, "hex"));
    });
    (Uint8Array as Own).fromHex = own;
    expect(isDecoded()).toBe(true);
    expect(own).toHaveBeenCalledOnce();
  });

  test("by Buffer, where there is no such one", () => {
    (Uint8Array as Own).fromHex = undefined;
    const from = vi.spyOn(Buffer, "from");
    expect(isDecoded()).toBe(true);
    expect(from).toHaveBeenCalledWith(expect.any(String), "hex");
  });

  test("by a loop, where there is neither", () => {
    (Uint8Array as Own).fromHex = undefined;
    vi.stubGlobal("Buffer", undefined);
    expect(isDecoded()).toBe(true);
  });
});

test("an import of which a bundler has made no module is told by its file", async () => {
  const wasm = {
    variant: "relaxed",
    file: "lamella/core.relaxed.wasm",
    module: "/x.wasm",
  } as const;
  for (const error of [
    await createRuntime({ wasm }).catch((error) => error),
    (() => {
      try {
        createRuntimeSync({ wasm });
      } catch (error) {
        return error as Error;
      }
    })(),
  ]) {
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(
      "a WebAssembly.Module of lamella/core.relaxed.wasm, got /x.wasm",
    );
  }
});

/** A network's forward and backward pass in one call. */
function pass(runtime: Runtime, N: number, D: number, M: number) {
  const random = seeded(7);
  const draw = (...shape: number[]) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => 2 * random() - 1);
  const [x, w, b, dout] = [draw(N, D), draw(D, M), draw(M), draw(N, M)];
  const { out, cache } = affineForward(
    runtime.tensor(x, [N, D]),
    runtime.tensor(w, [D, M]),
    runtime.tensor(b),
  );
  const { dx, dw, db } = affineBackward(runtime.tensor(dout, [N, M]), cache);
  const result = [out, dx, dw, db].map((tensor) => Array.from(tensor.data));
  const twin = reference.affineBackward(dout, x, w, [N, D, M]);
  const expected = [reference.affineForward(x, w, b, [N, D, M]), twin.dx, twin.dw, twin.db];
  return { result, expected };
}

test("both variants give the plain product, and each the same bits again", async () => {
  for (const wasm of [undefined, relaxed]) {
    for (const [N, D, M] of [
      [133, 270, 70],
      [7, 300, 41],
      [1, 64, 10],
    ] as const) {
      const [a, b] = [1, 2].map(() => pass(createRuntimeSync({ wasm }), N, D, M));
      expect(a!.result).toEqual(b!.result);
      a!.result.forEach((values, i) => {
        // 300 float32 terms at most, of values below 1.
        expect(reference.deviation(values, a!.expected[i]!, 1)).toBeLessThan(300 * 2 ** -23);
      });
    }
  }
});
