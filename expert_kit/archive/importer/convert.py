"""A foreign adapter in, an unsigned ``.expert`` file out. Nothing that came with it is trusted, and nothing is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from expert_kit.archive.adapter_config import config_of_spec
from expert_kit.archive.importer.adapter import derive_spec
from expert_kit.archive.importer.folder import read_folder
from expert_kit.archive.importer.legacy import read_legacy
from expert_kit.archive.importer.material import CONFIG_NAME, Material
from expert_kit.archive.licenses import KnownLicense
from expert_kit.archive.package import CARD_NAME, ProbeMaker, pack
from expert_kit.archive.source import ManifestSource
from expert_kit.bases import BaseRecord
from expert_kit.errors import ArchiveError, UsageError
from expert_kit.manifest import WEIGHTS_NAME, FullName, SemVer, Slug, Text, describe_problems
from expert_kit.names import printable


class Description(BaseModel):
    """What an adapter elsewhere does not say, and an expert must; the publisher is the namespace of the name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: FullName
    version: SemVer
    license: KnownLicense
    summary: Text
    tags: tuple[Slug, ...] = Field(default=(), max_length=32)

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> Description:
        """Take what a user wrote.

        Raises:
            UsageError: ``convert_options``, with every field that is wrong.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            listed = "; ".join(map(printable, describe_problems(error)))
            raise UsageError(
                f"the expert cannot be described like this: {listed}", hint="correct the options", code="convert_options"
            ) from error


@dataclass(frozen=True)
class Converted:
    """An archive that was made from an adapter elsewhere."""

    archive: Path
    material: Material


def read_material(source: Path) -> Material:
    """The files of a PEFT folder, or of a ``.tar.gz`` with one.

    Raises:
        see ``read_folder`` and ``read_legacy``; ArchiveError: ``import_unknown``, it is an ``.expert`` file.
    """
    if source.suffix == ".expert":
        message = f"{printable(str(source))} is an archive already"
        raise ArchiveError(message, hint=f"expert-kit validate {printable(str(source))}", code="import_unknown")
    return read_folder(source) if source.is_dir() else read_legacy(source)


def convert(source: Path, out: Path, description: Description, base: BaseRecord, *, probes: ProbeMaker | None = None) -> Converted:
    """Make an unsigned archive of a PEFT folder or a legacy ``.tar.gz``; README, LICENSE and NOTICE beside the adapter go in too.

    Args:
        source: what to convert; it is read once.
        out: the file to write, or an existing folder.
        description: what goes into the manifest.
        base: the base model that the adapter was trained on.
        probes: as for ``package``.

    Raises:
        ArchiveError, UnsupportedMemberError: see :func:`read_material`.
        IncompatibleAdapterError: the adapter does not fit the base model, or does nothing.
        ArchiveError: a file beside the adapter is refused. CapacityError: the archive cannot be written.
    """
    material = read_material(source)
    spec = derive_spec(material.files[CONFIG_NAME], material.files[WEIGHTS_NAME], base.linears)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, data in material.files.items():
            (folder / name).write_bytes(config_of_spec(spec) if name == CONFIG_NAME else data)
        found = ManifestSource(
            name=description.name,
            version=description.version,
            publisher=description.name.split("/")[0],
            license=description.license,
            summary=description.summary,
            tags=tuple(sorted(set(description.tags))),
            bases=(base.fingerprint.id,),
            adapter=folder,
            folder=folder,
            card=folder / CARD_NAME if CARD_NAME in material.files else None,
        )
        return Converted(pack(found, out, [base], probes=probes), material)
