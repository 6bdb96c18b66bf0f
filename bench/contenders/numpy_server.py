"""NumPy's side of the benchmark: one JSON request a line in, one JSON answer a line out.

Each kind of work is a class with `call`, which is what is timed, and `result`. All write into arrays made once.
"""

import base64
import ctypes
import json
import sys
import time

import numpy as np

try:
    from numpy._core import _multiarray_umath as umath
except ImportError:
    from numpy.core import _multiarray_umath as umath


def decode(text, dtype=np.float32):
    return np.frombuffer(base64.b64decode(text), dtype).copy()


class Product:
    """x (M, K), w (K, N), dout (M, N): x · w, dout · wᵀ or xᵀ · dout."""

    def __init__(self, M, N, K, direction, x, w, dout):
        x = decode(x).reshape(M, K)
        w = decode(w).reshape(K, N)
        dout = decode(dout).reshape(M, N)
        self.a, self.b = {"forward": (x, w), "dx": (dout, w.T), "dw": (x.T, dout)}[direction]
        self.out = np.empty((self.a.shape[0], self.b.shape[1]), np.float32)

    def call(self):
        np.matmul(self.a, self.b, out=self.out)

    def result(self):
        self.call()
        return self.out


class Layers:
    def __init__(self, sizes, batch, weights, biases):
        shapes = list(zip(sizes[:-1], sizes[1:]))
        self.weights = [decode(w).reshape(shape) for w, shape in zip(weights, shapes)]
        self.biases = [decode(b) for b in biases]
        self.outs = [np.empty((batch, size), np.float32) for size in sizes[1:]]

    def forward(self, x):
        for i, (w, b, out) in enumerate(zip(self.weights, self.biases, self.outs)):
            np.matmul(x, w, out=out)
            out += b
            if i < len(self.weights) - 1:
                np.maximum(out, 0, out=out)
            x = out
        return x


class Network(Layers):
    def __init__(self, sizes, batch, weights, biases, input):
        super().__init__(sizes, batch, weights, biases)
        self.x = decode(input).reshape(batch, sizes[0])

    def call(self):
        self.forward(self.x)

    def result(self):
        return self.forward(self.x)


class Training(Layers):
    def __init__(self, sizes, batch, weights, biases, inputs, labels, rate, momentum):
        super().__init__(sizes, batch, weights, biases)
        self.batches = [
            (decode(x).reshape(batch, sizes[0]), decode(y, np.int32))
            for x, y in zip(inputs, labels)
        ]
        self.rate, self.momentum = np.float32(rate), np.float32(momentum)
        self.rows = np.arange(batch)
        self.douts = [np.empty_like(out) for out in self.outs]
        self.parameters = [p for pair in zip(self.weights, self.biases) for p in pair]
        self.gradients = [np.empty_like(p) for p in self.parameters]
        self.velocities = [np.zeros_like(p) for p in self.parameters]
        self.step = 0

    def call(self):
        x, y = self.batches[self.step % len(self.batches)]
        self.step += 1
        scores = self.forward(x)

        # The mean softmax loss, and its gradient.
        dout = self.douts[-1]
        np.subtract(scores, scores.max(axis=1, keepdims=True), out=dout)
        np.exp(dout, out=dout)
        dout /= dout.sum(axis=1, keepdims=True)
        self.loss = -np.log(dout[self.rows, y]).mean()
        dout[self.rows, y] -= 1
        dout /= len(y)

        for i in reversed(range(len(self.weights))):
            dout, below = self.douts[i], self.outs[i - 1] if i > 0 else x
            np.matmul(below.T, dout, out=self.gradients[2 * i])
            np.sum(dout, axis=0, out=self.gradients[2 * i + 1])
            if i > 0:
                np.matmul(dout, self.weights[i].T, out=self.douts[i - 1])
                self.douts[i - 1] *= below > 0

        for p, v, gradient in zip(self.parameters, self.velocities, self.gradients):
            v *= self.momentum
            gradient *= self.rate
            v -= gradient
            p += v

    def result(self):
        return np.concatenate([p.ravel() for p in self.parameters])


def openblas():
    """The version and the kernels of the OpenBLAS that this process has loaded."""
    with open("/proc/self/maps") as maps:
        paths = sorted({line.split()[-1] for line in maps if "blas" in line})
    for path in paths:
        library = ctypes.CDLL(path)
        for suffix in ("", "64_"):
            try:
                core = getattr(library, "openblas_get_corename" + suffix)
                config = getattr(library, "openblas_get_config" + suffix)
            except AttributeError:
                continue
            core.restype = config.restype = ctypes.c_char_p
            return config().decode().split()[1], core().decode()
    sys.exit("this NumPy does not use OpenBLAS")


def main():
    version, core = openblas()
    wide = [f for f in umath.__cpu_dispatch__ if "512" in f and umath.__cpu_features__[f]]
    works = {}

    def answer(**fields):
        print(json.dumps(fields), flush=True)

    answer(numpy=np.__version__, openblas=version, core=core, wide=wide)
    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            kinds = {"product": Product, "network": Network, "training": Training}
            works[request["id"]] = kinds[request["make"]](**request["work"])
            answer()
        elif "time" in request:
            call, repeats = works[request["time"]].call, range(request["repeats"])
            start = time.perf_counter()
            for _ in repeats:
                call()
            answer(seconds=time.perf_counter() - start)
        elif "result" in request:
            values = np.ascontiguousarray(works[request["result"]].result(), np.float32)
            answer(data=base64.b64encode(values.tobytes()).decode())
        else:
            del works[request["drop"]]
            answer()


main()
