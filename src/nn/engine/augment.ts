import { CoreConstants } from "../../runtime/abi.ts";
import type { TensorHandle } from "../../tensor/tensor.ts";
import { Identity } from "./identity.ts";

/** In test mode it leaves the images as they are. */
export class Augment extends Identity {
  private maps!: TensorHandle;
  private draws!: TensorHandle<"float64">;
  private readonly image = this.blueprint.inShape as readonly [number, number, number];

  override workBytes(): number {
    return 64;
  }

  override makeBuffers(N: number): TensorHandle[] {
    const { runtime } = this.setup;
    this.maps = runtime.lasting("float64", [N, 2, 3]);
    this.draws = runtime.lasting("float64", [7]);
    return [this.maps, this.draws];
  }

  override forward(N: number, train: boolean): void {
    if (!train) {
      super.forward(N, train);
      return;
    }
    const { kernels, out, x, work, setup, maps, draws, image } = this;
    const { shift, crop, rotate, flip } = this.settings;
    const { low, high } = setup.stream.take(CoreConstants.augmentBlocks * N);
    const angle = rotate * 0.017453292519943295;
    draws.data.set([shift, crop, angle, flip ? 0.5 : 0, setup.stream.key, low, high]);
    const { augment_draw } = setup.runtime.core.exports;
    augment_draw(maps.address, draws.address, work, N, image[0], image[1]);
    kernels.augment_forward(out, x, maps.address, N, ...image);
  }

  override backward(N: number, train: boolean): void {
    const { kernels, dx, dout, maps, image } = this;
    if (!train) super.backward(N, train);
    else if (dx !== 0) kernels.augment_backward(dx, dout, maps.address, N, ...image);
  }
}
