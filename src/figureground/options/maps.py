"""Options about the maps of an audit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from figureground.options.common import LayoutOf, Methods
from figureground.options.groups import Given, OptionGroup, Some, To
from figureground.options.texts import as_arguments, as_list


@dataclass(frozen=True)
class Maps(OptionGroup):
    """Which methods look, and at which layer."""

    layer: Annotated[
        str | None,
        typer.Option("--layer", help="Module for Grad-CAM, as in named_modules(). Default: chosen and reported."),
    ] = None
    layout: LayoutOf = None
    methods: Annotated[Methods, To("methods", as_list)] = None
    method_option: Annotated[
        list[str] | None,
        typer.Option(
            "--method-option", help="Setting of the methods, such as steps=64 or segments=superpixels. Repeatable."
        ),
        To("method_options", partial(as_arguments, hint="--method-option")),
    ] = None


OfMaps = Annotated[Given, Some(Maps)]
