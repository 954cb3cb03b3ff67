"""Bundles without a model: they start on the machine that they were made for, and say so elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.errors import InputError
from edge_runtime.machine import Machine, this_machine
from export.bundle import build_bundle
from export.platforms import BOARDS, TESTED, default_runtime, least_glibc, machine_of, platform_tags, refuse
from tests.bundles import bare, bundle_here, start_bundle  # noqa: F401 - fixtures
