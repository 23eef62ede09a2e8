"""The lines that `verbose` asks for, through the logger "sklearn_lossopt"."""

import logging

LOGGER = logging.getLogger("sklearn_lossopt")


class _Printer(logging.Handler):
    """Prints, unless the application has set up logging itself: for the root logger or for ours."""

    def emit(self, record):
        if not logging.getLogger().handlers and LOGGER.handlers == [self]:
            print(self.format(record))


LOGGER.addHandler(_Printer())
if LOGGER.level == logging.NOTSET:
    LOGGER.setLevel(logging.INFO)  # who does not want the lines does not ask for them


def report(name, n_passes, here, validation, seconds):
    """Tell of a pass: its objective, gap or accuracy, the last held-out evaluation, the time so far."""
    line = f"{name} pass {n_passes}: "
    if here is None:
        line += "not measured"  # certificates take time: there is one when it may be of use
    else:
        line += f"objective {here.objective:.6g}"
        line += f", gap {here.gap:.3g}" if hasattr(here, "gap") else f", accuracy {here.accuracy:.4f}"
    if validation:
        line += f", held out: loss {validation[-1].loss:.6g}, accuracy {validation[-1].accuracy:.4f}"
    LOGGER.info("%s, %.2f s", line, seconds)
