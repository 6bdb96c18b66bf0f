import type { TensorHandle } from "../../tensor/tensor.ts";
import { Engine } from "./engine.ts";

export class MaxPool extends Engine {
  /** For each value that comes out the cell of its window that it is of. */
  private argmax!: TensorHandle;

  override makeBuffers(N: number): TensorHandle[] {
    this.argmax = this.setup.runtime.lasting("int32", [N * this.outSize]);
    return [this.argmax];
  }

  override forward(N: number): void {
    this.kernels.max_pool_forward(this.out, this.argmax.address, this.x, this.window, N);
  }

  override backward(N: number): void {
    const { dx, dout, argmax, window } = this;
    if (dx !== 0) this.kernels.max_pool_backward(dx, dout, argmax.address, window, N);
  }
}
