// Activations and gradients of each layer, as histograms by uPlot.

import uPlot from "uplot";
import type { Histogram } from "../training/histogram.ts";
import type { LayerProbe } from "../training/probe.ts";
import { axis, Chart } from "./curves.ts";
import { h } from "./dom.ts";
import { percent, short } from "./format.ts";
import { colour } from "./theme.ts";

class HistogramChart {
  readonly element: HTMLElement;
  private readonly chart: Chart;
  private readonly caption = h("p", { class: "small" });
  private bounds: [number, number] = [0, 1];

  constructor(title: string, name: string) {
    this.chart = new Chart(
      title,
      (size) => ({
        ...size,
        padding: [4, 24, 0, 24],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: { time: false, range: () => this.bounds },
          y: { range: (_, _least, most) => [0, most || 1] },
        },
        axes: [
          axis(short, {
            size: 20,
            gap: 2,
            grid: { show: false },
            splits: () => [...new Set([this.bounds[0], 0, this.bounds[1]])],
          }),
          { show: false },
        ],
        series: [
          {},
          {
            fill: colour(name),
            stroke: colour(name),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars!({ size: [0.9] }),
          },
        ],
      }),
      [[], []],
    );
    this.element = h("div", {}, this.chart.element, this.caption);
  }

  show({ low, high, counts, mean, deviation, zeros }: Histogram): void {
    this.bounds = [low, high];
    const width = (high - low) / counts.length;
    this.chart.set([Array.from(counts, (_, i) => low + (i + 0.5) * width), Array.from(counts)]);
    const none = zeros > 0.001 ? `, ${percent(zeros, 0)} zero` : "";
    const middle = Math.abs(mean) < 1e-4 * deviation ? 0 : mean;
    this.caption.textContent = `${short(middle)} ± ${short(deviation)}${none}`;
  }
}

export class Histograms {
  readonly element = h("div", { class: "histograms" });
  private kinds = "";
  private charts: [HistogramChart, HistogramChart][] = [];

  show(layers: LayerProbe[]): void {
    const kinds = layers.map(({ kind }) => kind).join();
    if (kinds !== this.kinds) {
      this.kinds = kinds;
      this.charts = layers.map(({ index, kind }) => [
        new HistogramChart(`${index} ${kind}: activations`, "blue"),
        new HistogramChart(`${index} ${kind}: gradients`, "orange"),
      ]);
      this.element.replaceChildren(
        ...this.charts.map((pair) =>
          h("div", { class: "pair" }, ...pair.map(({ element }) => element)),
        ),
      );
    }
    for (const [i, { activations, gradients }] of layers.entries()) {
      this.charts[i]![0].show(activations);
      this.charts[i]![1].show(gradients);
    }
  }
}
