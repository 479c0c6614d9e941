"""The networks by name: their counts, their ends, one step of each family, what they refuse."""

from __future__ import annotations

import inspect
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

from fastcnn import applications
from fastcnn.layers import Rescaling
from fastcnn.losses import SparseCategoricalCrossentropy

MNIST, CIFAR, IMAGENET = (28, 28, 1), (32, 32, 3), (224, 224, 3)
# name, input, trained parameters, all of them with moving statistics, multiply-adds of an image.
# The parameters are the literature's: of the papers, of torchvision, of keras.applications.
COUNTS = [
    ("perceptron", MNIST, 7_850, 7_850, 7_840),
    ("linear-classifier", MNIST, 7_850, 7_850, 7_840),
    ("two-layer", MNIST, 238_510, 238_510, 238_200),
    ("lenet1", MNIST, 2_578, 2_578, 92_288),
    ("lenet4", MNIST, 52_698, 52_698, 449_568),
    ("lenet5", MNIST, 61_706, 61_706, 416_520),
    ("caffe-lenet", MNIST, 431_080, 431_080, 2_293_000),
    ("cifar-small", CIFAR, 1_250_858, 1_250_858, 20_741_120),
    ("photo-small", (64, 64, 3), 246_682, 247_418, 18_285_824),
    ("alexnet", (227, 227, 3), 60_965_224, 60_965_224, 724_406_816),
    ("alexnet-single", IMAGENET, 61_100_840, 61_100_840, 714_188_480),
    ("zfnet", IMAGENET, 62_357_608, 62_357_608, 1_168_032_896),
    ("vgg11", IMAGENET, 132_863_336, 132_863_336, 7_609_090_048),
    ("vgg13", IMAGENET, 133_047_848, 133_047_848, 11_308_466_176),
    ("vgg16", IMAGENET, 138_357_544, 138_357_544, 15_470_264_320),
    ("vgg19", IMAGENET, 143_667_240, 143_667_240, 19_632_062_464),
    ("nin", CIFAR, 966_986, 966_986, 222_486_528),
    ("all-cnn-c", CIFAR, 1_369_738, 1_369_738, 270_798_336),
    ("googlenet", IMAGENET, 13_378_280, 13_378_280, 1_582_671_872),
    ("inception-v3", (299, 299, 3), 23_817_352, 23_851_784, 5_713_216_096),
    ("xception", (299, 299, 3), 22_855_952, 22_910_480, 8_357_403_496),
    ("plain34", IMAGENET, 21_623_848, 21_639_080, 3_644_493_824),
    ("resnet18", IMAGENET, 11_689_512, 11_699_112, 1_814_073_344),
    ("resnet34", IMAGENET, 21_797_672, 21_814_696, 3_663_761_408),
    ("resnet50", IMAGENET, 25_557_032, 25_610_152, 4_089_184_256),
    ("resnet101", IMAGENET, 44_549_160, 44_654_504, 7_801_405_440),
    ("resnet152", IMAGENET, 60_192_808, 60_344_232, 11_513_626_624),
    ("resnet20", CIFAR, 272_474, 274_042, 40_813_184),
    ("resnet32", CIFAR, 466_906, 469_370, 69_124_736),
    ("resnet44", CIFAR, 661_338, 664_698, 97_436_288),
    ("resnet56", CIFAR, 855_770, 860_026, 125_747_840),
    ("resnet110", CIFAR, 1_730_714, 1_739_002, 253_149_824),
    ("wide-resnet-16-4", CIFAR, 2_748_890, 2_752_506, 392_612_352),
    ("densenet-bc-100-12", CIFAR, 769_162, 793_150, 287_929_692),
    ("densenet121", IMAGENET, 7_978_856, 8_062_504, 2_834_161_664),
    ("squeezenet1-0", IMAGENET, 1_248_424, 1_248_424, 818_924_576),
    ("squeezenet1-1", IMAGENET, 1_235_496, 1_235_496, 349_151_936),
    ("mobilenet", IMAGENET, 4_231_976, 4_253_864, 568_740_352),
    ("mobilenet-v2", IMAGENET, 3_504_872, 3_538_984, 300_774_272),
    ("efficientnet-b0", IMAGENET, 5_288_548, 5_330_564, 385_814_752),
    ("efficientnet-lite0", IMAGENET, 4_652_008, 4_694_024, 385_187_552),
]
# Other forms: name, arguments, trained parameters.
FORMS = [
    ("perceptron", {"classes": 1}, 785),
    ("resnet50", {"version": "v1"}, 25_557_032),
    ("resnet50", {"version": "keras"}, 25_583_592),
    ("resnet18", {"input_shape": CIFAR, "classes": 10}, 11_173_962),
    (
        "lenet5",
        {"subsampling": "average"},
        60_000 + 850,
    ),  # the paper's, and a layer for its outputs
    ("resnet20", {"shortcut": "A"}, 269_722),
    ("resnet110", {"shortcut": "A"}, 1_727_962),
    ("resnet20", {"version": "pytorch"}, 272_474),
    ("googlenet", {"auxiliary": False}, 6_998_552),
    ("googlenet", {"version": "torchvision"}, 13_004_888),
    ("googlenet", {"version": "torchvision", "auxiliary": False}, 6_624_904),
    ("googlenet", {"include_top": False}, 6_998_552 - 1_025_000),
    ("mobilenet", {"alpha": 0.25}, 470_072),
    ("mobilenet-v2", {"alpha": 0.5}, 1_968_680),
    ("mobilenet-v2", {"version": "keras"}, 3_504_872),
    ("efficientnet-b0", {"version": "keras"}, 5_288_548),
    ("inception-v3", {"version": "torchvision"}, 23_834_568),
    ("vgg16", {"input_shape": CIFAR, "classes": 10, "hidden": 512}, 15_245_130),
    ("alexnet", {"input_shape": CIFAR, "classes": 10}, 28_565_386),
    ("alexnet-single", {"input_shape": CIFAR, "classes": 10}, 28_711_754),
    ("zfnet", {"input_shape": CIFAR, "classes": 10}, 29_978_506),
    ("inception-v3", {"input_shape": CIFAR}, 23_817_352),
    ("xception", {"input_shape": CIFAR}, 22_855_952),
]
# A small form of one network of each family.
SMALL = {
    "perceptron": {"input_shape": (6, 6, 1)},
    "linear-classifier": {"input_shape": (6, 6, 1)},
    "two-layer": {"input_shape": (6, 6, 1), "hidden": 5},
    "lenet1": {"input_shape": (20, 24, 2)},
    "lenet5": {"input_shape": (20, 24, 2)},
    "caffe-lenet": {"input_shape": (20, 24, 2)},
    "cifar-small": {"input_shape": (20, 24, 2)},
    "photo-small": {"input_shape": (20, 24, 2)},
    "alexnet": {"input_shape": (67, 67, 3)},
    "zfnet": {"input_shape": (64, 64, 3)},
    "vgg11": {"input_shape": (32, 32, 3), "hidden": 8, "dropout": 0.5},
    "nin": {"input_shape": (16, 12, 3)},
    "all-cnn-c": {"input_shape": (12, 16, 3)},
    "googlenet": {"input_shape": (32, 32, 3), "version": "torchvision"},
    "inception-v3": {"input_shape": (75, 75, 3)},
    "xception": {"input_shape": (16, 16, 3)},
    "resnet18": {"input_shape": (16, 16, 3)},
    "resnet20": {"input_shape": (20, 24, 2)},
    "wide-resnet-16-4": {"input_shape": (12, 12, 3), "dropout": 0.3},
    "densenet-bc-100-12": {"input_shape": (12, 12, 3)},
    "squeezenet1-1": {"input_shape": (16, 16, 3)},
    "mobilenet": {"input_shape": (16, 16, 3), "alpha": 0.25},
    "mobilenet-v2": {"input_shape": (16, 16, 3), "alpha": 0.25},
    "efficientnet-lite0": {"input_shape": (16, 16, 3)},
}


def trained(model):
    return sum(p.size for p in model.parameters if p.trainable)


@pytest.mark.parametrize(("name", "shape", "weights", "every", "work"), COUNTS)
def test_networks_have_the_literatures_sizes(name, shape, weights, every, work):
    network = applications.get(name)
    model = network()
    assert model.input_shape == shape
    assert model.name == network.__name__
    assert (trained(model), sum(p.size for p in model.parameters)) == (weights, every)
    assert sum(layer.multiply_adds() for layer in model.layers) == work
    assert f"{weights:,}" in network.__doc__
    assert f"{every:,}" in network.__doc__
    assert not model.state._flat, "counting needs no memory"


@pytest.mark.parametrize(("name", "arguments", "weights"), FORMS)
def test_other_forms_have_their_sizes(name, arguments, weights):
    assert trained(applications.get(name)(**arguments)) == weights


@pytest.mark.parametrize("side", [32, 64])
def test_every_network_takes_small_pictures(side):
    for name, network in applications.NETWORKS.items():
        assert network((side, side, 3), classes=10).output_shape == (10,), name


def test_every_network_is_counted():
    assert [row[0] for row in COUNTS] == list(applications.NETWORKS)
    assert set(applications.__all__) == {
        *("NETWORKS", "decode_predictions", "get"),
        *(network.__name__ for network in applications.NETWORKS.values()),
    }


def test_the_table_in_the_documents_has_each():
    document = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    for name, shape, weights, every, work in COUNTS:
        row = f" | {weights:,} | {every:,} | {work:,} | {' x '.join(map(str, shape))} |"
        assert any(
            line.startswith(f"| `{name}` |") and line.endswith(row)
            for line in document.splitlines()
        ), name


def test_the_documents_have_the_sides_that_are_small():
    said = {
        int(side)
        for network in applications.NETWORKS.values()
        for side in re.findall(r"sides below\s+(\d+)\s+pixels", inspect.getdoc(network) or "")
    }
    document = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    text = re.search(r"where an image's side is\s+below (.*?\))", document)
    assert text is not None
    assert said == set(map(int, re.findall(r"\b(\d\d)\b", text[1]))) > {64}


FEWER_SMALL = {
    **dict.fromkeys(("plain34", *(f"resnet{n}" for n in (18, 34, 50, 101, 152))), 7_680),
    "densenet121": 7_936,
    "squeezenet1-0": 11_520,
}


def test_small_forms_have_fewer_parameters_where_the_documents_say_so():
    document = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    for name, network in applications.NETWORKS.items():
        flattens = name in ("alexnet", "alexnet-single", "zfnet", "googlenet")
        if flattens or "small_input" not in inspect.signature(network).parameters:
            continue
        small, large = (
            sum(parameter.size for parameter in network(small_input=asked).parameters)
            for asked in (True, False)
        )
        assert large - small == FEWER_SMALL.get(name, 0), name
        if name in ("resnet18", "densenet121", "squeezenet1-0"):
            assert f"{FEWER_SMALL[name]:,}" in document
            assert f"{small:,}" in document


def test_the_deepest_is_planned_within_a_second():
    start = time.process_time()
    applications.resnet152().program(training=True)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", SMALL)
def test_a_small_form_trains_and_predicts(name):
    model = applications.get(name)(classes=3, rescale=True, seed=5, **SMALL[name])
    x = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape)).astype(np.uint8)
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=name == "perceptron"))
    before = model.parameters[0].value.copy()
    loss = model.train_on_batch(x, np.array([0, 2]))
    assert math.isfinite(loss if isinstance(loss, float) else loss[0])
    assert (model.parameters[0].value != before).any()
    shares = model.predict(x)
    assert shares.shape == (2, 3)
    assert np.isfinite(shares).all()
    if name != "perceptron":
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


def test_without_its_top_a_network_gives_maps_or_their_pooling():
    shape = (16, 16, 3)
    maps, average, largest = (
        applications.resnet20(shape, include_top=False, pooling=pooling, seed=3)
        for pooling in (None, "avg", "max")
    )
    x = np.random.default_rng(0).random((2, *shape), np.float32)
    y = maps.predict(x)
    assert y.shape == (2, 4, 4, 64)
    np.testing.assert_allclose(average.predict(x), y.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(largest.predict(x), y.max(axis=(1, 2)))


def test_weights_come_from_a_file(tmp_path):
    path = tmp_path / "lenet.weights.h5"
    first = applications.lenet5(seed=1)
    first.save_weights(path)
    same = applications.lenet5(seed=2, weights=path)
    for weights, other in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, other)


@pytest.mark.parametrize("options", [{"auxiliary": False}, {"include_top": False, "classes": 9}])
def test_a_network_without_its_side_classifiers_takes_weights_of_the_whole(options, tmp_path):
    path, shape = tmp_path / "googlenet.weights.h5", (32, 32, 3)
    whole = applications.googlenet(shape, 4, seed=1)
    whole.save_weights(path)
    part = applications.googlenet(shape, **{"classes": 4, **options}, seed=2, weights=path)
    expected = {parameter.path: parameter.value for parameter in whole.parameters}
    assert len(part.parameters) < len(expected)
    for parameter in part.parameters:
        np.testing.assert_array_equal(parameter.value, expected[parameter.path])


def test_weights_of_other_classes_are_refused_with_the_way_to_take_the_rest(tmp_path):
    path = tmp_path / "resnet.h5"
    whole = applications.resnet20(seed=1)
    whole.save_weights(path)
    with pytest.raises(ValueError, match=r"resnet20: .*'fc'.*load_weights\(path, skip_mismatch"):
        applications.resnet20(classes=7, weights=path)
    with pytest.raises(ValueError, match="does not fit"):
        applications.resnet20(shortcut="A", include_top=False, weights=path)
    body = applications.resnet20(include_top=False, weights=path).get_weights()
    for weights, other in zip(body, whole.get_weights(), strict=False):
        np.testing.assert_array_equal(weights, other)


def test_pooling_does_nothing_with_the_top():
    assert applications.lenet5(pooling="avg").output_shape == (10,)


def test_scores_come_without_an_activation_where_none_is_wanted():
    shape, x = (12, 12, 3), np.random.default_rng(0).random((2, 12, 12, 3), np.float32)
    for network in (applications.all_cnn_c, applications.linear_classifier):
        scores = network(shape, 4, classifier_activation=None, seed=1).predict(x)
        powers = np.exp(scores)
        shares = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(network(shape, 4, seed=1).predict(x), shares, rtol=1e-5)


def test_rescaling_divides_pixel_values():
    plain, scaled = applications.lenet5(seed=1), applications.lenet5(rescale=True, seed=1)
    assert isinstance(scaled.layers[0], Rescaling)
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
    np.testing.assert_allclose(
        scaled.predict(x), plain.predict(x.astype(np.float32) / 255), atol=1e-6
    )


def test_seed_fixes_the_weights():
    first, same, other = (applications.lenet5(seed=seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


REFUSED = [
    ("resnet20", {"wieghts": None}, TypeError, "resnet20: Unknown argument 'wieghts'.*'weights'"),
    ("resnet20", {"weights": "imagenet"}, ValueError, "nobody publishes such weights"),
    (
        "resnet20",
        {"weights": 3},
        TypeError,
        "weights must be None, 'imagenet' or the path of a file",
    ),
    ("resnet20", {"shortcutt": "A"}, TypeError, "Did you mean 'shortcut'.*shortcut, version, incl"),
    (
        "googlenet",
        {"input_shape": (64, 64, 3), "small_input": False},
        ValueError,
        "its side classifier 'loss1'. .*'loss1_pool'.*auxiliary=False or small_input=True",
    ),
    (
        "perceptron",
        {"include_top": False, "pooling": "avg"},
        ValueError,
        "perceptron: pooling='avg' is of maps",
    ),
    ("resnet20", {"include_top": False, "pooling": "mean"}, ValueError, "Unknown pooling 'mean'"),
    ("resnet20", {"include_top": 1}, TypeError, "include_top must be True or False"),
    ("resnet20", {"rescale": "yes"}, TypeError, "rescale must be True or False"),
    ("resnet20", {"shortcut": "C"}, ValueError, "shortcut must be one of .*Received 'C'"),
    ("resnet20", {"version": "caffe"}, ValueError, "version must be one of .*Received 'caffe'"),
    ("resnet20", {"classes": 0}, ValueError, "units must be a whole number of at least 1"),
    ("resnet50", {"version": 2}, ValueError, "version must be one of 'v1.5', 'v1', 'keras'"),
    ("resnet50", {"small_input": "no"}, TypeError, "small_input must be True or False"),
    ("lenet5", {"subsampling": "mean"}, ValueError, "must be one of 'max', 'average'"),
    ("googlenet", {"auxiliary": 3}, TypeError, "auxiliary must be True or False"),
    ("mobilenet", {"alpha": 0}, ValueError, "alpha must be a number above 0"),
    ("mobilenet-v2", {"version": "v3"}, ValueError, "must be one of 'torchvision', 'keras'"),
    (
        "vgg16",
        {"input_shape": (16, 16, 3)},
        ValueError,
        "vgg16: images of 16x16 pixels are too small .* fit into the input of 1x1.*input_shape",
    ),
    ("vgg16", {"dropout": 1}, ValueError, "rate must be a number"),
    ("vgg16", {"input_shape": 3}, ValueError, "input_shape must be"),
    ("resnet18", {"input_shape": 3}, ValueError, "input_shape must be"),
    ("lenet5", {"classifier_activation": "softmin"}, ValueError, "Unknown activation 'softmin'"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "said"), REFUSED)
def test_bad_arguments_are_refused_in_a_sentence(name, arguments, error, said):
    with pytest.raises(error, match=said):
        applications.get(name)(**arguments)


@pytest.mark.parametrize("spelling", ["cifar-small", "cifar_small", "CIFAR-Small"])
def test_spelling_does_not_matter(spelling):
    assert applications.get(spelling) is applications.cifar_small


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"Did you mean 'all-cnn-c'.*, all-cnn-c, .*densenet121,"):
        applications.get("all-cnn")


def test_earlier_names_of_modules_lead_to_the_same():
    from fastcnn import convolutions, functional, zoo

    assert zoo.get is applications.get
    for name in convolutions.__all__:
        assert getattr(convolutions, name) is getattr(functional, name)
