import { Weighted } from "./weighted.ts";

/** Its window is that of the convolution whose gradient it is. */
export class ConvTranspose extends Weighted {
  override workBytes(N: number): number {
    const { kernels, window } = this;
    return Math.max(
      kernels.conv_transpose2d_forward_work_bytes(window, N),
      kernels.conv_transpose2d_backward_work_bytes(window, N),
    );
  }

  override forward(N: number): void {
    const { kernels, out, x, work, window } = this;
    kernels.conv_transpose2d_forward(out, x, this.at(0), this.at(1), work, window, N);
  }

  override backward(N: number): void {
    this.kernels.conv_transpose2d_backward(
      this.dx,
      this.gradientAt(0),
      this.gradientAt(1),
      this.dout,
      this.x,
      this.at(0),
      this.work,
      this.window,
      N,
    );
  }
}
