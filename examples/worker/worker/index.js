// @ts-check
// The Worker: reads a handwritten digit. The network was trained elsewhere; its file is a module of this bundle.
//
//   POST /predict   { "pixels": [784 numbers from 0 (paper) to 255 (ink)] }, or the bytes of a PNG
//   GET  /health    is it up, and what does it run
//   GET  /          a page to draw on

import { loadPredictor } from "lamella/predict";
import { HttpError, readBody } from "./http.js";
import model from "./model.safetensors";
import page from "./page.html";

const PIXELS = 28 * 28;
/** The longest body: 784 numbers with all their digits take 16 KB, and a picture of a digit a few. */
const MOST_BYTES = 64 * 1024;

// Once an isolate, before its first request. Its input and output are buffers that are used again and again, which is
// safe since nothing is awaited between filling the one and reading the other.
const predictor = await loadPredictor(model, { maxBatch: 1 });

/** @type {Record<string, Record<string, (request: Request) => Response | Promise<Response>>>} */
const routes = {
  "/": { GET: home },
  "/health": { GET: health },
  "/predict": { POST: predict },
};

export default {
  /** @param {Request} request */
  async fetch(request) {
    try {
      return await handlerFor(request)(request);
    } catch (error) {
      if (error instanceof HttpError) {
        return Response.json(
          { error: error.message },
          { status: error.status, headers: error.headers },
        );
      }
      console.error(error);
      return Response.json({ error: "something is wrong on this side" }, { status: 500 });
    }
  },
};

/** @param {Request} request */
function handlerFor({ method, url }) {
  const { pathname } = new URL(url);
  const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
  if (!route) {
    throw new HttpError(
      404,
      `no such path: ${pathname}; there are ${Object.keys(routes).join(" ")}`,
    );
  }
  const name = method === "HEAD" ? "GET" : method;
  if (!Object.hasOwn(route, name)) {
    const allow = Object.keys(route)
      .map((known) => (known === "GET" ? "GET, HEAD" : known))
      .join(", ");
    throw new HttpError(405, `${pathname} takes ${allow}, not ${method}`, { allow });
  }
  return route[name];
}

function home() {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:",
    },
  });
}

function health() {
  return Response.json({
    status: "ok",
    model: { input: predictor.inputShape, output: predictor.outputShape, dtype: predictor.dtype },
  });
}

/** @param {Request} request */
async function predict(request) {
  const pixels = await pixelsOf(request);
  predictor.input.set(pixels);
  predictor.run();
  const probabilities = Array.from(predictor.output);
  const digit = probabilities.indexOf(Math.max(...probabilities));
  // No milliseconds: in production a Worker's clock stands still while it computes.
  return Response.json({ digit, probabilities });
}

/**
 * The digit in a request's body, as the network was taught to see it: 28 × 28 pixels, 0 (paper) to 255 (ink).
 *
 * @param {Request} request
 * @returns {Promise<ArrayLike<number>>}
 */
async function pixelsOf(request) {
  const type = (request.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  const takes = { accept: "application/json, image/png" };
  if (type !== "application/json" && type !== "image/png") {
    const got = type === "" ? "none" : type;
    throw new HttpError(
      415,
      `expected content-type application/json or image/png, got ${got}`,
      takes,
    );
  }
  const encoding = request.headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new HttpError(415, `expected a body as it is, got content-encoding ${encoding}`, takes);
  }
  const body = await readBody(request, MOST_BYTES);
  if (type === "application/json") return pixelsFromJson(body);
  // Not with the isolate: what unpacks pictures makes its tables when it is loaded, which takes longer than a prediction.
  const { digitFromPng } = await import("./png.js");
  return digitFromPng(body);
}

/** @param {Uint8Array} body */
function pixelsFromJson(body) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw new HttpError(400, `the body is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  const pixels = value?.pixels;
  if (!Array.isArray(pixels)) {
    throw new HttpError(422, `expected { "pixels": [${PIXELS} numbers] }, got no list of pixels`);
  }
  if (pixels.length !== PIXELS) {
    throw new HttpError(
      422,
      `pixels must be ${PIXELS} numbers, 28 rows of 28; got ${pixels.length}`,
    );
  }
  const wrong = pixels.findIndex((v) => typeof v !== "number" || !(v >= 0 && v <= 255));
  if (wrong >= 0) {
    const given = typeof pixels[wrong] === "number" ? pixels[wrong] : typeof pixels[wrong];
    throw new HttpError(
      422,
      `pixels[${wrong}] must be a number from 0 (paper) to 255 (ink), got ${given}`,
    );
  }
  return pixels;
}
