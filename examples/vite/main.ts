// The page: draws what the Worker sends.

import { curve, type Progress } from "./curve.ts";

const find = (selector: string) => document.querySelector(selector) as Element;
const draw = (line: Element, xs: ArrayLike<number>, ys: ArrayLike<number>) =>
  line.setAttribute("points", Array.from(xs, (x, i) => `${x},${-(ys[i] as number)}`).join(" "));

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
worker.onmessage = ({ data: { epoch, loss, xs, ys } }: MessageEvent<Progress>) => {
  draw(find("#truth"), xs, Float32Array.from(xs, curve));
  draw(find("#learned"), xs, ys);
  find("output").textContent = `epoch ${epoch}: mean squared error ${loss.toFixed(5)}`;
};
