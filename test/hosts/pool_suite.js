// What a pool of workers does in every host that has workers: plain JavaScript without any host's
// API.

const EXAMPLES = 512;
const FEATURES = 100;
const CLASSES = 5;

/** Ten steps, whose first layer has products large enough to be cut up: 512 × 100 × 64. */
function train(lamella, runtime, dtype) {
  const random = runtime.random(231);
  const x = random.randn(EXAMPLES, FEATURES).toTypedArray();
  const y = Int32Array.from({ length: EXAMPLES }, (_, n) => {
    const row = x.subarray(n * FEATURES, n * FEATURES + CLASSES);
    return row.indexOf(Math.max(...row));
  });
  const { affine, batchnorm, relu, sgd } = lamella;
  const model = new lamella.Sequential(runtime, {
    input: [FEATURES],
    layers: [affine(64), batchnorm(), relu(), affine(CLASSES)],
    dtype,
    seed: 17,
  });
  const optimizer = sgd({ learningRate: 0.1 });
  const trainer = new lamella.Trainer(model, { loss: "softmax", optimizer });
  const losses = Float64Array.from({ length: 10 }, () => trainer.step(x, y).loss);
  if (!(losses[9] < losses[0])) throw new Error(`the loss went from ${losses[0]} to ${losses[9]}`);
  const tensors = Object.values(model.stateDict());
  return {
    training: tensors.map(({ data }) => hex(data)).join("") + hex(losses),
    predictions: hex(model.predict(x).data),
  };
}

/**
 * Trains with two threads, and reports as suite.js does. Also in the report: `auto`, the threads of
 * "auto"; `warnings`, what was said on the console; `refused`, the error of `threads: 2` where that
 * is one, and the training is then done on one; `start`, the milliseconds that the pool's last
 * start took; `relaxed`, the variant that computed there.
 */
export async function suite({ lamella, shared, relaxed, relaxedShared }) {
  const report = { failures: [], training: {}, predictions: {}, warnings: [] };
  const { warn } = console;
  console.warn = (...words) => report.warnings.push(words.join(" "));
  try {
    // Twice, since it is to be said once.
    for (let i = 0; i < 2; i++) {
      const runtime = await lamella.createRuntime({ wasm: shared, threads: "auto" });
      report.auto = runtime.threads;
      runtime.dispose();
    }
    const create = (wasm, threads) => lamella.createRuntime({ wasm, threads });
    const began = Date.now();
    const runtime = await create(shared, 2).catch(({ name, message }) => {
      report.refused = { name, message };
      return create(shared, 1);
    });
    report.start = Date.now() - began;
    const due = report.refused ? 1 : 2;
    if (runtime.threads !== due) throw new Error(`${runtime.threads} threads, not ${due}`);
    for (const dtype of ["float32", "float64"]) {
      const { training, predictions } = train(lamella, runtime, dtype);
      report.training[dtype] = training;
      report.predictions[dtype] = predictions;
    }
    runtime.dispose();

    // The relaxed builds promise no bits across hosts, but the same ones with any number of
    // threads.
    if (relaxed) {
      const [one, two] = [await create(relaxed, 1), await create([relaxedShared, shared], due)];
      report.relaxed = one.variant;
      const [a, b] = [one, two].map((each) => train(lamella, each, "float32"));
      if (one.variant !== two.variant) throw new Error(`${one.variant} and ${two.variant}`);
      if (a.training !== b.training)
        throw new Error("two relaxed threads give other bits than one");
      one.dispose();
      two.dispose();
    }
  } catch (error) {
    report.failures.push(`${error?.name}: ${error?.message}`);
  } finally {
    console.warn = warn;
  }
  return report;
}

/** The bytes of a typed array; little-endian, as WebAssembly is and every host of it. */
function hex({ buffer, byteOffset, byteLength }) {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
