import { describe, expect, test } from "vitest";
import {
  adam,
  affine,
  batchnorm,
  createRuntimeSync,
  type FitOptions,
  readSafetensors,
  relu,
  Sequential,
  Trainer,
  writeSafetensors,
} from "../../../src/index.ts";

const runtime = createRuntimeSync();

/** Points of the plane, and on which side of a line they are. */
function points(count: number) {
  const x = runtime.random(1).randn(count, 2).toTypedArray();
  const above = (n: number) => (x[2 * n]! + x[2 * n + 1]! > 0 ? 1 : 0);
  return { x, y: Int32Array.from({ length: count }, (_, n) => above(n)) };
}

function trainerOf() {
  const layers = [affine(16), batchnorm(), relu(), affine(2)];
  const model = new Sequential(runtime, { input: [2], layers, seed: 1 });
  return new Trainer(model, { loss: "softmax", optimizer: adam({ learningRate: 0.02 }) });
}

/** The sizes of the steps of an epoch, and how many steps its events announce. */
async function sizesOf(count: number, options: Omit<FitOptions, "epochs">) {
  const sizes: number[] = [];
  let announced: number | undefined;
  for await (const event of trainerOf().fit(points(count), { epochs: 1, ...options })) {
    if (event.type !== "step") continue;
    sizes.push(event.examples);
    announced = event.steps;
  }
  return { sizes, announced };
}

describe("the batches of an epoch", () => {
  test.each([
    [33, 32, undefined, [17, 16]],
    [34, 32, "spread", [17, 17]],
    [101, 32, "spread", [26, 25, 25, 25]],
    [64, 32, "spread", [32, 32]],
    [3, 32, "spread", [3]],
    [5, 1, "spread", [1, 1, 1, 1, 1]],
    [33, 32, "keep", [32, 1]],
    [101, 32, "keep", [32, 32, 32, 5]],
    [33, 32, "drop", [32]],
    [101, 32, "drop", [32, 32, 32]],
    [64, 32, "drop", [32, 32]],
    [3, 32, "drop", [3]],
  ] as const)("of %i examples in batches of %i, %s", async (count, batchSize, lastBatch, sizes) => {
    const found = await sizesOf(count, { batchSize, lastBatch });
    expect(found).toEqual({ sizes, announced: sizes.length });
  });

  test("a word that is no such rule is refused", () => {
    const fit = () =>
      trainerOf().fit(points(3), { epochs: 1, lastBatch: "skip" as unknown as "keep" });
    expect(fit).toThrow(RangeError);
    expect(fit).toThrow('lastBatch must be "keep", "drop" or "spread", got "skip"');
  });
});

describe("with batch normalisation and a rest of one or two examples", () => {
  test.each([
    [33, undefined],
    [34, undefined],
    [33, "drop"],
    [34, "drop"],
    [33, "keep"],
  ] as const)(
    "%i examples, lastBatch %s: the model does in test mode what it did in training",
    async (count, lastBatch) => {
      const trainer = trainerOf();
      const data = points(count);
      let accuracy = 0;
      for await (const event of trainer.fit(data, { epochs: 100, batchSize: 32, lastBatch })) {
        if (event.type === "epoch") accuracy = event.accuracy;
      }
      // Training counts with the weights before each step, and by the statistics of each batch.
      expect(accuracy).toBeGreaterThan(0.9);
      expect(trainer.evaluate(data).accuracy).toBeGreaterThan(accuracy - 0.04);
      const variance = trainer.model.stateDict()["1.running_var"]!.data;
      expect(Math.min(...variance)).toBeGreaterThan(1e-3);
    },
  );
});

describe("a training that is left and resumed", () => {
  /** Trains 3 epochs of 33 examples, by way of a checkpoint after so many steps. */
  async function bitsOf(lastBatch: FitOptions["lastBatch"], leaveAfter: number | null) {
    let trainer = trainerOf();
    const options = { epochs: 3, batchSize: 10, lastBatch };
    if (leaveAfter !== null) {
      for await (const event of trainer.fit(points(33), options)) {
        if (event.type === "step" && trainer.steps === leaveAfter) break;
      }
      trainer = Trainer.resume(runtime, trainer.checkpoint());
    }
    for await (const _ of trainer.fit(points(33), options));
    return Object.values(trainer.model.stateDict()).map((tensor) => tensor.toTypedArray());
  }

  test.each(["keep", "drop", "spread", undefined] as const)(
    "ends with the same bits, lastBatch %s",
    async (lastBatch) => {
      const whole = await bitsOf(lastBatch, null);
      for (const after of [1, 3, 5]) expect(await bitsOf(lastBatch, after)).toEqual(whole);
    },
  );

  test("goes on as it began where the checkpoint is from before there was a choice", async () => {
    const trainer = trainerOf();
    for await (const event of trainer.fit(points(33), {
      epochs: 2,
      batchSize: 10,
      lastBatch: "keep",
    })) {
      if (event.type === "step" && event.step === 2) break;
    }
    const { tensors, metadata } = readSafetensors(trainer.checkpoint());
    const training = JSON.parse(metadata.get("training")!);
    expect(training.run).not.toHaveProperty("lastBatch"); // as they were written then
    const old = { ...Object.fromEntries(metadata), training: JSON.stringify(training) };
    const resumed = Trainer.resume(runtime, writeSafetensors(tensors, old));
    const sizes: number[] = [];
    for await (const event of resumed.fit(points(33), { epochs: 2, batchSize: 10 })) {
      if (event.type === "step") sizes.push(event.examples);
    }
    expect(sizes).toEqual([10, 3, 10, 10, 10, 3]);
  });
});
