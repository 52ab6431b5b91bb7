"""The licences that an expert made here may name. What a package from elsewhere names is read, and judged by nobody."""

from __future__ import annotations

from typing import Annotated

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator

from expert_kit.manifest import LicenseExpression


def _known(value: str) -> str:
    try:
        return str(canonicalize_license_expression(value))
    except InvalidLicenseExpression as error:
        raise ValueError("names a licence that SPDX does not know; of your own it is LicenseRef-NAME") from error


KnownLicense = Annotated[LicenseExpression, AfterValidator(_known)]
"""An SPDX expression of identifiers on SPDX's list or ``LicenseRef-``; in SPDX's own capitals."""
