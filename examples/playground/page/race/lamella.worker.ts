import { adam, affine, createRuntime, momentum, relu, Sequential, sgd, Trainer } from "lamella";
import { ADAM, type Course, MOMENTUM, type Weights } from "./messages.ts";
import { startRacer } from "./racer.ts";

startRacer(async ({ sizes, optimizer, learningRate }: Course, batches) => {
  const runtime = await createRuntime(); // strict, one thread
  const [input = 0, ...units] = sizes;
  const layers = units.flatMap((count, i) =>
    i < units.length - 1 ? [affine(count), relu()] : [affine(count)],
  );
  const model = new Sequential(runtime, { input: [input], layers, seed: 231 });
  const rules = {
    sgd: () => sgd({ learningRate }),
    momentum: () => momentum({ learningRate, momentum: MOMENTUM }),
    adam: () => adam({ learningRate, ...ADAM }),
  };
  const trainer = new Trainer(model, { loss: "softmax", optimizer: rules[optimizer]() });
  // As the other side has them: made before the clock runs.
  const tensors = batches.map(({ x, y, count }) => ({ x: runtime.tensor(x, [count, input]), y }));
  const weights: Weights = model.parameters().map(({ value }) => value.toTypedArray());
  return {
    weights,
    version: `${runtime.variant} core`,
    step(batch) {
      const { x, y } = tensors[batch]!;
      return trainer.step(x, y).loss;
    },
  };
});
