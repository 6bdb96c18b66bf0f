import { itemSize } from "../../tensor/dtype.ts";
import { Engine } from "./engine.ts";

/** The layers that leave the numbers as they are. */
export class Identity extends Engine {
  override forward(N: number, _train: boolean): void {
    this.copy(this.out, this.x, N);
  }

  override backward(N: number, _train: boolean): void {
    this.copy(this.dx, this.dout, N);
  }

  private copy(to: number, from: number, N: number): void {
    if (to === from || to === 0) return;
    const { runtime, dtype } = this.setup;
    const bytes = N * this.inSize * itemSize[dtype];
    new Uint8Array(runtime.linear.wasm.buffer).copyWithin(to, from, from + bytes);
  }
}
