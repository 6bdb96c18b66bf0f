import { divisorOf } from "../graph/pooling.ts";
import { Engine } from "./engine.ts";

export class AveragePool extends Engine {
  private readonly divisor = divisorOf(this.settings);

  override forward(N: number): void {
    this.kernels.average_pool_forward(this.out, this.x, this.window, N, this.divisor);
  }

  override backward(N: number): void {
    const { dx, dout, window, divisor } = this;
    if (dx !== 0) this.kernels.average_pool_backward(dx, dout, window, N, divisor);
  }
}
