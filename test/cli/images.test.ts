// Convolutional networks on the command line: images by IDX, with a channel or several.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRuntimeSync, loadModel } from "../../src/index.ts";
import { Folder, idx, iris } from "./command.ts";

const folder = new Folder();
afterAll(() => folder.remove());
const runtime = createRuntimeSync();

/**
 * Images with a bar of three pixels, level (label 0) or upright (1), anywhere: no pixel tells the
 * label by itself, and a filter does.
 */
function bars(count: number, side: number, channels: number, first = 0) {
  const pixels = new Uint8Array(count * side * side * channels);
  const labels = Array.from({ length: count }, (_, i) => (i + first) % 2);
  for (const [n, label] of labels.entries()) {
    const i = n + first;
    const [long, short] = [(i * 7) % (side - 2), (i * 5) % side];
    for (let k = 0; k < 3; k++) {
      const [row, column] = label === 0 ? [short, long + k] : [long + k, short];
      const at = ((n * side + row) * side + column) * channels;
      pixels[at + (i % channels)] = 255;
    }
  }
  return { pixels, labels };
}

const write = (name: string, count: number, shape: number[], first = 0) => {
  const { pixels, labels } = bars(count, shape[0]!, shape[2] ?? 1, first);
  folder.write(`${name}-images-idx3-ubyte`, idx([count, ...shape], pixels));
  folder.write(`${name}-labels-idx1-ubyte`, idx([count], labels));
};
write("grey", 320, [8, 8]);
write("new", 64, [8, 8], 1000);
write("colour", 240, [6, 6, 3]);
folder.write("rows", idx([4, 5], new Uint8Array(20)));
folder.write("videos", idx([4, 2, 2, 2, 2], new Uint8Array(64)));
folder.write("labels", idx([4], [0, 1, 0, 1]));

const grey = "grey-images-idx3-ubyte";

describe("the preset for images", () => {
  const args = ["train", grey, "--preset", "cnn", "--epochs", "12", "--batch", "16", "-q"];
  beforeAll(async () => {
    await folder.succeeding(...args, "-o", "one");
  });

  test("learns what no single pixel tells, and its file reads images that it never saw", async () => {
    const model = loadModel(runtime, folder.read("one"));
    expect(model.input).toEqual([8, 8, 1]);
    const { stdout, stderr } = await folder.lamella("predict", "one", "new-images-idx3-ubyte");
    expect(stdout.split("\n")).toHaveLength(66);
    const right = /^accuracy ([\d.]+) %/m.exec(stderr)?.[1];
    expect(Number(right)).toBeGreaterThanOrEqual(90); // the same class for all is 50
  });

  test("gives the same file on two threads", async () => {
    await folder.succeeding(...args, "-o", "two", "--threads", "2");
    expect(folder.read("two")).toEqual(folder.read("one"));
  });

  test("is a set of defaults that other options replace", async () => {
    const own = ["--epochs", "1", "--layers", "pool:2,8,relu", "-q", "-o", "own"];
    await folder.succeeding("train", grey, "--preset", "cnn", ...own);
    const kinds = loadModel(runtime, folder.read("own")).layers.map(({ kind }) => kind);
    expect(kinds).toEqual(["normalize", "maxPool2d", "affine", "relu", "affine"]);
  });

  test("shows its layers and shapes by inspect", async () => {
    const stdout = await folder.succeeding("inspect", "one");
    expect(stdout).toMatch(/^ 1 {2}conv2d\(16, 3 × 3\) +\(N, 8, 8, 16\) +160$/m);
    expect(stdout).toMatch(/^ 4 {2}maxPool2d\(2,2\) +\(N, 4, 4, 16\)$/m);
  });
});

describe("layers of images by --layers", () => {
  const shapesOf = async (data: string, layers: string) => {
    await folder.succeeding("train", data, "--layers", layers, "--epochs", "1", "-q", "-o", "m");
    const model = loadModel(runtime, folder.read("m"));
    return `${model}`.match(/\(N, .*?\)/g)!.map((shape) => shape.slice(4, -1));
  };

  test("are those of the library: valid unless :same is said, windows of one side or two", async () => {
    const layers = "conv:4x3,relu,pool:2,conv:5x3x1:same,gelu,avgpool:1x3:same,globalpool,6,tanh";
    expect(await shapesOf(grey, layers)).toEqual([
      ...["8, 8, 1", "8, 8, 1"],
      ...["6, 6, 4", "6, 6, 4", "3, 3, 4"],
      ...["3, 3, 5", "3, 3, 5", "3, 1, 5"],
      ...["5", "6", "6", "2"],
    ]);
  });

  test("take the channels of a file with four axes", async () => {
    const shapes = await shapesOf("colour-images-idx3-ubyte", "conv:4x3,relu");
    expect(shapes).toEqual(["6, 6, 3", "6, 6, 3", "4, 4, 4", "4, 4, 4", "2"]);
  });

  test("leave images as they are where no layer asks for channels", async () => {
    await folder.succeeding("train", grey, "--epochs", "1", "-q", "-o", "plain");
    expect(loadModel(runtime, folder.read("plain")).input).toEqual([8, 8]);
  });

  test.each<[string, string[], string]>([
    ["a table", [iris, "--layers", "conv:16x5,relu"], "iris.csv has rows of 4 features"],
    [
      "rows of numbers",
      ["rows", "--labels", "labels", "--layers", "8,relu,pool:2"],
      "--layers pool:2 needs images; rows has rows of 5 numbers",
    ],
    [
      "examples of four axes",
      ["videos", "--labels", "labels", "--layers", "globalpool"],
      "--layers globalpool needs images; videos has examples of 2 × 2 × 2 × 2",
    ],
    ["a table, by a preset", [iris, "--preset", "cnn"], "--preset cnn needs images; "],
    [
      "images that are too small",
      [grey, "--layers", "conv:4x5,relu,pool:2,conv:4x3,relu"],
      "lamella train: --layers: layer 4 (conv:4x3): a window of 3 × 3 does not fit an image of 2 × 2",
    ],
    [
      "what an affine layer made of images",
      [grey, "--layers", "16,relu,conv:4x3,relu"],
      "lamella train: --layers: layer 3 (conv:4x3): takes examples of shape (H, W, C), got (16,)",
    ],
  ])("refuse %s, and say which layer it was", async (_, args, message) => {
    const { stdout, stderr, code } = await folder.lamella("train", ...args, "-o", "none");
    expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
    expect(stderr).toContain(message);
    expect(() => folder.read("none")).toThrow("ENOENT");
  });

  test("predict no images of another shape, be they of as many numbers", async () => {
    await folder.succeeding("train", grey, "--layers", "conv:4x3,relu", "--epochs", "1", "-o", "m");
    folder.write("wide", idx([1, 4, 16], new Uint8Array(64)));
    expect((await folder.lamella("predict", "m", "wide")).stderr).toBe(
      "lamella predict: wide: an example is 4 × 16, and the model takes 8 × 8 × 1\n",
    );
    folder.write("channels", idx([1, 8, 8, 1], new Uint8Array(64)));
    const stdout = await folder.succeeding("predict", "m", "channels");
    expect(stdout.split("\n")).toHaveLength(3);
  });
});
