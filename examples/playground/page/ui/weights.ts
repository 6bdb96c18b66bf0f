// The weights of units as pictures: blue is negative, orange positive, and the paper's colour 0.

import { h } from "./dom.ts";
import { channels, withColours } from "./theme.ts";

const SIDE = 28;
const GAP = 2;
const COLUMNS = 8;

export class WeightImages {
  readonly element = h("canvas", { class: "weights", role: "img" });
  private weights = new Int8Array(0);
  /** Colours of −127 … 127. */
  private palette = new Uint8ClampedArray(0);

  constructor() {
    withColours(() => {
      const [low, middle, high] = [channels("blue"), channels("card"), channels("orange")];
      this.palette = Uint8ClampedArray.from({ length: 255 * 3 }, (_, i) => {
        const value = Math.floor(i / 3) / 127 - 1;
        const end = (value < 0 ? low : high)[i % 3]!;
        return middle[i % 3]! + Math.abs(value) * (end - middle[i % 3]!);
      });
      this.draw();
    });
  }

  /** @param weights pictures of 784 */
  show(weights: Int8Array<ArrayBuffer>): void {
    this.weights = weights;
    this.draw();
  }

  private draw(): void {
    const { weights, palette, element } = this;
    const units = weights.length / 784;
    const rows = Math.ceil(units / COLUMNS);
    const [width, height] = [COLUMNS * (SIDE + GAP) - GAP, Math.max(1, rows * (SIDE + GAP) - GAP)];
    if (element.width !== width || element.height !== height) {
      Object.assign(element, { width, height });
      element.setAttribute("aria-label", `Weights of the first ${units} units of the first layer`);
    }
    const image = new ImageData(width, height);
    for (let i = 0; i < weights.length; i++) {
      const unit = Math.floor(i / 784);
      const pixel = i % 784;
      const x = (unit % COLUMNS) * (SIDE + GAP) + (pixel % SIDE);
      const y = Math.floor(unit / COLUMNS) * (SIDE + GAP) + Math.floor(pixel / SIDE);
      const from = 3 * (weights[i]! + 127);
      const to = 4 * (y * width + x);
      image.data[to] = palette[from]!;
      image.data[to + 1] = palette[from + 1]!;
      image.data[to + 2] = palette[from + 2]!;
      image.data[to + 3] = 255;
    }
    element.getContext("2d")!.putImageData(image, 0, 0);
  }
}
