// Ten bars: how likely the network takes each digit to be.

import { h } from "./dom.ts";
import { percent } from "./format.ts";

export class Scores {
  readonly element = h("ol", { class: "scores", start: 0, "aria-label": "What the network reads" });
  private readonly rows = Array.from({ length: 10 }, (_, digit) => {
    const value = h("span", { class: "value" }, "–");
    const row = h("li", {}, h("b", {}, `${digit}`), h("span", { class: "bar" }), value);
    this.element.append(row);
    return { row, value };
  });

  show(probabilities: Float32Array): void {
    const best = probabilities.indexOf(Math.max(...probabilities));
    for (const [digit, { row, value }] of this.rows.entries()) {
      row.classList.toggle("best", digit === best);
      row.style.setProperty("--share", probabilities[digit]!.toFixed(4));
      value.textContent = percent(probabilities[digit]!);
    }
    this.element.dataset.best = `${best}`;
  }
}
