"""``.expert`` files: packing, reading, checking. Knows neither keys nor the registry, and runs without torch."""

from expert_kit.archive.adapter_check import check_adapter, check_config, expected_tensors, targets_digest
from expert_kit.archive.adapter_config import config_of_spec, spec_of_config
from expert_kit.archive.conversion import accuracy_change, to_bfloat16
from expert_kit.archive.examples import RoutingExample, check_examples, parse_examples
from expert_kit.archive.gate import is_general, pass_gate, weights_digests
from expert_kit.archive.layout import ATTESTATIONS, SIGNATURES, Entry
from expert_kit.archive.licenses import KnownLicense
from expert_kit.archive.package import ProbeMaker, build_manifest, check_without_adapter, pack, package
from expert_kit.archive.probe import (
    MAX_PROBE_IDS,
    PROBE_PROMPTS,
    PROBE_TOP,
    MeasuredPrompt,
    Probe,
    ProbePrompt,
    ProbeResult,
    check_probe,
    classify_probe,
    parse_probe,
)
from expert_kit.archive.problems import Problem, Severity
from expert_kit.archive.reader import ArchiveReader
from expert_kit.archive.safetensors_header import TensorInfo, is_finite, parse_header, write_header
from expert_kit.archive.source import ManifestSource, load_source, with_report
from expert_kit.archive.validate import validate, validate_reader
from expert_kit.archive.writer import replace_meta, write_archive

__all__ = [
    "ATTESTATIONS",
    "MAX_PROBE_IDS",
    "PROBE_PROMPTS",
    "PROBE_TOP",
    "SIGNATURES",
    "ArchiveReader",
    "Entry",
    "KnownLicense",
    "ManifestSource",
    "MeasuredPrompt",
    "Probe",
    "ProbeMaker",
    "ProbePrompt",
    "ProbeResult",
    "Problem",
    "RoutingExample",
    "Severity",
    "TensorInfo",
    "accuracy_change",
    "build_manifest",
    "check_adapter",
    "check_config",
    "check_examples",
    "check_probe",
    "check_without_adapter",
    "classify_probe",
    "config_of_spec",
    "expected_tensors",
    "is_finite",
    "is_general",
    "load_source",
    "pack",
    "package",
    "parse_examples",
    "parse_header",
    "parse_probe",
    "pass_gate",
    "replace_meta",
    "spec_of_config",
    "targets_digest",
    "to_bfloat16",
    "validate",
    "validate_reader",
    "weights_digests",
    "with_report",
    "write_archive",
    "write_header",
]
