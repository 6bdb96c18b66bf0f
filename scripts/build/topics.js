// The API by topic: the site's overview of all public names, and its sidebar. A name's topic
// follows from the source that src/index.ts takes it from, so that a new export is on the page
// without a further line.

import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** The file of a layer has its calls by hand too. */
const BY_HAND = "Layers by hand: forward and backward";
const isByHand = (name) => /(Forward|Backward|Cache)$/.test(name);

/**
 * The longest prefix of a source's path that fits gives the topic; the page has the topics in this
 * order.
 */
const topics = [
  ["Runtimes and memory", "tensor/runtime", "runtime/wasm"],
  ["Tensors", "tensor/tensor", "tensor/convert", "tensor/dtype", "tensor/cache"],
  ["Random numbers", "tensor/random"],
  [
    "Models",
    "nn/sequential",
    "nn/model",
    "nn/network_model",
    "tensor/rows",
    "nn/training/evaluate",
  ],
  ["Layers of a model", "nn/layers/"],
  ["Initial weights", "nn/initializers"],
  ["Training", "trainer", "nn/training/", "nn/names"],
  ["Optimizers and learning rates", "nn/training/optimizers", "nn/training/schedules"],
  ["Files", "io/"],
  ["Serving", "nn/predictor"],
  [BY_HAND, "layers/"],
  ["Losses by hand", "losses/", "tensor/operands", "tensor/labels"],
  ["Checking gradients", "tensor/gradcheck"],
  ["Images", "tensor/image_data", "tensor/window"],
  ["Errors", "runtime/errors"],
];

function topicOf(source) {
  const fits = topics.flatMap(([topic, ...prefixes]) =>
    prefixes.filter((prefix) => source.startsWith(prefix)).map((prefix) => [prefix, topic]),
  );
  fits.sort(([a], [b]) => b.length - a.length);
  return fits[0]?.[1];
}

/** The exported names of an entry, by topic. */
export function namesByTopic(text) {
  const byTopic = new Map(topics.map(([topic]) => [topic, []]));
  const lists = text.matchAll(/export (?:type )?{([^}]*)} from "(?:\.|\.\.\/src)\/([^"]+)"/g);
  for (const [, list, source] of lists) {
    const names = list.split(",").map((name) => name.replace(/\btype\b/, "").trim());
    const topic = topicOf(source);
    if (!topic) throw new Error(`scripts/build/topics.js has no topic for src/${source}`);
    for (const name of names.filter(Boolean)) {
      byTopic.get(source.startsWith("nn/layers/") && isByHand(name) ? BY_HAND : topic).push(name);
    }
  }
  return byTopic;
}

/**
 * TypeDoc's folders, in the order in which a topic has its names: what is called before what is
 * only named.
 */
const kinds = ["functions", "classes", "variables", "interfaces", "type-aliases"];

/** Where TypeDoc has put the page of a name, and the first sentence on it. */
function pageOf(name, folder) {
  for (const [rank, kind] of kinds.entries()) {
    const file = `${folder}/${kind}/${name}.md`;
    if (!existsSync(file)) continue;
    const prose = readFileSync(file, "utf8")
      .replace(/```[\s\S]*?```/g, "")
      .split(/\n{2,}/)
      .find((paragraph, i) => i > 0 && /^[^#|*\s[]/.test(paragraph));
    const [sentence = ""] = (prose ?? "").replace(/\s+/g, " ").match(/^.*?\.(?= |$)/) ?? [];
    return { name, rank, link: `${kind}/${name}.md`, sentence: sentence.replaceAll("|", "\\|") };
  }
  throw new Error(`TypeDoc has written no page for ${name}`);
}

/** Writes docs/api/index.md and docs/api/topics.json, beside TypeDoc's pages. */
export function writeTopics() {
  const lines = ["# API", "", "All public names of `lamella`, by topic.", ""];
  const sidebar = [];
  const text = ["src/index.ts", "build/layer_names.ts"].map((file) => readFileSync(file, "utf8"));
  for (const [topic, names] of namesByTopic(text.join(""))) {
    if (names.length === 0) continue;
    lines.push(`## ${topic}`, "", "| name | |", "| --- | --- |");
    const items = [];
    const pages = names.map((name) => pageOf(name, "docs/api/lamella"));
    for (const { name, link, sentence } of pages.sort((a, b) => a.rank - b.rank)) {
      lines.push(`| [\`${name}\`](lamella/${link}) | ${sentence} |`);
      items.push({ text: name, link: `/api/lamella/${link}` });
    }
    lines.push("");
    sidebar.push({ text: topic, collapsed: true, items });
  }
  lines.push("## lamella/predict", "");
  lines.push(
    "The entry that serves saved models and can do nothing else has [a page of its own](lamella/predict/index.md).",
    "",
    "## What reads other formats",
    "",
    "| entry | |",
    "| --- | --- |",
    "| [`lamella/keras`](lamella/keras/index.md) | Models of Keras: `.h5` and `.keras`. |",
    "| [`lamella/tfjs`](lamella/tfjs/index.md) | Layers models of TensorFlow.js. |",
    "| [`lamella/tflite`](lamella/tflite/index.md) | Models of TFLite. |",
    "| [`lamella/torch`](lamella/torch/index.md) | Tensors of PyTorch: `.pt` and `.pth`. |",
    "",
  );
  writeFileSync("docs/api/index.md", lines.join("\n"));
  writeFileSync("docs/api/topics.json", JSON.stringify(sidebar, null, 1));
}
