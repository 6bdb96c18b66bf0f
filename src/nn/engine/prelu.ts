import { constant, type Initializer } from "../initializers.ts";
import { Engine } from "./engine.ts";

/** ReLU with a learned slope for each channel, or one for all of them. */
export class Prelu extends Engine {
  protected override first({ weight = constant(0.25) }: { weight?: Initializer }) {
    if (typeof weight !== "function") {
      throw new TypeError(
        `${this.blueprint.place}: weight must be an initializer, as constant(0.25)`,
      );
    }
    return { weight };
  }

  /** The kernels' N, C and L: channels come last, or there is one. */
  private lengths(N: number): [N: number, C: number, L: number] {
    const n = N * this.inSize;
    const C = this.slots[0]?.shape[0] as number;
    return C === 1 ? [1, 1, n] : [n / C, C, 1];
  }

  override forward(N: number): void {
    this.kernels.prelu_forward(this.out, this.x, this.at(0), ...this.lengths(N));
  }

  override backward(N: number): void {
    const { dx, dout, x } = this;
    this.kernels.prelu_backward(
      ...([dx, this.gradientAt(0), dout, x, this.at(0)] as const),
      ...this.lengths(N),
    );
  }
}
