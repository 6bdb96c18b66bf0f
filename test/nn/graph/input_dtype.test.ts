// A network whose input is int32. No layer of the package takes whole numbers yet, so that one is
// made here: out = w[index], with its gradient, in plain loops over the runtime's memory.

import { describe, expect, test } from "vitest";
import {
  affine,
  createRuntimeSync,
  DTypeError,
  flatten,
  type LayerSpec,
  Sequential,
  sgd,
  Trainer,
} from "../../../src/index.ts";
import { Engine } from "../../../src/nn/engine/engine.ts";
import { layer } from "../../../src/nn/engine/kinds.ts";
import { normal } from "../../../src/nn/initializers.ts";
import { typedArrays } from "../../../src/tensor/dtype.ts";
import { count } from "../../../src/tensor/numbers.ts";

class Lookup extends Engine {
  protected override first() {
    return { weight: normal(1) };
  }

  private views(N: number) {
    const { buffer } = this.setup.runtime.linear.wasm;
    const { V, D } = this.settings;
    const Floats = typedArrays[this.setup.dtype] as Float64ArrayConstructor;
    const floats = (address: number, length: number) =>
      new Floats(buffer as ArrayBuffer, address, length);
    const indices = new Int32Array(buffer, this.x, N * this.inSize);
    return { V, D, floats, indices };
  }

  override forward(N: number) {
    const { V, D, floats, indices } = this.views(N);
    const [w, out] = [floats(this.at(0), V * D), floats(this.out, N * this.outSize)];
    indices.forEach((index, i) => {
      out.set(w.subarray(index * D, (index + 1) * D), i * D);
    });
  }

  override backward(N: number) {
    const gradient = this.gradientAt(0);
    const { V, D, floats, indices } = this.views(N);
    const [dw, dout] = [floats(gradient, V * D).fill(0), floats(this.dout, N * this.outSize)];
    indices.forEach((index, i) => {
      for (let d = 0; d < D; d++) (dw[index * D + d] as number) += dout[i * D + d] as number;
    });
  }
}

const lookup = layer(
  {
    kind: "lookup",
    takes: "int32",
    settings: { V: [count], D: [count] },
    outShape: (inShape, { D }) => [...inShape, D],
    tensors: (_, { V, D }) => ({ weight: [V, D] }),
  },
  { learned: ["weight"], keeps: "x", apartGradient: true },
  Lookup,
  (V: number, D: number) => ({ kind: "lookup", V, D }) as unknown as LayerSpec,
);

const runtime = createRuntimeSync();

describe.each(["float32", "float64"] as const)("in a %s model", (dtype) => {
  const make = (...layers: LayerSpec[]) =>
    new Sequential(runtime, { input: [3], layers: [lookup(5, 2), ...layers], dtype, seed: 2 });

  test("indices of every form are looked up", () => {
    const model = make();
    const w = model.parameters()[0]?.value.toTypedArray() as Float64Array;
    const rows = [
      [4, 0, 1],
      [2, 2, 3],
    ];
    const flat = rows.flat();
    const expected = flat.flatMap((index) => [w[2 * index], w[2 * index + 1]]);
    for (const x of [
      rows,
      flat,
      ...[Int32Array, Float32Array, Float64Array, Uint8Array, Int16Array].map((Kind) =>
        Kind.from(flat),
      ),
      ...(["int32", "float32", "float64"] as const).map((d) => runtime.tensor(rows, [2, 3], d)),
    ]) {
      expect([...model.predict(x).data]).toEqual(expected);
      expect([...model.forward(x, { mode: "train" }).data]).toEqual(expected);
    }
    model.dispose();
  });

  test("it trains: gradients are sums over the indices, and a table of numbers is learned", async () => {
    const model = make(flatten(), affine(2));
    model.forward([[1, 1, 4]]);
    const dout = runtime.tensor([[1, -2]], [1, 2], dtype);
    model.backward(dout as never);
    const [weight, product] = model.parameters().map(({ value }) => value.toTypedArray());
    const due = new Array(10).fill(0);
    [1, 1, 4].forEach((index, l) => {
      for (let d = 0; d < 2; d++) {
        const [a, b] = [0, 1].map((m) => (product as Float64Array)[(2 * l + d) * 2 + m] as number);
        due[2 * index + d] += (a as number) - 2 * (b as number);
      }
    });
    const gradient = [...(model.parameters()[0]?.gradient.data ?? [])];
    expect(weight).toHaveLength(10);
    for (const [i, value] of gradient.entries()) expect(value).toBeCloseTo(due[i], 5);
    const trainer = new Trainer(model, { loss: "softmax", optimizer: sgd({ learningRate: 0.5 }) });
    // Whether the first index is above 2.
    const x = Array.from({ length: 60 }, (_, i) => [i % 5, (i * 7) % 5, (i * 3) % 5]);
    const y = x.map(([first]) => ((first as number) > 2 ? 1 : 0));
    await trainer.fit({ x, y }, { epochs: 60, batchSize: 7 });
    expect(model.evaluate({ x, y }).accuracy).toBe(1);
    trainer.dispose();
    model.dispose();
  });

  test("what int32 does not hold is refused with its place, and nothing changes", () => {
    const model = make(flatten(), affine(2));
    model.predict([0, 0, 0]).dispose();
    const { memory } = runtime;
    for (const [x, message] of [
      [
        [
          [0, 1, 2],
          [3, 0.5, 0],
        ],
        "x[1][1] is 0.5, expected a whole number",
      ],
      [[0, 1, Number.NaN], "x[2] is NaN, expected a whole number"],
      [[0, 1, 2 ** 31], "x[2] is 2147483648, expected a whole number"],
      [Float32Array.of(0, 1, -1.5), "x[2] is -1.5, expected a whole number"],
    ] as const) {
      expect(() => model.predict(x)).toThrow(RangeError);
      expect(() => model.predict(x)).toThrow(message);
    }
    expect(() => model.predict([[1, 2]])).toThrow("x must have shape (N, 3)");
    model.forward([0, 1, 2]).dispose();
    const dout = runtime.tensor([[1, 2]], [1, 2], dtype);
    expect(() => model.backward(dout as never, { dx: true })).toThrow(DTypeError);
    dout.dispose();
    expect(runtime.memory.bytesLive).toBe(memory.bytesLive);
    model.dispose();
  });

  test("such a layer takes the network's input alone", () => {
    const { memory } = runtime;
    expect(
      () => new Sequential(runtime, { input: [3], layers: [flatten(), lookup(5, 2)], dtype }),
    ).toThrow(new DTypeError(`Sequential: layer 1 (lookup): takes int32, got ${dtype}`));
    expect(runtime.memory).toEqual(memory);
  });
});
