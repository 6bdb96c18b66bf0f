// TensorFlow.js as its own guides would have it for speed: fused layers, batches made beforehand, everything tidied up.

import { setThreadsCount, setWasmPaths, version_wasm } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops";
import "@tensorflow/tfjs-core/dist/register_all_gradients";
import { ADAM, type Course, MOMENTUM, type Weights } from "./messages.ts";
import { startRacer } from "./racer.ts";

startRacer(async ({ sizes, optimizer, learningRate }: Course, batches, weights: Weights = []) => {
  setWasmPaths(new URL("./", self.location.href).href);
  setThreadsCount(1);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js' wasm backend does not start");

  const classes = sizes.at(-1)!;
  const layers = sizes.slice(1).map((count, i) => ({
    w: tf.variable(tf.tensor2d(weights[2 * i]!, [sizes[i]!, count])),
    b: tf.variable(tf.tensor1d(weights[2 * i + 1]!)),
  }));
  const tensors = batches.map(({ x, y, count }) => ({
    x: tf.tensor2d(x, [count, sizes[0]!]),
    y: tf.oneHot(tf.tensor1d(y, "int32"), classes),
  }));
  const scores = (x: tf.Tensor2D): tf.Tensor2D =>
    layers.reduce(
      (a, { w, b }, i) =>
        tf.fused.matMul({
          a,
          b: w as tf.Tensor2D,
          bias: b,
          activation: i < layers.length - 1 ? "relu" : "linear",
        }) as tf.Tensor2D,
      x,
    );
  const rules = {
    sgd: () => tf.train.sgd(learningRate),
    momentum: () => tf.train.momentum(learningRate, MOMENTUM),
    adam: () => tf.train.adam(learningRate, ADAM.beta1, ADAM.beta2, ADAM.eps),
  };
  const rule = rules[optimizer]();
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  return {
    weights,
    version: `${version_wasm}, wasm${simd ? ", SIMD" : ""}`,
    step(batch) {
      const { x, y } = tensors[batch]!;
      return tf.tidy(() => {
        const loss = rule.minimize(
          () => tf.losses.softmaxCrossEntropy(y, scores(x)) as tf.Scalar,
          true,
        );
        return loss!.dataSync()[0]!;
      });
    },
  };
});
