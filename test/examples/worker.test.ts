import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRuntime, loadModel, type Predictor } from "../../src/index.ts";
import { attack } from "../support/hostile_requests.ts";
import { chunk, header, joined, type Picture, png, signature } from "../support/png.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const demo = "examples/worker/index.js";
const isInstalled = existsSync(`${root}examples/worker/tools/node_modules/workerd/package.json`);

/** By its URL, for it is JavaScript without types. */
const { readMnist } = (await import(
  new URL("../../examples/support/idx.js", import.meta.url).href
)) as { readMnist(): { test: { images: Uint8Array; labels: Uint8Array } } };

/** The command, and all that it has printed. */
class Demo {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly ended: Promise<number | null>;

  constructor(...args: string[]) {
    demos.add(this);
    this.child = spawn(process.execPath, [demo, ...args], { cwd: root });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", resolve);
    });
  }

  /** Where it listens. */
  async url(): Promise<string> {
    for (;;) {
      const found = /listening on (http:\S+?),/.exec(this.stdout)?.[1];
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.stdout}${this.stderr}`);
      await setTimeout(20);
    }
  }

  /** The processes that it has started and that are running. */
  children(): number[] {
    const { pid } = this.child;
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.trim().split(" ").filter(Boolean).map(Number);
  }
}

/** What looks at processes in /proc. */
const onLinux = test.skipIf(process.platform !== "linux");

/** One that has ended may wait a while for somebody to ask how. */
const isRunning = (pid: number) => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

const demos = new Set<Demo>();
afterAll(async () => {
  for (const demo of demos) {
    demo.child.kill("SIGTERM");
    await demo.ended;
  }
});

interface Answer {
  status: number;
  headers: Headers;
  body: { digit: number; probabilities: number[]; error: string };
}

function tests(): void {
  const { images, labels } = readMnist().test;
  const digit = (i: number) => images.subarray(i * 784, (i + 1) * 784);
  const hundred = Array.from({ length: 100 }, (_, i) => i);

  let server: Demo;
  let url = "";
  let predictor: Predictor;
  beforeAll(async () => {
    server = new Demo("--port", "0");
    url = await server.url();
    const bytes = readFileSync(`${root}examples/worker/worker/model.safetensors`);
    predictor = loadModel(await createRuntime(), bytes).compile() as Predictor;
  }, 120_000);

  async function ask(path: string, options?: RequestInit): Promise<Answer> {
    const { status, headers, ...response } = await fetch(url + path, options).then(
      async (answer) => ({
        status: answer.status,
        headers: answer.headers,
        body: (await answer.json()) as Answer["body"],
      }),
    );
    return { status, headers, ...response };
  }
  const post = (body: BodyInit, type?: string) =>
    ask("/predict", { method: "POST", body, headers: type ? { "content-type": type } : {} });
  const json = (value: unknown) => post(JSON.stringify(value), "application/json");
  const picture = (bytes: Uint8Array<ArrayBuffer>) => post(bytes, "image/png");
  const isWell = async () => expect((await ask("/health")).status).toBe(200);

  const ink = (x: number, y: number) => digit(0)[28 * y + x]!;
  const bit = (x: number, y: number) => (ink(x, y) > 127 ? 1 : 0);
  const kinds: [string, Omit<Picture, "width" | "height">][] = [
    ["RGB", { colour: 2, samples: (x, y) => [ink(x, y), ink(x, y), ink(x, y)] }],
    ["RGBA, black ink on nothing", { colour: 6, samples: (x, y) => [0, 0, 0, ink(x, y)] }],
    ["grey and alpha", { colour: 4, samples: (x, y) => [255 - ink(x, y), 255] }],
    ["16 bits", { depth: 16, samples: (x, y) => [ink(x, y) * 257] }],
    ["16 bits of RGBA", { depth: 16, colour: 6, samples: (x, y) => [0, 0, 0, ink(x, y) * 257] }],
    ["4 bits", { depth: 4, samples: (x, y) => [ink(x, y) >> 4] }],
    ["1 bit", { depth: 1, samples: (x, y) => [bit(x, y)] }],
    [
      "a palette of 1 bit",
      {
        depth: 1,
        colour: 3,
        palette: [
          [250, 250, 240],
          [10, 0, 60],
        ],
        samples: (x, y) => [bit(x, y)],
      },
    ],
    [
      "a palette of 8 bits with alpha",
      {
        colour: 3,
        palette: Array.from({ length: 256 }, (_, alpha) => [0, 0, 0, alpha]),
        samples: (x, y) => [ink(x, y)],
      },
    ],
    ["interlaced", { interlaced: true, samples: (x, y) => [ink(x, y)] }],
    [
      "interlaced RGB",
      { interlaced: true, colour: 2, samples: (x, y) => [ink(x, y), ink(x, y), ink(x, y)] },
    ],
  ];

  describe("good requests", () => {
    test("GET /health says what runs", async () => {
      const { status, body } = await ask("/health");
      expect(status).toBe(200);
      expect(body).toEqual({
        status: "ok",
        model: { input: [784], output: [10], dtype: "float32" },
      });
    });

    test("GET / is a page that asks no other host, and HEAD its headers", async () => {
      const response = await fetch(url);
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(await response.text()).not.toMatch(/https?:/);
      expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
    });

    test("pixels as JSON get the bits that the same file gives here, and 90 of 100 digits are read right", async () => {
      let right = 0;
      for (const i of hundred) {
        const { status, body } = await json({ pixels: [...digit(i)] });
        expect(status).toBe(200);
        expect(body.probabilities).toEqual([...predictor.predict(digit(i))]);
        if (body.digit === labels[i]) right++;
      }
      expect(right).toBeGreaterThanOrEqual(90); // of a network that reads 96 % of all right
    });

    test("a PNG of 28 × 28 is taken as it is: the same answer as its pixels", async () => {
      for (const i of hundred.slice(0, 20)) {
        const bytes = png({ width: 28, height: 28, samples: (x, y) => [digit(i)[28 * y + x]!] });
        const { status, body } = await picture(bytes);
        expect(status).toBe(200);
        expect(body.probabilities).toEqual([...predictor.predict(digit(i))]);
      }
    });

    test("larger pictures, off the centre and dark on light: 85 of 100 digits are read right", async () => {
      let right = 0;
      for (const i of hundred) {
        const samples = (x: number, y: number) => {
          const [column, row] = [Math.floor((x - 40) / 7), Math.floor((y - 10) / 7)];
          const inside = column >= 0 && column < 28 && row >= 0 && row < 28;
          return [255 - (inside ? digit(i)[28 * row + column]! : 0)];
        };
        const { status, body } = await picture(png({ width: 300, height: 240, samples }));
        expect(status).toBe(200);
        if (body.digit === labels[i]) right++;
      }
      expect(right).toBeGreaterThanOrEqual(85);
    });

    test.each(kinds)("a PNG of %s is read as the 7 that it shows", async (_, kind) => {
      const { status, body } = await picture(png({ width: 28, height: 28, ...kind }));
      expect({ status, digit: body.digit, error: body.error }).toEqual({ status: 200, digit: 7 });
    });
  });

  describe("bad requests", () => {
    const pixels = Array.from({ length: 784 }, () => 0);
    const withPixel = (value: unknown) => ({ pixels: [...pixels.slice(1), value] });
    const good = png({ width: 28, height: 28, samples: () => [9] });
    const end = chunk("IEND", new Uint8Array());
    const lines = (count: number) => chunk("IDAT", deflateSync(new Uint8Array(count)));

    test.each<[string, () => Promise<Answer>, number, string]>([
      ["another path", () => ask("/nowhere"), 404, "no such path: /nowhere"],
      ["a name that every object has", () => ask("/constructor"), 404, "no such path"],
      ["JSON that is none", () => post("{", "application/json"), 400, "the body is not JSON"],
      ["nothing", () => post("", "application/json"), 400, "the body is not JSON"],
      [
        "NaN, which is not JSON",
        () => post(`{"pixels":[NaN]}`, "application/json"),
        400,
        "the body is not JSON",
      ],
      [
        "bytes that are not UTF-8",
        () => post(Uint8Array.of(0xff), "application/json"),
        400,
        "the body is not JSON",
      ],
      ["null", () => json(null), 422, "got no list of pixels"],
      ["pixels in an object", () => json({ pixels: { 0: 1 } }), 422, "got no list of pixels"],
      [
        "783 pixels",
        () => json({ pixels: pixels.slice(1) }),
        422,
        "must be 784 numbers, 28 rows of 28; got 783",
      ],
      [
        "a pixel below 0",
        () => json(withPixel(-1)),
        422,
        "pixels[783] must be a number from 0 (paper) to 255 (ink), got -1",
      ],
      ["a pixel above 255", () => json(withPixel(255.5)), 422, "got 255.5"],
      [
        "a pixel beyond all numbers",
        () => post(JSON.stringify(withPixel(7)).replace("7]", "1e999]"), "application/json"),
        422,
        "got Infinity",
      ],
      ["a pixel as text", () => json(withPixel("7")), 422, "got string"],
      ["an empty pixel", () => json(withPixel(null)), 422, "pixels[783]"],
      ["another content type", () => post("x", "text/plain"), 415, "got text/plain"],
      ["no content type", () => post(Uint8Array.of(1)), 415, "got none"],
      [
        "a compressed body",
        () =>
          ask("/predict", {
            method: "POST",
            body: "x",
            headers: { "content-type": "application/json", "content-encoding": "gzip" },
          }),
        415,
        "got content-encoding gzip",
      ],
      ["JSON called a PNG", () => post("{}", "image/png"), 400, "not a PNG"],
      ["an empty PNG", () => picture(new Uint8Array()), 400, "not a PNG"],
      ["a PNG's signature alone", () => picture(joined(signature)), 400, "PNG"],
      ["a PNG cut short", () => picture(good.slice(0, -20)), 400, "PNG"],
      [
        "a PNG with a byte flipped",
        () => picture(good.map((v, i) => (i === 45 ? v ^ 1 : v))),
        400,
        "PNG",
      ],
      [
        "a PNG of no size",
        () => picture(joined(signature, header(0, 28), lines(10), end)),
        400,
        "PNG",
      ],
      [
        "a PNG of giant size",
        () => picture(joined(signature, header(60000, 60000), lines(10), end)),
        422,
        "at most 1024 × 1024 pixels, this one has 60000 × 60000",
      ],
      [
        "a PNG of a kind that there is not",
        () => picture(joined(signature, header(28, 28, { depth: 3 }), lines(10), end)),
        400,
        "PNG",
      ],
      [
        "an interlaced PNG of 1 bit",
        () =>
          picture(png({ width: 28, height: 28, depth: 1, interlaced: true, samples: () => [1] })),
        422,
        "an interlaced picture of 1 bits",
      ],
      ["a PNG without pixels", () => picture(joined(signature, header(28, 28), end)), 400, "PNG"],
      [
        "a PNG with too few pixels",
        () => picture(joined(signature, header(28, 28), lines(28 * 29 - 1), end)),
        400,
        "PNG",
      ],
      [
        "a PNG with too many pixels",
        () => picture(joined(signature, header(28, 28), lines(28 * 29 + 1), end)),
        400,
        "PNG",
      ],
      [
        "a palette without its colours",
        () => picture(joined(signature, header(28, 28, { colour: 3 }), lines(28 * 29), end)),
        400,
        "PNG",
      ],
      [
        "a picture with nothing on it",
        () => picture(png({ width: 100, height: 100, samples: () => [200] })),
        422,
        "nothing",
      ],
    ])("%s is refused, and the message says why", async (_, send, status, message) => {
      const answer = await send();
      expect({ status: answer.status, error: answer.body.error }).toEqual({
        status,
        error: expect.stringContaining(message),
      });
      expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    });

    test.each([
      ["/predict", "GET", "POST"],
      ["/predict", "DELETE", "POST"],
      ["/health", "POST", "GET, HEAD"],
      ["/", "PUT", "GET, HEAD"],
    ])("%s with %s is refused with what it takes", async (path, method, allow) => {
      const { status, headers, body } = await ask(path, { method });
      expect({ status, allow: headers.get("allow") }).toEqual({ status: 405, allow });
      expect(body.error).toContain(`${path} takes ${allow}, not ${method}`);
    });

    /** The most memory that the server has had. */
    const peak = () => {
      const status = readFileSync(`/proc/${server.children()[0]}/status`, "utf8");
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024;
    };

    /** While so much is packed, the server ends idle connections: fetch has to hear of it. */
    const idle = () => setTimeout(0);

    onLinux("a PNG of 28 × 28 that unpacks to 60 MB is refused before it has", async () => {
      const before = peak();
      const bytes = joined(signature, header(28, 28), lines(60e6), end);
      await idle();
      for (let i = 0; i < 5; i++) {
        const { status, body } = await picture(bytes);
        expect(bytes.length).toBeLessThan(64 * 1024);
        expect(status).toBe(400);
        expect(body.error).toContain("PNG");
      }
      expect(peak() - before).toBeLessThan(30e6);
    });

    onLinux("so is a profile within it that does", async () => {
      const before = peak();
      const profile = chunk(
        "iCCP",
        joined(Buffer.from("a\0\0"), deflateSync(new Uint8Array(50e6))),
      );
      const head = header(28, 28);
      const rest = good.subarray(signature.length + head.length);
      await idle();
      const { status } = await picture(joined(signature, head, profile, rest));
      expect(status).toBe(200); // it is passed over
      expect(peak() - before).toBeLessThan(30e6);
    });

    test("a PNG with any bytes changed gets a digit or a refusal, and never harms the Worker", async () => {
      const bases = kinds.slice(0, 11).map(([, kind]) => png({ width: 28, height: 28, ...kind }));
      /** Checksums made right again, so that what lies behind them is reached. */
      const mended = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
        const copy = Buffer.from(bytes);
        for (let at = 8; at + 12 <= copy.length; ) {
          const end = at + 8 + copy.readUInt32BE(at);
          if (end + 4 > copy.length) break;
          copy.writeUInt32BE(crc32(copy.subarray(at + 4, end)), end);
          at = end + 4;
        }
        return new Uint8Array(copy);
      };
      const change = fc.record({ at: fc.nat(), value: fc.nat(255) });
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...bases),
          fc.array(change, { minLength: 1, maxLength: 4 }),
          fc.boolean(),
          async (base, changes, mends) => {
            const bytes = Uint8Array.from(base);
            for (const { at, value } of changes) bytes[8 + (at % (bytes.length - 8))] = value;
            const { status, body } = await picture(mends ? mended(bytes) : bytes);
            expect([200, 400, 422]).toContain(status);
            expect(typeof (status === 200 ? body.digit : body.error)).toBe(
              status === 200 ? "number" : "string",
            );
          },
        ),
        { numRuns: 300, seed: 231 },
      );
      await isWell();
    });

    const headers = (more: string) =>
      `POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${more}\r\n\r\n`;

    /** What the server sends on a connection of its own, until either side ends it. */
    function raw(...pieces: (string | Uint8Array)[]): Promise<string> {
      return new Promise((resolve) => {
        const socket = connect(Number(new URL(url).port), "127.0.0.1");
        let received = "";
        socket.setEncoding("latin1").on("data", (text) => {
          received += text;
          if (/\r\n\r\n.*\}/s.test(received)) socket.end();
        });
        socket.on("error", () => {});
        socket.on("close", () => resolve(received));
        for (const piece of pieces) socket.write(piece);
      });
    }

    test("a length that is too large is refused before the body comes", async () => {
      const answer = await raw(headers("Content-Length: 1000000000"));
      expect(answer).toMatch(/^HTTP\/1.1 413 /);
      expect(answer).toContain("the body is longer than 65536 bytes");
      await isWell();
    });

    test("a body that is too long and says no length gets its answer", async () => {
      for (const size of [70e3, 200e3, 1e6]) {
        const body = new Blob([Buffer.alloc(size, " ")]).stream();
        const { status } = await ask("/predict", {
          method: "POST",
          body,
          headers: { "content-type": "application/json" },
          duplex: "half",
        } as RequestInit);
        expect({ size, status }).toEqual({ size, status: 413 });
      }
    });

    test("a body without an end is cut off", async () => {
      const { how, sent } = await new Promise<{ how: unknown; sent: number }>((resolve) => {
        let sent = 0;
        let isOpen = true;
        const request = httpRequest(`${url}/predict`, {
          method: "POST",
          headers: { "content-type": "application/json" },
        });
        const end = (how: unknown) => {
          isOpen = false;
          request.destroy();
          resolve({ how, sent });
        };
        const piece = Buffer.alloc(16 * 1024, " ");
        const write = () => {
          while (isOpen) {
            sent += piece.length;
            if (!request.write(piece)) return void request.once("drain", write);
          }
        };
        request.on("response", ({ statusCode }) => end(statusCode));
        // A client that still writes may hear of the connection's end before the answer.
        request.on("error", ({ code }: NodeJS.ErrnoException) => end(code));
        write();
      });
      expect([413, "EPIPE", "ECONNRESET"]).toContain(how);
      expect(sent).toBeLessThan(16e6); // with what lies in the sockets' buffers
      await isWell();
    });

    test("a length that is too small ends the body there", async () => {
      const answer = await raw(headers("Content-Length: 5"), `{"pixels":[`);
      expect(answer).toMatch(/^HTTP\/1.1 400 /);
      await isWell();
    });

    test("a client that goes away in the middle of its body harms nobody", async () => {
      const socket = connect(Number(new URL(url).port), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(`${headers("Content-Length: 5000")}{"pixels"`);
      await setTimeout(100);
      socket.destroy();
      await isWell();
    });

    test("no request that is none, half a one or a strange one ends it", async () => {
      await attack(Number(new URL(url).port), isWell);
    }, 60_000);

    test("what is refused beside what is good changes no answer", async () => {
      const answers = await Promise.all(
        hundred.flatMap((i) => [
          json({ pixels: [...digit(i)] }),
          json({ pixels: [1] }),
          picture(good),
        ]),
      );
      for (const i of hundred) {
        expect(answers[3 * i]!.body.probabilities).toEqual([...predictor.predict(digit(i))]);
        expect(answers[3 * i + 1]!.status).toBe(422);
      }
    });
  });

  describe("the command", () => {
    test("--load loses none of 1,000 requests, and prints speeds", async () => {
      const load = new Demo("--load", "--requests", "1000");
      expect(await load.ended, load.stdout + load.stderr).toBe(0);
      console.info(load.stdout);
      expect(load.stdout).toMatch(/^ {2}1000 answered, 0 lost /m);
      expect(load.stdout).toMatch(/^ {2}\d+ requests\/s$/m);
      expect(load.stdout).toMatch(/latency ms: p50 [\d.]+, .*p99 [\d.]+/);
      // How long a start takes is told and not held, as the machine may be busy.
      expect(load.stdout).toMatch(/the same, time on a CPU .* -?[\d.]+$/m);
    }, 120_000);

    onLinux.each([
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)("%s ends it and workerd, with code %i", async (signal, code) => {
      const demo = new Demo("--port", "0");
      await demo.url();
      const children = demo.children();
      expect(children).toHaveLength(1);
      demo.child.kill(signal);
      expect(await demo.ended).toBe(code);
      await expect.poll(() => children.filter(isRunning)).toEqual([]);
    });

    onLinux("workerd that dies ends it, with code 1", async () => {
      const demo = new Demo("--port", "0");
      await demo.url();
      process.kill(demo.children()[0]!, "SIGKILL");
      expect(await demo.ended).toBe(1);
      expect(demo.stderr).toContain("workerd ended: SIGKILL");
    });

    test("a port that is taken ends it, and leaves nothing running", async () => {
      const demo = new Demo("--port", new URL(url).port);
      expect(await demo.ended).toBe(1);
      expect(demo.stderr).toContain("workerd ended");
    });

    test.each([
      [["--loud"], "Unknown option '--loud'"],
      [["--port", "65536"], '--port takes a whole number from 0 to 65535, got "65536"'],
    ])("%j is refused with code 2", async (args, message) => {
      const demo = new Demo(...args);
      expect(await demo.ended).toBe(2);
      expect(demo.stdout).toBe("");
      expect(demo.stderr).toContain(message);
    });
  });
}

describe("a body that the Worker reads", () => {
  const read = async (body: ReadableStream<Uint8Array> | string, headers = {}) => {
    const { readBody } = await import(
      new URL("../../examples/worker/worker/http.js", import.meta.url).href
    );
    const options = { method: "POST", body, headers, duplex: "half" } as RequestInit;
    return readBody(new Request("http://127.0.0.1/", options), 10);
  };
  const failing = (count: number) =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (count-- > 0) controller.enqueue(new Uint8Array(4));
        else controller.error(new Error("the connection is gone"));
      },
    });

  test("and that ends by an error is the client's fault", async () => {
    for (const chunks of [0, 1, 2, 5]) {
      await expect(read(failing(chunks))).rejects.toMatchObject({
        status: 400,
        message: "the body ended before it was whole",
      });
    }
  });

  test("and that is too long is a 413, whatever becomes of the rest", async () => {
    await expect(read(failing(0), { "content-length": "11" })).rejects.toMatchObject({
      status: 413,
    });
    await expect(read("x".repeat(11))).rejects.toMatchObject({ status: 413 });
    expect(await read("x".repeat(10))).toHaveLength(10);
  });
});

describe("the Worker in workerd", () => {
  if (isInstalled || process.env.CI) return tests();
  const message = "not run: workerd is not installed; `npm ci` in examples/worker/tools gets it";
  // Reporters leave out the names of skipped tests.
  console.warn(`test/examples/worker.test.ts: ${message}`);
  test.skip(message);
});
