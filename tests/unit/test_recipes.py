"""The recipes of the reports: the printed parameter counts, to the parameter."""

import pytest

from xray_helpers.data import TASK_CLASSES
from xray_helpers.models import RECIPES, Weights, build_model, choose_recipe, count_parameters

# name: total, trainable (as the reports' summaries print them)
COUNTS = {
    "t1-template": (21137729, 6423041),
    "t2-template": (21138500, 6423812),
    "t1-vgg16-last5": (21137729, 13502465),
    "t2-vgg16-last2": (21138500, 8783620),
    "t2-resnet50-last3": (49279108, 25695492),
    "t1-vgg16-dropout2": (21137729, 6423041),
    "t2-vgg16-gap512x2": (15242052, 527364),
    "t2-vgg19-gap512x2": (20551748, 527364),
    "t2-resnet50-bn-gap512": (24647044, 1055236),
    "t1-vgg16-bn": (21139777, 6424065),
    "t2-inceptionv3-bn": (34919460, 13112580),
    "t2-vgg16-bn": (21140548, 6424836),
    "t1-cnn": (23935041, 23935041),
    "t1-vgg16": (21137729, 6423041),
    "t1-vgg19": (26447425, 6423041),
    "t1-resnet50": (49278337, 25690625),
    "t1-vgg16-tuned": (21137729, 6423041),
    "t2-vgg16": (21138500, 6423812),
    "t2-inceptionresnetv2": (64168420, 9831684),
    "t2-resnet50": (49279108, 25691396),
    "t2-xception": (46552876, 25691396),
    "t2-cnn": (23935236, 23935236),
    "t2-vgg16-tuned": (21138500, 6423812),
    "t2-cnn-tuned": (23930980, 23930980),
}


def test_every_recipe_of_the_reports_is_here_and_no_other():
    assert {name for name, recipe in RECIPES.items() if recipe.report} == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_recipe_builds_the_network_of_its_report_to_the_parameter(name):
    recipe = RECIPES[name]
    model = build_model(recipe, TASK_CLASSES[recipe.task], Weights("none"))
    counts = count_parameters(model)
    assert (counts["total"], counts["trainable"]) == COUNTS[name]
    assert counts["non_trainable"] == counts["total"] - counts["trainable"]


def test_what_a_report_leaves_out_is_named():
    chosen = RECIPES["t1-vgg16-dropout2"].chosen
    assert any("L2" in text for text in chosen)
    assert any("dropout" in text for text in chosen)


def test_any_backbone_goes_under_any_head():
    recipe = choose_recipe("task2", {"recipe": "t2-cnn", "backbone": "resnet50"})
    assert (recipe.backbone, recipe.changed) == ("resnet50", ("backbone",))
    recipe = choose_recipe("task2", {"recipe": "t2-vgg16-last2", "backbone": "cnn"})
    assert (recipe.backbone, recipe.convolutions) == ("cnn", None)
