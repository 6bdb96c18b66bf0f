import { describe, expect, test } from "vitest";
import {
  adam,
  affine,
  createRuntimeSync,
  FormatError,
  loadModel,
  readSafetensors,
  relu,
  Sequential,
  saveModel,
  sigmoid,
  sigmoidForward,
  softmax,
  softmaxForward,
  Trainer,
  writeSafetensors,
} from "../../src/index.ts";
import { loadPredictor } from "../../src/predict.ts";

const runtime = createRuntimeSync();
const x = runtime.random(1).randn(50, 4).toTypedArray();
const layers = [affine(8), relu(), affine(3)];
const classes = ["ash", "beech", "cedar"];
const optimizer = adam({ learningRate: 0.01 });

/** A model that has been trained a step with this loss. */
function trained(loss: "softmax" | "svm" | "bce" | "mse", units = 3) {
  const model = new Sequential(runtime, { input: [4], layers: [affine(8), relu(), affine(units)] });
  const targets = new Float32Array(50 * units).fill(0.5);
  const labels = Int32Array.from({ length: 50 }, (_, n) => n % units);
  const y = loss === "softmax" || loss === "svm" ? labels : targets;
  new Trainer(model, { loss, optimizer }).step(x, y);
  return model;
}

/** The file of a model with other metadata. */
function withMetadata(bytes: Uint8Array, entries: Record<string, string>) {
  const { tensors, metadata } = readSafetensors(bytes);
  return writeSafetensors(tensors, { ...Object.fromEntries(metadata), ...entries });
}

describe("names of classes", () => {
  const model = trained("softmax");

  test("travel with the file: classify answers by them, and saving again keeps them", () => {
    const numbers = model.classify(x);
    const again = loadModel(runtime, saveModel(model, { classes }));
    expect(again.classes).toEqual(classes);
    expect(again.classify(x)).toEqual(Array.from(numbers, (i) => classes[i]));
    expect(loadModel(runtime, saveModel(again)).classes).toEqual(classes);
    expect(model.classes).toBeUndefined();
    expect(model.classify(x)).toBeInstanceOf(Int32Array);
  });

  test("outlive a checkpoint", () => {
    const again = loadModel(runtime, saveModel(model, { classes }));
    const bytes = new Trainer(again, { loss: "softmax", optimizer }).checkpoint();
    expect(Trainer.resume(runtime, bytes).model.classes).toEqual(classes);
  });

  test("cannot be changed from outside", () => {
    const own = ["a", "b", "c"];
    const again = loadModel(runtime, saveModel(model, { classes: own }));
    own[0] = "z";
    expect(again.classes).toEqual(["a", "b", "c"]);
    expect(() => (again.classes as string[]).push("d")).toThrow(TypeError);
  });

  test.each([
    ["ash", TypeError, 'saveModel: classes must be an array of texts, got "ash"'],
    [["ash", 1, "cedar"], TypeError, "saveModel: classes[1] must be a text, got 1"],
    [["ash", "ash", "cedar"], RangeError, 'saveModel: classes[1] is "ash", as one before it'],
    [["ash"], RangeError, "saveModel: classes must be 3 texts, one for each score, got 1"],
  ])("%j is refused", (given, Kind, message) => {
    const save = () => saveModel(model, { classes: given as string[] });
    expect(save).toThrow(Kind);
    expect(save).toThrow(message);
  });

  test.each(["[", '"ash"', '["ash"]', '["a","a","b"]', '["a","b",3]'])(
    "a file whose metadata's classes are %s is refused",
    (text) => {
      const bytes = withMetadata(saveModel(model), { classes: text });
      expect(() => loadModel(runtime, bytes)).toThrow(FormatError);
    },
  );

  test("are two for one score that was trained with bce, told apart at a probability of one half", () => {
    const binary = trained("bce", 1);
    const scores = binary.predict(x).toTypedArray();
    expect(new Set(Array.from(scores, (score) => score > 0)).size).toBe(2);
    expect(binary.classify(x)).toEqual(Int32Array.from(scores, (score) => (score > 0 ? 1 : 0)));
    const again = loadModel(runtime, saveModel(binary, { classes: ["no", "yes"] }));
    const said = Array.from(scores, (score) => (score > 0 ? "yes" : "no"));
    expect(again.classify(x)).toEqual(said);
    const ends = [affine(1), sigmoid()];
    const probable = new Sequential(runtime, { input: [4], layers: ends, seed: 3 });
    const named = loadModel(runtime, saveModel(probable, { classes: ["no", "yes"] }));
    const shares = named.predict(x).toTypedArray();
    expect(named.classify(x)).toEqual(Array.from(shares, (p) => (p > 0.5 ? "yes" : "no")));
  });
});

describe("probabilities", () => {
  test("are the softmax of scores that were trained with the loss softmax", () => {
    const model = trained("softmax");
    const expected = softmaxForward(model.predict(x)).out.toTypedArray();
    expect(model.probabilities(x).toTypedArray()).toEqual(expected);
  });

  test("are the sigmoid of scores that were trained with bce", () => {
    const model = trained("bce");
    const expected = sigmoidForward(model.predict(x)).out.toTypedArray();
    expect(model.probabilities(x).toTypedArray()).toEqual(expected);
  });

  test("are the scores themselves where the last layer makes probabilities", () => {
    for (const last of [softmax(), sigmoid()]) {
      const model = new Sequential(runtime, { input: [4], layers: [...layers, last] });
      expect(model.probabilities(x).toTypedArray()).toEqual(model.predict(x).toTypedArray());
    }
  });

  test("are known by a model that comes from a file or a checkpoint", () => {
    const model = trained("bce");
    const expected = model.probabilities(x).toTypedArray();
    const again = loadModel(runtime, saveModel(model));
    expect(again.probabilities(x).toTypedArray()).toEqual(expected);
    const trainer = new Trainer(again, { loss: "bce", optimizer });
    const resumed = Trainer.resume(runtime, trainer.checkpoint()).model;
    expect(resumed.probabilities(x).toTypedArray()).toEqual(expected);
  });

  test("of an empty batch are empty", () => {
    expect(trained("softmax").probabilities(new Float32Array(0)).shape).toEqual([0, 3]);
  });

  test("want a loss that tells what the scores are", () => {
    const model = new Sequential(runtime, { input: [4], layers });
    expect(() => model.probabilities(x)).toThrow(TypeError);
    expect(() => model.probabilities(x)).toThrow("it has had no Trainer");
    const expected = softmaxForward(model.predict(x)).out.toTypedArray();
    expect(model.probabilities(x, { loss: "softmax" }).toTypedArray()).toEqual(expected);
    for (const loss of ["svm", "mse"] as const) {
      expect(() => trained(loss).probabilities(x)).toThrow(RangeError);
      expect(() => trained(loss).probabilities(x)).toThrow(`got "${loss}"`);
    }
  });

  test("a refused call leaves no tensor behind", () => {
    const model = new Sequential(runtime, { input: [4], layers });
    const { tensors } = runtime.memory;
    expect(() => model.probabilities(x)).toThrow();
    expect(runtime.memory.tensors).toBe(tensors);
  });

  test("a file whose loss is none that is known is read, and its scores stay scores", () => {
    const bytes = withMetadata(saveModel(trained("softmax")), { loss: "toString" });
    expect(() => loadModel(runtime, bytes).probabilities(x)).toThrow("it has had no Trainer");
  });
});

describe("a predictor", () => {
  const model = trained("softmax");

  test("has the names of the file that it was loaded from, and its metadata", async () => {
    const predictor = await loadPredictor(saveModel(model, { classes }));
    expect(predictor.classes).toEqual(classes);
    expect(predictor.metadata.get("format")).toBe("lamella");
    expect((await loadPredictor(saveModel(model))).classes).toBeUndefined();
  });

  test("that was compiled has those of its model", () => {
    const again = loadModel(runtime, saveModel(model, { classes }));
    expect(again.compile().classes).toEqual(classes);
  });

  test("and a model find the names in a description of the data, as lamella train writes it", async () => {
    const bytes = withMetadata(saveModel(model), { data: JSON.stringify({ classes }) });
    expect((await loadPredictor(bytes)).classes).toEqual(classes);
    expect(loadModel(runtime, bytes).classes).toEqual(classes);
  });

  test.each(["not JSON", "null", "{}", "3"])(
    "and a model do not mind %s in its place",
    async (data) => {
      const bytes = withMetadata(saveModel(model), { data });
      expect((await loadPredictor(bytes)).classes).toBeUndefined();
      expect(loadModel(runtime, bytes).classes).toBeUndefined();
    },
  );

  test("of a file whose classes are none is refused", async () => {
    const bytes = withMetadata(saveModel(model), { classes: '["a"]' });
    await expect(loadPredictor(bytes)).rejects.toThrow(FormatError);
  });
});
