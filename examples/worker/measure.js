// @ts-check
// How long the first request takes, and how many can be answered.

import { readdirSync, readFileSync } from "node:fs";
import { serve, tool } from "./workerd.js";

const STARTS = 9;

/** @typedef {import("../support/idx.js").Digits} Digits */

/**
 * @param {Digits} digits
 * @param {number} i
 */
function bodyOf({ images }, i) {
  return JSON.stringify({ pixels: Array.from(images.subarray(i * 784, (i + 1) * 784)) });
}

/**
 * Milliseconds for which all threads of a process were on a CPU: other programs on the machine do not count. Linux alone
 * tells.
 *
 * @param {number} pid
 */
function cpuTime(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"))
      .reduce((sum, text) => sum + Number(text.split(" ")[0]) / 1e6, 0);
  } catch {
    return Number.NaN;
  }
}

/**
 * The first prediction of a Worker that has just been started, beside the first answer of one that does nothing. Starts
 * of the two take turns, so that neither has a quieter machine.
 *
 * @param {string} empty A config
 * @param {string} ours
 * @param {Digits} digits
 */
export async function measureFirstRequests(empty, ours, digits) {
  const both = () => ({
    empty: /** @type {number[]} */ ([]),
    ours: /** @type {number[]} */ ([]),
  });
  const times = { fromStart: both(), cpu: both(), request: both() };
  const body = bodyOf(digits, 0);
  for (let i = 0; i <= STARTS; i++) {
    for (const which of /** @type {const} */ (["empty", "ours"])) {
      const server = await serve(which === "empty" ? empty : ours);
      const asked = performance.now();
      const response = await fetch(`${server.url}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      const answer = await response.text();
      const answered = performance.now();
      const cpu = cpuTime(server.pid);
      await server.stop();
      if (which === "ours" && JSON.parse(answer).digit === undefined) throw new Error(answer);
      if (i === 0) continue; // brings files and this process' own fetch into memory
      times.fromStart[which].push(answered - server.began);
      times.cpu[which].push(cpu);
      times.request[which].push(answered - asked);
    }
  }
  const line = (
    /** @type {string} */ name,
    /** @type {ReturnType<typeof both>} */ { empty, ours },
  ) =>
    `  ${name.padEnd(36)}${spread(empty)}  ${spread(ours)}  ${(median(ours) - median(empty)).toFixed(1).padStart(6)}`;
  return `
milliseconds, median (least to most) of ${STARTS} starts
                                               empty Worker            this Worker  beyond
${line("process start to first answer", times.fromStart)}
${line("the same, time on a CPU", times.cpu)}
${line("first request, once it listens", times.request)}`;
}

/**
 * @param {string} url
 * @param {Digits} digits
 * @param {{ requests: number, connections: number }} options
 */
export async function measureLoad(url, digits, { requests, connections }) {
  const autocannon = await tool("autocannon");
  const kinds = 100;
  /** @type {(number | undefined)[]} What each body got as its answer the first time */
  const answers = new Array(kinds).fill(undefined);
  let answered = 0;
  let differing = 0;
  /** @type {number[]} */
  const times = [];
  const began = performance.now();
  const run = autocannon({
    url: `${url}/predict`,
    amount: requests,
    connections,
    requests: Array.from({ length: kinds }, (_, i) => ({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: bodyOf(digits, i),
      onResponse(/** @type {number} */ status, /** @type {string} */ body) {
        if (status !== 200) return;
        const { digit } = JSON.parse(body);
        answers[i] ??= digit;
        answered++;
        if (answers[i] !== digit) differing++;
      },
    })),
  });
  let ended = began;
  run.on(
    "response",
    (
      /** @type {unknown} */ _,
      /** @type {number} */ __,
      /** @type {number} */ ___,
      /** @type {number} */ ms,
    ) => {
      times.push(ms);
      ended = performance.now();
    },
  );
  const { errors, timeouts, non2xx } = await run;
  const lost = requests - answered + differing;
  const right = answers.filter((digit, i) => digit === digits.labels[i]).length;
  const seconds = (ended - began) / 1000;
  times.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))].toFixed(2);
  const text = `
${requests} requests over ${connections} connections by autocannon, JSON of ${kinds} test digits in turn
  ${answered} answered, ${lost} lost (${errors} errors, ${timeouts} timeouts, ${non2xx} refused, ${differing} answers that differ)
  ${Math.floor(answered / seconds)} requests/s
  latency ms: p50 ${at(0.5)}, p90 ${at(0.9)}, p97.5 ${at(0.975)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, most ${at(1)}
  ${right} of the ${kinds} digits read right`;
  return { text, lost };
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** @param {number[]} values */
function spread(values) {
  const range = `(${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)})`;
  return `${median(values).toFixed(1)} ${range}`.padStart(21);
}
