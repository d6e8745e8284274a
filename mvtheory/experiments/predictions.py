"""The table of claims: what the theory predicts, in which range, and where the range comes from.

A prediction is written before its run if it stands in this table. Chapters, the index, the README's figure, the command
line and the tests read it, and nobody writes a range twice. Each claim is measured by one function:
:func:`mvtheory.experiments.measure`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mvtheory.claims import Claim

__all__ = ["CLAIMS"]

INF = math.inf
THEOREM, DERIVED, TOLERANCE = "theorem", "derived", "our tolerance"

# Settings by name: that of mvtheory.experiments.settings, or a study's own.
BOOK = "the book"


def _claim(id: str, statement: str, low: float, high: float, source: str, setting: str, **more: Any) -> Claim:
    return Claim(id, statement, (low, high), "-", source, setting, **more)


# fmt: off
_TABLE: Mapping[str, list[Claim]] = {
    "02-single-model": [
        _claim("single", "Error of a single net on single-view inputs",
               0.49, 0.51, THEOREM, BOOK),
        _claim("multi", "Error of a single net on multi-view inputs",
               0, 0.005, TOLERANCE, BOOK, kind="check"),
        _claim("lottery", "Share of (net, class) that learn the view predicted at initialisation",
               0.97, 1, TOLERANCE, BOOK),
    ],
    "03-ensembling": [
        _claim("ensemble", "Error of an average of 10 nets on single-view inputs",
               -INF, 0.01, THEOREM, BOOK, unit="view of a class"),
        _claim("law", "Factor on the error by each further net (one half by the law)",
               0.47, 0.53, TOLERANCE, BOOK),
        _claim("train-average", "Error of a trained average of 10 nets, minus that of a single net",
               -0.03, 0.03, TOLERANCE, BOOK),
        _claim("law-1", "Error of one net (2^-1 by the law)",
               0.49, 0.51, THEOREM, BOOK),
        _claim("law-2", "Error of an average of 2 nets (2^-2 by the law)",
               0.1875, 0.3125, TOLERANCE, BOOK, kind="check"),
        _claim("law-3", "Error of an average of 3 nets (2^-3 by the law)",
               0.0938, 0.1562, TOLERANCE, BOOK, kind="check"),
        _claim("law-4", "Error of an average of 4 nets (2^-4 by the law)",
               0.0469, 0.0781, TOLERANCE, BOOK, kind="check"),
        _claim("law-5", "Error of an average of 5 nets (2^-5 by the law)",
               0.0156, 0.0469, TOLERANCE, BOOK, kind="check"),
        _claim("law-6", "Error of an average of 6 nets (2^-6 by the law)",
               0.0078, 0.0234, TOLERANCE, BOOK, kind="check"),
    ],
    "04-distillation": [
        _claim("dark", "Share of the variance of an ensemble's outputs for wrong classes that the views present "
               "explain",
               0.9, INF, TOLERANCE, BOOK),
        _claim("dark-neither", "Mean output for a wrong class with no view present, minus the predicted one, in units "
               "of a net's output on a learned view",
               -0.1, 0.1, TOLERANCE, BOOK, kind="check"),
        _claim("dark-first", "Mean output for a wrong class with its first view present, minus the predicted one",
               -0.1, 0.1, TOLERANCE, BOOK),
        _claim("dark-second", "Mean output for a wrong class with its second view present, minus the predicted one",
               -0.1, 0.1, TOLERANCE, BOOK),
        _claim("dark-both", "Mean output for a wrong class with both views present, minus the predicted one",
               -0.1, 0.1, TOLERANCE, BOOK, kind="check"),
        _claim("distill", "Error of a student of the ensemble on single-view inputs",
               -INF, 0.01, THEOREM, BOOK, unit="view of a class"),
        _claim("ensemble-after-kd", "Error of the average of a data set's students of the ensemble, minus that of one",
               -0.02, 0.02, TOLERANCE, BOOK),
        _claim("distill-shuffled", "Error of a student of the ensemble with shuffled outputs by the on/off rule, minus "
               "that of a net without a teacher",
               -0.05, 0.05, DERIVED, BOOK),
        _claim("distill-shuffled-paper", "Error of a student of the ensemble with shuffled outputs by the paper's "
               "rule, minus that of a net without a teacher",
               -0.05, 0.05, DERIVED, BOOK),
        _claim("news", "Share of lost views that students of single nets find: their teacher's views, minus others",
               0.9, 1, TOLERANCE, BOOK, kind="check"),
        _claim("news-shuffled", "Share of lost views that students of single nets with shuffled outputs find: their "
               "teacher's views, minus others",
               -0.2, 0.2, DERIVED, BOOK),
    ],
    "05-self-distillation": [
        _claim("self-distill", "Error of a student of one net on single-view inputs",
               0.22, 0.26, THEOREM, BOOK),
        _claim("self-distill-product", "Error of a student of one net, minus the share of inputs on which both it and "
               "its teacher erred before",
               -0.02, 0.02, TOLERANCE, BOOK),
    ],
    "06-random-features": [
        _claim("rf-ensemble", "Tangent features: error of a single model minus the ensemble's",
               0, INF, THEOREM, "the book, fixed features", kind="check"),
        _claim("rf-train-average", "Tangent features: error of the trained average minus the ensemble's",
               -0.05, 0.05, TOLERANCE, "the book, fixed features"),
        _claim("rf-distill", "Tangent features: error of a distilled model minus a single one's",
               -0.05, 0.05, TOLERANCE, "the book, fixed features", kind="check"),
        _claim("rf-ensemble-relu", "Random ReLU features: error of a single model minus the ensemble's",
               0, INF, THEOREM, "the book, fixed features", kind="check"),
        _claim("rf-train-average-relu", "Random ReLU features: error of the trained average minus the ensemble's",
               -0.05, 0.05, TOLERANCE, "the book, fixed features"),
        _claim("rf-distill-relu", "Random ReLU features: error of a distilled model minus a single one's",
               -0.05, 0.05, TOLERANCE, "the book, fixed features"),
        _claim("rf-ensemble-digits", "Tangent features, digits: error of a single model minus the ensemble's",
               0, INF, THEOREM, "digits", kind="check", unit="split of the images"),
        _claim("rf-train-average-digits", "Tangent features, digits: error of the trained average minus the ensemble's",
               -0.05, 0.05, TOLERANCE, "digits", unit="split of the images"),
        _claim("rf-distill-digits", "Tangent features, digits: error of a distilled model minus a single one's",
               -0.05, 0.05, TOLERANCE, "digits", unit="split of the images", kind="check"),
        _claim("rf-ensemble-relu-digits", "Random ReLU features, digits: error of a single model minus the "
               "ensemble's",
               0, INF, THEOREM, "digits", kind="check", unit="split of the images"),
        _claim("rf-train-average-relu-digits", "Random ReLU features, digits: error of the trained average minus "
               "the ensemble's",
               -0.05, 0.05, TOLERANCE, "digits", unit="split of the images"),
        _claim("rf-distill-relu-digits",
               "Random ReLU features, digits: error of a distilled model minus a single one's",
               -0.05, 0.05, TOLERANCE, "digits", unit="split of the images"),
    ],
    "07-lazy": [
        _claim("lazy-limit", "Nets at the largest scale: distance of their outputs to the tangent model's, relative",
               0, 0.05, TOLERANCE, "lazy scales"),
        _claim("lazy-rate", "Powers of ten that the distance to the tangent model loses per power of ten of the scale",
               0.9, 1.1, TOLERANCE, "lazy scales"),
        _claim("lazy-dial", "Gain of students, feature-learning end minus lazy end",
               0, INF, DERIVED, "lazy scales", kind="check"),
        _claim("lazy-average", "Trained average minus ensemble, feature-learning end minus lazy end",
               0, INF, DERIVED, "lazy scales", kind="check"),
        _claim("lazy-teacher", "Gain of lazy students from an ensemble that learned its features",
               -0.05, 0.05, TOLERANCE, "lazy scales"),
        _claim("lazy-crossing", "Powers of ten between the predicted scale and that at which students lose half "
               "their gain",
               -1, 1, TOLERANCE, "lazy scales"),
    ],
    "08-classical": [
        _claim("classical-bagging", "Bagged trees: fall of the squared loss, over the fall predicted from other "
               "training sets",
               0.9, 1.1, TOLERANCE, BOOK),
        _claim("classical-stable", "Linear model: error of one minus that of twenty bagged",
               -0.02, 0.02, TOLERANCE, BOOK),
        _claim("classical-margin", "Boosted trees: rise of the margins after the last training error",
               0, INF, DERIVED, BOOK, kind="check"),
        _claim("classical-boosting", "Boosted trees: fall of the test error over the same rounds",
               0, INF, DERIVED, BOOK),
        _claim("classical-votes", "Nets: what averaging ten adds to the margins of the votes in training",
               -0.01, 0.01, TOLERANCE, BOOK, kind="check"),
        _claim("classical-bias", "Nets: share of the squared loss that no average can remove",
               0.45, 0.55, TOLERANCE, BOOK),
        _claim("classical-trees", "Bagged trees: factor on the error by each further one, minus the factor by variance",
               -0.09, 0.09, DERIVED, BOOK),
        _claim("classical", "Nets: factor on the error by each further one, minus the factor by variance",
               -0.27, -0.09, DERIVED, BOOK),
        _claim("classical-lottery", "Error of a tree that sees the views, on single-view inputs",
               0.449, 0.489, TOLERANCE, BOOK),
    ],
    "09-structure": [
        _claim("structure", "Gain of an ensemble on a Gaussian mixture",
               -0.01, 0.01, TOLERANCE, "Gaussian mixture"),
        _claim("structure-distill", "Gain of a distilled net on a Gaussian mixture",
               -0.01, 0.01, TOLERANCE, "Gaussian mixture"),
        _claim("structure-self", "Gain of a self-distilled net on a Gaussian mixture",
               -0.01, 0.01, TOLERANCE, "Gaussian mixture"),
        _claim("structure-teacher", "Gain of an ensemble where a net made the labels",
               -0.01, 0.01, TOLERANCE, "labels of a net"),
        _claim("structure-teacher-distill", "Gain of a distilled net where a net made the labels",
               -0.01, 0.01, TOLERANCE, "labels of a net"),
        _claim("structure-teacher-self", "Gain of a self-distilled net where a net made the labels",
               -0.01, 0.01, TOLERANCE, "labels of a net"),
        _claim("structure-single-view", "Gain of an ensemble where one view was shown",
               -0.01, 0.01, TOLERANCE, "one view shown", kind="check"),
        _claim("structure-single-view-distill", "Gain of a distilled net where one view was shown",
               -0.01, 0.01, TOLERANCE, "one view shown", kind="check"),
        _claim("structure-single-view-self", "Gain of a self-distilled net where one view was shown",
               -0.01, 0.01, TOLERANCE, "one view shown", kind="check"),
        _claim("structure-never-missing", "Gain of an ensemble where no view is missing",
               -0.01, 0.01, TOLERANCE, "no view missing", kind="check"),
        _claim("structure-never-missing-distill", "Gain of a distilled net where no view is missing",
               -0.01, 0.01, TOLERANCE, "no view missing", kind="check"),
        _claim("structure-never-missing-self", "Gain of a self-distilled net where no view is missing",
               -0.01, 0.01, TOLERANCE, "no view missing", kind="check"),
        _claim("structure-noise", "Gain of an ensemble where labels are wrong",
               0.01, INF, TOLERANCE, "wrong labels"),
        _claim("structure-noise-distill", "Gain of a distilled net where labels are wrong",
               0, INF, DERIVED, "wrong labels"),
        _claim("structure-noise-self", "Gain of a self-distilled net where labels are wrong",
               -0.01, 0.01, TOLERANCE, "wrong labels"),
        _claim("structure-control", "Gain of an ensemble with two views (control)",
               0.4, 0.5, TOLERANCE, "two views, small"),
        _claim("structure-control-distill", "Gain of a distilled net with two views (control)",
               0.2, 0.5, TOLERANCE, "two views, small", kind="check"),
        _claim("structure-control-self", "Gain of a self-distilled net with two views (control)",
               0.05, 0.5, TOLERANCE, "two views, small", kind="check"),
        _claim("structure-settled", "Share of disagreements that the average of two nets resolves "
               "correctly, where a net made the labels",
               0.4, 0.75, TOLERANCE, "labels of a net"),
        _claim("structure-noise-settled", "Share of disagreements that the average of two nets resolves "
               "correctly, where labels are wrong",
               0.4, 0.75, TOLERANCE, "wrong labels"),
        _claim("structure-control-settled", "Share of disagreements that the average of two nets resolves "
               "correctly, with two views (control)",
               0.9, 1, TOLERANCE, "two views, small"),
        _claim("structure-noise-average", "Error of the trained average minus that of the ensemble, where labels are "
               "wrong",
               -INF, 0.01, TOLERANCE, "wrong labels"),
        _claim("structure-dial-ratio", "Ratio of a winner's overlaps minus that of the formula, for views with overlap "
               "0.4",
               -0.05, 0.05, TOLERANCE, "overlapping views"),
        _claim("structure-dial-half", "Overlap at which half of the gain is gone minus that of the formula, other "
               "classes at 0.4",
               -0.03, 0.03, TOLERANCE, "overlapping views"),
        _claim("structure-dial-half-faint", "Overlap at which half of the gain is gone minus that of the formula, "
               "other classes at 0.2",
               -0.03, 0.03, TOLERANCE, "overlapping views"),
        _claim("structure-dial-end", "Gain of an ensemble where the two views are one",
               -0.01, 0.01, TOLERANCE, "overlapping views", kind="check"),
    ],
    "10-digits": [
        _claim("digits-single", "Digits: error of a single net on single-view inputs",
               0.25, 0.75, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-ensemble", "Digits: share of a single net's error on single-view inputs that the ensemble "
               "removes",
               0.75, 1, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-distill", "Digits: share of the ensemble's gain that goes to a distilled net",
               0.75, 1.25, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-self-distill", "Digits: share of the ensemble's gain that goes to a self-distilled net",
               0.25, 0.75, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-train-average", "Digits: share of the ensemble's gain that goes to a trained average",
               -0.25, 0.25, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-lottery", "Digits: share of (net, class) with a gap above a half, separate filters",
               0.75, 1, TOLERANCE, "digits", unit="split of the images"),
        _claim("digits-control", "Digits: share of (net, class) with a gap above a half, shared filters",
               0, 0.25, TOLERANCE, "digits", kind="check", unit="split of the images"),
    ],
    "11-regime": [
        _claim("reduction", "Share of (net, class) for which the reduction learns the view that the full model learns",
               0.97, 1, TOLERANCE, BOOK),
        _claim("memorise-scaling", "Change of a single net's error when background noise grows by the root of two, and "
               "single-view training inputs fourfold",
               -0.05, 0.05, DERIVED, "the book, eight classes"),
        _claim("views-3", "Factor on the error by each further net, with 3 views in the reduction",
               0.617, 0.717, TOLERANCE, "more views, noise-free"),
        _claim("views-4", "Factor on the error by each further net, with 4 views in the reduction",
               0.7, 0.8, TOLERANCE, "more views, noise-free"),
        _claim("views-3-full", "Factor on the error by each further net, with 3 views in the full model",
               0.617, 0.717, TOLERANCE, "more views"),
        _claim("views-4-full", "Factor on the error by each further net, with 4 views in the full model",
               0.7, 0.8, TOLERANCE, "more views"),
        _claim("single-2k", "Error of a single net on single-view inputs, twice the classes",
               0.49, 0.51, THEOREM, "twice the classes"),
        _claim("law-2k", "Factor on the error by each further net, twice the classes",
               0.4, 0.6, TOLERANCE, "twice the classes"),
        _claim("single-2d", "Error of a single net on single-view inputs, twice the dimensions",
               0.49, 0.51, THEOREM, "twice the dimensions"),
        _claim("law-2d", "Factor on the error by each further net, twice the dimensions",
               0.4, 0.6, TOLERANCE, "twice the dimensions"),
    ],
    "12-scale": [
        _claim("single-k1000", "Error of a single net on single-view inputs, 1000 classes in the reduction",
               0.49, 0.51, THEOREM, "noise-free, many classes"),
        _claim("law-k1000", "Factor on the error by each further net, 1000 classes in the reduction",
               0.4, 0.6, TOLERANCE, "noise-free, many classes"),
        _claim("steps-classes", "Exponent in k of the number of steps in the reduction",
               0, 1, DERIVED, "noise-free, many classes", kind="check"),
    ],
    "13-practice": [
        _claim("practice-views", "Share of a net's errors on single-view inputs that an average of 10 removes",
               0.9, 1, TOLERANCE, BOOK, kind="check"),
        _claim("practice-mixture", "Share of a net's errors on a mixture without views that an average of 6 removes",
               -0.1, 0.1, TOLERANCE, "Gaussian mixture"),
    ],
    "14-rules": [
        _claim("distill-paper-rule", "Error of a student of the ensemble on single-view inputs, by the paper's rule",
               -INF, 0.01, THEOREM, BOOK),
        _claim("distill-temperature", "Error of a student of the ensemble by temperature, minus that of a net from the "
               "same start without a teacher",
               -0.05, 0.05, DERIVED, BOOK),
        _claim("one-sided-called", "Error of students by the paper's rule beyond what their nets lack, minus the "
               "predicted one, mean over numbers of classes",
               -0.03, 0.03, TOLERANCE, "noise-free, strong weak views"),
        _claim("one-sided", "Error of students by the paper's rule minus that by the two-sided rule, largest number "
               "of classes",
               -0.02, 0.02, TOLERANCE, "noise-free, strong weak views"),
    ],
    "15-photographs": [
        _claim("photos-single", "Photographs: error of a single net on single-view inputs",
               0.25, 0.75, TOLERANCE, "photographs", kind="check", unit="split of the images"),
        _claim("photos-lottery", "Photographs: share of (net, class) with a gap above a half",
               0.75, 1, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-opposite-nets", "Photographs: how often two nets rely on opposite halves for a class",
               0.4, 0.6, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-opposite-classes", "Photographs: how often two classes of a net rely on opposite halves",
               0.4, 0.6, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-ensemble", "Photographs: share of single nets' excess error that the average of ten removes",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-law", "Photographs: factor on the excess error by each further net (one half by the law)",
               0.375, 0.625, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-train-average", "Photographs: share of the ensemble's gain that goes to a trained average",
               -0.25, 0.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-distill", "Photographs: share of the ensemble's gain that goes to its student, on/off rule",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-self-distill", "Photographs: share of the ensemble's gain that goes to a student of one net, "
               "on/off rule",
               0.25, 0.75, TOLERANCE, "photographs", unit="split of the images"),
        _claim("photos-self-matched", "Photographs: share of the ensemble's gain that goes to a student that matches "
               "the outputs of one net",
               -0.25, 0.25, DERIVED, "photographs", unit="split of the images"),
        _claim("photos-control", "Photographs: share of (net, class) with a gap above a half, shared weights",
               0, 0.25, TOLERANCE, "photographs", kind="check", unit="split of the images"),
    ],
    "16-convolutions": [
        _claim("conv-lottery", "Convolutional nets, planted pairs: share of (net, class) with a gap above a half",
               0.75, 1, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-opposite-nets", "Convolutional nets, planted pairs: how often two nets rely on opposite halves",
               0.4, 0.6, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-ensemble", "Convolutional nets, planted pairs: share of single nets' excess error that the "
               "average of ten removes",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-law", "Convolutional nets, planted pairs: factor on the excess error by a second net (one half "
               "by the law)",
               0.375, 0.625, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-train-average", "Convolutional nets, planted pairs: share of the ensemble's gain that goes to a "
               "trained average",
               -0.25, 0.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-distill", "Convolutional nets, planted pairs: share of the ensemble's gain that goes to its "
               "student, Hinton's rule",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("conv-self-distill", "Convolutional nets, planted pairs: share of the ensemble's gain that goes to a "
               "student of one net, Hinton's rule",
               0.25, 0.75, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-lottery", "Convolutional nets with the smoothed ReLU, planted pairs: share of (net, class) "
               "with a gap above a half",
               0.75, 1, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-opposite-nets", "Convolutional nets with the smoothed ReLU, planted pairs: how often two nets "
               "rely on opposite halves",
               0.4, 0.6, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-ensemble", "Convolutional nets with the smoothed ReLU, planted pairs: share of single nets' "
               "excess error that the average of ten removes",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-law", "Convolutional nets with the smoothed ReLU, planted pairs: factor on the excess error "
               "by a second net (one half by the law)",
               0.375, 0.625, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-train-average", "Convolutional nets with the smoothed ReLU, planted pairs: share of the "
               "ensemble's gain that goes to a trained average",
               -0.25, 0.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-distill", "Convolutional nets with the smoothed ReLU, planted pairs: share of the ensemble's "
               "gain that goes to its student, which matches it from a random start",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("smooth-self-matched", "Convolutional nets with the smoothed ReLU, planted pairs: share of the "
               "ensemble's gain that goes to a student that matches one net from a random start",
               -0.25, 0.25, DERIVED, "photographs", unit="split of the images"),
        _claim("stacked-ensemble", "Pairs stacked as channels: share of single nets' excess error that the average "
               "of ten removes",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("stacked-distill", "Pairs stacked as channels: share of the ensemble's gain that goes to its student, "
               "Hinton's rule",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("stacked-midpoint", "Pairs stacked as channels: share of single nets' excess error that training on "
               "midpoints removes",
               0.75, 1.25, TOLERANCE, "photographs", unit="split of the images"),
        _claim("plain-ensemble", "Plain photographs: share of single nets' error that the average of five removes",
               0, INF, THEOREM, "photographs", kind="check", unit="subset of the images"),
        _claim("plain-distill", "Plain photographs: share of the ensemble's gain that goes to its students",
               0.75, 1.25, TOLERANCE, "photographs", unit="subset of the images"),
        _claim("plain-self-distill", "Plain photographs: share of the ensemble's gain that goes to students of one net",
               0.25, 0.75, TOLERANCE, "photographs", unit="subset of the images"),
        _claim("plain-train-average", "Plain photographs: share of the ensemble's gain that goes to a trained average",
               -0.25, 0.25, TOLERANCE, "photographs", unit="subset of the images"),
        _claim("plain-opposite-halves", "Plain photographs: how often two nets rely on opposite halves for a class",
               0.4, 0.6, TOLERANCE, "photographs", unit="subset of the images"),
    ],
}
# fmt: on

#: All claims of the book by their id, in the order of the chapters.
CLAIMS: Mapping[str, Claim] = {
    claim.id: replace(claim, chapter=chapter) for chapter, claims in _TABLE.items() for claim in claims
}
