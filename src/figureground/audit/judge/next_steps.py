"""Next steps as commands of this version, so that they can be run and not only read.

The words in capitals are the reader's own: MODEL, DATA, RUN (this run), RUN2 (a new folder), COLUMN, OTHER_RUN. No
path of the machine that ran the audit enters the evidence. A test gives every command to the command line's parser.
A name of the user's, such as that of a region, is quoted: commands are copied into a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from figureground.audit.document.audit_json import Message

_CHECK = "figureground check DATA --model MODEL"
_AGAIN = "figureground audit MODEL DATA -o RUN2"
#: By message: commands in their order; names in braces are arguments of the message.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "next_add_environment": ("figureground audit MODEL DATA --environment COLUMN -o RUN2",),
    "next_add_masks": ("figureground audit MODEL DATA --column mask=COLUMN -o RUN2",),
    "next_audit_cue": ("figureground audit MODEL DATA --cue {cue} -o RUN2",),
    "next_audit_policy": ("figureground audit MODEL DATA --policy RUN/policy.json -o RUN2",),
    "next_better_masks": (_AGAIN,),
    "next_break_association": ("figureground train DATA -o MODEL2", "figureground audit MODEL2 DATA -o RUN2"),
    "next_check_masks": (_CHECK, _AGAIN),
    "next_check_model": (_CHECK,),
    "next_declare_masks": ("figureground audit MODEL DATA --policy policy.toml -o RUN2",),
    "next_more_backgrounds": (_CHECK, _AGAIN),
    "next_more_data": (_CHECK, _AGAIN),
    "next_name_environments": ("figureground audit MODEL DATA --environment COLUMN -o RUN2",),
    "next_repeat": (
        "figureground audit MODEL OTHER_DATA --policy RUN/policy.json -o OTHER_RUN",
        "figureground judge RUN --repeat OTHER_RUN -o RUN2",
    ),
}
#: What stands among the next steps and is none.
NO_COMMAND = ("next_none", "next_add_labels", "next_report_failure", "more_images_no_help")


def with_commands(step: Message) -> Message:
    """The step with its commands in ``args["commands"]``; unchanged where there is nothing to run.

    Examples
    --------
    >>> with_commands(Message(key="next_audit_cue", args={"cue": "tint"})).args["commands"]
    ['figureground audit MODEL DATA --cue tint -o RUN2']
    """
    quoted = {name: shlex.quote(value) if isinstance(value, str) else value for name, value in step.args.items()}
    commands = [command.format(**quoted) for command in COMMANDS.get(step.key, ())]
    return step.model_copy(update={"args": {**step.args, "commands": commands}}) if commands else step
