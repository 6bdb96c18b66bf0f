// Models, trainings, predictors and files refused at each of their allocations in turn: what is
// live is as it was, and the same call then gives what it gives where nothing was refused.

import { describe, expect, test } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  dropout,
  gelu,
  loadModel,
  loadTorch,
  type Predictor,
  type Runtime,
  relu,
  Sequential,
  saveModel,
  type Tensor,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { examples } from "../nn/networks.ts";
import { refuse } from "./refusals.ts";

const layers = [affine(9), batchnorm(), relu(), dropout(0.3), affine(7), gelu(), affine(3)];
const make = (runtime: Runtime) => new Sequential(runtime, { input: [5], layers, seed: 3 });
const train = (model: Sequential) =>
  new Trainer(model, { loss: "softmax", optimizer: adam(), l2: 1e-3, clipNorm: 1 });
const x = (count: number) => Float32Array.from(examples(count, 5));
const y = (count: number) => Array.from({ length: count }, (_, i) => i % 3);

interface State {
  runtime: Runtime;
  model: Sequential;
  trainer: Trainer;
  fresh: Sequential;
  dout: Tensor<"float32">;
  files: Uint8Array[];
}

/** A model and its training under way, with a plan for 4 examples. */
function begin(): State {
  const runtime = createRuntimeSync();
  const model = make(runtime);
  const trainer = train(model);
  trainer.step(x(4), y(4));
  // A model without gradients yet, and what Sequential.backward goes back through.
  const fresh = make(runtime);
  fresh.forward(x(2), { mode: "train" }).dispose();
  const dout = runtime.ones([2, 3]);
  const torch: Record<string, Tensor | { dtype: "I64"; shape: number[]; data: BigInt64Array }> = {};
  for (const [name, value] of Object.entries(model.stateDict())) {
    const isWeight = value.shape.length === 2;
    torch[name] = isWeight ? value.reshape([...value.shape].reverse()) : value;
  }
  const files = [saveModel(model), trainer.checkpoint(), writeSafetensors(torch)];
  for (const [name, value] of Object.entries(torch)) {
    if (value !== model.stateDict()[name]) (value as Tensor).dispose();
  }
  return { runtime, model, trainer, fresh, dout, files };
}

/**
 * All that a training is, as bytes: parameters, running values, the optimizer's state, generators.
 */
const digest = ({ trainer, fresh, dout }: State) => [
  ...[trainer.checkpoint(), saveModel(fresh), dout.toTypedArray()],
];

const taken = (model: Sequential<never>) => {
  const bytes = saveModel(model);
  model.dispose();
  return bytes;
};
const served = (predictor: Predictor) => {
  const scores = predictor.predict(x(3));
  predictor.dispose();
  return scores;
};

/** What is called, and what comes of it, without what stays allocated for it. */
const calls: Record<string, (state: State) => unknown> = {
  "new Sequential": ({ runtime }) => taken(make(runtime) as never),
  "Sequential.forward": ({ model }) => {
    const out = model.forward(x(9));
    const values = out.toTypedArray();
    out.dispose();
    return values;
  },
  "Sequential.backward": ({ fresh: model, dout }) => {
    const { dx } = model.backward(dout, { dx: true });
    const values = dx.toTypedArray();
    dx.dispose();
    return [values, model.parameters().map(({ gradient }) => gradient.toTypedArray())];
  },
  "Sequential.predict": ({ model }) => {
    const out = model.predict(x(300));
    const values = out.toTypedArray();
    out.dispose();
    return values;
  },
  "Sequential.classify": ({ model }) => model.classify(x(20)),
  "Sequential.evaluate": ({ model }) => model.evaluate({ x: x(20), y: y(20) }),
  "Sequential.compile": ({ model }) => served(model.compile({ maxBatch: 3 })),
  "new Trainer": ({ fresh: model }) => {
    const trainer = train(model);
    const bytes = trainer.checkpoint();
    trainer.dispose();
    return bytes;
  },
  "Trainer.step": ({ trainer }) => [trainer.step(x(50), y(50)), trainer.checkpoint()],
  "Trainer.resume": ({ runtime, files }) => {
    const trainer = Trainer.resume(runtime, files[1]!);
    const bytes = trainer.checkpoint();
    trainer.dispose();
    trainer.model.dispose();
    return bytes;
  },
  loadModel: ({ runtime, files }) => taken(loadModel(runtime, files[0]!) as never),
  loadTorch: ({ runtime, files }) =>
    taken(loadTorch(runtime, files[2]!, { input: [5], layers }) as never),
};

describe.each(Object.entries(calls))("%s", (name, call) => {
  test("refused at any of its allocations changes nothing, and goes on as if nothing had been refused", () => {
    const expected = call(begin());
    const state = begin();
    const { runtime } = state;
    const before = digest(state);
    let refused = 0;
    for (;;) {
      const { bytesLive, tensors } = runtime.memory;
      const result = refuse(runtime, refused + 1, () => call(state));
      if (result !== undefined) {
        expect(result).toEqual(expected);
        break;
      }
      refused++;
      // The plan of a smaller batch may have made way.
      expect(runtime.memory.bytesLive).toBeLessThanOrEqual(bytesLive);
      expect(runtime.memory.tensors).toBeLessThanOrEqual(tensors);
      expect(digest(state)).toEqual(before);
    }
    expect(refused).toBeGreaterThan(name === "Sequential.compile" ? 0 : 4);
    state.trainer.dispose();
    state.model.dispose();
    state.fresh.dispose();
    state.dout.dispose();
    expect(runtime.memory).toMatchObject({ bytesLive: 0, tensors: 0 });
  });
});

test("Trainer.fit refused midway stays where it was, and the next fit ends with the same bits", async () => {
  const data = { x: x(30), y: y(30) };
  const options = { epochs: 2, batchSize: 8 };
  const run = async ({ trainer }: State) => {
    for await (const _ of trainer.fit(data, options));
    return trainer.checkpoint();
  };
  const expected = await run(begin());
  const state = begin();
  const { linear } = state.runtime as unknown as { linear: { allocate(bytes: number): unknown } };
  let refused = 0;
  for (let k = 1; ; k++) {
    let left = k;
    linear.allocate = function (bytes) {
      if (--left === 0) throw new RangeError("refused by this test");
      return Object.getPrototypeOf(this).allocate.call(this, bytes);
    };
    try {
      expect(await run(state)).toEqual(expected);
      break;
    } catch (error) {
      expect((error as Error).message).toBe("refused by this test");
      refused++;
    } finally {
      delete (linear as Partial<typeof linear>).allocate;
    }
  }
  expect(refused).toBeGreaterThan(10);
});

test("forward and predict refused for want of room for their scores leave what a smaller batch needs", () => {
  for (const call of ["forward", "predict"] as const) {
    const runtime = createRuntimeSync({ maxMemory: 2 ** 20 });
    const model = new Sequential(runtime, { input: [1], layers: [affine(64)] });
    const few = model.predict(x(1)).toTypedArray();
    let refused = 0;
    // Among these sizes are those whose plan fits, and whose scores do not.
    for (let count = 200; count < 6000; count += 100) {
      const { bytesLive } = runtime.memory;
      runtime.scope(() => {
        try {
          model[call](x(count).subarray(0, count));
        } catch (error) {
          expect((error as Error).name).toBe("MemoryError");
          refused++;
          expect(runtime.memory.bytesLive).toBeLessThanOrEqual(bytesLive);
        }
        expect(model.predict(x(1)).toTypedArray()).toEqual(few);
      });
      if (refused > 30) break;
    }
    expect(refused).toBeGreaterThan(10);
    runtime.dispose();
  }
});
