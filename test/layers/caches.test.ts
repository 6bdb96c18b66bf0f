// Caches are as closed as tensors: what a backward goes by is what its forward left, whatever is
// done to the object.

import { describe, expect, test } from "vitest";
import * as lamella from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import { computing, unary, windowed } from "../nn/every.ts";

// biome-ignore lint/suspicious/noExplicitAny: calls are made by name here
type Any = any;
const api = lamella as Any;
const runtime = lamella.createRuntimeSync();
const [N, D] = [4, 3];

const x = () =>
  runtime.tensor(
    Float32Array.from({ length: N * D }, (_, i) => i - 5),
    [N, D],
  );
const column = () => runtime.tensor([1, 2, 3]);
const forwards: Record<string, () => { out: lamella.Tensor<"float32">; cache: Any }> = {
  ...Object.fromEntries(unary.map((kind) => [kind, () => api[`${kind}Forward`](x())])),
  affine: () =>
    api.affineForward(x(), runtime.ones([D, 2]), runtime.ones([2]), { activation: "relu" }),
  batchnorm: () => api.batchnormForward(x(), column(), column(), { mode: "train" }),
  groupnorm: () => api.groupnormForward(x(), column(), column(), { groups: 1 }),
  layernorm: () => api.layernormForward(x(), column(), column()),
  dropout: () => api.dropoutForward(x(), { p: 0.5, mode: "train", seed: 3 }),
  leakyRelu: () => api.leakyReluForward(x(), { negativeSlope: 0.3 }),
  prelu: () => api.preluForward(x(), column()),
  normalize: () => api.normalizeForward(x(), column(), column()),
};

const gradientsOf = (name: string, dout: Any, cache: Any): number[] => {
  const result = api[`${name}Backward`](dout, cache);
  const tensors: Any[] = result.data ? [result] : Object.values(result);
  return tensors.flatMap(({ data }) => [...data]);
};

const names = Object.keys(forwards);
const keys =
  "x w b slope alpha beta axis approximate settings rest gamma out std mask mode dropoutParam negativeSlope outShape dtype runtime held saved operation kept".split(
    " ",
  );

test("every kind of layer that has calls is among them", () => {
  // The calls with windows keep no operand that a caller could look at.
  expect(names.sort()).toEqual(computing.filter((kind) => !windowed.includes(kind)));
});

describe.each(names)("the cache of %s", (name) => {
  test("is not changed by assignments, new properties or another prototype", () => {
    const { out, cache } = forwards[name]!();
    const dout = runtime.full(out.shape, 0.5);
    const before = gradientsOf(name, dout, cache);
    const small = runtime.ones([1]);
    for (const key of keys) {
      for (const value of [small, [1000, 1000], "test", null]) {
        try {
          cache[key] = value;
        } catch {} // a getter alone
        try {
          Object.defineProperty(cache, key, { value, configurable: true });
        } catch {}
        expect(gradientsOf(name, dout, cache), key).toEqual(before);
      }
    }
    for (const shown of [cache.dropoutParam, out.shape]) {
      if (shown) expect(Object.isFrozen(shown)).toBe(true);
    }
  });

  test("taken for that of another layer by its prototype is refused", () => {
    const { cache } = forwards[name]!();
    for (const other of names) {
      if (other === name) continue;
      const { out, cache: theirs } = forwards[other]!();
      Object.setPrototypeOf(theirs, Object.getPrototypeOf(cache));
      expect(() => api[`${name}Backward`](out, theirs)).toThrow(TypeError);
    }
    const forged = Object.create(Object.getPrototypeOf(cache));
    expect(() => api[`${name}Backward`](runtime.ones([N, D]), forged)).toThrow(TypeError);
  });
});

describe("options whose getters dispose", () => {
  test.each(names)("the runtime: %s is a DisposedError, forward and backward", (name) => {
    const own = lamella.createRuntimeSync();
    const make = () => own.ones([N, D]);
    const trap = (key: string) => ({
      get [key]() {
        own.dispose();
        return undefined;
      },
    });
    const operands: Record<string, () => Any[]> = {
      affine: () => [own.ones([D, 2]), own.ones([2])],
      batchnorm: () => [own.ones([D]), own.ones([D]), { mode: "train" }],
      dropout: () => [{ p: 0.5, mode: "train" }],
      groupnorm: () => [own.ones([D]), own.ones([D]), { groups: 1 }],
      // The settings of layer normalisation come before its destination.
      layernorm: () => [own.ones([D]), own.ones([D]), {}],
      prelu: () => [own.ones([D])],
      normalize: () => [own.ones([D]), own.ones([D])],
    };
    const given = [make(), ...(operands[name]?.() ?? [])];
    const { out, cache } = api[`${name}Forward`](...given);
    const again = [make(), ...(operands[name]?.() ?? [])];
    expect(() => api[`${name}Forward`](...again, trap("out"))).toThrow(lamella.DisposedError);
    expect(() => api[`${name}Backward`](out, cache, trap("dx"))).toThrow(lamella.DisposedError);
  });

  test("a model, a trainer, a predictor and their calls: a DisposedError", () => {
    const make = () => {
      const own = lamella.createRuntimeSync();
      const model = new lamella.Sequential(own, { input: [2], layers: [lamella.affine(2)] });
      const trap = (key: string, value?: unknown, rest: object = {}) =>
        ({
          ...rest,
          get [key]() {
            own.dispose();
            return value;
          },
        }) as Any;
      return { own, model, trap };
    };
    const calls: ((given: ReturnType<typeof make>) => unknown)[] = [
      ({ own, trap }) =>
        new lamella.Sequential(own, trap("input", [2], { layers: [lamella.relu()] })),
      ({ own, trap }) =>
        new lamella.Sequential(own, trap("layers", [lamella.relu()], { input: [2] })),
      ({ own }) => {
        const spec = lamella.affine(2);
        const layer = {
          kind: spec.kind,
          get units() {
            own.dispose();
            return 2;
          },
        };
        return new lamella.Sequential(own, { input: [2], layers: [layer as Any] });
      },
      ({ model, trap }) => model.forward(Float32Array.of(1, 2), trap("mode", "test")),
      ({ own, model, trap }) => {
        model.forward([1, 2]);
        return model.backward(own.ones([1, 2]), trap("dx", true));
      },
      ({ model, trap }) => model.compile(trap("maxBatch", 1)),
      ({ model, trap }) => model.evaluate(trap("loss", "svm", { x: [1, 2], y: [0] })),
      ({ model, trap }) =>
        new lamella.Trainer(model, trap("loss", "svm", { optimizer: lamella.adam() })),
    ];
    for (const [i, call] of calls.entries()) {
      expect(() => call(make()), `${i}`).toThrow(lamella.DisposedError);
    }
  });

  test("createRuntime reads each of its options once", async () => {
    const reads: string[] = [];
    const options = new Proxy(
      { threads: 1, seed: 3, initialMemory: 65536, maxMemory: 2 ** 20, wasm: undefined },
      {
        get(target, key) {
          reads.push(String(key));
          return (target as Any)[key];
        },
      },
    );
    await lamella.createRuntime(options as Any);
    expect(reads.filter((key) => key in options).sort()).toEqual(Object.keys(options).sort());
  });

  test("Trainer and fit go by what they read first, and fit by what is inherited too", async () => {
    /** Its values are right once, and then NaN. */
    const once = (values: object) => {
      const seen = new Set<PropertyKey>();
      return new Proxy(values, {
        get(target, key) {
          const again = seen.has(key) && Object.hasOwn(target, key);
          if (Object.hasOwn(target, key)) seen.add(key);
          return again ? Number.NaN : (target as Any)[key];
        },
      }) as Any;
    };
    const model = new lamella.Sequential(runtime, { input: [2], layers: [lamella.affine(2)] });
    const data = { x: [1, 2, 3, 4], y: [0, 1] };
    const optimizer = lamella.sgd({ learningRate: 0.5 });
    const given = once({ epochs: 3, batchSize: 1, earlyStopping: once({ patience: 3 }) });
    const inherited = Object.create({ epochs: 3, batchSize: 1 });
    for (const options of [given, inherited]) {
      const trainer = new lamella.Trainer(model, { loss: "softmax", optimizer });
      let steps = 0;
      for await (const { type } of trainer.fit(data, options)) if (type === "step") steps++;
      expect(steps).toBe(6);
      trainer.dispose();
    }

    let reads = 0;
    const changing = {
      kind: "sgd",
      get learningRate() {
        return reads++ < 1 ? 0.5 : "fast";
      },
    } as Any;
    expect(() => new lamella.Trainer(model, { loss: "softmax", optimizer: changing })).toThrow(
      RangeError,
    );
    model.dispose();
  });
});

describe("what a model shows of itself", () => {
  test("parameters and shapes cannot be exchanged", () => {
    const model = new lamella.Sequential(runtime, { input: [2], layers: [lamella.affine(3)] });
    const before = model.predict([1, 2]).toTypedArray();
    const [weight] = model.parameters() as Any[];
    for (const key of ["value", "gradient", "name"]) {
      expect(() => {
        weight[key] = runtime.ones([1]);
      }).toThrow(TypeError);
    }
    for (const shape of [model.input, model.output, weight.value.shape]) {
      expect(() => {
        (shape as number[])[0] = 1000;
      }).toThrow(TypeError);
    }
    expect(model.predict([1, 2]).data).toEqual(before);
    expect(model.parameters()[0]).toBe(weight);
    const predictor = model.compile() as Any;
    for (const key of ["maxBatch", "inputShape", "outputShape", "dtype", "metadata", "classes"]) {
      expect(() => {
        predictor[key] = 1000;
      }).toThrow(TypeError);
    }
    expect(() => predictor.run(2)).toThrow(RangeError);
  });

  test("nor are a predictor's lists and its metadata: what its caller reads is what others read", () => {
    const plain = new lamella.Sequential(runtime, { input: [2], layers: [lamella.affine(2)] });
    const bytes = lamella.saveModel(plain, { classes: ["no", "yes"] });
    const model = lamella.loadModel(runtime, bytes);
    const [loaded, compiled] = [loadPredictorSync(bytes) as Any, model.compile() as Any];
    for (const { metadata, inputShape, outputShape } of [loaded, compiled]) {
      const before = [...metadata];
      for (const call of ["set", "delete", "clear"]) {
        expect(() => metadata[call]("format", "other")).toThrow(TypeError);
        expect(() => {
          metadata[call] = Map.prototype.set;
        }).toThrow(TypeError);
      }
      expect(() => {
        metadata.get = () => "other";
      }).toThrow(TypeError);
      expect([...metadata]).toEqual(before);
      for (const shape of [inputShape, outputShape]) {
        expect(() => shape.push(1)).toThrow(TypeError);
        expect(() => {
          shape[0] = 1000;
        }).toThrow(TypeError);
      }
    }
    expect(loaded.metadata.get("format")).toBe("lamella");
    expect(new Map(loaded.metadata).set("format", "mine").get("format")).toBe("mine");
    const { classes } = model as Any;
    expect(classes).toEqual(["no", "yes"]);
    expect(loaded.classes).toEqual(classes);
    for (const list of [classes, loaded.classes, compiled.classes]) {
      expect(() => list.push("more")).toThrow(TypeError);
    }
  });
});
