// The digits, streamed from the page's server.

import { parseIdx } from "../../../support/parse_idx.js";

export interface Digits {
  count: number;
  /** count × 784 pixels, 0 (paper) … 255 (ink). */
  images: Uint8Array;
  labels: Uint8Array;
}

/** A file as it comes. */
async function fetchBytes(url: string, received: (bytes: number) => void): Promise<Uint8Array> {
  const response = await fetch(url);
  const size = Number(response.headers.get("content-length"));
  if (!response.ok || !response.body || !size) throw new Error(`${url}: status ${response.status}`);
  const bytes = new Uint8Array(size);
  let at = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes.set(part.value, at);
    at += part.value.length;
    received(part.value.length);
  }
  return bytes.subarray(0, at);
}

/** @param received is told how many more bytes have come */
export async function fetchDigits(
  part: "train" | "test",
  received: (bytes: number) => void = () => {},
): Promise<Digits> {
  const [images, labels] = await Promise.all(
    ["images", "labels"].map(async (what) => {
      const name = `digits/${part}-${what}.idx`;
      return parseIdx(await fetchBytes(name, received), name);
    }),
  );
  return { count: labels!.data.length, images: images!.data, labels: labels!.data };
}

/** Digits that lie evenly among others. */
export function everyNth({ count, images, labels }: Digits, n: number): Digits {
  const chosen = Array.from({ length: Math.floor(count / n) }, (_, i) => i * n);
  const result = new Uint8Array(chosen.length * 784);
  for (const [to, from] of chosen.entries()) {
    result.set(images.subarray(784 * from, 784 * (from + 1)), 784 * to);
  }
  return {
    count: chosen.length,
    images: result,
    labels: Uint8Array.from(chosen, (i) => labels[i]!),
  };
}
