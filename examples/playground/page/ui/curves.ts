// Curves that grow while something trains, by uPlot.

import uPlot from "uplot";
import { h } from "./dom.ts";
import { brief, short } from "./format.ts";
import { colour, withColours } from "./theme.ts";

export interface Line {
  label: string;
  /** Its name in style.css. */
  colour: string;
  /** Lengths of strokes and gaps, for those who do not see colours. */
  dash?: number[];
}

const font = "11px system-ui, sans-serif";
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

  /** What is to be seen, for those who do not see it. */
  describe(text: string): void {
    this.frame.setAttribute("aria-label", text);
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

const ruler = new OffscreenCanvas(1, 1).getContext("2d")!;

/**
 * The room that labels take beside an axis, in steps, so that the plot does not move with each
 * digit.
 */
function roomFor(labels: readonly (string | null)[] | null, gap: number): number {
  ruler.font = font;
  const widest = Math.max(
    0,
    ...(labels ?? []).map((label) => ruler.measureText(label ?? "").width),
  );
  return Math.max(48, 12 * Math.ceil((widest + gap + 2) / 12));
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

  /** @param range of the values, where it is known */
  constructor(
    private readonly title: string,
    lines: Line[],
    range?: [number, number],
  ) {
    const empty = [[], ...lines.map(() => [])] as unknown as uPlot.AlignedData;
    this.chart = new Chart(
      title,
      (size) => ({
        ...size,
        // The labels at the ends of the axes reach beyond them.
        padding: [10, 20, range ? 0 : 2, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          // From the first step on, and not flat where nothing is known.
          x: { time: false, range: (_, _least, most) => [0, Math.max(most || 0, 20)] },
          y: {
            range: range
              ? () => range
              : (_, least, most) =>
                  Number.isFinite(least) && Number.isFinite(most)
                    ? uPlot.rangeNum(least, most, 0.1, true)
                    : [0, 1],
          },
        },
        axes: [
          axis(brief, { size: 28, gap: 4, space: 60 }),
          axis(range ? (value) => `${Math.floor(100 * value + 0.5)} %` : short, {
            size: (_, labels) => roomFor(labels, 4),
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
      empty,
    );
    const key = lines.map(({ label, colour, dash }) =>
      h("span", { class: `key ${dash ? "dashed" : ""} ${colour}` }, label),
    );
    this.element = this.chart.element;
    this.element.querySelector("figcaption")!.append(h("span", { class: "keys" }, ...key));
  }

  /** @param columns values of the lines at each x; what is no finite number is left out */
  show(x: Float64Array, ...columns: Float64Array[]): void {
    const drawn = columns.map((column) =>
      Array.from(column, (value) => (Number.isFinite(value) ? value : null)),
    );
    this.chart.set([x, ...drawn] as uPlot.AlignedData);
    const known = drawn.flat().filter((value) => value !== null);
    const [least, most] = [Math.min(...known), Math.max(...known)].map(short);
    const said = known.length
      ? `from ${least} to ${most} in ${brief(x.at(-1)!)} steps`
      : "nothing yet";
    this.chart.describe(`${this.title}: ${said}`);
  }
}
