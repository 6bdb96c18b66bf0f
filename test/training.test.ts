import { describe, expect, test } from "vitest";
import {
  type AffineCache,
  affineBackward,
  affineForward,
  type BatchnormCache,
  type BatchnormParam,
  batchnormBackward,
  batchnormForward,
  createRuntimeSync,
  dropoutBackward,
  dropoutForward,
  type ReluCache,
  type Runtime,
  reluBackward,
  reluForward,
  softmaxLoss,
  svmLoss,
  type Tensor,
} from "../src/index.ts";
import { seeded } from "./support/core.ts";
import { fromGolden, golden } from "./support/golden.ts";
import { normals } from "./support/reference.ts";

type Matrix = Tensor<"float64">;
const losses = { softmax: softmaxLoss, svm: svmLoss };

/** affine → [batchnorm] → relu, or the affine layer alone at the end of the network. */
interface Layer {
  w: Matrix;
  b: Matrix;
  normalised?: { gamma: Matrix; beta: Matrix; param: BatchnormParam<"float64"> };
  last: boolean;
}

interface Saved {
  affine: AffineCache<"float64">;
  batchnorm?: BatchnormCache<"float64">;
  relu?: ReluCache<"float64">;
}

function forward(layer: Layer, x: Matrix): { out: Matrix; saved: Saved } {
  const { w, b, normalised, last } = layer;
  let { out, cache: affine } = affineForward(x, w, b);
  const saved: Saved = { affine };
  if (normalised) {
    const { gamma, beta, param } = normalised;
    const result = batchnormForward(out, gamma, beta, param);
    out = result.out;
    saved.batchnorm = result.cache;
  }
  if (!last) {
    const result = reluForward(out);
    out = result.out;
    saved.relu = result.cache;
  }
  return { out, saved };
}

/** dx, and the gradients in the order of parametersOf. */
function backward(dout: Matrix, saved: Saved): { dx: Matrix; gradients: Matrix[] } {
  const gradients: Matrix[] = [];
  let up = saved.relu ? reluBackward(dout, saved.relu) : dout;
  if (saved.batchnorm) {
    const { dx, dgamma, dbeta } = batchnormBackward(up, saved.batchnorm);
    up = dx;
    gradients.push(dgamma, dbeta);
  }
  const { dx, dw, db } = affineBackward(up, saved.affine);
  return { dx, gradients: [dw, db, ...gradients] };
}

function parametersOf({ w, b, normalised }: Layer): Matrix[] {
  return normalised ? [w, b, normalised.gamma, normalised.beta] : [w, b];
}

describe("200 steps of SGD with momentum in float64", () => {
  const { runs, batch, steps, mu, eps, x, y, w1, w2, w3 } = golden("training");

  test.each(runs)(
    "$loss loss, batch normalisation $batchnorm: PyTorch's loss at every step",
    (run) => {
      const runtime = createRuntimeSync();
      const weights = [w1, w2, w3];
      const layers = weights.map((weight, i): Layer => {
        const M = weight.shape[1]!;
        const last = i === weights.length - 1;
        const layer: Layer = {
          w: fromGolden(runtime, weight),
          b: runtime.zeros([M], "float64"),
          last,
        };
        if (run.batchnorm && !last) {
          layer.normalised = {
            gamma: runtime.ones([M], "float64"),
            beta: runtime.zeros([M], "float64"),
            param: { mode: "train", eps },
          };
        }
        return layer;
      });
      const velocities = layers.map((layer) =>
        parametersOf(layer).map(({ size }) => new Float64Array(size)),
      );
      const [examples, features] = x.shape as [number, number];

      let worst = 0;
      for (let step = 0; step < steps; step++) {
        const start = (step * batch) % examples;
        const loss = runtime.scope(() => {
          const rows = x.data.slice(start * features, (start + batch) * features);
          let h: Matrix = runtime.tensor(rows, [batch, features], "float64");
          const saved: Saved[] = [];
          for (const layer of layers) {
            const result = forward(layer, h);
            h = result.out;
            saved.push(result.saved);
          }
          const { loss, dx } = losses[run.loss](h, y.data.slice(start, start + batch));
          let dout: Matrix = dx;
          for (let i = layers.length - 1; i >= 0; i--) {
            const { dx, gradients } = backward(dout, saved[i]!);
            dout = dx;
            for (const [k, { data }] of parametersOf(layers[i]!).entries()) {
              const velocity = velocities[i]![k]!;
              const gradient = gradients[k]!.data;
              for (let j = 0; j < velocity.length; j++) {
                velocity[j] = mu * velocity[j]! - run.learningRate * gradient[j]!;
                data[j]! += velocity[j]!;
              }
            }
          }
          return loss;
        });
        worst = Math.max(worst, Math.abs(loss - run.losses[step]!));
      }
      if (process.env.LAMELLA_REPORT) {
        console.info(`training ${run.loss}, batchnorm ${run.batchnorm}: ${worst.toExponential(1)}`);
      }
      // Sums in another order: some 1e-16 of a loss of a few units, with room for what training
      // magnifies.
      expect(worst).toBeLessThan(1e-9);
    },
  );
});

describe("a whole network", () => {
  /** Scores, and the gradients of all parameters, of every layer in a row. */
  function run(runtime: Runtime, inPlace: boolean, scoped: boolean): number[][] {
    const random = seeded(92);
    const draw = (...shape: number[]): Matrix =>
      runtime.tensor(
        normals(
          shape.reduce((a, b) => a * b, 1),
          random,
        ),
        shape,
        "float64",
      );
    const [x, w1, b1, gamma, beta, w2, b2] = [
      ...[draw(7, 2, 3), draw(6, 9), draw(9), draw(9), draw(9)],
      ...[draw(9, 4), draw(4)],
    ] as const;
    const forward = () => {
      const first = affineForward(x!, w1!, b1!);
      const normalised = batchnormForward(first.out, gamma!, beta!, { mode: "train" });
      const { out } = normalised;
      const relu = reluForward(out, inPlace ? { out } : {});
      const param = { p: 0.3, mode: "train", seed: 4 } as const;
      const dropped = dropoutForward(relu.out, param, inPlace ? { out: relu.out } : {});
      const last = affineForward(dropped.out, w2!, b2!);
      const caches = [
        first.cache,
        normalised.cache,
        relu.cache,
        dropped.cache,
        last.cache,
      ] as const;
      return { out: last.out, caches };
    };
    const { out, caches } = scoped ? runtime.scope(forward) : forward();
    const [first, normalised, relu, dropped, last] = caches;
    const { dx: dout } = softmaxLoss(out, [0, 1, 2, 3, 0, 1, 2]);
    const dlast = affineBackward(dout, last);
    const into = (dx: Matrix) => (inPlace ? { dx } : {});
    const ddropped = dropoutBackward(dlast.dx, dropped, into(dlast.dx));
    const drelu = reluBackward(ddropped, relu, into(ddropped));
    const dnormalised = batchnormBackward(drelu, normalised);
    const dfirst = affineBackward(dnormalised.dx, first);
    const { dgamma, dbeta } = dnormalised;
    return [out, dlast.dw, dlast.db, dgamma, dbeta, dfirst.dw, dfirst.db, dfirst.dx].map((tensor) =>
      Array.from(tensor.data),
    );
  }

  test("has the same gradients, to the bit, with ReLU and dropout in place", () => {
    const runtime = createRuntimeSync();
    expect(run(runtime, true, false)).toEqual(run(runtime, false, false));
  });

  test("goes back through caches that its forward returned from a scope", () => {
    const runtime = createRuntimeSync();
    expect(run(runtime, false, true)).toEqual(run(runtime, false, false));
    expect(run(runtime, true, true)).toEqual(run(runtime, false, false));
  });
});

describe("memory", () => {
  const ROUNDS = 10_000;

  /** A small network of every layer, and what it made, to be disposed. */
  function network(runtime: Runtime) {
    const random = seeded(91);
    const draw = (...shape: number[]) =>
      runtime.tensor(
        normals(
          shape.reduce((a, b) => a * b, 1),
          random,
        ),
        shape,
        "float32",
      );
    const [x, gamma, beta] = [draw(4, 6), draw(5), draw(5)];
    const [w1, b1, w2, b2] = [draw(6, 5), draw(5), draw(5, 3), draw(3)];
    const labels = runtime.tensor([0, 1, 2, 1], [4], "int32");
    const param: BatchnormParam<"float32"> = {
      mode: "train",
      runningMean: runtime.zeros([5]),
      runningVar: runtime.ones([5]),
    };
    return (round: number) => {
      param.mode = round % 3 === 2 ? "test" : "train";
      const seed = round % 2 ? round : undefined;
      const first = affineForward(x, w1, b1);
      const normalised = batchnormForward(first.out, gamma, beta, param);
      const relu = reluForward(normalised.out, round % 2 ? { out: normalised.out } : {});
      const dropped = dropoutForward(relu.out, { p: 0.5, mode: param.mode, seed });
      const last = affineForward(dropped.out, w2, b2);
      const svm = svmLoss(last.out, labels);
      const softmax = softmaxLoss(last.out, [0, 1, 2, 1], { dx: svm.dx });
      softmaxLoss(last.out, labels, { dx: false });
      const dlast = affineBackward(softmax.dx, last.cache);
      const ddropped = dropoutBackward(dlast.dx, dropped.cache);
      const drelu = reluBackward(ddropped, relu.cache);
      const dnormalised = batchnormBackward(drelu, normalised.cache);
      const dfirst = affineBackward(dnormalised.dx, first.cache, { dx: false });
      return [first, normalised, relu, dropped, last, svm, dlast, dnormalised, dfirst]
        .flatMap((result): ({ dispose(): void } | number | undefined)[] => Object.values(result))
        .concat(ddropped, drelu);
    };
  }

  test("ten thousand rounds in scopes leave the memory exactly where it was", () => {
    const runtime = createRuntimeSync();
    const round = network(runtime);
    const { bytesLive, tensors } = runtime.memory;
    let afterFirst = runtime.memory;
    for (let i = 0; i < ROUNDS; i++) {
      runtime.scope(() => {
        round(i);
      });
      if (i === 5) afterFirst = runtime.memory;
    }
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    // Nothing grows after each kind of round has been seen once.
    expect(runtime.memory).toEqual(afterFirst);
  });

  test("ten thousand rounds with dispose() leave the memory exactly where it was", () => {
    const runtime = createRuntimeSync();
    const round = network(runtime);
    const { bytesLive, tensors } = runtime.memory;
    let afterFirst = runtime.memory;
    for (let i = 0; i < ROUNDS; i++) {
      for (const made of round(i)) if (typeof made === "object") made.dispose();
      if (i === 5) afterFirst = runtime.memory;
    }
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    expect(runtime.memory).toEqual(afterFirst);
  });
});
