// What each digit was read as.

import { h } from "./dom.ts";

export class Confusion {
  readonly element: HTMLElement;
  private readonly cells: HTMLElement[] = [];

  constructor() {
    const digits = Array.from({ length: 10 }, (_, i) => `${i}`);
    const head = h(
      "tr",
      {},
      h("td", {}),
      ...digits.map((digit) => h("th", { scope: "col" }, digit)),
    );
    const rows = digits.map((digit) => {
      const cells = digits.map((other) => h("td", { class: other === digit ? "hit" : "miss" }));
      this.cells.push(...cells);
      return h("tr", {}, h("th", { scope: "row" }, digit), ...cells);
    });
    this.element = h(
      "table",
      { class: "confusion" },
      h("caption", {}, "Digits (rows) and what they are read as (columns)"),
      h("thead", {}, head),
      h("tbody", {}, ...rows),
    );
  }

  show(counts: Uint32Array): void {
    for (const [i, cell] of this.cells.entries()) {
      const row = counts.subarray(i - (i % 10), i - (i % 10) + 10);
      const share =
        counts[i]! /
        Math.max(
          1,
          row.reduce((a, b) => a + b),
        );
      const text = counts[i] ? `${counts[i]}` : "";
      if (cell.textContent !== text) cell.textContent = text;
      // Few mistakes are to be seen too.
      cell.style.setProperty("--share", `${Math.sqrt(share).toFixed(3)}`);
    }
  }
}
