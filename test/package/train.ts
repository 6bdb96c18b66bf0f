// A tiny network's training, as a function that stands alone: the tests send its source text to
// other processes and to a browser, and give it the package there.

type Lamella = typeof import("../../src/index.ts");

/**
 * The loss after some steps, to the last bit: "0.123 = 0x3fbf7ced916872b0". It uses nothing but its
 * arguments.
 */
export async function train(
  lamella: Lamella,
  options?: import("../../src/index.ts").RuntimeOptions,
): Promise<string> {
  const runtime = await lamella.createRuntime({ seed: 7, ...options });
  const random = runtime.random(231);
  const normal = (rows: number, columns: number) =>
    runtime.tensor(random.randn(rows, columns).toTypedArray(), [rows, columns], "float32");
  const x = normal(32, 3);
  const y = random.randint(0, 3, 32);
  const [w1, w2] = [normal(3, 9), normal(9, 3)];
  const [b1, b2] = [runtime.zeros([9]), runtime.zeros([3])];
  const [gamma, beta] = [runtime.ones([9]), runtime.zeros([9])];
  const bnParam: import("../../src/index.ts").BatchnormParam<"float32"> = { mode: "train" };

  let loss = Number.NaN;
  for (let step = 0; step < 20; step++) {
    runtime.scope(() => {
      const first = lamella.affineForward(x, w1, b1);
      const norm = lamella.batchnormForward(first.out, gamma, beta, bnParam);
      const relu = lamella.reluForward(norm.out);
      const kept = lamella.dropoutForward(relu.out, { p: 0.25, mode: "train" });
      const scores = lamella.affineForward(kept.out, w2, b2);
      const result = lamella.softmaxLoss(scores.out, y);
      loss = result.loss;

      const top = lamella.affineBackward(result.dx, scores.cache);
      const active = lamella.reluBackward(lamella.dropoutBackward(top.dx, kept.cache), relu.cache);
      const middle = lamella.batchnormBackward(active, norm.cache);
      const bottom = lamella.affineBackward(middle.dx, first.cache, { dx: false });
      for (const [parameter, gradient] of [
        [w1, bottom.dw],
        [b1, bottom.db],
        [gamma, middle.dgamma],
        [beta, middle.dbeta],
        [w2, top.dw],
        [b2, top.db],
      ] as const) {
        const [values, slopes] = [parameter.data, gradient.data];
        for (let i = 0; i < values.length; i++) values[i]! -= 0.1 * slopes[i]!;
      }
    });
  }
  runtime.dispose();
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, loss);
  return `${loss} = 0x${bits.getBigUint64(0).toString(16).padStart(16, "0")}`;
}
