// What every host must compute: plain JavaScript without any host's API, given the package's
// namespace.

/** The twelve calls by hand, on values whose results are exact in both dtypes. */
function callsOf(lamella, dtype) {
  const runtime = lamella.createRuntimeSync();
  const tensor = (data) => runtime.tensor(data, undefined, dtype);
  const float = dtype === "float32" ? 1e-7 : 1e-15; // of ln 2, which both round

  // x (2, 3), w (3, 2), b (2,)
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const w = tensor([
    [1, 0],
    [0, 1],
    [1, 1],
  ]);
  const b = tensor([10, 20]);

  return {
    affineForward() {
      equal(lamella.affineForward(x, w, b).out, [14, 25, 20, 31]);
    },
    affineBackward() {
      const { cache } = lamella.affineForward(x, w, b);
      const { dx, dw, db } = lamella.affineBackward(runtime.ones([2, 2], dtype), cache);
      equal(dx, [1, 1, 2, 1, 1, 2]);
      equal(dw, [5, 5, 7, 7, 9, 9]);
      equal(db, [2, 2]);
    },
    reluForward() {
      equal(lamella.reluForward(tensor([-1, 0, 2])).out, [0, 0, 2]);
    },
    reluBackward() {
      const { cache } = lamella.reluForward(tensor([-1, 0, 2]));
      equal(lamella.reluBackward(tensor([5, 6, 7]), cache), [0, 0, 7]);
    },
    batchnormForward() {
      const { out, bnParam } = normalise();
      equal(out, [-0.5, 0, 0.5, 2]);
      equal(bnParam.runningMean, [0, 10]);
      equal(bnParam.runningVar, [0.5, 0.5]);
    },
    batchnormBackward() {
      const dout = tensor([
        [1, 0],
        [0, 4],
      ]);
      const { dx, dgamma, dbeta } = lamella.batchnormBackward(dout, normalise().cache);
      equal(dx, [0.1875, -1.5, -0.1875, 1.5]);
      equal(dgamma, [-0.5, 2]);
      equal(dbeta, [1, 4]);
    },
    recalibrate() {
      const { x, bnParam } = normalise();
      lamella.recalibrate([x], bnParam);
      equal(bnParam.runningMean, [0, 20]);
      equal(bnParam.runningVar, [1, 1]);
    },
    dropoutForward() {
      equal(drop().out, MASK);
    },
    dropoutBackward() {
      const { cache } = drop();
      equal(
        lamella.dropoutBackward(runtime.full([16], 2, dtype), cache),
        MASK.map((m) => 2 * m),
      );
    },
    svmLoss() {
      const { loss, dx } = lamella.svmLoss(scores(), [0, 2]);
      equal([loss], [2]);
      equal(dx, [0, 0, 0, 0, 0.5, -0.5]);
    },
    softmaxLoss() {
      const { loss, dx } = lamella.softmaxLoss(runtime.zeros([2, 2], dtype), Int32Array.of(0, 1));
      isTrue(Math.abs(loss - Math.LN2) <= float, `the loss is ${loss}`);
      equal(dx, [-0.25, 0.25, 0.25, -0.25]);
    },
    numericalGradient() {
      // Linear in w, so the difference quotient has no error but rounding.
      const { cache } = lamella.affineForward(x, w, b);
      const dout = runtime.ones([2, 2], dtype);
      const { dw } = lamella.affineBackward(dout, cache);
      const f = (w) => lamella.affineForward(x, w, b).out;
      const numeric = lamella.numericalGradient(f, w, dout, 2 ** -6);
      isTrue(lamella.relativeError(dw, numeric) < 1e-4, `got ${numeric.toTypedArray()}`);
    },
  };

  /** Each column's variance is 1, and 1 + eps = 4 has a root. */
  function normalise() {
    const x = tensor([
      [-1, 19],
      [1, 21],
    ]);
    const bnParam = { mode: "train", eps: 3, momentum: 0.5 };
    const [gamma, beta] = [tensor([1, 2]), tensor([0, 1])];
    return { x, bnParam, ...lamella.batchnormForward(x, gamma, beta, bnParam) };
  }

  function drop() {
    return lamella.dropoutForward(runtime.ones([16], dtype), { p: 0.5, mode: "train", seed: 7 });
  }

  function scores() {
    return tensor([
      [3, 1, -2],
      [0, 4, 1],
    ]);
  }
}

/** np.random.seed(7); (np.random.rand(16) >= 0.5) * 2 */
const MASK = [0, 2, 0, 2, 2, 2, 2, 0, 0, 0, 2, 2, 0, 0, 0, 2];

const EXAMPLES = 256;
const FEATURES = 20;
const CLASSES = 5;

/** 200 steps: the trained model, the losses, and examples that it has not seen. */
async function train(lamella, dtype) {
  const runtime = await lamella.createRuntime({ seed: 3 });
  const random = runtime.random(231);
  const draw = (rows) => random.randn(rows, FEATURES).toTypedArray();
  const x = draw(EXAMPLES);
  const unseen = draw(32);
  // The class is that of the greatest of five of the features: something to learn.
  const y = Int32Array.from({ length: EXAMPLES }, (_, n) => {
    const row = x.subarray(n * FEATURES, n * FEATURES + CLASSES);
    return row.indexOf(Math.max(...row));
  });
  const { affine, batchnorm, relu, dropout, adam, cosine } = lamella;
  const model = new lamella.Sequential(runtime, {
    input: [FEATURES],
    layers: [affine(48), batchnorm(), relu(), dropout(0.2), affine(24), relu(), affine(CLASSES)],
    dtype,
    seed: 17,
  });
  const trainer = new lamella.Trainer(model, {
    loss: "softmax",
    optimizer: adam({ learningRate: cosine({ from: 0.02, steps: 200 }) }),
    l2: 1e-4,
    clipNorm: 5,
    seed: 5,
  });
  const losses = [];
  for await (const event of trainer.fit({ x, y }, { epochs: 25, batchSize: 32 })) {
    if (event.type === "step") losses.push(event.loss);
  }
  return { runtime, model, losses: Float64Array.from(losses), x, y, unseen };
}

/** 60 steps over images: the trained model, the losses, and images that it has not seen. */
function trainImages(lamella, dtype) {
  const runtime = lamella.createRuntimeSync();
  const [count, batch, size] = [48, 16, 9 * 8 * 2];
  const random = runtime.random(99);
  const x = random.randn(count, size).toTypedArray();
  const unseen = random.randn(10, size).toTypedArray();
  // The class is the side on which the image is brighter.
  const y = Int32Array.from({ length: count }, (_, n) => {
    const image = x.subarray(n * size, n * size + size);
    const left = image.reduce((sum, value, i) => sum + (i % 16 < 8 ? value : -value), 0);
    return left > 0 ? 1 : 0;
  });
  const { conv2d, batchnorm, relu, maxPool2d, affine, momentum } = lamella;
  const model = new lamella.Sequential(runtime, {
    input: [9, 8, 2],
    layers: [
      ...[conv2d(5, 3, { padding: "same", useBias: false }), batchnorm(), relu(), maxPool2d(2)],
      ...[conv2d(10, 3, { stride: 2, padding: 1, groups: 5 }), batchnorm(), relu()],
      affine(2),
    ],
    dtype,
    seed: 4,
  });
  const trainer = new lamella.Trainer(model, {
    loss: "softmax",
    optimizer: momentum({ learningRate: 0.05 }),
    seed: 6,
  });
  const losses = Float64Array.from({ length: 60 }, (_, step) => {
    const start = (step * batch) % count;
    const part = x.subarray(start * size, (start + batch) * size);
    return trainer.step(part, y.subarray(start, start + batch)).loss;
  });
  return { runtime, model, losses, x, y, unseen };
}

/**
 * Runs everything. What failed is named in the report, which is plain JSON; numbers that must be
 * the same bits in every host are in it as bytes in hex.
 * @param lamella the package's namespace
 * @param predict that of lamella/predict
 * @param copy that of another copy of the package, where there is one
 */
export async function suite({ lamella, predict, copy }) {
  const failures = [];
  let passed = 0;
  const test = async (name, fn) => {
    try {
      await fn();
      passed++;
    } catch (error) {
      failures.push(`${name}: ${error?.name}: ${error?.message}`);
    }
  };
  const report = { failures, training: {}, predictions: {}, images: {} };

  await test("the memory begins with 1 MiB or less, and grows by need", async () => {
    const runtime = await lamella.createRuntime();
    report.memory = runtime.memory.bytesReserved;
    isTrue(report.memory <= 1 << 20, `it begins with ${report.memory} bytes`);
    const small = runtime.tensor([1, 2, 3]);
    const large = runtime.ones([1 << 20]);
    const { bytesReserved } = runtime.memory;
    isTrue(bytesReserved < 6 << 20, `it grew to ${bytesReserved} bytes for 4 MiB`);
    equal(small, [1, 2, 3]);
    equal(lamella.reluForward(large).out.data.subarray(-2), [1, 1]);
    runtime.dispose();
  });

  for (const dtype of ["float32", "float64"]) {
    await test(`the calls in ${dtype}`, async () => {
      for (const [name, call] of Object.entries(callsOf(lamella, dtype))) {
        await test(`${name}, ${dtype}`, call);
      }
    });

    await test(`a training in ${dtype}`, async () => {
      const { runtime, model, losses, x, y, unseen } = await train(lamella, dtype);
      report.training[dtype] = bitsOf(model, losses);
      isTrue(losses.length === 200, `${losses.length} steps`);
      const { accuracy } = model.evaluate({ x, y });
      isTrue(accuracy > 0.95, `it has learnt ${accuracy} of the examples`);

      const scores = model.predict(unseen);
      const bytes = lamella.saveModel(model);
      await test(`a model that was saved and loaded predicts the same, ${dtype}`, () => {
        const loaded = lamella.loadModel(runtime, bytes);
        equal(loaded.predict(unseen), scores.data);
        loaded.dispose();
      });
      const predictor = model.compile({ maxBatch: 32 });
      const compiled = predictor.predict(unseen);
      await test(`a compiled model predicts the same but for rounding, ${dtype}`, () => {
        // Normalisation is folded into the weights: some roundings of scores of a few tens.
        close(compiled, scores.data, dtype === "float32" ? 1e-4 : 1e-12);
      });

      await test(`loadPredictor, ${dtype}`, async () => {
        const loaded = await predict.loadPredictor(bytes, { maxBatch: 32 });
        // It computes in float32, and as the compiled model does.
        close(loaded.predict(unseen), compiled, dtype === "float32" ? 0 : 1e-4);
      });
      report.predictions[dtype] = hex(scores.data) + hex(compiled);
      runtime.dispose();
    });

    await test(`a convolutional network, trained in ${dtype}`, () => {
      const { runtime, model, losses, x, y, unseen } = trainImages(lamella, dtype);
      const { accuracy } = model.evaluate({ x, y });
      isTrue(accuracy > 0.95, `it has learnt ${accuracy} of the images`);
      const scores = model.predict(unseen);
      const bytes = lamella.saveModel(model);
      const compiled = predict.loadPredictorSync(bytes, { maxBatch: 10 }).predict(unseen);
      // Normalisation is folded into the filters, and a file is served in float32.
      close(compiled, scores.data, 1e-4);
      report.images[dtype] = bitsOf(model, losses) + hex(scores.data) + hex(compiled);
      runtime.dispose();
    });
  }

  await test("nothing on the way to a prediction sets a timer", () => {
    if (Object.isFrozen(globalThis)) return; // nobody can listen there
    const names = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"];
    const saved = names
      .filter((name) => name in globalThis)
      .map((name) => [name, globalThis[name]]);
    const called = [];
    for (const [name] of saved) globalThis[name] = () => called.push(name);
    try {
      const runtime = lamella.createRuntimeSync();
      const model = new lamella.Sequential(runtime, { input: [2], layers: [lamella.affine(3)] });
      const bytes = lamella.saveModel(model);
      lamella.loadModel(runtime, bytes).predict([1, 2]);
      model.compile().predict([1, 2]);
      predict.loadPredictorSync(bytes).predict([1, 2]);
      runtime.dispose();
    } finally {
      Object.assign(globalThis, Object.fromEntries(saved));
    }
    equal(called, []);
  });

  await test("a wrong shape is a ShapeError that says what is wrong", () => {
    const runtime = lamella.createRuntimeSync();
    const error = thrownBy(() =>
      lamella.affineForward(runtime.zeros([2, 3]), runtime.zeros([4, 5]), runtime.zeros([5])),
    );
    equal([error.name], ["ShapeError"]);
    isTrue(error instanceof lamella.ShapeError && error instanceof RangeError, "another class");
    equal([error.message], ["affineForward: x has 3 features per example but w has 4 rows"]);
  });

  if (copy) {
    await test("a tensor of another copy of the package is refused", () => {
      isTrue(copy.affineForward !== lamella.affineForward, "the copies are one");
      const theirs = copy.createRuntimeSync().ones([2]);
      const error = thrownBy(() => lamella.reluForward(theirs));
      isTrue(error instanceof TypeError, error.name);
      equal(
        [error.message],
        ["reluForward: x must be a tensor, got a tensor of another copy of this package"],
      );
    });
    await test("two copies train at once without disturbing each other", async () => {
      const trained = await Promise.all([lamella, copy].map((one) => train(one, "float32")));
      for (const { model, losses } of trained) {
        equal([bitsOf(model, losses)], [report.training.float32]);
      }
    });
  }

  report.passed = passed;
  return report;
}

/** All parameters, running values included, and all losses. */
function bitsOf(model, losses) {
  const tensors = Object.values(model.stateDict());
  return tensors.map(({ data }) => hex(data)).join("") + hex(losses);
}

/** The bytes of a typed array; little-endian, as WebAssembly is and every host of it. */
function hex({ buffer, byteOffset, byteLength }) {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isTrue(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

/** Refuses values that are not the same; a tensor stands for its data. */
function equal(given, due) {
  const [a, b] = [Array.from(given.data ?? given), Array.from(due)];
  const same = a.length === b.length && a.every((value, i) => value === b[i]);
  isTrue(same, `expected ${b}, got ${a}`);
}

/** Refuses values that are further from each other than some tolerance. */
function close(given, due, tolerance) {
  isTrue(given.length === due.length, `expected ${due.length} values, got ${given.length}`);
  given.forEach((value, i) => {
    isTrue(Math.abs(value - due[i]) <= tolerance, `value ${i} is ${value}, not ${due[i]}`);
  });
}

function thrownBy(fn) {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
