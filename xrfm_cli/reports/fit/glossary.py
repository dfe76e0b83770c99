"""The words of the report, explained in plain English."""

from __future__ import annotations

COMMON = (
    (
        "held-out rows",
        "Rows that a model was not trained on. Scores on them show how well it will do on new rows.",
    ),
    (
        "out of fold",
        "The rows are divided into folds. Each fold is predicted by a model that was trained on the others, "
        "so every such prediction is for a row that its model had not seen.",
    ),
    ("baseline", "A simple model. A score means little by itself: it should be clearly better than these."),
    ("trial", "One setting of the hyperparameters that the search tried."),
    ("pruned", "A trial that was stopped early because it was clearly worse than others."),
    ("ensemble", "Several models whose predictions are averaged with weights."),
    (
        "importance",
        "How much a column contributes to the differences between predictions. It is not a causal effect.",
    ),
    ("missing", "An empty cell. The model has a value of its own for it, so no row is left out."),
)
CLASSES = (
    ("positive class", "The class that precision, recall, F1 and a threshold refer to."),
    ("base rate", "The share of a class among all rows."),
    ("threshold", "The probability from which a row is predicted as the positive class."),
    ("precision", "Of the rows predicted as a class, the share that is of this class."),
    ("recall", "Of the rows of a class, the share that is predicted as this class."),
    ("specificity", "Of the rows of the other class, the share that is not flagged by mistake."),
    ("F1", "The harmonic mean of precision and recall: high only if both are."),
    (
        "ROC curve",
        "For every threshold, how many rows of the positive class are found and how many others are flagged.",
    ),
    (
        "AUC",
        "The area under the ROC curve: how often a random row of the class has a higher probability than a "
        "random other row. 0.5 is chance, 1 is perfect.",
    ),
    ("gain", "How many rows of the positive class are among the rows with the highest probabilities."),
    ("calibration", "Whether rows with a probability of 0.7 are of the class in 70 % of the cases."),
    ("log loss", "The mean surprise of the true class: low if it had a high probability."),
    ("Brier score", "The mean squared error of the probabilities."),
)
VALUES = (
    ("rmse", "The root of the mean squared error: large errors count more."),
    ("mae", "The mean absolute error, in the units of the target."),
    ("r2", "The explained share of the target's variance: 1 is perfect, 0 is no better than the mean."),
    ("mape", "The mean error relative to the target; not shown if a target is 0."),
    ("poisson_deviance", "For counts: twice the log likelihood lost by not predicting perfectly, per row."),
    ("gamma_deviance", "The same for amounts above 0 whose errors grow with their size, such as costs."),
    (
        "pinball@0.9",
        "The mean pinball loss of the quantile that 90 % of the targets lie below: an error counts nine "
        "times as much if the prediction is too low as if it is too high. Other levels work alike.",
    ),
    ("residual", "Actual minus predicted value: positive where the model predicts too little."),
    ("decile", "A tenth of the rows, sorted by the target."),
    ("typical error", "The median absolute error: half of the rows have smaller errors."),
)


def glossary(*, has_classes: bool) -> tuple[tuple[str, str], ...]:
    """Return the words of a report and their meanings, in alphabetical order."""
    return tuple(sorted(COMMON + (CLASSES if has_classes else VALUES), key=lambda item: item[0].lower()))
