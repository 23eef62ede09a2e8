"""What both runs of ``python -m sklearn_lossopt`` share: errors, progress, files to write, curves."""

import os
import sys
import time
from contextlib import contextmanager

FORMATS = (".jpg", ".pdf", ".png", ".svg", ".webp")


def fail(message):
    """End with one line and exit code 2."""
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(2)


class Progress:
    """A scorer that counts the fits it is called for on stderr."""

    def __init__(self, name, n_fits):
        self.name = name
        self.n_fits = n_fits
        self.done = 0
        self.start = time.perf_counter()
        self.live = sys.stderr.isatty()
        self.show()

    def __call__(self, estimator, X, y):
        score = estimator.score(X, y)
        self.done += 1
        self.show()
        return score

    def show(self):
        """Write the counter over itself, on a terminal only."""
        if self.live:
            print(f"\r{self.name}: {self.done}/{self.n_fits} fits", end="", file=sys.stderr, flush=True)

    def finish(self):
        """Leave one line behind."""
        line = f"{self.name}: {self.done} fits in {time.perf_counter() - self.start:.1f} s"
        print("\r" * self.live + line, file=sys.stderr, flush=True)


def check_picture(path):
    """End here if `draw_curves` could not write there; leaves no file behind."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        fail(f'--out needs matplotlib ({error}). Install it: pip install "sklearn-lossopt[plot]"')
    if path.suffix.lower() not in FORMATS:
        fail(f"--out {path}: the file's name must end in one of {', '.join(FORMATS)}")
    check_writable("--out", path)


def check_writable(option, path):
    """End here if the file cannot be written; leaves no file behind."""
    existed = os.path.lexists(path)
    try:
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        fail(f"{option} {path}: cannot be written ({error.strerror})")


@contextmanager
def new_file(option, path, *, force):
    """A binary file to write, gone again where that fails; with `force` in place of an older one."""
    # Beside the older file, which is lost only when the new one is complete.
    target = path.with_name(f"{path.name}.{os.getpid()}.part") if force else path
    try:
        with target.open("xb") as file:
            try:
                yield file
                file.flush()
            except BaseException:
                target.unlink()
                raise
        if force:
            target.replace(path)
    except FileExistsError:
        fail(f"{option} {path}: exists already; --force overwrites it")
    except OSError as error:
        fail(f"{option} {path}: cannot be written ({error.strerror or error})")


def draw_curves(panels, target, **options):
    """Save a picture of curves side by side.

    Parameters
    ----------
    panels : list of (str, dict)
        A title, and by label a pair of passes and losses.
    target : path or file
        Where to.
    **options
        Of matplotlib's `savefig`.
    """
    from matplotlib.figure import Figure  # without pyplot: always Agg, no window

    figure = Figure(figsize=(5.5 * len(panels), 4.5), layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for label, (passes, losses) in curves.items():
            axes.semilogy(passes, losses, "." if len(losses) == 1 else "-", label=label)
        axes.set_title(title)
        axes.set(xlabel="epoch (pass over the training rows)", ylabel="loss")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(target, dpi=120, **options)


def curves_of(model, stopped):
    """Curves of a model and of a second fit that stopped early, by label."""
    held_out = stopped.validation_loss_curve_
    return {
        "training objective": (model.loss_curve_iter_, model.loss_curve_),
        "held-out loss (a second fit, without 10% of the rows)": (range(1, len(held_out) + 1), held_out),
    }
