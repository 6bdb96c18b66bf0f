// @ts-check
// The charts of bench/results, from the reports of all Nodes.

import * as vega from "vega";
import { compile } from "vega-lite";

const FONT = "DejaVu Sans, Verdana, sans-serif";
const NAMES = [
  "Lamella, compiled",
  "Lamella, Trainer",
  "Lamella",
  "tfjs-wasm",
  "onnxruntime-web",
  "jax-js",
  "onnxruntime-node",
  "NumPy, AVX2",
  "NumPy",
];
// Lamella stands out; WebAssembly peers are warm, native ones grey. As many colours as names.
const LIGHT = {
  suffix: "",
  background: "white",
  text: "#1b1b1f",
  grid: "#eceff3",
  colors: "#08415c #2a9ec7 #0b6e99 #f2a65a #d9643a #b5838d #8d99ae #b8c0cc #d5dae1".split(" "),
};
const DARK = {
  suffix: ".dark",
  background: "#1b1b1f",
  text: "#dfdfd6",
  grid: "#32363d",
  colors: "#a5def2 #2a9ec7 #6cc4e4 #f2a65a #d9643a #b5838d #8d99ae #6f7a8a #555d69".split(" "),
};
/** @typedef {typeof LIGHT} Theme */

/** @typedef {{ node: string, machine: { processor: string }, results: import("./targets.js").Results }} Report */

/**
 * @param {Report[]} reports
 * @returns {Promise<Record<string, string>>} SVG by file name
 */
export async function charts(reports) {
  const title = (/** @type {string} */ text) => ({
    text,
    subtitle: `${reports[0].machine.processor}, one thread`,
  });
  /** @type {Record<string, string>} */
  const files = {};
  for (const theme of [LIGHT, DARK]) {
    for (const chart of [gemm, mlp, train, elementwise]) {
      const { rows, spec } = chart(reports, title, theme);
      const name = `${chart.name}${theme.suffix}.svg`;
      if (rows.length > 0) files[name] = await draw(rows, spec, theme);
    }
  }
  return files;
}

/**
 * @param {object[]} values
 * @param {object} spec
 * @param {Theme} theme
 */
async function draw(values, spec, { background, text, grid }) {
  const whole = {
    $schema: undefined,
    data: { values },
    background,
    padding: 16,
    ...spec,
    config: {
      font: FONT,
      title: {
        ...{ anchor: "start", fontSize: 15, subtitleFontSize: 11, offset: 14 },
        ...{ color: text, subtitleColor: text },
      },
      axis: {
        labelFontSize: 11,
        labelLimit: 240,
        titleFontSize: 11,
        titleFontWeight: "normal",
        gridColor: grid,
        ...{ labelColor: text, titleColor: text, domainColor: text, tickColor: text },
      },
      header: { labelFontSize: 12, titleFontSize: 0, labelFontWeight: "bold", labelColor: text },
      text: { color: text },
      rule: { color: text },
      legend: { labelColor: text, labelFontSize: 11, title: null, orient: "bottom", columns: 4 },
      view: { stroke: null },
    },
  };
  const { spec: vegaSpec } = compile(/** @type {any} */ (whole));
  const svg = await new vega.View(vega.parse(vegaSpec), { renderer: "none" }).toSVG();
  return `${svg}\n`;
}

/**
 * @param {object[]} rows Only those who take part get into the legend
 * @param {Theme} theme
 */
const color = (rows, { colors }) => {
  const present = NAMES.filter((name) => rows.some((row) => "name" in row && row.name === name));
  const range = present.map((name) => colors[NAMES.indexOf(name)]);
  return { field: "name", type: "nominal", scale: { domain: present, range } };
};
const nodeFacet = { field: "node", type: "nominal" };

/** @typedef {(text: string) => object} Title */

/**
 * @param {Report[]} reports
 * @param {Title} title
 * @param {Theme} theme
 */
function gemm(reports, title, theme) {
  const rows = reports.flatMap(({ node, results }) =>
    (results.gemm?.products ?? [])
      .filter(({ group, direction }) => group === "square" && direction === "forward")
      .flatMap(({ M, gflops }) =>
        Object.entries(gflops).map(([name, { median }]) => ({
          ...{ node: `Node ${node}`, size: M, name, gflops: median },
        })),
      ),
  );
  const spec = {
    title: title("Square float32 products through the public calls, GFLOP/s"),
    facet: { column: nodeFacet },
    spec: {
      ...{ width: 300, height: 300 },
      mark: { type: "line", point: true, strokeWidth: 2 },
      encoding: {
        x: {
          ...{ field: "size", type: "ordinal", title: "M = N = K" },
          axis: { labelAngle: 0 },
        },
        y: { field: "gflops", type: "quantitative", title: "GFLOP/s" },
        color: color(rows, theme),
      },
    },
  };
  return { rows, spec };
}

/**
 * @param {Report[]} reports
 * @param {Title} title
 * @param {Theme} theme
 */
function mlp(reports, title, theme) {
  const rows = reports.flatMap(({ node, results }) =>
    (results.mlp ?? []).flatMap(({ network, batch, seconds }) =>
      Object.entries(seconds).map(([name, { median }]) => ({
        ...{ node: `Node ${node}`, network, batch, name, micro: 1e6 * median },
      })),
    ),
  );
  const spec = {
    title: title("Inference: µs from an array to scores that JavaScript can read, logarithmic"),
    facet: { column: nodeFacet, row: { field: "network", type: "nominal", sort: null } },
    spec: {
      ...{ width: 380, height: 110 },
      mark: { type: "point", filled: true, size: 80, opacity: 1 },
      encoding: {
        y: { field: "batch", type: "ordinal", title: "batch" },
        x: {
          ...{ field: "micro", type: "quantitative", title: "µs" },
          scale: { type: "log" },
          axis: { values: [1, 10, 100, 1000, 10000] },
        },
        color: color(rows, theme),
        order: { field: "name", sort: "descending" }, // Lamella above those that it hides
      },
    },
  };
  return { rows, spec };
}

/**
 * @param {Report[]} reports
 * @param {Title} title
 * @param {Theme} theme
 */
function train(reports, title, theme) {
  const rows = reports.flatMap(({ node, results }) =>
    (results.train?.rows ?? []).map(({ name, median }) => ({
      ...{ node: `Node ${node}`, name, milli: 1e3 * median },
    })),
  );
  return {
    rows,
    spec: bars(rows, theme, {
      title: title("A train step of 784-512-256-10, batch 128: milliseconds, logarithmic"),
      field: "milli",
      scale: { type: "log", domainMin: 1 },
      axisTitle: "ms",
      format: ".1f",
    }),
  };
}

/**
 * @param {object[]} rows
 * @param {Theme} theme
 * @param {{ title: object, field: string, scale: object, axisTitle: string, format: string }} options
 */
const bars = (rows, theme, { title, field, scale, axisTitle, format }) => ({
  title,
  facet: { row: nodeFacet },
  spec: {
    ...{ width: 480, height: { step: 24 } },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          x: { field, type: "quantitative", scale, title: axisTitle },
          x2: { datum: 1 },
          color: { ...color(rows, theme), legend: null },
        },
      },
      {
        mark: { type: "text", align: "left", dx: 5, fontSize: 11 },
        encoding: {
          x: { field, type: "quantitative", scale },
          text: { field, format },
        },
      },
    ],
    encoding: { y: { field: "name", type: "nominal", title: null, sort: NAMES } },
  },
});

/**
 * @param {Report[]} reports
 * @param {Title} title
 * @param {Theme} theme
 */
function elementwise(reports, title, theme) {
  const rows = reports.flatMap(({ node, results }) =>
    (results.elementwise ?? []).map(({ name, ofCopy }) => ({
      ...{ node: `Node ${node}`, name, share: ofCopy.median, low: ofCopy.low, high: ofCopy.high },
    })),
  );
  const x = {
    type: "quantitative",
    title: "share of memory.copy's bandwidth",
    axis: { format: "%" },
  };
  const spec = {
    title: title("1 M elements, beside a memory.copy of as many bytes; the line is the target"),
    facet: { row: nodeFacet },
    spec: {
      ...{ width: 480, height: { step: 24 } },
      layer: [
        {
          mark: { type: "bar", color: theme.colors[2] },
          encoding: { x: { ...x, field: "share" } },
        },
        {
          mark: { type: "rule" },
          encoding: { x: { ...x, field: "low" }, x2: { field: "high" } },
        },
        {
          mark: { type: "rule", strokeDash: [4, 3], color: theme.colors[3], strokeWidth: 2 },
          encoding: { x: { datum: 0.8, type: "quantitative" }, y: null },
        },
      ],
      encoding: { y: { field: "name", type: "nominal", title: null, sort: null } },
    },
  };
  return { rows, spec };
}
