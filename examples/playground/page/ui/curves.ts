// Curves that grow while something trains, by uPlot.

import uPlot from "uplot";
import { h } from "./dom.ts";
import { short } from "./format.ts";
import { colour, withColours } from "./theme.ts";

export interface Line {
  label: string;
  /** Its name in style.css. */
  colour: string;
  /** Lengths of strokes and gaps, for those who do not see colours. */
  dash?: number[];
}

const font = "11px system-ui, sans-serif";
/** Points that are kept; where there are more, neighbours become one. */
const MOST = 600;

/** Draws uPlot's charts: the frame around them has their size. */
export class Chart {
  readonly element: HTMLElement;
  private readonly frame = h("div", { class: "chart" });
  private plot: uPlot | undefined;
  private data: uPlot.AlignedData;

  constructor(
    title: string,
    private readonly options: (size: { width: number; height: number }) => uPlot.Options,
    empty: uPlot.AlignedData,
  ) {
    this.data = empty;
    this.element = h("figure", {}, h("figcaption", {}, title), this.frame);
    this.frame.setAttribute("role", "img");
    this.frame.setAttribute("aria-label", title);
    withColours(() => this.make());
    new ResizeObserver(() => {
      if (this.plot) this.plot.setSize(this.size());
      else this.make();
    }).observe(this.frame);
  }

  set(data: uPlot.AlignedData): void {
    this.data = data;
    this.plot?.setData(data);
  }

  private size(): { width: number; height: number } {
    return { width: this.frame.clientWidth, height: this.frame.clientHeight };
  }

  private make(): void {
    const size = this.size();
    if (size.width === 0) return; // not shown yet
    this.plot?.destroy();
    this.plot = new uPlot(this.options(size), this.data, this.frame);
  }
}

/** Axes in the page's colours. */
export function axis(values: (value: number) => string, more: uPlot.Axis = {}): uPlot.Axis {
  return {
    font,
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    values: (_, splits) => splits.map((value) => (value === null ? "" : values(value))),
    ...more,
  };
}

export class Curves {
  readonly element: HTMLElement;
  private readonly chart: Chart;
  private columns: (number | null)[][];

  /** @param range of the values, where it is known */
  constructor(
    title: string,
    private readonly lines: Line[],
    range?: [number, number],
  ) {
    this.columns = [[], ...lines.map(() => [])];
    this.chart = new Chart(
      title,
      (size) => ({
        ...size,
        padding: [8, 14, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false }, y: range ? { range: () => range } : {} },
        axes: [
          axis(short, { size: 28, gap: 4 }),
          axis(range ? (value) => `${Math.floor(100 * value + 0.5)} %` : short, {
            size: 46,
            gap: 4,
          }),
        ],
        series: [
          {},
          ...lines.map(
            ({ colour: name, dash }): uPlot.Series => ({
              stroke: colour(name),
              width: 2,
              spanGaps: true,
              points: { show: false },
              ...(dash && { dash }),
            }),
          ),
        ],
      }),
      this.columns as uPlot.AlignedData,
    );
    const key = lines.map(({ label, colour, dash }) =>
      h("span", { class: `key ${dash ? "dashed" : ""} ${colour}` }, label),
    );
    this.element = this.chart.element;
    this.element.querySelector("figcaption")!.append(...key);
  }

  /** One more point; null where a line has none. */
  add(x: number, ...values: (number | null)[]): void {
    for (const [i, column] of this.columns.entries()) column.push(i === 0 ? x : values[i - 1]!);
    if (this.columns[0]!.length > MOST) this.columns = this.columns.map(halved);
  }

  clear(): void {
    this.columns = [[], ...this.lines.map(() => [])];
    this.draw();
  }

  draw(): void {
    this.chart.set(this.columns as uPlot.AlignedData);
  }
}

/** Means of neighbours. */
function halved(column: (number | null)[]): (number | null)[] {
  return Array.from({ length: Math.ceil(column.length / 2) }, (_, i) => {
    const pair = column.slice(2 * i, 2 * i + 2).filter((value) => value !== null);
    return pair.length ? pair.reduce((a, b) => a + b) / pair.length : null;
  });
}
