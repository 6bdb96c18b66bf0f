// Graphs that come together again in every way: residuals, branches, layers that are applied twice,
// broadcasting, several inputs and outputs, and values that end a fusion because two layers take
// them.

import {
  add,
  affine,
  apply,
  batchnorm,
  concat,
  conv2d,
  dropout,
  type FloatDType,
  flatten,
  globalAvgPool,
  input,
  layernorm,
  Model,
  multiply,
  type NetworkModel,
  permute,
  type Runtime,
  relu,
  relu6,
  sigmoid,
  softmax,
  tanh,
} from "../../src/index.ts";

// biome-ignore lint/suspicious/noExplicitAny: of any inputs and outputs
type AnyGraph = NetworkModel<FloatDType, any, any, any, any>;
type Make = (runtime: Runtime, dtype?: FloatDType, seed?: number) => AnyGraph;

export const graphs: Readonly<Record<string, Make>> = {
  "a residual block": (runtime, dtype = "float32", seed = 1) => {
    const image = input([4, 5, 3]);
    const a = apply([conv2d(6, 3, { padding: "same" }), batchnorm(), relu()], image);
    const b = apply(add(), a, apply(conv2d(6, 1), image));
    const scores = apply([relu(), globalAvgPool(), affine(3)], b);
    return new Model(runtime, { inputs: { image }, outputs: { scores }, dtype, seed });
  },
  "values that two layers take": (runtime, dtype = "float32", seed = 1) => {
    const x = input([7]);
    // Neither the normalisation nor the ReLU may join the product, whose value is added as well.
    const product = apply(affine(9), x);
    const normal = apply(batchnorm(), product);
    const out = apply(add(), apply(relu(), normal), apply(add(), product, normal));
    return new Model(runtime, { inputs: { x }, outputs: { out }, dtype, seed });
  },
  "one value twice": (runtime, dtype = "float32", seed = 1) => {
    const x = input([2, 3]);
    const a = apply([affine(5), tanh()], x);
    const square = apply(multiply(), a, a);
    const all = apply(concat(), a, a, square);
    const out = apply([affine(2)], apply(add(), all, all));
    return new Model(runtime, { inputs: { x }, outputs: { out }, dtype, seed });
  },
  "layers that are applied twice": (runtime, dtype = "float32", seed = 1) => {
    const [left, right] = [input([4]), input([4])];
    const tower = [affine(6), batchnorm(), relu(), affine(3, { useBias: false })];
    const [a, b] = [apply(tower, left), apply(tower, right)];
    const inputs = { left, right };
    const out = apply(affine(2), apply(concat(), a, b, apply(multiply(), a, b)));
    return new Model(runtime, { inputs, outputs: { out }, dtype, seed });
  },
  "a layer behind itself": (runtime, dtype = "float32", seed = 1) => {
    const x = input([5]);
    const step = [affine(5), tanh()];
    const out = apply(step, apply(step, apply(step, x)));
    return new Model(runtime, { inputs: { x }, outputs: { out }, dtype, seed });
  },
  "broadcasting along every axis": (runtime, dtype = "float32", seed = 1) => {
    const image = input([3, 4, 5]);
    const row = input([4, 1]);
    const gate = apply([globalAvgPool(), affine(5), sigmoid()], image);
    const gated = apply(multiply(), gate, image);
    const shifted = apply(add(), gated, apply([affine(1), tanh()], row));
    const out = apply(multiply(), apply(add(), shifted, row), shifted);
    return new Model(runtime, { inputs: { image, row }, outputs: { out }, dtype, seed });
  },
  "concatenation along every axis": (runtime, dtype = "float32", seed = 1) => {
    const x = input([2, 3, 4]);
    const y = input([2, 3, 4]);
    const first = apply(concat({ axis: 0 }), x, y, apply(tanh(), x));
    const second = apply(concat({ axis: -2 }), y, apply(sigmoid(), y));
    const turned = apply([permute([1, 0, 2])], second);
    const last = apply(concat({ axis: 1 }), first, turned);
    const out = apply([layernorm(), flatten(), affine(3)], last);
    return new Model(runtime, { inputs: { x, y }, outputs: { out }, dtype, seed });
  },
  "several outputs, one of which is read on": (runtime, dtype = "float32", seed = 1) => {
    const image = input([3, 3, 2]);
    const meta = input([4]);
    const hidden = apply([flatten(), affine(8), relu6()], image);
    const both = apply(concat(), hidden, apply({ ...affine(3), name: "meta" }, meta));
    const scores = apply([affine(4)], both);
    const chances = apply(softmax(), scores);
    const box = apply([affine(2), sigmoid()], both);
    const outputs = { hidden, scores, chances, box };
    return new Model(runtime, { inputs: { image, meta }, outputs, dtype, seed });
  },
  "outputs whose layers are gone where it serves": (runtime, dtype = "float32", seed = 1) => {
    const x = input([2, 3]);
    const same = apply(dropout(0.4), x);
    const product = apply(affine(3), x);
    const kept = apply([dropout(0.3), flatten()], product);
    const outputs = { same, product, kept };
    return new Model(runtime, { inputs: { x }, outputs, dtype, seed });
  },
};
