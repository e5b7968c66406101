"""Room 3, reports: how people read a finished run. Takes a run folder; never loads torch."""

if __name__ == "reports":
    raise ImportError(
        "this is figureground's own folder, found because the working directory is on sys.path; "
        "import it as `figureground.reports`, or run `python -P` to get another package named `reports`"
    )
