"""Makes keras.json beside this file: small models in the containers of Keras 2 (.h5), Keras 3 (.keras)
and TensorFlow.js (model.json and weights), and what they give.

    python3 test/golden/make_keras.py

Needs h5py, NumPy and PyTorch (made with the versions that the file names); the tests need none of them.
The containers are written by hand, as Keras writes them. The outputs are PyTorch's in float64; where
Keras pads or orders gates differently, the functions below say so in their own words.
"""

import base64
import io
import json
import pathlib
import platform
import re
import zipfile
import zlib

import h5py
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.RandomState(21)


def weight(*shape):
    return (rng.randn(*shape) * 0.4).astype(np.float32)


def t(a):
    return torch.tensor(np.asarray(a, np.float64))


# Each class: its settings and weights by shape of what enters, and what it computes (N, …, C) → (N, …, C).
def same(length, k, s, d):
    out = -(-length // s)
    total = max((out - 1) * s + d * (k - 1) + 1 - length, 0)
    return total // 2, total - total // 2


def act(name, x):
    return {
        "linear": lambda x: x,
        "relu": F.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "swish": F.silu,
        "elu": F.elu,
        "selu": F.selu,
        "softplus": F.softplus,
        "gelu": F.gelu,
        "softmax": lambda x: F.softmax(x, -1),
    }[name](x)


def conv2d(x, w, b, config, groups=1):
    (sh, sw), (dh, dw) = config["strides"], config["dilation_rate"]
    x = x.permute(0, 3, 1, 2)
    if config["padding"] == "same":
        top, bottom = same(x.shape[2], w.shape[0], sh, dh)
        left, right = same(x.shape[3], w.shape[1], sw, dw)
        x = F.pad(x, (left, right, top, bottom))
    w = t(w).permute(3, 2, 0, 1)
    out = F.conv2d(x, w, None if b is None else t(b), (sh, sw), 0, (dh, dw), groups)
    return out.permute(0, 2, 3, 1)


class Dense:
    def __init__(self, units, activation="linear", use_bias=True):
        self.config = dict(units=units, activation=activation, use_bias=use_bias)

    def weights(self, shape):
        c = self.config
        names = [("kernel", weight(shape[-1], c["units"]))]
        return names + ([("bias", weight(c["units"]))] if c["use_bias"] else [])

    def run(self, x, w):
        out = x @ t(w[0]) + (t(w[1]) if len(w) > 1 else 0)
        return act(self.config["activation"], out)


class Conv2D:
    def __init__(self, filters, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1, activation="linear", use_bias=True):
        self.config = dict(filters=filters, kernel_size=kernel, strides=strides, padding=padding, dilation_rate=dilation,
                           groups=groups, activation=activation, use_bias=use_bias, data_format="channels_last")

    def weights(self, shape):
        c = self.config
        names = [("kernel", weight(*c["kernel_size"], shape[-1] // c["groups"], c["filters"]))]
        return names + ([("bias", weight(c["filters"]))] if c["use_bias"] else [])

    def run(self, x, w):
        c = self.config
        return act(c["activation"], conv2d(x, w[0], w[1] if len(w) > 1 else None, c, c["groups"]))


class DepthwiseConv2D:
    def __init__(self, kernel, multiplier=1, strides=(1, 1), padding="valid"):
        self.config = dict(kernel_size=kernel, depth_multiplier=multiplier, strides=strides, padding=padding,
                           dilation_rate=(1, 1), activation="linear", use_bias=True, data_format="channels_last")

    def weights(self, shape):
        m = self.config["depth_multiplier"]
        return [("depthwise_kernel", weight(*self.config["kernel_size"], shape[-1], m)), ("bias", weight(shape[-1] * m))]

    def run(self, x, w):
        kh, kw, C, m = w[0].shape
        return conv2d(x, w[0].reshape(kh, kw, 1, C * m), w[1], self.config, C)


class SeparableConv2D:
    def __init__(self, filters, kernel, multiplier=1, padding="same"):
        self.config = dict(filters=filters, kernel_size=kernel, depth_multiplier=multiplier, strides=(1, 1), padding=padding,
                           dilation_rate=(1, 1), activation="relu", use_bias=True, data_format="channels_last")

    def weights(self, shape):
        m, f = self.config["depth_multiplier"], self.config["filters"]
        return [("depthwise_kernel", weight(*self.config["kernel_size"], shape[-1], m)),
                ("pointwise_kernel", weight(1, 1, shape[-1] * m, f)), ("bias", weight(f))]

    def run(self, x, w):
        kh, kw, C, m = w[0].shape
        x = conv2d(x, w[0].reshape(kh, kw, 1, C * m), None, self.config, C)
        return F.relu(conv2d(x, w[1], w[2], dict(strides=(1, 1), dilation_rate=(1, 1), padding="valid")))


class Conv1D:
    def __init__(self, filters, kernel, strides=1, padding="valid", dilation=1, activation="linear"):
        self.config = dict(filters=filters, kernel_size=[kernel], strides=[strides], padding=padding, dilation_rate=[dilation],
                           groups=1, activation=activation, use_bias=True, data_format="channels_last")

    def weights(self, shape):
        c = self.config
        return [("kernel", weight(c["kernel_size"][0], shape[-1], c["filters"])), ("bias", weight(c["filters"]))]

    def run(self, x, w):
        c = self.config
        k, s, d = c["kernel_size"][0], c["strides"][0], c["dilation_rate"][0]
        x = x.permute(0, 2, 1)
        if c["padding"] == "same":
            x = F.pad(x, same(x.shape[2], k, s, d))
        if c["padding"] == "causal":
            x = F.pad(x, (d * (k - 1), 0))
        out = F.conv1d(x, t(w[0]).permute(2, 1, 0), t(w[1]), s, 0, d)
        return act(c["activation"], out.permute(0, 2, 1))


class Conv2DTranspose:
    def __init__(self, filters, kernel, strides, padding):
        self.config = dict(filters=filters, kernel_size=kernel, strides=strides, padding=padding, output_padding=None,
                           dilation_rate=(1, 1), activation="tanh", use_bias=True, data_format="channels_last")

    def weights(self, shape):
        f = self.config["filters"]
        return [("kernel", weight(*self.config["kernel_size"], f, shape[-1])), ("bias", weight(f))]

    def run(self, x, w):
        c = self.config
        (kh, kw), (sh, sw) = c["kernel_size"], c["strides"]
        H, W = x.shape[1:3]
        full = F.conv_transpose2d(x.permute(0, 3, 1, 2), t(w[0]).permute(3, 2, 0, 1), None, (sh, sw))
        # Beyond the last cell nothing was, where steps are longer than the kernel.
        full = F.pad(full, (0, max(sw - kw, 0), 0, max(sh - kh, 0)))
        if c["padding"] == "same":
            top, left = same(H * sh, kh, sh, 1)[0], same(W * sw, kw, sw, 1)[0]
            full = full[:, :, top : top + H * sh, left : left + W * sw]
        return torch.tanh(full.permute(0, 2, 3, 1) + t(w[1]))


class Pool:
    def __init__(self, kind, axes, size, strides=None, padding="valid"):
        self.kind, self.axes = kind, axes
        self.config = dict(pool_size=[size] * axes, strides=[strides or size] * axes, padding=padding, data_format="channels_last")

    def weights(self, shape):
        return []

    def run(self, x, w):
        k, s = self.config["pool_size"][0], self.config["strides"][0]
        order = (0, 3, 1, 2) if self.axes == 2 else (0, 2, 1)
        x = x.permute(*order)
        pads = [p for length in reversed(x.shape[2:]) for p in (same(length, k, s, 1) if self.config["padding"] == "same" else (0, 0))]
        pool = {("Max", 1): F.max_pool1d, ("Max", 2): F.max_pool2d, ("Average", 1): F.avg_pool1d, ("Average", 2): F.avg_pool2d}
        one = pool[self.kind, self.axes]
        if self.kind == "Max":
            out = one(F.pad(x, pads, value=-np.inf), k, s)
        else:
            # What lies outside is neither added nor counted.
            out = one(F.pad(x, pads), k, s) / one(F.pad(torch.ones_like(x), pads), k, s)
        return out.permute(0, 2, 3, 1) if self.axes == 2 else out.permute(0, 2, 1)


class BatchNormalization:
    def __init__(self, scale=True, center=True):
        self.config = dict(axis=[-1], epsilon=0.01, momentum=0.95, scale=scale, center=center)

    def weights(self, shape):
        C, c = shape[-1], self.config
        return ([("gamma", 1 + weight(C))] if c["scale"] else []) + ([("beta", weight(C))] if c["center"] else []) + [
            ("moving_mean", weight(C)), ("moving_variance", np.abs(weight(C)) + np.float32(0.5))]

    def run(self, x, w):
        w = [t(a) for a in w]
        out = (x - w[-2]) / torch.sqrt(w[-1] + 0.01)
        if self.config["scale"]:
            out = out * w[0]
        return out + w[-3] if self.config["center"] else out


class LayerNormalization:
    config = dict(axis=[-1], epsilon=0.001, scale=True, center=True)

    def weights(self, shape):
        return [("gamma", 1 + weight(shape[-1])), ("beta", weight(shape[-1]))]

    def run(self, x, w):
        return F.layer_norm(x, x.shape[-1:], t(w[0]), t(w[1]), 0.001)


def cell(kind, config, x, w):
    H = config["units"]
    h = torch.zeros(x.shape[0], H, dtype=torch.float64)
    c, outs = h, []
    k, u = t(w[0]), t(w[1])
    b = t(w[2]) if config["use_bias"] else torch.zeros(k.shape[1], dtype=torch.float64)
    for step in range(x.shape[1]):
        if kind == "SimpleRNN":
            h = torch.tanh(x[:, step] @ k + h @ u + b)
        elif kind == "LSTM":
            i, f, g, o = torch.split(x[:, step] @ k + h @ u + b, H, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        else:
            after = config["reset_after"]
            own, state = (b[0], b[1]) if after and b.dim() == 2 else (b, torch.zeros_like(b))
            zx, rx, nx = torch.split(x[:, step] @ k + own, H, 1)
            uz, ur, un = torch.split(u, H, 1)
            bz, br, bn = torch.split(state, H)
            z, r = torch.sigmoid(zx + h @ uz + bz), torch.sigmoid(rx + h @ ur + br)
            n = torch.tanh(nx + r * (h @ un + bn)) if after else torch.tanh(nx + (r * h) @ un)
            h = z * h + (1 - z) * n
        outs.append(h)
    return torch.stack(outs, 1) if config["return_sequences"] else h


class Recurrent:
    gates = dict(SimpleRNN=1, LSTM=4, GRU=3)

    def __init__(self, kind, units, sequences=False, use_bias=True, reset_after=True):
        self.kind = kind
        self.config = dict(units=units, activation="tanh", use_bias=use_bias, return_sequences=sequences, return_state=False,
                           go_backwards=False, stateful=False)
        if kind != "SimpleRNN":
            self.config["recurrent_activation"] = "sigmoid"
        if kind == "GRU":
            self.config["reset_after"] = reset_after

    def weights(self, shape):
        H, G = self.config["units"], self.gates[self.kind]
        bias = weight(2, G * H) if self.config.get("reset_after") else weight(G * H)
        names = [("kernel", weight(shape[-1], G * H)), ("recurrent_kernel", weight(H, G * H))]
        return names + ([("bias", bias)] if self.config["use_bias"] else [])

    def run(self, x, w):
        return cell(self.kind, self.config, x, w)


class Bidirectional:
    def __init__(self, layer):
        self.layer = layer
        self.config = dict(layer=dict(class_name=layer.kind, config={"name": "inner", **layer.config}), merge_mode="concat")

    def weights(self, shape):
        one = self.layer.weights(shape)
        return [("forward_" + n, w) for n, w in one] + [("backward_" + n, w) for n, w in self.layer.weights(shape)]

    def run(self, x, w):
        half = len(w) // 2
        ahead, back = self.layer.run(x, w[:half]), self.layer.run(x.flip(1), w[half:])
        return torch.cat([ahead, back.flip(1) if self.layer.config["return_sequences"] else back], -1)


class Plain:
    """A layer without weights: its class, its settings and what it computes."""

    def __init__(self, kind, run, **config):
        self.kind, self.config, self.run_ = kind, config, run

    def weights(self, shape):
        return []

    def run(self, x, w):
        return self.run_(x)


def class_of(layer):
    if isinstance(layer, Pool):
        return f"{layer.kind}Pooling{layer.axes}D"
    return getattr(layer, "kind", type(layer).__name__)


flatten = Plain("Flatten", lambda x: x.reshape(x.shape[0], -1))
models = {
    "convolutions": ([9, 8, 3], [
        Conv2D(6, (3, 2), (2, 1), "same", activation="swish"), BatchNormalization(),
        DepthwiseConv2D((3, 3), 2, (1, 1), "same"), Plain("ReLU", lambda x: x.clamp(0, 6), max_value=6.0, negative_slope=0.0, threshold=0.0),
        Conv2D(8, (2, 2), groups=4, use_bias=False), BatchNormalization(False, True),
        SeparableConv2D(5, (3, 3), 2), Pool("Max", 2, 2, 1, "same"), Plain("GlobalAveragePooling2D", lambda x: x.mean((1, 2))),
        Dense(4, "softmax")]),
    "decoder": ([5], [
        Dense(12, "elu"), Plain("Reshape", lambda x: x.reshape(-1, 2, 2, 3), target_shape=[2, 2, 3]),
        Conv2DTranspose(4, (3, 3), (2, 2), "same"), Conv2DTranspose(2, (2, 3), (3, 2), "valid"),
        Plain("UpSampling2D", lambda x: x.repeat_interleave(2, 1).repeat_interleave(1, 2), size=[2, 1], interpolation="nearest", data_format="channels_last"),
        Plain("ZeroPadding2D", lambda x: F.pad(x, (0, 0, 0, 1, 2, 1)), padding=[[2, 1], [0, 1]], data_format="channels_last"),
        Pool("Average", 2, 3, 2, "same"), Plain("Permute", lambda x: x.permute(0, 3, 1, 2), dims=[3, 1, 2]), flatten,
        Dense(3, "sigmoid")]),
    "sequence": ([11, 4], [
        Conv1D(6, 3, padding="causal", dilation=2, activation="gelu"), Pool("Average", 1, 2, 2, "same"),
        Conv1D(5, 2, 2, "same", activation="softplus"), LayerNormalization(), Dense(6, "selu"),
        Plain("TimeDistributed", lambda x: x.sigmoid(), layer=dict(class_name="Activation", config=dict(activation="sigmoid"))),
        Pool("Max", 1, 2, 1), Recurrent("SimpleRNN", 3, True), Recurrent("GRU", 4, True), Recurrent("LSTM", 5),
        Dense(2)]),
    "directions": ([6, 3], [
        Bidirectional(Recurrent("GRU", 4, True, reset_after=False)), Bidirectional(Recurrent("LSTM", 3, True, use_bias=False)),
        Bidirectional(Recurrent("SimpleRNN", 2)), Dense(3, "tanh")]),
}


def packed(data):
    """HDF5 files are mostly zeros."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def name_of(i, layer):
    return f"{class_of(layer).lower()}_{i}"


def configuration(shape, layers, version, dtype):
    key = "batch_shape" if version == 3 else "batch_input_shape"
    first = dict(class_name="InputLayer", config={key: [None, *shape], "dtype": dtype, "name": "in"})
    rest = [dict(class_name=class_of(layer), config={"name": name_of(i, layer), **layer.config}) for i, layer in enumerate(layers)]
    return dict(class_name="Sequential", config=dict(name="model", layers=[first, *rest]))


def h5(shape, layers, weights, dtype):
    file = io.BytesIO()
    with h5py.File(file, "w") as f:
        f.attrs["model_config"] = json.dumps(configuration(shape, layers, 2, dtype))
        f.attrs["keras_version"] = "2.15.0"
        group = f.create_group("model_weights")
        for i, layer in enumerate(layers):
            name = name_of(i, layer)
            own = group.create_group(name)
            paths = [f"{name}/{n}:0" for n, _ in weights[i]]
            own.attrs["weight_names"] = [p.encode() for p in paths]
            for path, (_, w) in zip(paths, weights[i]):
                own.create_dataset(path, data=w)
    return file.getvalue()


def keras3(shape, layers, weights, dtype):
    file = io.BytesIO()
    with h5py.File(file, "w") as f:
        counts = {}
        for i, layer in enumerate(layers):
            kind = class_of(layer)
            snake = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
            snake = re.sub("([a-z])([A-Z])", r"\1_\2", snake).lower()
            key = snake if snake not in counts else f"{snake}_{counts[snake]}"
            counts[snake] = counts.get(snake, 0) + 1
            group = f.create_group(f"layers/{key}")
            parts = {"": weights[i]}
            if isinstance(layer, Recurrent):
                parts = {"cell": weights[i]}
            if isinstance(layer, Bidirectional):
                half = len(weights[i]) // 2
                parts = {"forward_layer/cell": weights[i][:half], "backward_layer/cell": weights[i][half:]}
            for place, list_ in parts.items():
                vars_ = group.create_group(f"{place}/vars" if place else "vars")
                for k, (_, w) in enumerate(list_):
                    vars_.create_dataset(str(k), data=w)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("metadata.json", json.dumps(dict(keras_version="3.8.0")))
        z.writestr("config.json", json.dumps(configuration(shape, layers, 3, dtype)))
        z.writestr("model.weights.h5", file.getvalue())
    return out.getvalue()


def tfjs(shape, layers, weights, dtype, stored):
    """The weights as float32, as float16, or as uint8 with a scale and a minimum."""
    entries, data = [], b""
    for i, layer in enumerate(layers):
        for n, w in weights[i]:
            entry = dict(name=f"{name_of(i, layer)}/{n}", shape=list(w.shape), dtype="float32")
            if stored == "float16":
                entry["quantization"] = dict(dtype="float16", original_dtype="float32")
                w = w.astype(np.float16)
            if stored == "uint8":
                low, scale = float(w.min()), float((w.max() - w.min()) / 255) or 1.0
                entry["quantization"] = dict(dtype="uint8", original_dtype="float32", min=low, scale=scale)
                w = np.round((w - low) / scale).astype(np.uint8)
            data += w.tobytes()
            entries.append(entry)
    model = dict(modelTopology=dict(keras_version="2.15.0", model_config=configuration(shape, layers, 2, dtype)), format="layers-model",
                 weightsManifest=[dict(paths=["group1-shard1of1.bin"], weights=entries)])
    return dict(json=json.dumps(model), weights=base64.b64encode(data).decode())


result = dict(made=f"Python {platform.python_version()}, h5py {h5py.__version__}, NumPy {np.__version__}, PyTorch {torch.__version__}", models={})
for name, (shape, layers) in models.items():
    x = rng.randn(3, *shape).astype(np.float32)
    value, weights = t(x), []
    for layer in layers:
        weights.append(layer.weights(value.shape[1:]))
        value = layer.run(value, [w for _, w in weights[-1]])
    args = (shape, layers, weights, "float32")
    result["models"][name] = dict(
        x=[float(v) for v in x.reshape(-1)], shape=list(x.shape), out=[round(v, 12) for v in value.reshape(-1).tolist()], outShape=list(value.shape),
        h5=packed(h5(*args)), keras=packed(keras3(*args)),
        **{f"tfjs_{stored}": tfjs(*args, stored) for stored in ("float32", "float16", "uint8")})
path = pathlib.Path(__file__).parent / "keras.json"
path.write_text(json.dumps(result) + "\n")
print(path.stat().st_size)
