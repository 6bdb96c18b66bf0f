/** What is to be learned, for x from −3 to 3. */
export function curve(x: number): number {
  return ((x * x * x) / 3 - 2 * x) / 2;
}

/** What the Worker tells the page after an epoch: the network's curve, ys over xs. */
export interface Progress {
  epoch: number;
  loss: number;
  xs: Float32Array;
  ys: Float32Array;
}
