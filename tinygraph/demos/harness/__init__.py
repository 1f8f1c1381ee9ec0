"""What the demos share: arguments, early stopping, the training loop with its checkpoints, pictures, the report."""

from tinygraph.demos.harness.arguments import add_training_arguments, settings
from tinygraph.demos.harness.classifier import Classifier, train_classifier
from tinygraph.demos.harness.stopping import EarlyStopping

__all__ = ["Classifier", "EarlyStopping", "add_training_arguments", "settings", "train_classifier"]
