import { itemSize } from "../../tensor/dtype.ts";
import { Engine } from "./engine.ts";

/** Its kernels move bytes, whatever they are of. */
export class ZeroPad extends Engine {
  private readonly cellBytes =
    (this.blueprint.inShape.at(-1) as number) * itemSize[this.setup.dtype];

  override forward(N: number): void {
    const { zero_pad_forward } = this.setup.runtime.core.exports;
    zero_pad_forward(this.out, this.x, this.window, N, this.cellBytes);
  }

  override backward(N: number): void {
    const { zero_pad_backward } = this.setup.runtime.core.exports;
    if (this.dx !== 0) zero_pad_backward(this.dx, this.dout, this.window, N, this.cellBytes);
  }
}
