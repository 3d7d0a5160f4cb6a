"""Do suspect, references and base belong together?"""

from collections.abc import Sequence

from scanner.errors import BadAdapter, one_line
from scanner.intake import Adapter, same_updates
from scanner.models.base_models import BaseModel


def same_weights(suspect: Adapter, references: Sequence[Adapter]) -> str | None:
    """The name of the first reference whose updates are the suspect's own."""
    for reference in references:
        if same_updates(reference, suspect):
            return reference.identity.name
    return None


def refuse_another_base(suspect: Adapter, references: Sequence[Adapter]) -> None:
    """Keeps a suspect from choosing a base that a reference does not have: on a poisoned one it would stand out less.

    Raises:
        BadAdapter: the two configs name different bases.
    """
    own = suspect.identity.base_model
    for reference in references:
        trusted = reference.identity.base_model
        if own and trusted and own != trusted:
            raise BadAdapter(
                suspect.identity.name,
                f"its config names the base model {one_line(own)}, and that of {reference.identity.name} names "
                f"{one_line(trusted)}",
                "pass the one that you trust with --base",
            )


def disagreements(base: BaseModel, suspect: Adapter, references: Sequence[Adapter]) -> tuple[str, ...]:
    """Where suspect, references and base do not belong together, or the base is a stand-in."""
    names = tuple(
        f"{adapter.identity.role} {adapter.identity.name} says that its base model is "
        f"{adapter.identity.base_model or 'not stated'}, but it was run on {base.identity.name}"
        for adapter in (suspect, *references)
        if adapter.identity.base_model != base.identity.name
    )
    revisions = tuple(
        f"{adapter.identity.role} {adapter.identity.name} says that its base model is at revision "
        f"{adapter.identity.base_revision}, but it was run on {base.identity.revision}"
        for adapter in (suspect, *references)
        if adapter.identity.base_revision not in (None, base.identity.revision)
    )
    stand_in = (
        (f"the base model is the copy in the package {base.identity.revision}; no hub was within reach",)
        if base.identity.source == "package"
        else ()
    )
    return names + revisions + stand_in
