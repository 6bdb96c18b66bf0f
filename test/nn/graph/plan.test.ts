// The places of values, against a machine that runs the plan on tokens: each cell tells which value
// it holds, and of which values it still has the signs.

import fc from "fast-check";
import { expect, test } from "vitest";
import { affine, createRuntimeSync, heNormal, relu, tanh } from "../../../src/index.ts";
import { Engine } from "../../../src/nn/engine/engine.ts";
import { named } from "../../../src/nn/engine/kinds.ts";
import { fuse, type Graph } from "../../../src/nn/graph/graph.ts";
import { type Life, placesOf, trainingPlaces } from "../../../src/nn/graph/plan.ts";
import type { Blueprint, LayerRecord } from "../../../src/nn/graph/record.ts";
import { Network } from "../../../src/nn/network.ts";
import type { LamellaRuntime } from "../../../src/tensor/runtime.ts";

test("no two values stand in one place while both live, but where one is written onto the other", () => {
  const life = fc.record({ size: fc.nat(20), length: fc.nat(6) });
  fc.assert(
    fc.property(fc.array(life, { maxLength: 30 }), (given) => {
      const lives: Life[] = given.map(({ size, length }, from) => ({
        ...{ size, from, until: length === 6 ? Infinity : from + length, onto: -1 },
      }));
      const { placeOf, sizes } = placesOf(lives);
      for (const [i, a] of lives.entries()) {
        expect(sizes[placeOf[i]!]).toBeGreaterThanOrEqual(a.size);
        for (const [k, b] of lives.slice(0, i).entries()) {
          if (placeOf[i] === placeOf[k]) expect(b.until).toBeLessThan(a.from);
        }
      }
    }),
  );
});

test("a chain of values that live for one step takes two places", () => {
  const lives = Array.from({ length: 50 }, (_, from) => ({
    size: from,
    from,
    until: from + 1,
    onto: -1,
  }));
  expect(placesOf(lives).sizes).toEqual([48, 49]);
});

type Shape = Pick<LayerRecord, "inPlace" | "keeps" | "keepsSign" | "apartGradient">;

/** The graph without the layers that its output does not depend on. */
function pruned({ nodes, outputs }: Graph<LayerRecord>): Graph<LayerRecord> {
  const used = new Set(outputs);
  for (let i = nodes.length - 1; i >= 0; i--) {
    if (used.has(i + 1)) for (const value of nodes[i]!.inputs) used.add(value);
  }
  const numbers = [0, ...nodes.map((_, i) => i + 1).filter((value) => used.has(value))];
  const left = nodes.filter((_, i) => used.has(i + 1));
  return {
    inputs: 1,
    nodes: left.map(({ blueprint, inputs }) => ({
      blueprint,
      inputs: inputs.map((value) => numbers.indexOf(value)),
    })),
    outputs: outputs.map((value) => numbers.indexOf(value)),
  };
}

/** A graph of such layers, each of which takes one or two of the values before it. */
function graphOf(
  layers: readonly { record: Shape; size: number; from: readonly number[] }[],
): Graph<LayerRecord> {
  const sizes = [4];
  const nodes = layers.map(({ record, size, from }, i) => {
    const inputs = [...new Set(from.map((back) => Math.max(0, i - back)))];
    const isElementwise = record.inPlace || record.keeps !== undefined;
    sizes.push(isElementwise ? sizes[inputs[0]!]! : size);
    const blueprint = { record: { kind: `${i}`, ...record }, outShape: [sizes[i + 1]!] };
    return { blueprint: blueprint as unknown as Blueprint<LayerRecord>, inputs };
  });
  return { inputs: 1, nodes, outputs: [nodes.length] };
}

interface Cell {
  readonly value: number;
  readonly signs: ReadonlySet<number>;
  readonly gradient?: { readonly of: number; readonly from: readonly number[] };
}

test("forward, and then backward twice, every layer finds what it reads", () => {
  const record = fc.constantFrom<Shape>(
    { keeps: "x", apartGradient: true },
    { keeps: "x" },
    { inPlace: true, keeps: "out" },
    { inPlace: true, keeps: "out", keepsSign: true },
    { inPlace: true, keeps: "sign", keepsSign: true },
    { inPlace: true, keepsSign: true },
    { inPlace: true },
    {},
  );
  const layer = fc.record({
    record,
    size: fc.integer({ min: 1, max: 9 }),
    from: fc.array(fc.nat(3), { minLength: 1, maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 12 }), (layers) => {
      const graph = pruned(graphOf(layers));
      const { nodes } = graph;
      const [output] = graph.outputs as [number];
      const { values, gradients, scratch, sizes } = trainingPlaces(graph, [4]);
      const cells: Cell[] = [];
      const at = (place: number | undefined) => cells[place!]!;
      const size = (value: number) => (value === 0 ? 4 : nodes[value - 1]!.blueprint.outShape[0]!);
      for (const [value, place] of values.entries())
        expect(sizes[place]).toBeGreaterThanOrEqual(size(value));
      cells[values[0]!] = { value: 0, signs: new Set([0]) };
      for (const [i, { blueprint, inputs }] of nodes.entries()) {
        for (const value of inputs) expect(at(values[value]).value).toBe(value);
        const kept = blueprint.record.keepsSign ? at(values[inputs[0]!]).signs : [];
        const isInPlace = values[i + 1] === values[inputs[0]!];
        if (isInPlace) expect(blueprint.record.inPlace).toBe(true);
        cells[values[i + 1]!] = { value: i + 1, signs: new Set([i + 1, ...kept]) };
      }
      expect(at(values[output]).value).toBe(output);
      const takers = (value: number) =>
        nodes.flatMap(({ inputs }, i) => (inputs.includes(value) ? [i] : [])).toReversed();
      for (const _ of ["once", "again"]) {
        const cell = { value: -1, signs: new Set<number>() };
        cells[gradients[output]!] = { ...cell, gradient: { of: output, from: [nodes.length] } };
        for (let i = nodes.length - 1; i >= 0; i--) {
          const { blueprint, inputs } = nodes[i]!;
          const { keeps, apartGradient } = blueprint.record;
          const expected = takers(i + 1);
          const dout = at(gradients[i + 1]);
          expect(dout.gradient).toEqual({
            of: i + 1,
            from: i + 1 === output ? [nodes.length, ...expected] : expected,
          });
          for (const value of inputs)
            if (keeps === "x") expect(at(values[value]).value).toBe(value);
          if (keeps === "out") expect(at(values[i + 1]).value).toBe(i + 1);
          if (keeps === "sign") expect(at(values[i + 1]).signs).toContain(i + 1);
          for (const [k, value] of inputs.entries()) {
            const own = scratch[i]![k]!;
            if (own !== -1) {
              expect(sizes[own]).toBeGreaterThanOrEqual(size(value));
              if (value === 0) continue; // it is added to the caller's
              const begun = at(gradients[value]).gradient!;
              expect(begun.of).toBe(value);
              expect(own).not.toBe(gradients[value]);
              cells[own] = { ...cell, gradient: { of: -1, from: [] } };
              cells[gradients[value]!] = {
                ...cell,
                gradient: { of: value, from: [...begun.from, i] },
              };
            } else if (value !== 0) {
              const place = gradients[value]!;
              if (place === gradients[i + 1])
                expect(apartGradient || inputs.length > 1).toBeFalsy();
              cells[place] = { ...cell, gradient: { of: value, from: [i] } };
            }
          }
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("what two layers take joins no product, and what one takes does", () => {
  const product = { isProduct: true };
  const joins = { join: () => {}, endsProduct: true, joinsTraining: true };
  const node = (record: object, ...inputs: number[]) => ({
    blueprint: { record, inShape: [1], outShape: [1] } as unknown as Blueprint<LayerRecord>,
    inputs,
  });
  const nodes = [node(product, 0), node(joins, 1), node(product, 2)];
  expect(fuse({ inputs: 1, nodes, outputs: [3] }, false)).toEqual([false, true, false]);
  expect(fuse({ inputs: 1, nodes: [...nodes, node({}, 1)], outputs: [4] }, true)).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(fuse({ inputs: 1, nodes: nodes.slice(0, 2), outputs: [1] }, true)).toEqual([false, false]);
});

/** Adds its inputs: what a graph needs to come together again. */
class Sum extends Engine {
  override forward(N: number): void {
    const n = N * this.outSize;
    const { buffer } = this.setup.runtime.linear.wasm;
    const out = new Float64Array(buffer, this.out, n).fill(0);
    for (const x of this.xs) {
      const values = new Float64Array(buffer, x, n);
      for (let i = 0; i < n; i++) out[i]! += values[i]!;
    }
  }

  override backward(N: number): void {
    const bytes = N * this.outSize * 8;
    const memory = new Uint8Array(this.setup.runtime.linear.wasm.buffer);
    for (const dx of this.dxs) if (dx !== 0) memory.copyWithin(dx, this.dout, this.dout + bytes);
  }
}

test("where two layers take one value, its gradient is the sum of theirs, and so is the input's", () => {
  const runtime = createRuntimeSync() as LamellaRuntime;
  const kinds = { ...named, sum: { kind: "sum", inputs: [1, 9] as const, Engine: Sum } };
  // 0 → affine 1 → relu 2, tanh 3 of 1, sum 4 of 2, 3 and the input, affine 5
  const specs = [affine(3), relu(), tanh(), { kind: "sum" }, affine(2)];
  const inputs = [[0], [1], [1], [2, 3, 0], [4]];
  const network = new Network(
    "test",
    runtime,
    {
      inputs: [{ name: "x", shape: [3] }],
      layers: specs,
      nodes: inputs.map((values, layer) => ({ layer, inputs: values })),
      outputs: [{ name: "out", value: specs.length }],
    },
    "float64",
    0,
    heNormal(),
    kinds,
  );
  network.allocate();
  network.initialize("test", runtime.random(5));
  const x = runtime.tensor([0.3, -0.8, 0.5, 1.1, 0.2, -0.4], [2, 3], "float64");
  const loss = () => {
    const plan = network.reserve(2);
    plan.input.data.set(x.data);
    network.forward(2, false);
    return Array.from(plan.scores.data.subarray(0, 4)).reduce(
      (sum, score, i) => sum + score * (i + 1),
      0,
    );
  };
  loss();
  const dx = runtime.zeros([2, 3], "float64");
  const plan = network.reserve(2);
  network.makeGradients();
  for (const _ of ["once", "again"]) {
    plan.dscores.data.set([1, 2, 3, 4]);
    network.backward([(dx as unknown as { address: number }).address]);
  }
  const pairs = [
    ...network.learned.map(({ value, gradient }) => [value, gradient] as const),
    [x, dx] as const,
  ];
  const analytic = pairs.map(([, gradient]) => gradient.toTypedArray());
  for (const [k, [value]] of pairs.entries()) {
    for (let i = 0; i < value.size; i++) {
      const there = value.data[i]!;
      const [up, down] = [1e-6, -1e-6].map((h) => {
        value.data[i] = there + h;
        return loss();
      });
      value.data[i] = there;
      // Central differences of h = 1e-6 in float64.
      expect((up! - down!) / 2e-6).toBeCloseTo(analytic[k]![i]!, 7);
    }
  }
  network.dispose();
});
