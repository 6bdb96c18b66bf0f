import { ShapeError, show, textOf } from "../../runtime/errors.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Initializer } from "../initializers.ts";
import { Engine } from "./engine.ts";

type Given = { readonly [name in "mean" | "std"]?: number | ArrayLike<number> };

/** Its tensors are the mean and the standard deviation of each feature, which nothing changes. */
export class Normalize extends Engine {
  protected override first(spec: Given) {
    return { mean: this.constants(spec, "mean"), std: this.constants(spec, "std") };
  }

  private constants(spec: Given, name: "mean" | "std"): Initializer {
    const { place, inShape } = this.blueprint;
    const { inSize } = this;
    const given = spec[name];
    const isOne = typeof given === "number";
    const length = isOne ? 1 : given?.length;
    if (length !== 1 && length !== inSize) {
      throw new ShapeError(
        `${place}: ${name} must be a number or ${inSize} numbers, one for each feature of ${formatShape(inShape)}, got ${show(length ?? given)}`,
      );
    }
    // A copy, since a getter may answer otherwise the second time.
    const values = Array.from({ length }, (_, i) => (isOne ? given : given?.[i]));
    for (const [i, value] of values.entries()) {
      const isNumber = typeof value === "number" && Math.abs(value) < Infinity;
      if (!(isNumber && (name === "mean" || value > 0))) {
        throw new RangeError(
          `${place}: ${name}[${i}] must be ${name === "std" ? "above 0" : "a number"}, got ${textOf(value)}`,
        );
      }
    }
    return () =>
      Float64Array.from({ length: inSize }, (_, i) => values[length === 1 ? 0 : i] as number);
  }

  override forward(N: number): void {
    const { out, x, inSize } = this;
    this.kernels.normalize_forward(out, x, this.at(0), this.at(1), N, inSize);
  }

  override backward(N: number): void {
    if (this.dx === 0) return;
    this.kernels.normalize_backward(this.dx, this.dout, this.at(1), N, this.inSize);
  }
}
