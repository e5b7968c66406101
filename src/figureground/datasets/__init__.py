"""Room 1, data: what a model is shown. Pixels, masks, labels, attributes; never a model."""

if __name__ == "datasets":
    raise ImportError(
        "this is figureground's own folder, found because the working directory is on sys.path; "
        "run `python -P` (or set PYTHONSAFEPATH=1) to get Hugging Face's `datasets`"
    )
