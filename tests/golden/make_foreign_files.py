"""Writes small files with PyTorch, Keras and TensorFlow, for our readers to be tested on.

Run in an environment of its own, with torch, keras and jax installed:
  python -m tests.golden.make_foreign_files torch keras
With an older Keras in place (3.0.5 was used), which writes no layer names:
  python -m tests.golden.make_foreign_files keras_old
With tensorflow (2.21.0 was used), in an environment that need not have the others:
  python -m tests.golden.make_foreign_files tensorflow
"""

import importlib
import os
import pathlib
import sys
from typing import Any

from tests.golden import closed_formula

FOLDER = pathlib.Path(__file__).parent


def main(wanted: list[str]) -> None:
    """Writes the files of each named kind."""
    os.environ["KERAS_BACKEND"] = "jax"
    for kind in wanted:
        {
            "torch": torch_files,
            "keras": keras_files,
            "keras_old": old_keras_file,
            "tensorflow": tensorflow_files,
        }[kind]()


def torch_files() -> None:
    """One state dict in both layouts, one as a training script keeps it, one whole module."""
    torch = importlib.import_module("torch")
    tensors = {
        "transposed": torch.arange(12, dtype=torch.float32).reshape(3, 4).t(),
        "strided": torch.arange(10.0)[2:8:2],
        "half": torch.arange(5).half(),
        "brain": torch.tensor([1.5, -2, 3e20]).bfloat16(),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    torch.save(tensors, FOLDER / "torch_zip.pth")
    torch.save(tensors, FOLDER / "torch_legacy.pth", _use_new_zipfile_serialization=False)
    parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    torch.save({"state_dict": {"w": parameter}, "epoch": 3}, FOLDER / "torch_training.pth")
    torch.save(torch.nn.Linear(1, 1), FOLDER / "torch_module.pth")


def keras_files() -> None:
    """A model alone, and as a layer of another, in every format."""
    keras = importlib.import_module("keras")
    model = tiny_model(keras)
    model.save(FOLDER / "keras_flat.keras")
    model.save(FOLDER / "keras_flat.h5")
    model.trainable = False  # must not change the order of weights
    around = keras.Sequential([model, keras.layers.Dense(2, name="new_head")])
    around.build((None, 8, 8, 3))
    around.save(FOLDER / "keras_nested.keras")
    around.save(FOLDER / "keras_nested.h5")


def old_keras_file() -> None:
    """The model alone, by a Keras that names groups after classes only."""
    keras = importlib.import_module("keras")
    inner = tiny_model(keras)
    keras.Sequential([inner, keras.layers.Dense(2)]).save(FOLDER / "keras_old_nested.keras")


def tiny_model(keras: Any) -> Any:
    """Two layers of each kind that matters, whose names say nothing about their order."""
    layers = keras.layers
    x = image = keras.Input((8, 8, 3), name="image")
    for first, second in (("Conv1", "zebra"), ("last", "apple")):
        x = layers.Conv2D(2, 1, use_bias=False, name=first)(x)
        x = layers.BatchNormalization(name=f"bn_{first}")(x)
        x = layers.DepthwiseConv2D(2, use_bias=False, name=second)(x)
    outputs = layers.Dense(2, name="predictions")(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(image, outputs, name="tiny")
    for layer in model.layers:
        for weight in layer.weights:
            name = f"{layer.name}/{weight.name}"
            weight.assign(closed_formula.tensor(name, tuple(weight.shape)))
    return model


# Layers of each kind, as TF-slim names them, and a new head beside the network.
TENSORFLOW_SHAPES = {
    "MobilenetV1/Conv2d_0/weights": (1, 1, 3, 2),
    "MobilenetV1/Conv2d_1_depthwise/depthwise_weights": (2, 2, 2, 1),
    **{
        f"MobilenetV1/Conv2d_0/BatchNorm/{weight}": (2,)
        for weight in ("gamma", "beta", "moving_mean", "moving_variance")
    },
    "MobilenetV1/Logits/Conv2d_1c_1x1/biases": (3,),
    "new_head/weights": (2, 2),
}


def tensorflow_files() -> None:
    """The network in two data files, in training, frozen; and three ways that are refused."""
    tf = importlib.import_module("tensorflow").compat.v1
    tf.disable_v2_behavior()
    network = [
        tf.Variable(closed_formula.tensor(name, shape), name=name, use_resource=False)
        for name, shape in TENSORFLOW_SHAPES.items()
    ]
    reads = [f"{variable.op.name}/read" for variable in network]
    graph = tf.get_default_graph().as_graph_def()
    brain = tf.Variable(tf.constant([1.5, -2, 3e20], tf.bfloat16), name="brain", use_resource=False)
    parts = tf.get_variable(
        "parts",
        initializer=tf.zeros((4, 2)),
        partitioner=tf.fixed_size_partitioner(2),
        use_resource=False,
    )
    averages = _train(tf, network)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for name, average in averages.items():
            average.load(closed_formula.tensor(name, tuple(average.shape.as_list())), session)
        _save_in_two(tf, session, [*network, brain])
        _saver(tf, [v for v in tf.global_variables() if "parts" not in v.op.name], "training")(
            session
        )
        _saver(tf, list(parts), "sliced")(session)
        _saver(tf, network, "first_format", write_version=tf.train.SaverDef.V1)(session)
        tf.train.Checkpoint(kernel=network[0]).write(str(FOLDER / "tensorflow_objects"), session)
        frozen = tf.graph_util.convert_variables_to_constants(session, graph, reads)
        (FOLDER / "tensorflow_frozen.pb").write_bytes(frozen.SerializeToString())


def _train(tf: Any, network: list[Any]) -> dict[str, Any]:
    """Adds counters, slots of two optimisers and moving averages; gives those by name."""
    step = tf.train.get_or_create_global_step()
    loss = tf.reduce_sum(network[0] ** 2)
    for optimiser in (tf.train.RMSPropOptimizer(0.1, momentum=0.9), tf.train.AdamOptimizer()):
        optimiser.minimize(loss, step, network[:1])
    average = tf.train.ExponentialMovingAverage(0.9, step)
    average.apply(network)
    return {average.average(variable).op.name: average.average(variable) for variable in network}


def _saver(tf: Any, variables: list[Any], name: str, **settings: Any) -> Any:
    saver = tf.train.Saver(variables, **settings)
    path = str(FOLDER / f"tensorflow_{name}")
    return lambda session: saver.save(session, path, write_meta_graph=False, write_state=False)


def _save_in_two(tf: Any, session: Any, variables: list[Any]) -> None:
    """Every other variable in each data file, as a run on two machines saves them."""
    prefixes = [str(FOLDER / f"part_{part}") for part in range(2)]
    for part, prefix in enumerate(prefixes):
        kept = variables[part::2]
        names = [variable.op.name for variable in kept]
        session.run(
            tf.raw_ops.SaveV2(
                prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=kept
            )
        )
    session.run(
        tf.raw_ops.MergeV2Checkpoints(
            checkpoint_prefixes=prefixes,
            destination_prefix=str(FOLDER / "tensorflow_shards"),
            delete_old_dirs=False,
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
