import { CoreConstants } from "../../runtime/abi.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { Identity } from "./identity.ts";

/** In test mode it leaves the numbers as they are. */
export class Dropout extends Identity {
  private mask!: TensorHandle;

  override workBytes(): number {
    const { exports } = this.setup.runtime.core;
    return Math.max(exports.dropout_work_bytes(), exports.dropout_seeded_work_bytes());
  }

  override makeBuffers(N: number): TensorHandle[] {
    this.mask = this.setup.runtime.lasting(this.setup.dtype, [N * this.inSize]);
    return [this.mask];
  }

  override forward(N: number, train: boolean): void {
    if (!train) {
      super.forward(N, train);
      return;
    }
    const { kernels, out, x, work, setup, mask } = this;
    const { p, seed } = this.settings;
    const n = N * this.inSize;
    if (seed === undefined) {
      // Every chunk of elements is seeded with four blocks of the generator.
      const { low, high } = setup.stream.take(4 * Math.ceil(n / CoreConstants.dropoutChunk));
      kernels.dropout_forward(out, mask.address, x, work, n, p, setup.stream.key, low, high);
    } else {
      kernels.dropout_forward_seeded(out, mask.address, x, work, n, p, seed);
    }
  }

  override backward(N: number, train: boolean): void {
    const { dx, dout, mask } = this;
    if (!train) super.backward(N, train);
    else if (dx !== 0) this.kernels.dropout_backward(dx, dout, mask.address, N * this.inSize);
  }
}
