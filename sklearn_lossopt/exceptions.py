"""Warnings of the package that have a category of their own."""

__all__ = ["ModelVersionWarning"]


class ModelVersionWarning(UserWarning):
    """A model file was written by another version of this package than reads it.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator that is read.
    current_version : str
        The version that reads.
    original_version : str or None
        The version that wrote; None where the file does not say.

    Attributes
    ----------
    estimator_name, current_version, original_version : str
        The parameters.

    Examples
    --------
    Where only models of this very version may be read:

    >>> import warnings
    >>> from sklearn_lossopt.exceptions import ModelVersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelVersionWarning)
    """

    def __init__(self, estimator_name, current_version, original_version):
        super().__init__(estimator_name, current_version, original_version)
        self.estimator_name = estimator_name
        self.current_version = current_version
        self.original_version = original_version

    def __str__(self):
        writer, remedy = "an unknown version (it has no mark)", "the version that wrote it"
        if self.original_version:
            writer = self.original_version
            remedy = f"sklearn-lossopt=={writer}"
        return (
            f"This {self.estimator_name} was saved by sklearn_lossopt {writer} and is read by "
            f"{self.current_version}, which may give other results or fail. Fit and save it again, or "
            f"install {remedy} to read it."
        )
