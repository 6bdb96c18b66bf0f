// What strangers send to a server of HTTP: each piece over a socket of its own, and the server has
// to answer others after it.

import { connect } from "node:net";
import fc from "fast-check";

const host = "Host: a\r\n";
const line = (target: string, more = host) => `GET ${target} HTTP/1.1\r\n${more}\r\n`;
const post = (more: string, body: string) => `POST / HTTP/1.1\r\n${host}${more}\r\n\r\n${body}`;

/** Requests that are none, half ones, and such as a URL, a decoder or a parser takes offence at. */
export const hostileRequests: readonly string[] = [
  ...["//", "///", "//a:99999/", "//[", "/\\", "\\\\", "*", "http://", "http://[/", "http://a:b/"],
  ...["/%E0%A4%A", "/%", "/%00", "/?%E0%A4%A", "/?x=%&y=%", "/?x=1e39&y=1e999", "/#", "a", "?"],
  ...["/..%2f..%2fpackage.js", "/%2e%2e/%2e%2e/x.js", "/../../x.js", "/%5c..%5cx.js", "/a.js/"],
  ...["/__proto__", "/constructor", "/toString", "/index.html%00.js", `/${"a".repeat(100_000)}`],
]
  .map((target) => line(target))
  .concat(
    line("/", ""), // no Host
    line("/", `${host}${host}`),
    line("/", `Host: ${"a".repeat(100_000)}\r\n`),
    line("/", `Host: [\r\n`),
    line("/", host + "X: y\r\n".repeat(5000)),
    line("/", `${host}Connection: Upgrade\r\nUpgrade: websocket\r\n`),
    line("/", `${host}Expect: 200-maybe\r\n`),
    line("/", `${host}Range: bytes=9-1\r\n`),
    "GET / HTTP/9.9\r\n\r\n",
    "GET /\r\n\r\n",
    "GET\r\n\r\n",
    "\r\n\r\n",
    "\0\0\0\0",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost", // half of a header
    post("Content-Length: 100", "half"), // half of a body
    post("Content-Length: -1", "x"),
    post("Content-Length: 1\r\nContent-Length: 2", "xy"),
    post("Content-Length: 99999999999999999999", "x"),
    post("Transfer-Encoding: chunked", "zz\r\nx"),
    post("Transfer-Encoding: chunked", "ffffffff\r\nx"),
    post("Transfer-Encoding: chunked\r\nContent-Length: 3", "1\r\nx\r\n0\r\n\r\n"),
    post("Content-Type: application/json\r\nContent-Length: 9", "[1,2,3,1e"),
    post("Expect: 100-continue\r\nContent-Length: 5", ""),
  );

const pieces = [
  "GET ",
  "POST ",
  "/",
  "//",
  "%",
  "%2f",
  "%E0",
  "?",
  "#",
  "\\",
  "*",
  ":",
  "@",
  "[",
  "]",
  "http:",
].concat(
  [
    " ",
    "\t",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\x7f",
    "é",
    "HTTP/1.1\r\n",
    host,
    "Content-Length: 7\r\n",
    "\r\n\r\n",
  ],
  ["Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "../", "..%2f", "a", "1e39", "{}", "null"],
);
const mixtures = fc.sample(fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 }), {
  numRuns: 150,
  seed: 16,
});

/**
 * Sends all of them, and mixtures of their pieces.
 *
 * @param isWell asks the server for what it is there for, and throws if it does not answer
 */
export async function attack(port: number, isWell: () => Promise<void>): Promise<void> {
  for (const text of [...hostileRequests, ...mixtures.map((mixture) => mixture.join(""))]) {
    const socket = connect(port, "127.0.0.1");
    const written = new Promise<void>((resolve) => {
      socket.on("error", () => resolve()); // it may end the connection
      socket.on("close", () => resolve());
      socket.write(text, () => resolve());
    });
    socket.resume();
    await written;
    try {
      await isWell();
    } catch (error) {
      throw new Error(`no answer after ${JSON.stringify(text.slice(0, 200))}`, { cause: error });
    } finally {
      socket.destroy(); // in the middle of its request, if it has not been answered
    }
  }
  await isWell();
}
