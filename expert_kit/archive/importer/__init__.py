"""The only code that reads formats of others: a folder saved by PEFT, or a ``.tar.gz`` of one, becomes an unsigned archive."""

from expert_kit.archive.importer.convert import Converted, Description, convert, read_material
from expert_kit.archive.importer.material import Material, folder_digest

__all__ = ["Converted", "Description", "Material", "convert", "folder_digest", "read_material"]
