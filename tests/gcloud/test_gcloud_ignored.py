"""What `gcloud builds submit` sends away, by gcloud's own reading of .gcloudignore."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.gcloud
ROOT = Path(__file__).resolve().parents[2]
SENT = {".ci/run", ".env.example", "deploy/gcp/terraform.tfvars.example", "libs/weather/here.py"}
KEPT = {
    ".env",
    ".git/config",
    "cli/.env",
    "data/token",
    "deploy/gcp/.terraform/providers/google",
    "deploy/gcp/terraform.tfstate",
    "deploy/gcp/terraform.tfstate.backup",
    "deploy/gcp/terraform.tfvars",
    "deploy/onprem/data/token",
    "libs/weather/__pycache__/here.pyc",
}


def test_what_is_private_stays_here_at_any_depth(tmp_path: Path) -> None:
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("Google's Cloud SDK is not installed")
    checkout = tmp_path / "checkout"
    for name in SENT | KEPT:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).touch()
    for name in (".gcloudignore", ".gitignore"):
        shutil.copy(ROOT / name, checkout)
    listed = subprocess.run(
        [gcloud, "meta", "list-files-for-upload", str(checkout)],
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(listed.stdout.split()) == SENT | {".gitignore"}
