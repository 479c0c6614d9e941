"""The lab's problems: named sets against the papers, and descriptors both ways."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcnn.graph.problem import Problem
from fastcnn.lab.problems import descriptor, sets
from fastcnn.lab.results import NamedProblem

# name: distinct convolutions, all of them, millions of multiply-adds of an image
TOTALS = {
    "lenet": (3, 3, 0.4056),  # LeCun: C1 117 600 and, joining all maps, C3 240 000, C5 48 000
    "cifar": (12, 25, 60.368896),  # 40.8 of ResNet-20 with its 1x1 shortcuts
    "alexnet": (5, 5, 665.784864),  # the two halves of the paper; 1 077 without groups
    "zfnet": (5, 5, 1109.410944),
    "vgg16": (9, 13, 15346.630656),  # "15.3 G"
    "vgg19": (9, 16, 19508.4288),  # "19.6 G" with the dense layers
    "googlenet": (49, 57, 1581.647872),
    "resnet34": (11, 36, 3663.249408),  # "3.6 G"
    "resnet50": (20, 53, 3855.925248),  # "3.8 G"; 4.1 with the stride in the 3x3
    "xception": (25, 74, 8355.355496),  # 8.4 G in every table of models
    "convnet-benchmarks": (5, 5, 3571.395712),
}


@pytest.mark.parametrize("name", sets.SETS)
def test_sets_are_the_published_networks(name):
    problems = sets.named(name)
    counted = sum(one.count for one in problems)
    total = sum(one.count * one.problem.multiply_adds for one in problems)
    assert (len(problems), counted, total / 1e6) == TOTALS[name]
    assert len({one.problem for one in problems}) == len(problems)
    assert len({one.name for one in problems}) == len(problems)
    assert sets.about(name).endswith(".")


@pytest.mark.parametrize("name", sets.SETS)
def test_each_layer_takes_what_the_one_before_gives(name):
    """Sizes and channels chain, but where a network branches or pools, which only makes smaller."""
    convolutions = [one for _, one in sets.SETS[name]()]
    for one in convolutions:
        assert one.out_height == one.out_width >= 1
    if name in ("vgg16", "vgg19"):
        for before, after in itertools.pairwise(convolutions):
            assert after.channels == before.filters
            assert after.height in (before.out_height, before.out_height // 2)


def test_depthwise_convolutions_of_xception():
    problems = sets.problems("xception")
    for name, one in problems.items():
        assert one.depthwise == name.endswith("d")
    assert problems["block14_2p"].filters == 2048


def test_one_of_a_set():
    (one,) = sets.named("VGG_16:conv3_3", 2)
    assert (one.name, one.set, one.batch, one.count) == ("conv3_3", "vgg16", 2, 2)
    assert one.problem == sets.problems("vgg16")["conv3_2"]
    assert one.title == "vgg16 conv3_3"


def test_a_descriptor_is_a_problem():
    (one,) = sets.named('mb4ic2ih6oc3kh3n"mine"')
    assert (one.name, one.batch, one.set, one.count) == ("mine", 4, "", 1)
    assert one.descriptor == "mb4ic2ih6oc3kh3"
    assert sets.named("ic2ih6oc3kh3")[0].batch == sets.BATCH
    assert sets.named("mb4ic2ih6oc3kh3", 7)[0].batch == 7
    assert len(sets.all_named(["lenet", "lenet", "mb8ic1ih28oc6kh5ph2"])) == 4


@pytest.mark.parametrize(
    ("text", "batch", "said"),
    [
        ("vgg17", None, r"Unknown set 'vgg17'. Did you mean 'vgg19'\?.*Or give a descriptor"),
        ("vgg16:conv9", None, r"Unknown convolution of vgg16 'conv9'"),
        ("vgg16:", None, r"Unknown convolution of vgg16 ''"),
        ("vgg16", 10**7, r"vgg16 conv1_1 needs .* GB .* take a smaller batch"),
        ("mb1000000ic64ih224oc64kh3", None, r"needs .* GB"),
    ],
)
def test_refusals(text, batch, said):
    with pytest.raises(ValueError, match=said):
        sets.named(text, batch)


def test_work_and_traffic():
    problem = Problem(8, 8, 4, 6, (3, 3), padding=((1, 1), (1, 1)))
    one = NamedProblem("a", problem, 2, "")
    assert one.flops == 2 * 2 * 8 * 8 * 6 * 9 * 4
    assert one.bytes == 4 * (2 * 8 * 8 * (4 + 6) + 9 * 4 * 6)
    assert one.intensity == one.flops / one.bytes


# Descriptors


SAME = ((1, 1), (1, 1))
READ = {
    "mb32ic64ih28oc64kh3ph1": Problem(28, 28, 64, 64, (3, 3), padding=SAME),
    "mb32_ic64ih28iw28_oc64oh28ow28_kh3kw3_ph1pw1_n": None,
    "ic3ih227iw227_oc96oh55ow55_kh11kw11_sh4sw4ph0pw0_nalexnet:conv1": Problem(
        227, 227, 3, 96, (11, 11), (4, 4)
    ),
    "g4ic8ih9oc12kh3dh1": Problem(9, 9, 8, 12, (3, 3), dilation=(2, 2), groups=4),
    "ic5ih9iw7oc6kh3kw2sw2ph1": Problem(9, 7, 5, 6, (3, 2), (1, 2), ((1, 1), (0, 0))),
    # As TensorFlow pads: what `oh` asks for, the odd pixel behind.
    "ic3ih28oc4oh14kh3sh2": Problem(28, 28, 3, 4, (3, 3), (2, 2), ((0, 1), (0, 1))),
    "ic3ih28oc4oh28kh3": Problem(28, 28, 3, 4, (3, 3), padding=SAME),
    "ic3ih28oc4oh28kh3ph0": Problem(28, 28, 3, 4, (3, 3), padding=((0, 2), (0, 2))),
}


@pytest.mark.parametrize("text", READ)
def test_descriptors_mean_what_they_do_in_benchdnn(text):
    if READ[text] is None:
        with pytest.raises(ValueError, match="a name must follow the 'n'"):
            descriptor.parse(text)
    else:
        assert descriptor.parse(text).problem == READ[text]


def test_names_of_descriptors():
    assert descriptor.parse('ic1ih2oc1kh1n"a b"').name == "a b"
    assert descriptor.parse("ic1ih2oc1kh1nconv_2*16").name == "conv_2*16"
    assert descriptor.parse("ic1ih2oc1kh1") == (Problem(2, 2, 1, 1, (1, 1)), None, "")


@st.composite
def problems(draw):
    groups = draw(st.integers(1, 3))
    kernel, strides, dilation = (
        draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (5, 3, 3)
    )
    padding = draw(st.tuples(*2 * [st.tuples(st.integers(0, 4), st.integers(0, 4))]))
    least = [max(1, (k - 1) * d + 1 - sum(p)) for k, d, p in zip(kernel, dilation, padding)]  # noqa: B905
    height, width = (size + draw(st.integers(0, 9)) for size in least)
    channels, filters = (groups * draw(st.integers(1, 4)) for _ in "io")
    return Problem(height, width, channels, filters, kernel, strides, padding, dilation, groups)


@given(problems(), st.integers(1, 300))
def test_descriptors_come_back(problem, batch):
    """As the same problem, but for padding behind that no window reaches."""
    found = descriptor.parse(descriptor.describe(problem, batch, "x"))
    assert (found.batch, found.name) == (batch, "x")
    one = found.problem
    assert (one.out_height, one.out_width) == (problem.out_height, problem.out_width)
    for axis in (0, 1):
        before, after = problem.padding[axis]
        assert one.padding[axis][0] == before
        assert before == after or one.padding[axis][1] <= max(before, after)
    same = {**vars(one), "padding": problem.padding}
    assert same == vars(problem)
    assert descriptor.describe(one, batch) == descriptor.describe(problem, batch)


BROKEN = {
    "": "'ic' is missing, the channels in",
    "ic3ih5kh3": "'oc' is missing",
    "ic3oc3kh3": "'ih' is missing, the size of the images",
    "ic3ih5oc3": "'kh' is missing, the size of the kernel",
    "ic3ih5iw4oc3kh3": "'kw' is missing",  # as in benchdnn: one w, and the width is its own
    "xc3ih5": "'xc3ih5' does not begin with a known letter",
    "IC3ih5": "does not begin with a known letter",
    "ic3 ih5": "' ih5' does not begin",
    "ic3id5": "'id' is of convolutions in 3 dimensions",
    "ic-3ih5oc3kh3": "'ic' must be from 1 to 1048576. Received -3",
    "ic3ih0oc3kh3": "'ih' must be from 1",
    "ic3ih5oc3kh3ph-1": "'ph' must be from 0",
    "ic3ih5oc3kh3sh0": "'sh' must be from 1",
    "mb0ic3ih5oc3kh3": "'mb' must be from 1",
    "ic3ih5oc3kh2000000": "'kh' must be from 1 to 1048576",
    "ic" + 5000 * "9": "Received a number of many digits",
    "icih5": "a number must follow 'ic'",
    "ic3ih5oc3kh3kh3": "'kh' stands there twice",
    "g2ic3ih5oc4kh3": "ic 3 and oc 4 must be multiples of the groups, 2",
    "ic3ih5oc3kh7": "the kernel reaches over 7 pixels, which do not fit into the 5",
    "ic3ih5oc3kh3dh4": "the kernel reaches over 11 pixels",
    "ic3ih28oc3kh3ph5oh28": "oh says 28, but the output has 31",
    "ic3ih5oc3kh3n": "a name must follow",
    "ic3ih5oc3kh3n\x1b[2J": "a name must follow",
}


@pytest.mark.parametrize("text", BROKEN)
def test_broken_descriptors_are_one_line(text):
    with pytest.raises(ValueError) as caught:
        descriptor.parse(text)
    assert BROKEN[text] in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@given(st.text("gmbicohwkspdn0123456789-_ x", max_size=30))
def test_no_text_breaks_the_parser(text):
    """A descriptor, or a sentence."""
    try:
        found = descriptor.parse(text)
    except ValueError:
        return
    assert found.problem.multiply_adds >= 1
