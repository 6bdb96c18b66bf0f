// Models that are graphs: what they compute, their gradients, their files, what serves them, and
// what they refuse.

import { describe, expect, test } from "vitest";
import {
  adam,
  add,
  affine,
  apply,
  batchnorm,
  concat,
  conv2d,
  createRuntimeSync,
  dropout,
  type FloatDType,
  FormatError,
  globalAvgPool,
  input,
  loadModel,
  Model,
  momentum,
  multiply,
  type NetworkModel,
  readSafetensors,
  relu,
  Sequential,
  ShapeError,
  saveModel,
  sgd,
  type Tensor,
  Trainer,
  writeSafetensors,
} from "../../../src/index.ts";
import { loadPredictorSync } from "../../../src/predict.ts";
import { seeded } from "../../support/core.ts";
import { graphs } from "../graphs.ts";

const runtime = createRuntimeSync();
// biome-ignore lint/suspicious/noExplicitAny: of any inputs and outputs
type AnyGraph = NetworkModel<FloatDType, any, any, any, any>;
type Numbers = Float64Array;

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
/** What a file says of a model. */
const describedIn = (bytes: Uint8Array) => {
  const { metadata } = readSafetensors(bytes);
  return { version: metadata.get("version"), ...JSON.parse(metadata.get("architecture")!) };
};
const portsOf = (model: AnyGraph) => {
  const { inputs } = describedIn(saveModel(model));
  return inputs as { name: string; shape: number[] }[];
};

/** Examples for a model, as it takes them: an object of flat arrays by name. */
function examplesOf(model: AnyGraph, N: number, seed = 1) {
  const random = seeded(seed);
  return Object.fromEntries(
    portsOf(model).map(({ name, shape }) => [
      name,
      Float64Array.from({ length: N * sizeOf(shape) }, () => 2 * random() - 1),
    ]),
  );
}

/** An output, or an object of them, as an object of arrays. */
function arraysOf(given: unknown): Record<string, Numbers> {
  const single = given as Tensor;
  if (typeof single.toTypedArray === "function") return { only: single.toTypedArray() as Numbers };
  if (ArrayBuffer.isView(given)) return { only: given as Numbers };
  return Object.fromEntries(
    Object.entries(given as Record<string, Tensor>).map(([name, value]) => [
      name,
      ArrayBuffer.isView(value) ? (value as unknown as Numbers) : (value.toTypedArray() as Numbers),
    ]),
  );
}

/** Running statistics and offsets that are no longer 0 and 1. */
function settle(model: AnyGraph): void {
  for (let i = 0; i < 6; i++) model.forward(examplesOf(model, 8, i) as never, { mode: "train" });
  const random = seeded(9);
  for (const [name, { shape, data }] of Object.entries(model.stateDict())) {
    if (shape.length !== 1 || name.includes("running")) continue;
    for (let i = 0; i < data.length; i++) (data[i] as number) += random() - 0.5;
  }
}

describe.each(Object.entries(graphs))("%s", (_, make) => {
  test("has the numeric gradients, of all inputs and of all that is learned", () => {
    const model = make(runtime, "float64", 3);
    settle(model);
    const N = 3;
    const x = Object.fromEntries(
      portsOf(model).map(({ name, shape }) => {
        const tensor = runtime.tensor(examplesOf(model, N)[name]!, [N, ...shape], "float64");
        return [name, tensor];
      }),
    );
    const names = Object.keys(arraysOf(model.forward(x as never)));
    const weights = names.map((_, i) => (k: number) => Math.sin(1 + i + k) + 1.2);
    const weighted = () => {
      const outs = arraysOf(model.forward(x as never));
      return names.reduce(
        (sum, name, i) => sum + outs[name]!.reduce((s, v, k) => s + v * weights[i]!(k), 0),
        0,
      );
    };
    const first = model.forward(x as never) as unknown;
    const outs = names.map((name) =>
      names.length === 1 ? (first as Tensor) : (first as Record<string, Tensor>)[name]!,
    );
    const douts = outs.map(({ shape, size }, i) =>
      runtime.tensor(
        Float64Array.from({ length: size }, (_, k) => weights[i]!(k)),
        shape,
        "float64",
      ),
    );
    const dout =
      names.length === 1 ? douts[0] : Object.fromEntries(names.map((n, i) => [n, douts[i]]));
    for (const _ of ["once", "again"]) {
      const { dx } = model.backward(dout as never, { dx: true });
      const single = Object.keys(x).length === 1;
      const inputs = Object.entries(x).map(([name, value]) => ({
        ...{ name, value },
        gradient: (single
          ? (dx as unknown as Tensor)
          : ((dx as never)[name] as Tensor)
        ).toTypedArray(),
      }));
      const learned = model.parameters().map(({ name, value, gradient }) => ({
        ...{ name, value, gradient: gradient.toTypedArray() },
      }));
      for (const { name, value, gradient } of [...learned, ...inputs]) {
        const step = Math.ceil(gradient.length / 25);
        for (let k = 0; k < gradient.length; k += step) {
          const before = value.data[k]!;
          const [up, down] = [1e-6, -1e-6].map((h) => {
            value.data[k] = before + h;
            return weighted();
          });
          value.data[k] = before;
          const numeric = (up! - down!) / 2e-6;
          const error = Math.abs(numeric - gradient[k]!) / Math.max(1, Math.abs(numeric));
          // central differences of h = 1e-6 in float64
          expect(error, `${name}[${k}]`).toBeLessThan(1e-6);
        }
      }
      model.forward(x as never);
    }
  });

  test("is served as it computes, from a file of version 2 too, in batches of any size", () => {
    const model = make(runtime);
    settle(model);
    const bytes = saveModel(model);
    expect(describedIn(bytes).version).toBe("2");
    const again = loadModel(runtime, bytes) as unknown as AnyGraph;
    expect(again).toBeInstanceOf(Model);
    expect(saveModel(again)).toEqual(bytes);
    expect(again.layers).toHaveLength(model.layers.length);
    const compiled = model.compile({ maxBatch: 4 });
    const loaded = loadPredictorSync(bytes, { maxBatch: 4 });
    for (const N of [4, 1, 3, 2]) {
      const x = examplesOf(model, N, N);
      const expected = arraysOf(model.predict(x as never));
      expect(arraysOf(again.predict(x as never))).toEqual(expected);
      const served = arraysOf(compiled.predict(x));
      expect(arraysOf(loaded.predict(x))).toEqual(served);
      for (const [name, values] of Object.entries(expected)) {
        const scale = Math.max(1, ...values.map(Math.abs));
        served[name]!.forEach((value, k) => {
          // Folded in float64 and rounded once, where the model rounds after each step.
          expect(Math.abs(value - values[k]!) / scale, `${name}[${k}]`).toBeLessThan(1e-5);
        });
      }
      const names = Object.keys(compiled.outputs);
      expect(names).toEqual(Object.keys(loaded.outputs));
      expect(Object.keys(compiled.inputs)).toEqual(portsOf(model).map(({ name }) => name));
      for (const [name, values] of Object.entries(x)) compiled.inputs[name]!.set(values);
      compiled.run(N);
      for (const name of names) {
        const due = served[names.length === 1 ? "only" : name]!;
        expect(compiled.outputs[name]!.subarray(0, due.length)).toEqual(due);
      }
    }
    for (const each of [model, again, compiled, loaded]) each.dispose();
  });
});

const single = Object.entries(graphs).filter(([name]) => !name.includes("outputs"));

test.each(single)(
  "%s learns, and goes on from a checkpoint with the same bits",
  async (_, make) => {
    const model = make(runtime, "float32", 5);
    const N = 20;
    const x = examplesOf(model, N);
    const size = arraysOf(model.predict(x as never)).only!.length;
    const y = Float64Array.from({ length: size }, (_, i) => Math.sin(i));
    const options = { loss: "mse", optimizer: adam({ learningRate: 0.01 }) } as const;
    const trainer = new Trainer(model, options);
    const before = trainer.evaluate({ x, y }).loss;
    await trainer.fit({ x, y }, { epochs: 3, batchSize: 7 });
    expect(trainer.evaluate({ x, y }).loss).toBeLessThan(before);
    const resumed = Trainer.resume(runtime, trainer.checkpoint());
    expect(resumed.model).toBeInstanceOf(Model);
    for (const each of [trainer, resumed]) {
      await each.fit({ x, y }, { epochs: 2, batchSize: 7 });
      each.step(x, y);
    }
    const [ours, theirs] = [model.stateDict(), resumed.model.stateDict()];
    expect(Object.keys(theirs)).toEqual(Object.keys(ours));
    for (const [key, value] of Object.entries(ours)) {
      expect(theirs[key]!.toTypedArray(), key).toEqual(value.toTypedArray());
    }
  },
);

test("a chain as a graph has the bits of the same layers in a row, and its tensors' names", () => {
  const layers = () => [conv2d(4, 3), batchnorm(), relu(), globalAvgPool(), affine(3)];
  const row = new Sequential(runtime, { input: [5, 5, 2], layers: layers(), seed: 4 });
  const x = input([5, 5, 2]);
  const graph = new Model(runtime, {
    ...{ inputs: { x }, outputs: { y: apply(layers(), x) }, seed: 4 },
  });
  expect(Object.keys(graph.stateDict())).toEqual(Object.keys(row.stateDict()));
  const random = seeded(2);
  const examples = Float32Array.from({ length: 4 * 50 }, () => random() - 0.5);
  const y = [0, 1, 2, 1];
  for (const model of [row, graph]) {
    const trainer = new Trainer(model, {
      ...{ loss: "softmax", optimizer: momentum({ learningRate: 0.1 }) },
    });
    for (let i = 0; i < 3; i++) trainer.step(examples, y);
  }
  expect(graph.predict(examples).toTypedArray()).toEqual(row.predict(examples).toTypedArray());
  expect(graph.predict({ x: examples }).toTypedArray()).toEqual(
    row.predict(examples).toTypedArray(),
  );
  expect([...graph.classify(examples)]).toEqual([...row.classify(examples)]);
  expect(graph.evaluate({ x: examples, y })).toEqual(row.evaluate({ x: examples, y }));
  expect(graph.compile({ maxBatch: 4 }).predict(examples)).toEqual(
    row.compile({ maxBatch: 4 }).predict(examples),
  );
});

test("a layer that is applied twice has its tensors once, and one that looks alike its own", () => {
  const x = input([3]);
  const shared = affine(3);
  const make = (second: ReturnType<typeof affine>) =>
    new Model(runtime, { inputs: { x }, outputs: { y: apply([shared, second], x) } });
  expect(Object.keys(make(shared).stateDict())).toEqual(["0.weight", "0.bias"]);
  expect(Object.keys(make(affine(3)).stateDict())).toEqual([
    ...["0.weight", "0.bias", "1.weight", "1.bias"],
  ]);
});

test("names stand in the place of indices, in files too", () => {
  const x = input([3]);
  const layers = [{ ...affine(4), name: "stem" }, relu(), { ...affine(2), name: "head.fc" }];
  const model = new Model(runtime, { inputs: { x }, outputs: { y: apply(layers, x) } });
  const due = ["stem.weight", "stem.bias", "head.fc.weight", "head.fc.bias"];
  expect(Object.keys(model.stateDict())).toEqual(due);
  expect(model.parameters().map(({ name }) => name)).toEqual(due);
  const again = loadModel(runtime, saveModel(model));
  expect(Object.keys(again.stateDict())).toEqual(due);
  expect(again.predict([1, 2, 3]).toTypedArray()).toEqual(model.predict([1, 2, 3]).toTypedArray());
});

test("the summary tells what feeds each layer, and what goes out", () => {
  const image = input([4, 4, 3]);
  const a = apply([conv2d(6, 3, { padding: "same" }), relu()], image);
  const b = apply(add(), a, apply({ ...conv2d(6, 1), name: "skip" }, image));
  const scores = apply([globalAvgPool(), affine(10)], b);
  const model = new Model(runtime, { inputs: { image }, outputs: { scores, b } });
  expect(model.summary()).toBe(
    [
      "       layer             output            parameters  from",
      "image  input             (N, 4, 4, 3)",
      "    0  conv2d(6, 3 × 3)  (N, 4, 4, 6)             168  image",
      "    1  relu              (N, 4, 4, 6)               0  0",
      " skip  conv2d(6, 1 × 1)  (N, 4, 4, 6)              24  image",
      "    3  add               (N, 4, 4, 6) → b           0  1, skip",
      "    4  globalAvgPool     (N, 6)                     0  3",
      "    5  affine(10)        (N, 10) → scores          70  4",
      "262 parameters, float32, 1,048 bytes",
    ].join("\n"),
  );
  expect(String(model)).toBe(model.summary());
});

test("steps of a graph allocate nothing once a batch has been through, and all is given back", () => {
  const own = createRuntimeSync();
  const model = graphs["layers that are applied twice"]!(own);
  const trainer = new Trainer(model, {
    loss: "mse",
    optimizer: sgd({ learningRate: 0.1 }),
  });
  const x = examplesOf(model, 6);
  const y = new Float32Array(12);
  trainer.step(x, y);
  const { bytesLive } = own.memory;
  for (let i = 0; i < 20; i++) trainer.step(x, y);
  expect(own.memory.bytesLive).toBe(bytesLive);
  trainer.dispose();
  model.dispose();
  expect(own.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
});

describe("what is refused, and nothing stays allocated", () => {
  const x = input([3]);
  const image = input([4, 4, 2]);
  const other = input([3], { name: "other" });
  const y = apply(affine(2), x);
  const make = (inputs: object, outputs: object, more: object = {}) =>
    new Model(runtime, { inputs, outputs, ...more } as never);
  test.each<[string, () => unknown, string, new (...args: never[]) => Error]>([
    ["no node", () => make({ x: 3 }, { y }), "Model: inputs.x must be a node", TypeError],
    ["no inputs", () => make({}, { y }), "Model: inputs has no node", TypeError],
    ["no outputs", () => make({ x }, {}), "Model: outputs has no node", TypeError],
    ["a node as inputs", () => make([x], { y }), "Model: inputs must be an object", TypeError],
    ["a layer's node as an input", () => make({ x, y }, { z: y }), "inputs.y is what", TypeError],
    ["an input as an output", () => make({ x }, { y, x }), "outputs.x is an input", TypeError],
    ["one input twice", () => make({ x, z: x }, { y }), "inputs.z is inputs.x as well", TypeError],
    [
      "one output twice",
      () => make({ x }, { y, z: y }),
      "outputs.z is outputs.y as well",
      TypeError,
    ],
    [
      "an input that is missing",
      () => make({ x }, { y: apply(add(), x, other) }),
      'outputs depend on an input named "other" of shape (3,) that inputs does not have',
      TypeError,
    ],
    [
      "an input that nothing takes",
      () => make({ x, other }, { y }),
      "no output depends on inputs.other",
      TypeError,
    ],
    [
      "an input by another name",
      () => make({ x, z: other }, { y: apply(add(), x, other) }),
      'inputs.z is the input named "other"',
      TypeError,
    ],
    ["a setting of others", () => make({ x }, { y }, { input: [3] }), 'has no "input"', TypeError],
    [
      "one input where two are due",
      () => make({ x }, { y: apply(add(), x) }),
      "Model: layer 0 (add): takes 2 inputs, got 1",
      TypeError,
    ],
    [
      "two inputs where one is due",
      () => make({ x, other }, { y: apply(relu(), x, other) }),
      "Model: layer 0 (relu): takes 1 input, got 2",
      TypeError,
    ],
    [
      "shapes that are not broadcast together",
      () => make({ x, image }, { y: apply(multiply(), x, image) }),
      "layer 0 (multiply): takes examples that are broadcast together, got (3,) and (4, 4, 2)",
      ShapeError,
    ],
    [
      "shapes that differ along another axis",
      () => make({ x, image }, { y: apply(concat(), image, apply(conv2d(2, 2), image), x) }),
      "takes examples that differ along axis -1 alone, got (4, 4, 2) and (3, 3, 2)",
      ShapeError,
    ],
    [
      "an axis that is none",
      () => make({ x, other }, { y: apply(concat({ axis: 1 }), x, other) }),
      "axis must be one of shape (3,), got 1",
      ShapeError,
    ],
    [
      "a shared layer over two shapes",
      () => {
        const layer = affine(2);
        return make({ x }, { y: apply(layer, apply(layer, x)) });
      },
      "layer 0 (affine): is applied twice, and its weight of shape (3, 2) would be (2, 2) here",
      ShapeError,
    ],
    [
      "one name twice",
      () => {
        const layers = [
          { ...affine(2), name: "a" },
          { ...affine(2), name: "a" },
        ];
        return make({ x }, { y: apply(layers, x) });
      },
      'Model: layer 1 (affine): name "a" is that of layer 0 too',
      RangeError,
    ],
    [
      "a name that is a number",
      () => make({ x }, { y: apply({ ...affine(2), name: "1" }, x) }),
      "Model: layer 0 (affine): name must be a text of letters",
      TypeError,
    ],
    ["an empty list", () => apply([], x), "apply: layer must not be an empty list", TypeError],
    ["no node to apply to", () => apply(relu()), "apply: no node", TypeError],
    ["a function", () => apply(relu as never, x), "apply: layer must be a layer", TypeError],
    ["a tensor", () => apply(relu(), [1] as never), "apply: nodes[0] must be a node", TypeError],
    ["an input of no shape", () => input([]), "input: input must be the shape", ShapeError],
    ["an input of another dtype", () => input([1], { dtype: "int8" as never }), "dtype", TypeError],
  ])("%s", (_, call, message, kind) => {
    const { memory } = runtime;
    expect(call).toThrow(kind as never);
    expect(call).toThrow(message);
    expect(runtime.memory.tensors).toBe(memory.tensors);
  });

  test.each<[string, object, string]>([
    ["an input that lacks", { left: [1, 2, 3, 4] }, "x lacks right; it has to have left, right"],
    [
      "one too many",
      { left: [1, 2, 3, 4], right: [1, 2, 3, 4], up: [1] },
      'x has no "up"; the known ones: left, right',
    ],
    ["an array", [1, 2, 3, 4], "x must be an object with left, right, got"],
    [
      "other numbers of examples",
      { left: [1, 2, 3, 4], right: [1, 2, 3, 4, 5, 6, 7, 8] },
      "x.left has 1 examples but x.right has 2",
    ],
    ["another shape", { left: [1, 2, 3, 4], right: [[1, 2]] }, "x.right must have shape (N, 4)"],
  ])("of the inputs: %s", (_, x, message) => {
    const model = graphs["layers that are applied twice"]!(runtime);
    const predictor = model.compile({ maxBatch: 3 });
    expect(() => model.predict(x as never)).toThrow(`Model.predict: ${message}`);
    expect(() => model.forward(x as never)).toThrow(`Model.forward: ${message}`);
    expect(() => predictor.predict(x as never)).toThrow(/^Predictor.predict: x/);
    model.dispose();
    predictor.dispose();
  });

  test("one class of several outputs, and a training without a loss for each", () => {
    const model = graphs["several outputs, one of which is read on"]!(runtime);
    const x = examplesOf(model, 1) as never;
    const message = "the model has the outputs hidden, scores, chances, box";
    expect(() => model.classify(x)).toThrow(`Model.classify: ${message}`);
    expect(() => model.probabilities(x)).toThrow(`Model.probabilities: ${message}`);
    expect(() => model.evaluate({ x, y: [1] })).toThrow(`Model.evaluate: ${message}`);
    expect(() => new Trainer(model, { loss: "mse", optimizer: sgd({ learningRate: 1 }) })).toThrow(
      "Trainer: model has the outputs hidden, scores, chances, box",
    );
  });
});

describe("a file whose graph is none", () => {
  const model = graphs["layers that are applied twice"]!(runtime);
  const bytes = saveModel(model);
  const changed = (change: (architecture: Any) => void) => {
    const { tensors, metadata } = readSafetensors(bytes);
    const architecture = JSON.parse(metadata.get("architecture")!);
    change(architecture);
    return writeSafetensors(tensors as never, {
      ...Object.fromEntries(metadata),
      architecture: JSON.stringify(architecture),
    });
  };
  // biome-ignore lint/suspicious/noExplicitAny: it is changed at will
  type Any = any;
  test.each<[string, (architecture: Any) => void]>([
    [
      "no inputs",
      (a) => {
        a.inputs = [];
      },
    ],
    [
      "inputs that are none",
      (a) => {
        a.inputs = 3;
      },
    ],
    ["an input without a name", (a) => void delete a.inputs[0].name],
    [
      "two inputs of one name",
      (a) => {
        a.inputs[1].name = a.inputs[0].name;
      },
    ],
    [
      "a name that changes objects",
      (a) => {
        a.inputs[1].name = "__proto__";
      },
    ],
    [
      "a layer beyond the list",
      (a) => {
        a.nodes[0].layer = 99;
      },
    ],
    [
      "a layer before the list",
      (a) => {
        a.nodes[0].layer = -1;
      },
    ],
    [
      "half a layer",
      (a) => {
        a.nodes[0].layer = 0.5;
      },
    ],
    [
      "a node that takes itself",
      (a) => {
        a.nodes[0].inputs = [2];
      },
    ],
    [
      "a node that takes a later one",
      (a) => {
        a.nodes[1].inputs = [5];
      },
    ],
    [
      "a node that takes nothing",
      (a) => {
        a.nodes[0].inputs = [];
      },
    ],
    [
      "a node that is null",
      (a) => {
        a.nodes[0] = null;
      },
    ],
    ["a layer that no node applies", (a) => void a.layers.push({ kind: "relu" })],
    [
      "an output that is an input",
      (a) => {
        a.outputs[0].value = 0;
      },
    ],
    [
      "an output beyond the nodes",
      (a) => {
        a.outputs[0].value = 1e9;
      },
    ],
    [
      "no outputs",
      (a) => {
        a.outputs = {};
      },
    ],
    ["one output twice", (a) => void a.outputs.push({ name: "again", value: a.outputs[0].value })],
  ])("%s: is refused by a FormatError, and nothing stays allocated", (_, change) => {
    const file = changed(change);
    const { memory } = runtime;
    expect(() => loadModel(runtime, file)).toThrow(FormatError);
    expect(() => loadPredictorSync(file)).toThrow(FormatError);
    expect(runtime.memory.tensors).toBe(memory.tensors);
  });

  test("a node that nothing takes is refused by its layer", () => {
    const file = changed((a) => void a.nodes.push({ layer: 2, inputs: [4] }));
    expect(() => loadModel(runtime, file)).toThrow("nothing takes what it gives");
    expect(() => loadPredictorSync(file)).toThrow("nothing takes what it gives");
  });
});

test("dropout in a graph draws in the order of its nodes, and is gone where it serves", () => {
  const x = input([50]);
  const y = apply(add(), apply(dropout(0.5), x), apply(dropout(0.5), x));
  const model = new Model(runtime, { inputs: { x }, outputs: { y }, seed: 3 });
  const ones = new Float32Array(50).fill(1);
  const trained = [...model.forward(ones, { mode: "train" }).data];
  expect(new Set(trained)).toEqual(new Set([0, 2, 4]));
  expect([...model.compile().predict(ones)]).toEqual(new Array(50).fill(2));
});
